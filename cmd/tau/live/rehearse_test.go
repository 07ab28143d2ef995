package live

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/transport"
)

// TestSettingsOfAStoryArrive: what a story says of any service is what its node is started with.
func TestSettingsOfAStoryArrive(t *testing.T) {
	var told rehearsal.Rehearsal
	specs := append(services.Catalogue(services.Ports{}), services.Always()...)
	for _, spec := range specs {
		require.NoError(t, told.Say(spec.Name, spec.Settings()))
	}
	file := filepath.Join(t.TempDir(), "rehearsal.yaml")
	require.NoError(t, told.Save(file))
	read, err := rehearsal.Load(file)
	require.NoError(t, err)
	var again rehearsal.Rehearsal
	for _, spec := range specs {
		c, err := read.Configure(spec)
		require.NoError(t, err, spec.Name)
		require.NoError(t, again.Say(spec.Name, c.Settings))
	}
	require.Equal(t, told.Settings, again.Settings)
}

// TestFactsOfARehearsalKeepTheirKinds, as checks need them.
func TestFactsOfARehearsalKeepTheirKinds(t *testing.T) {
	var out bytes.Buffer
	peer := transport.NewIdentity([]byte("somebody")).Peer()
	r := reporter{out: &out}
	r.report("patrick", "job-granted", []node.Field{node.F("job", "j"), node.F("attempt", uint64(1)<<60), node.F("holder", peer), node.F("ok", true), node.F("took", time.Second)})
	var got []Fact
	require.NoError(t, ReadFacts(&out, func(f Fact) { got = append(got, f) }))
	require.Len(t, got, 1)
	require.Equal(t, []FactField{{Name: "job", Value: "j"}, {Name: "attempt", Value: int64(1) << 60}, {Name: "holder", Value: peer}, {Name: "ok", Value: true}, {Name: "took", Value: time.Second}}, got[0].Fields)
	require.WithinDuration(t, time.Now(), got[0].At, time.Minute)
}
