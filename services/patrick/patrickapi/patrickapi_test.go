package patrickapi

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
	"pgregory.net/rapid"
)

func TestJobIDs(t *testing.T) {
	event := Event{ID: "e", Order: 300}
	id := JobID("r", "b", "c", event)
	require.True(t, IsJobID(id))
	require.Equal(t, BranchID("r", "b"), BranchOf(id))
	require.EqualValues(t, 300, OrderOf(id))
	require.Equal(t, id, JobID("r", "b", "c", event))
	for _, other := range []string{
		JobID("rb", "", "c", event), JobID("r", "bc", "", event), JobID("r", "b", "d", event), JobID("", "rb", "c", event),
		JobID("r", "b", "c", Event{ID: "f", Order: 300}), JobID("r", "b", "c", Event{ID: "e", Order: 301}), JobID("r", "b", "ce", Event{Order: 300}),
	} {
		require.NotEqual(t, id, other)
	}
	for _, bad := range []string{"", "x", id[1:], id + "0", "z" + id[1:], id[:20] + "z" + id[21:], id[:33] + "a" + id[34:]} {
		require.False(t, IsJobID(bad), bad)
		require.NotPanics(t, func() { _, _ = BranchOf(bad), OrderOf(bad) })
	}
}

// The ids of a branch are in the order of its events.
func TestJobIDsAreInTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Event{ID: rapid.String().Draw(t, "a"), Order: rapid.Uint64Range(1, OrderMax).Draw(t, "order a")}
		b := Event{ID: rapid.String().Draw(t, "b"), Order: rapid.Uint64Range(1, OrderMax).Draw(t, "order b")}
		x, y := JobID("r", "b", "c", a), JobID("r", "b", "d", b)
		require.Equal(t, a.Order, OrderOf(x))
		if a.Order != b.Order {
			require.Equal(t, a.Order < b.Order, x < y)
		}
	})
}

func TestRankMovesOnlyWhatItMust(t *testing.T) {
	var peers []transport.Peer
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		peers = append(peers, transport.NewIdentity([]byte(name)).Peer())
	}
	coordinators := map[transport.Peer]int{}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		all := rendezvous.Rank(key, peers)
		gone := rapid.SampledFrom(peers).Draw(t, "gone")
		rest := rendezvous.Rank(key, slices.DeleteFunc(slices.Clone(peers), func(p transport.Peer) bool { return p == gone }))
		require.Equal(t, slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == gone }), rest)
		coordinators[all[0]]++
	})
	require.Len(t, coordinators, len(peers), "every peer is a coordinator of something")
}

func TestTreesComeBackClean(t *testing.T) {
	files := []File{{Path: "b", Data: []byte("2")}, {Path: "a/x", Data: nil}, {Path: "a.txt", Data: []byte{0}}}
	got, err := DecodeTree(Tree{Files: files}.Encode())
	require.NoError(t, err)
	require.Equal(t, []string{"a.txt", "a/x", "b"}, []string{got.Files[0].Path, got.Files[1].Path, got.Files[2].Path})
	data, found := got.File("b")
	require.True(t, found)
	require.Equal(t, "2", string(data))
	for _, bad := range []string{"", "/a", "../a", "a/../b", "a//b", "./a", ".", "..", "a/"} {
		_, err := DecodeTree(transport.Encode(Tree{Files: []File{{Path: bad}}}))
		require.Equal(t, transport.Invalid, transport.KindOf(err), bad)
	}
	_, err = DecodeTree(transport.Encode(Tree{Files: []File{{Path: "a"}, {Path: "a"}}}))
	require.Equal(t, transport.Invalid, transport.KindOf(err))
}

func FuzzDecodeTree(f *testing.F) {
	f.Add(Tree{Files: []File{{Path: "a", Data: []byte("1")}}}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := DecodeTree(data)
		if err != nil {
			return
		}
		again, err := DecodeTree(tree.Encode())
		require.NoError(t, err)
		require.Equal(t, tree.Encode(), again.Encode())
	})
}

func TestLargePushesTakeTheirTime(t *testing.T) {
	require.Equal(t, 15*time.Second, PushTime(0))
	require.Equal(t, 15*time.Second+9*256*time.Second, PushTime(TreeLenMax), "three links at 4 KiB a second")
}
