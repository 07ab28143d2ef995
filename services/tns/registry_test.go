package tns

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

// newRegistry returns one on a disk in memory.
func newRegistry(t require.TestingT, keep int) registry {
	store, err := localkv.Open(nil, memdisk.New(), storage.K("test"))
	require.NoError(t, err)
	return registry{store: store, keep: keep}
}

func someEntries(seed string, n int) []tnsapi.Entry {
	var list []tnsapi.Entry
	for i := range n {
		list = append(list, tnsapi.Entry{Path: fmt.Sprintf("path/%c-%d", 'a'+i%3, i), Value: fmt.Append(nil, seed, i)})
	}
	sortEntries(list)
	return list
}

func withEntries(v tnsapi.Version, list []tnsapi.Entry) tnsapi.Version {
	v.Count, v.Digest = len(list), digest(list)
	return v
}

func TestPublishAndRead(t *testing.T) {
	r := newRegistry(t, 20)
	_, err := r.current("p", "b")
	require.Equal(t, transport.NotFound, transport.KindOf(err))

	list := someEntries("one", 5)
	v := withEntries(version("j", 10, 1), list)
	_, duplicate, err := r.publish(v, list)
	require.NoError(t, err)
	require.False(t, duplicate)
	got, err := r.current("p", "b")
	require.NoError(t, err)
	require.Equal(t, v, got)
	read, err := r.entries(got)
	require.NoError(t, err)
	require.Equal(t, list, read)

	_, duplicate, err = r.publish(v, list)
	require.NoError(t, err)
	require.True(t, duplicate)

	empty := withEntries(version("k", 11, 1), nil)
	_, _, err = r.publish(empty, nil)
	require.NoError(t, err, "a version may be empty")
	got, err = r.current("p", "b")
	require.NoError(t, err)
	require.Equal(t, "k", got.Job)
	torn, err := r.torn()
	require.NoError(t, err)
	require.Empty(t, torn)
}

func TestTornVersionsAreInvisibleAndReported(t *testing.T) {
	r := newRegistry(t, 20)
	list := someEntries("one", 3)
	good := withEntries(version("good", 1, 1), list)
	_, _, err := r.publish(good, list)
	require.NoError(t, err)

	header := withEntries(version("torn", 2, 1), list)
	require.NoError(t, storage.Put(r.store, versionKey(header), transport.Encode(header)))
	stray := withEntries(version("stray", 3, 1), list)
	require.NoError(t, storage.Put(r.store, storage.K(entries, "p", "b", versionID(stray), "x"), nil))

	got, err := r.current("p", "b")
	require.NoError(t, err)
	require.Equal(t, "good", got.Job)
	torn, err := r.torn()
	require.NoError(t, err)
	require.Len(t, torn, 2)
}

// registryModel is the same in the simplest words: all that was ever accepted.
type registryModel struct {
	accepted []tnsapi.Version
	highest  map[string]fencing.Token
}

// counted is the history by definition, newest first, without a bound.
func (m *registryModel) counted() []tnsapi.Version {
	byJob := map[string]tnsapi.Version{}
	for _, v := range m.accepted {
		if old, ok := byJob[v.Job]; !ok || old.Token.Compare(v.Token) < 0 {
			byJob[v.Job] = v
		}
	}
	return slices.SortedFunc(maps.Values(byJob), func(a, b tnsapi.Version) int { return cmp.Compare(b.Order, a.Order) })
}

func TestRegistryAgainstModel(t *testing.T) {
	const keep = 3
	rapid.Check(t, func(t *rapid.T) {
		r := newRegistry(t, keep)
		m := &registryModel{highest: map[string]fencing.Token{}}
		draw := func(t *rapid.T) (string, fencing.Token) {
			token := fencing.Token{Attempt: rapid.Uint64Range(1, 3).Draw(t, "attempt"), Holder: transport.Peer{rapid.ByteRange(1, 2).Draw(t, "holder")}}
			return string(rune('a' + rapid.IntRange(0, 5).Draw(t, "job"))), token
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				job, token := draw(t)
				list := someEntries(job, rapid.IntRange(0, 3).Draw(t, "entries"))
				// The order belongs to the job, as patrick gives it.
				v := withEntries(tnsapi.Version{Project: "p", Branch: "b", Commit: job, Job: job, Order: uint64(job[0]), Token: token}, list)
				_, duplicate, err := r.publish(v, list)
				m.publish(t, v, keep, duplicate, err)
			},
			"fence": func(t *rapid.T) {
				job, token := draw(t)
				err := r.fence(tnsapi.FenceRequest{Project: "p", Branch: "b", Job: job, Token: token})
				if m.forgotten(job, keep) {
					return // of a job that can't publish any more
				}
				require.Equal(t, token.Compare(m.highest[job]) < 0, err != nil)
				if err == nil {
					m.highest[job] = token
				}
			},
			"": func(t *rapid.T) {
				got, err := r.history("p", "b")
				require.NoError(t, err)
				want := m.counted()
				want = want[:min(len(want), keep)]
				require.Equal(t, jobs(want), jobs(got))
				for i := range want {
					require.Equal(t, want[i].Token, got[i].Token)
				}
				torn, err := r.torn()
				require.NoError(t, err)
				require.Empty(t, torn)
			},
		})
	})
}

