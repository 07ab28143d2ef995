package patrickapi

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

func TestJobIDs(t *testing.T) {
	id := JobID("r", "b", "c")
	require.True(t, IsJobID(id))
	require.Equal(t, BranchID("r", "b"), BranchOf(id))
	require.Equal(t, id, JobID("r", "b", "c"))
	for _, other := range []string{JobID("rb", "", "c"), JobID("r", "bc", ""), JobID("r", "b", "d"), JobID("", "rb", "c")} {
		require.NotEqual(t, id, other)
	}
	for _, bad := range []string{"", "x", id[1:], id + "0", "z" + id[1:]} {
		require.False(t, IsJobID(bad), bad)
		require.NotPanics(t, func() { _ = BranchOf(bad) })
	}
}

func TestRankMovesOnlyWhatItMust(t *testing.T) {
	var peers []transport.Peer
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		peers = append(peers, transport.NewIdentity([]byte(name)).Peer())
	}
	homes := map[transport.Peer]int{}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		all := Rank(key, peers)
		gone := rapid.SampledFrom(peers).Draw(t, "gone")
		rest := Rank(key, slices.DeleteFunc(slices.Clone(peers), func(p transport.Peer) bool { return p == gone }))
		require.Equal(t, slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == gone }), rest)
		homes[all[0]]++
	})
	require.Len(t, homes, len(peers), "every peer is a home of something")
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
