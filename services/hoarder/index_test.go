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

func pinEntry(root string, m pinRecord) storage.Entry {
	return storage.Entry{Key: newPin(m).key(root), Value: transport.Encode(m)}
}

func withdrawEntry(root, owner, name string, seq uint64) storage.Entry {
	return storage.Entry{Key: withdrawnKey(root, ownerID(owner, name), seq), Value: withdrawal}
}

func gone(e storage.Entry) storage.Entry { return storage.Entry{Key: e.Key} }

func indexOf(t require.TestingT, entries ...storage.Entry) *index {
	x := newIndex(newRoster(transport.Peer{}, time.Second))
	for _, e := range entries {
		_, err := x.apply(e.Key, e.Value, 0)
		require.NoError(t, err)
	}
	return x
}

func stateOf(x *index, root string) (state, string) {
	s, by := x.state(x.get(root))
	if by == nil {
		return s, ""
	}
	return s, by.root
}

func TestAnItemIsKeptWhileItHasAnOwner(t *testing.T) {
	asset := func(owner string, seq uint64, target int) pinRecord {
		return pinRecord{Kind: hoarderapi.Asset, Target: target, Owner: owner, Seq: seq}
	}
	ours, theirs := pinEntry("r", asset("a", 0, 3)), pinEntry("r", asset("b", 0, 2))
	claim := storage.Entry{Key: claimKey("r", somePeers(1)[0]), Value: transport.Encode(claimRecord{Bytes: 7})}
	for _, c := range []struct {
		name    string
		entries []storage.Entry
		want    state
		target  int
	}{
		{"a claim alone", []storage.Entry{claim}, unknown, 0},
		{"a pin", []storage.Entry{ours}, wanted, 3},
		{"withdrawn", []storage.Entry{ours, withdrawEntry("r", "a", "", 0)}, abandoned, 0},
		{"withdrawn before the pin came", []storage.Entry{withdrawEntry("r", "a", "", 0), ours}, abandoned, 0},
		{"withdrawn, and the pin deleted", []storage.Entry{ours, withdrawEntry("r", "a", "", 0), gone(ours)}, abandoned, 0},
		{"an old pin that comes late", []storage.Entry{withdrawEntry("r", "a", "", 7), pinEntry("r", asset("a", 6, 3))}, abandoned, 0},
		{"withdrawn for ever", []storage.Entry{withdrawEntry("r", "a", "", hoarderapi.Forever), pinEntry("r", asset("a", 1<<62, 3))}, abandoned, 0},
		{"an old withdrawal that comes late", []storage.Entry{pinEntry("r", asset("a", 2, 3)), withdrawEntry("r", "a", "", 1)}, wanted, 3},
		{"a low withdrawal after a high one", []storage.Entry{withdrawEntry("r", "a", "", 5), withdrawEntry("r", "a", "", 1), pinEntry("r", asset("a", 4, 3))}, abandoned, 0},
		{"pinned again", []storage.Entry{ours, withdrawEntry("r", "a", "", 0), pinEntry("r", asset("a", 1, 1))}, wanted, 1},
		{"the other's pin stands", []storage.Entry{ours, withdrawEntry("r", "a", "", hoarderapi.Forever), theirs}, wanted, 2},
		{"another name of the same owner", []storage.Entry{ours, withdrawEntry("r", "a", "n", hoarderapi.Forever)}, wanted, 3},
		{"of all owners the highest target counts", []storage.Entry{ours, theirs}, wanted, 3},
		{"of one owner the last word counts", []storage.Entry{ours, pinEntry("r", asset("a", 1, 1))}, wanted, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := indexOf(t, c.entries...)
			got, _ := stateOf(x, "r")
			require.Equal(t, c.want.String(), got.String())
			require.Equal(t, c.target, x.get("r").target)
		})
	}
}

func TestAPinIsWhereItBelongs(t *testing.T) {
	x := indexOf(t)
	e := pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Target: 3, Owner: "a"})
	e.Value = transport.Encode(pinRecord{Kind: hoarderapi.Asset, Target: 3, Owner: "b"})
	_, err := x.apply(e.Key, e.Value, 0)
	require.ErrorContains(t, err, "another's")
}

func TestNothingIsLeftOfWhatIsDeleted(t *testing.T) {
	m := pinRecord{Kind: hoarderapi.Database, Target: 3, Owner: "a", Name: "d", Version: 1}
	p := somePeers(1)[0]
	entries := []storage.Entry{
		pinEntry("r", m), withdrawEntry("r", "a", "d", 3),
		{Key: claimKey("r", p), Value: transport.Encode(claimRecord{Bytes: 5})},
		{Key: demandKey("r", p), Value: transport.Encode(demandRecord{Total: 5})},
	}
	x := indexOf(t, entries...)
	it := x.get("r")
	require.False(t, it.empty())
	for _, e := range entries {
		_, err := x.apply(e.Key, nil, 0)
		require.NoError(t, err)
	}
	require.True(t, it.empty())
	require.Empty(t, x.databases)
	require.Empty(t, x.roster.member(p).claimed)
	x.forget(it)
	require.Empty(t, x.items)
	require.Empty(t, x.list)
	for _, e := range entries { // and deleting what is not there makes nothing
		_, err := x.apply(e.Key, nil, 0)
		require.NoError(t, err)
	}
	require.Empty(t, x.items)
}

