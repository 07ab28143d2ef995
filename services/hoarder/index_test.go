package hoarder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

func markEntry(root string, m markRecord, epoch int) storage.Entry {
	k := markKey{id: markID(m), epoch: epoch}
	return storage.Entry{Key: k.under(marksPart, root), Value: transport.Encode(m)}
}

func withdrawEntry(root string, m markRecord, epoch int) storage.Entry {
	k := markKey{id: markID(m), epoch: epoch}
	return storage.Entry{Key: k.under(withdrawnPart, root), Value: withdrawal}
}

func indexOf(t require.TestingT, entries ...storage.Entry) *index {
	x := newIndex()
	for _, e := range entries {
		_, err := x.set(e.Key, e.Value)
		require.NoError(t, err)
	}
	return x
}

func stateOf(x *index, root string) (state, string) { return x.state(x.get(root)) }

func TestWhatIsNotKnownToBeWithdrawnIsKept(t *testing.T) {
	ours := markRecord{Kind: hoarderapi.Asset, Target: 3, Owner: "a"}
	theirs := markRecord{Kind: hoarderapi.Asset, Target: 2, Owner: "b"}
	claim := storage.Entry{Key: claimKey("r", somePeers(1)[0]), Value: transport.Encode(claimRecord{Bytes: 7})}
	for _, c := range []struct {
		name    string
		entries []storage.Entry
		want    state
		target  int
	}{
		{"a claim alone", []storage.Entry{claim}, unknown, 0},
		{"a withdrawal whose mark has not come", []storage.Entry{claim, withdrawEntry("r", ours, 0)}, unknown, 0},
		{"a mark", []storage.Entry{markEntry("r", ours, 0)}, wanted, 3},
		{"withdrawn", []storage.Entry{markEntry("r", ours, 0), withdrawEntry("r", ours, 0)}, withdrawn, 0},
		{"marked again", []storage.Entry{markEntry("r", ours, 0), withdrawEntry("r", ours, 0), markEntry("r", ours, 1)}, wanted, 3},
		{"the other's mark stands", []storage.Entry{markEntry("r", ours, 0), withdrawEntry("r", ours, 0), markEntry("r", theirs, 0)}, wanted, 2},
		{"the highest target counts", []storage.Entry{markEntry("r", ours, 0), markEntry("r", theirs, 0)}, wanted, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := indexOf(t, c.entries...)
			got, _ := stateOf(x, "r")
			require.Equal(t, c.want, got)
			require.Equal(t, c.target, x.get("r").target())
		})
	}
}

func TestOlderSnapshotsAreSuperseded(t *testing.T) {
	db := func(owner string, version uint64) markRecord {
		return markRecord{Kind: hoarderapi.Database, Target: 3, Owner: owner, Name: "users", Version: version}
	}
	x := indexOf(t, markEntry("r2", db("p", 2), 0), markEntry("r1", db("p", 1), 0), markEntry("r9", db("q", 9), 0))
	got, successor := stateOf(x, "r1")
	require.Equal(t, superseded, got)
	require.Equal(t, "r2", successor)
	got, _ = stateOf(x, "r2")
	require.Equal(t, wanted, got, "another owner's database of the same name is another database")
	claim := func(root string) storage.Entry {
		return storage.Entry{Key: claimKey(root, somePeers(1)[0]), Value: transport.Encode(claimRecord{Bytes: 1})}
	}
	set := func(k storage.Key, value []byte) {
		_, err := x.set(k, value)
		require.NoError(t, err)
	}
	set(claim("r1").Key, claim("r1").Value)
	got, _ = stateOf(x, "r1")
	require.Equal(t, wanted, got, "a snapshot that nobody holds replaces nothing")
	set(claim("r2").Key, claim("r2").Value)
	got, _ = stateOf(x, "r1")
	require.Equal(t, superseded, got)
	set(withdrawEntry("r2", db("p", 2), 0).Key, withdrawal)
	got, _ = stateOf(x, "r1")
	require.Equal(t, wanted, got, "the older one is the newest again")
}

// TestEntriesInAnyOrder holds the index to be a function of the set of entries.
func TestEntriesInAnyOrder(t *testing.T) {
	peers := somePeers(4)
	rapid.Check(t, func(t *rapid.T) {
		var entries []storage.Entry
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			root := rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "root")
			epoch := rapid.IntRange(0, 2).Draw(t, "epoch")
			m := markRecord{Kind: hoarderapi.Asset, Target: rapid.IntRange(1, 4).Draw(t, "target"), Owner: "o"}
			if rapid.Bool().Draw(t, "database") {
				m.Kind, m.Name, m.Version = hoarderapi.Database, "d", uint64(rapid.IntRange(1, 4).Draw(t, "version"))
			}
			p := rapid.SampledFrom(peers).Draw(t, "peer")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				entries = append(entries, markEntry(root, m, epoch))
			case 1:
				entries = append(entries, withdrawEntry(root, m, epoch))
			case 2:
				entries = append(entries, storage.Entry{Key: claimKey(root, p), Value: transport.Encode(claimRecord{Bytes: 5})})
			case 3:
				entries = append(entries, storage.Entry{Key: demandKey(root, p), Value: transport.Encode(demandRecord{Total: 5})})
			}
		}
		once := indexOf(t, entries...)
		again := indexOf(t, append(rapid.Permutation(entries).Draw(t, "order"), entries...)...)
		require.Equal(t, once.roots, again.roots)
		for _, root := range once.roots {
			s1, by1 := stateOf(once, root)
			s2, by2 := stateOf(again, root)
			require.Equal(t, s1, s2)
			require.Equal(t, by1, by2)
			a, b := once.get(root), again.get(root)
			require.Equal(t, a.target(), b.target())
			require.Equal(t, a.claims, b.claims)
			require.Equal(t, a.totalDemand(), b.totalDemand())
		}
	})
}

func TestUnreadableEntriesAreErrors(t *testing.T) {
	x := newIndex()
	for _, k := range []storage.Key{
		storage.K("marks", "r"), storage.K("else", "r", "x"), storage.K(claimsPart, "r", "no peer"),
		storage.K(marksPart, "r", "id", "no epoch"),
	} {
		_, err := x.set(k, []byte{1})
		require.Error(t, err, k)
	}
}

func TestRoster(t *testing.T) {
	p := somePeers(3)
	r := newRoster(p[0], 10*time.Second)
	r.know(p)
	require.True(t, r.lives(p[1]), "nobody is missing until somebody says so")
	require.True(t, r.saw(p[1], false, 5*time.Second))
	require.False(t, r.saw(p[1], false, 6*time.Second), "no news")
	require.False(t, r.saw(p[0], false, 6*time.Second), "we live")
	require.False(t, r.lives(p[1]))
	require.True(t, r.counts(p[1]), "its copies count for the grace")
	require.Empty(t, r.giveUp(14*time.Second))
	require.Equal(t, []transport.Peer{p[1]}, r.giveUp(15*time.Second))
	require.False(t, r.counts(p[1]))
	require.Empty(t, r.giveUp(16*time.Second), "once")
	require.Equal(t, 2, r.liveCount())
	require.True(t, r.saw(p[1], true, 20*time.Second))
	require.True(t, r.counts(p[1]))
}
