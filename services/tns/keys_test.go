package tns

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// TestVersionIDNeverChanges: entries are stored under it, by every release.
func TestVersionIDNeverChanges(t *testing.T) {
	v := tnsapi.Version{
		Project: "p", Branch: "b", Commit: "c", Job: "j", Order: 7, Rollback: 1,
		Token: fencing.Token{Attempt: 2, Holder: transport.Peer{1}}, Artifact: "a", Count: 3, Digest: []byte{9},
	}
	require.Equal(t, "00000000000000000007-c083a3fafdca7748", versionID(v))
	for name, change := range map[string]func(*tnsapi.Version){
		"project":  func(v *tnsapi.Version) { v.Project = "" },
		"branch":   func(v *tnsapi.Version) { v.Branch = "" },
		"commit":   func(v *tnsapi.Version) { v.Commit = "" },
		"job":      func(v *tnsapi.Version) { v.Job = "" },
		"order":    func(v *tnsapi.Version) { v.Order++ },
		"rollback": func(v *tnsapi.Version) { v.Rollback++ },
		"attempt":  func(v *tnsapi.Version) { v.Token.Attempt++ },
		"holder":   func(v *tnsapi.Version) { v.Token.Holder[0]++ },
		"artifact": func(v *tnsapi.Version) { v.Artifact = "" },
		"count":    func(v *tnsapi.Version) { v.Count++ },
		"digest":   func(v *tnsapi.Version) { v.Digest = nil },
	} {
		other := v
		change(&other)
		require.NotEqual(t, versionID(v), versionID(other), name)
	}
}

func TestFencesAreReadFromTheirKeys(t *testing.T) {
	want := fencing.Token{Attempt: 12, Holder: transport.Peer{1, 2, 255}}
	got, err := parseFence(fenceKey("p", "b", "j", want))
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, part := range []string{"", "12", "x-00", "12-00", "12-zz", "-" + strings.Repeat("0", 64), "12-" + strings.Repeat("0", 64) + "z"} {
		_, err := parseFence(storage.K(fences, "p", "b", "j", part))
		require.Error(t, err, part)
	}
}

// TestOneBadHeaderHidesNoOther: it was written by another release, or has rotted.
func TestOneBadHeaderHidesNoOther(t *testing.T) {
	good := tnsapi.Version{Project: "p", Branch: "b", Job: "j", Order: 7}
	elsewhere := tnsapi.Version{Project: "p", Branch: "other", Job: "j", Order: 8}
	list := decodeVersions([]storage.Entry{
		{Key: storage.K(versions, "p", "b", "x"), Value: []byte("nonsense")},
		{Key: versionKey(good), Value: transport.Encode(good)},
		{Key: storage.K(versions, "p", "b", versionID(elsewhere)), Value: transport.Encode(elsewhere)},
	})
	require.Equal(t, []tnsapi.Version{good}, list)
}