func TestLeasesEndInTheirOrder(t *testing.T) {
	var l expiries
	pin := func(seq uint64, d time.Duration) *pin {
		return newPin(pinRecord{Kind: hoarderapi.Asset, Owner: "a", Seq: seq, For: d})
	}
	l.add("r", pin(1, 0), 0)
	l.add("r", pin(2, 3*time.Minute), 0)
	l.add("r", pin(3, time.Minute), time.Minute)
	require.Empty(t, l.ended(2*time.Minute-1))
	over := l.ended(2 * time.Minute)
	require.Len(t, over, 1)
	require.Equal(t, uint64(3), over[0].seq)
	require.Len(t, l.ended(time.Hour), 1)
	require.Empty(t, l.ended(time.Hour))
}

func TestOlderSnapshotsAreSuperseded(t *testing.T) {
	db := func(owner string, version uint64) pinRecord {
		return pinRecord{Kind: hoarderapi.Database, Target: 3, Owner: owner, Name: "users", Version: version}
	}
	x := indexOf(t, pinEntry("r2", db("p", 2)), pinEntry("r1", db("p", 1)), pinEntry("r9", db("q", 9)))
	got, successor := stateOf(x, "r1")
	require.Equal(t, superseded, got)
	require.Equal(t, "r2", successor)
	got, _ = stateOf(x, "r2")
	require.Equal(t, wanted, got, "another owner's database of the same name is another database")
	claim := func(root string) storage.Entry {
		return storage.Entry{Key: claimKey(root, somePeers(1)[0]), Value: transport.Encode(claimRecord{Bytes: 1})}
	}
	set := func(k storage.Key, value []byte) {
		_, err := x.apply(k, value, 0)
		require.NoError(t, err)
	}
	set(claim("r1").Key, claim("r1").Value)
	got, _ = stateOf(x, "r1")
	require.Equal(t, wanted, got, "a snapshot that nobody holds replaces nothing")
	set(claim("r2").Key, claim("r2").Value)
	got, _ = stateOf(x, "r1")
	require.Equal(t, superseded, got)
	set(withdrawEntry("r2", "p", "users", 0).Key, withdrawal)
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
			m := pinRecord{
				Kind: hoarderapi.Asset, Target: rapid.IntRange(1, 4).Draw(t, "target"), Owner: rapid.SampledFrom([]string{"o", "p"}).Draw(t, "owner"),
				Seq: uint64(rapid.IntRange(0, 3).Draw(t, "seq")),
			}
			if rapid.Bool().Draw(t, "database") {
				m.Kind, m.Name, m.Version = hoarderapi.Database, "d", uint64(rapid.IntRange(1, 4).Draw(t, "version"))
			}
			p := rapid.SampledFrom(peers).Draw(t, "peer")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				entries = append(entries, pinEntry(root, m))
			case 1:
				entries = append(entries, withdrawEntry(root, m.Owner, m.Name, m.Seq))
			case 2:
				entries = append(entries, storage.Entry{Key: claimKey(root, p), Value: transport.Encode(claimRecord{Bytes: 5})})
			case 3:
				entries = append(entries, storage.Entry{Key: demandKey(root, p), Value: transport.Encode(demandRecord{Total: 5})})
			}
		}
		once := indexOf(t, entries...)
		again := indexOf(t, append(rapid.Permutation(entries).Draw(t, "order"), entries...)...)
		require.Equal(t, rootsOf(once), rootsOf(again))
		for _, root := range rootsOf(once) {
			requireSameItem(t, once, again, root)
		}
		// What no longer counts may be deleted at any time and come back.
		for _, root := range rootsOf(once) {
			for _, m := range once.get(root).idle() {
				_, err := once.apply(m.key(root), nil, 0)
				require.NoError(t, err)
			}
			requireSameItem(t, again, once, root)
		}
	})
}

func rootsOf(x *index) (roots []string) {
	for _, it := range x.inOrder() {
		roots = append(roots, it.root)
	}
	return roots
}

func requireSameItem(t *rapid.T, x, y *index, root string) {
	s1, by1 := stateOf(x, root)
	s2, by2 := stateOf(y, root)
	require.Equal(t, s1, s2)
	require.Equal(t, by1, by2)
	a, b := x.get(root), y.get(root)
	require.Equal(t, a.target, b.target)
	require.Equal(t, a.standing(), b.standing())
	everybody := func(*member) bool { return true }
	require.Equal(t, a.claimants(everybody), b.claimants(everybody))
	require.Equal(t, a.totalDemand(), b.totalDemand())
}

func TestUnreadableEntriesAreErrors(t *testing.T) {
	x := indexOf(t)
	for _, k := range []storage.Key{
		storage.K("pins", "r"), storage.K("else", "r", "x"), storage.K(claimsPart, "r", "no peer"),
		storage.K(pinsPart, "r", "owner", "no seq", "id"), storage.K(withdrawnPart, "r", "owner", "1"),
	} {
		_, err := x.apply(k, []byte{1}, 0)
		require.Error(t, err, k)
	}
}

func TestRoster(t *testing.T) {
	p := somePeers(3)
	r := newRoster(p[0], 10*time.Second)
	r.know(p)
	require.True(t, r.member(p[1]).lives(), "nobody is missing until somebody says so")
	require.True(t, r.saw(p[1], false, 5*time.Second))
	require.False(t, r.saw(p[1], false, 6*time.Second), "no news")
	require.False(t, r.saw(p[0], false, 6*time.Second), "we live")
	require.False(t, r.member(p[1]).lives())
	require.True(t, r.member(p[1]).counts(), "its copies count for the grace")
	require.Empty(t, r.giveUp(14*time.Second))
	require.Equal(t, []transport.Peer{p[1]}, r.giveUp(15*time.Second))
	require.False(t, r.member(p[1]).counts())
	require.Empty(t, r.giveUp(16*time.Second), "once")
	require.Equal(t, 2, r.liveCount())
	require.True(t, r.saw(p[1], true, 20*time.Second))
	require.True(t, r.member(p[1]).counts())
}
