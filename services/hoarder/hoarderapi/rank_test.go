package hoarderapi_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

func peers(n int) []transport.Peer {
	list := make([]transport.Peer, n)
	for i := range list {
		list[i] = transport.NewIdentity(fmt.Append(nil, i)).Peer()
	}
	return list
}

func TestRankIsTheOrderOfBetterWhateverTheInputOrder(t *testing.T) {
	all := peers(12)
	rapid.Check(t, func(t *rapid.T) {
		root := rapid.String().Draw(t, "root")
		shuffled := rapid.Permutation(all).Draw(t, "order")
		some := shuffled[:rapid.IntRange(0, len(all)).Draw(t, "n")]
		ranked := hoarderapi.Rank(root, some)
		require.ElementsMatch(t, some, ranked)
		for i, p := range ranked {
			require.Equal(t, i, hoarderapi.Ahead(root, p, some))
			for j, q := range ranked {
				require.Equal(t, i < j, hoarderapi.Better(root, p, q))
			}
		}
	})
}

func TestTheLossOfAPeerMovesOnlyWhatItHeld(t *testing.T) {
	all := peers(10)
	for i := range 200 {
		root := fmt.Sprint("root-", i)
		before := hoarderapi.Rank(root, all)
		gone := before[i%len(before)]
		after := hoarderapi.Rank(root, slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == gone }))
		require.Equal(t, slices.DeleteFunc(before, func(p transport.Peer) bool { return p == gone }), after)
	}
}

func TestEveryPeerGetsItsShare(t *testing.T) {
	all := peers(20)
	const roots, copies = 4000, 3
	held := map[transport.Peer]int{}
	for i := range roots {
		for _, p := range hoarderapi.Rank(fmt.Sprint("root-", i), all)[:copies] {
			held[p]++
		}
	}
	mean := roots * copies / len(all)
	for _, p := range all {
		require.InDelta(t, mean, held[p], float64(mean)/5)
	}
}
