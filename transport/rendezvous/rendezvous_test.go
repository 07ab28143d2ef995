package rendezvous_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
	"pgregory.net/rapid"
)

func peers(n int) []transport.Peer {
	list := make([]transport.Peer, n)
	for i := range list {
		list[i] = transport.NewIdentity(fmt.Append(nil, i)).Peer()
	}
	return list
}

// TestWeightIsSplitMix64 with the first outputs of its published generator for the
// seed 0, whose states are multiples of the golden ratio: the zero Order's hash is 0.
func TestWeightIsSplitMix64(t *testing.T) {
	const golden = 0x9e3779b97f4a7c15
	state := uint64(0)
	for _, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		state += golden
		var p transport.Peer
		binary.BigEndian.PutUint64(p[:], state)
		require.Equal(t, want, rendezvous.Order{}.Weight(p))
	}
}

func TestRankIsTheOrderOfBetterWhateverTheInputOrder(t *testing.T) {
	all := peers(12)
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		shuffled := rapid.Permutation(all).Draw(t, "order")
		some := shuffled[:rapid.IntRange(0, len(all)).Draw(t, "n")]
		given := slices.Clone(some)
		ranked, order := rendezvous.Rank(key, some), rendezvous.Of(key)
		require.Equal(t, given, some, "what was given stays")
		require.ElementsMatch(t, some, ranked)
		for i, p := range ranked {
			require.Equal(t, i, order.Ahead(p, some))
			for j, q := range ranked {
				require.Equal(t, i < j, order.Better(p, q))
			}
		}
	})
}

// Equal weights, which eight bytes of a key may have, have an order too.
func TestEqualWeightsAreOrdered(t *testing.T) {
	a := peers(1)[0]
	b := a
	b[31]++
	order := rendezvous.Of("key")
	require.Equal(t, order.Weight(a), order.Weight(b))
	require.Equal(t, a.Compare(b) < 0, order.Better(a, b))
	require.NotEqual(t, order.Better(a, b), order.Better(b, a))
}

// TestTheLossOfAPeerMovesOnlyItsOwn: minimal disruption, also of one that comes.
func TestTheLossOfAPeerMovesOnlyItsOwn(t *testing.T) {
	all := peers(10)
	for i := range 200 {
		key := fmt.Sprint("key-", i)
		before := rendezvous.Rank(key, all)
		gone := before[i%len(before)]
		without := func(list []transport.Peer) []transport.Peer {
			return slices.DeleteFunc(slices.Clone(list), func(p transport.Peer) bool { return p == gone })
		}
		require.Equal(t, without(before), rendezvous.Rank(key, without(all)))
	}
}

// TestEveryPlaceIsSharedEvenly: each peer is first, second and third for its share
// of the keys, whatever they look like.
func TestEveryPlaceIsSharedEvenly(t *testing.T) {
	all := peers(20)
	const keys, places = 10000, 3
	for name, key := range map[string]func(i int) string{
		"counted": func(i int) string { return fmt.Sprint("key-", i) },
		"attempts of a job": func(i int) string {
			return fmt.Sprintf("%016x-%016x-0123456789abcdef01234567/%d", i/4, 1, i%4)
		},
		"peers": func(i int) string { p := transport.NewIdentity(fmt.Append(nil, "k", i)).Peer(); return string(p[:]) },
	} {
		held := [places]map[transport.Peer]int{{}, {}, {}}
		for i := range keys {
			for place, p := range rendezvous.Rank(key(i), all)[:places] {
				held[place][p]++
			}
		}
		const mean = keys / 20
		for place := range places {
			for _, p := range all {
				require.InDelta(t, mean, held[place][p], mean/5, "%s, place %d", name, place)
			}
		}
	}
}