// forgotten reports whether the job had published something that was dropped.
func (m *registryModel) forgotten(job string, keep int) bool {
	counted := m.counted()
	return slices.Contains(jobs(counted[min(len(counted), keep):]), job)
}

func (m *registryModel) publish(t *rapid.T, v tnsapi.Version, keep int, duplicate bool, err error) {
	stale := v.Token.Compare(m.highest[v.Job]) < 0
	repeated := slices.ContainsFunc(m.accepted, func(o tnsapi.Version) bool { return o.Job == v.Job && o.Token == v.Token })
	counted := m.counted()
	tooOld := len(counted) >= keep && v.Order < counted[keep-1].Order
	switch {
	case tooOld && err != nil:
		require.Equal(t, transport.Conflict, transport.KindOf(err))
	case stale || tooOld:
		require.Equal(t, transport.Conflict, transport.KindOf(err))
	case repeated:
		require.NoError(t, err)
		require.True(t, duplicate)
	default:
		require.NoError(t, err)
		require.False(t, duplicate)
		m.accepted = append(m.accepted, v)
		m.highest[v.Job] = v.Token
	}
}

func TestFencesDoNotPileUp(t *testing.T) {
	r := newRegistry(t, 2)
	for i := range uint64(10) {
		job := fmt.Sprintf("job-%02d", i)
		for attempt := range uint64(4) {
			token := fencing.Token{Attempt: attempt + 1}
			require.NoError(t, r.fence(tnsapi.FenceRequest{Project: "p", Branch: "b", Job: job, Token: token}))
		}
		_, _, err := r.publish(withEntries(version(job, i+1, 4), nil), nil)
		require.NoError(t, err)
	}
	stored, err := r.store.List("")
	require.NoError(t, err)
	require.Len(t, stored, 4, "two versions and a fence for each: %v", stored)
	_, _, err = r.publish(withEntries(version("job-00", 1, 1), nil), nil)
	require.Equal(t, transport.Conflict, transport.KindOf(err), "its fence is gone, it is stale all the same")
}

func TestCheckPublish(t *testing.T) {
	good := tnsapi.PublishRequest{Project: "p", Branch: "b", Commit: "c", Job: "j", Order: 1}
	require.NoError(t, checkPublish(good, nil))
	list := func(paths ...string) (list []tnsapi.Entry) {
		for _, p := range paths {
			list = append(list, tnsapi.Entry{Path: p})
		}
		return list
	}
	require.Error(t, checkPublish(good, list("")))
	require.Error(t, checkPublish(good, list("a", "a")))
	require.Error(t, checkPublish(good, []tnsapi.Entry{{Path: "a", Value: make([]byte, tnsapi.VersionLenMax)}}))
	require.Error(t, checkPublish(good, make([]tnsapi.Entry, tnsapi.EntriesMax+1)))
	require.Error(t, checkPublish(tnsapi.PublishRequest{Project: "p", Branch: "b", Commit: "c", Job: "j"}, nil))
	require.Error(t, checkPublish(tnsapi.PublishRequest{Branch: "b", Commit: "c", Job: "j", Order: 1}, nil))
}

// A fence stands as long as anything of its job does: what is dropped of the job
// may be an outdated outcome only.
func TestFencesOfWhatIsKeptStay(t *testing.T) {
	r := newRegistry(t, 2)
	at := func(attempt uint64) tnsapi.Version { return withEntries(version("job", 1, attempt), nil) }
	for _, v := range []tnsapi.Version{at(1), at(2)} { // by replicas that were apart
		require.NoError(t, storage.Put(r.store, versionKey(v), transport.Encode(v)))
	}
	require.NoError(t, r.fence(tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "job", Token: fencing.Token{Attempt: 4}}))
	_, _, err := r.publish(withEntries(version("other", 2, 1), nil), nil)
	require.NoError(t, err)
	all, err := r.all("p", "b")
	require.NoError(t, err)
	require.Len(t, all, 2, "the outdated outcome is dropped")
	_, _, err = r.publish(at(3), nil)
	require.Equal(t, transport.Conflict, transport.KindOf(err), "%v", err)
}
