package hoarder

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// TestWhatAnItemCosts bounds what one more hoarder of a process pays for an item
// with a pin and three claims: what is read of the entries is shared.
func TestWhatAnItemCosts(t *testing.T) {
	const items, bytesMax = 2000, 500
	peers := somePeers(20)
	var entries []storage.Entry
	for i := range items {
		root := fmt.Sprintf("bafkreiexample%045d", i)
		entries = append(entries, pinEntry(root, pinRecord{Kind: hoarderapi.Asset, Target: 3, Owner: "client", Sources: peers[:1]}))
		for j := range 3 {
			entries = append(entries, claimEntry(root, peers[(i+j)%len(peers)]))
		}
	}
	first := indexOf(t, entries...)
	before := heapInUse()
	second := newIndex(newRoster(transport.Peer{}, 0))
	for _, e := range entries {
		_, err := second.apply(e.Key, e.Value, 0)
		require.NoError(t, err)
	}
	perItem := (heapInUse() - before) / items
	t.Logf("%d bytes an item", perItem)
	require.Less(t, perItem, int64(bytesMax))
	require.Same(t, first.items[first.list[0].root].pins[0], second.items[first.list[0].root].pins[0], "read once")
	runtime.KeepAlive(second)
	runtime.KeepAlive(entries)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
