package words

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// storeroom is a disk of a hoarder on which something really is.
type storeroom struct {
	blocks, record, pin, withdrawn, remains bool
	beside                                  []byte // what other items are filled with
}

var whole = storeroom{blocks: true, record: true, pin: true}

// disks makes disks that hold one item of 300,000 bytes, in these ways.
func disks(t *testing.T, rooms ...storeroom) (list []*memdisk.Disk, root string) {
	return shelves(t, 7, rooms...)
}

// shelves makes disks that hold one item, 300,000 times this byte, and others beside it.
func shelves(t *testing.T, filling byte, rooms ...storeroom) (list []*memdisk.Disk, root string) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		for i, r := range rooms {
			m := c.Add(fmt.Sprint("disk-", i), node.Configured{Spec: nodetest.Part(hoarderapi.Service, func(env node.Env) {
				ctx := context.Background()
				store, err := env.OpenReplicated(ctx, "main", storage.DefaultHistory())
				require.NoError(t, err)
				for _, other := range r.beside {
					id, err := env.Blocks.Add(ctx, bytes.Repeat([]byte{other}, 300_000))
					require.NoError(t, err)
					require.NoError(t, storage.Put(env.Local, storage.K("held", id.String()), []byte{1}))
					require.NoError(t, storage.Put(store, storage.K("pins", id.String(), "o", "1", "p"), []byte{1}))
				}
				id, err := env.Blocks.Add(ctx, bytes.Repeat([]byte{filling}, 300_000))
				require.NoError(t, err)
				root = id.String()
				if !r.blocks {
					require.NoError(t, env.Blocks.Remove(id))
				}
				for key, there := range map[storage.Key]bool{storage.K("held", root): r.record, storage.K("remains", root): r.remains} {
					if there {
						require.NoError(t, storage.Put(env.Local, key, []byte{1}))
					}
				}
				for key, there := range map[storage.Key]bool{storage.K("pins", root, "o", "1", "p"): r.pin, storage.K("withdrawn", root, "o", "1"): r.withdrawn} {
					if there {
						require.NoError(t, storage.Put(store, key, []byte{1}))
					}
				}
				require.NoError(t, env.Blocks.Sync(ctx))
				require.NoError(t, env.Local.Sync(ctx))
				require.NoError(t, store.Sync(ctx))
			})})
			m.Start()
			list = append(list, m.Disk)
		}
	})
	return list, root
}

// stores is a cloud of hoarders with these disks, who say that they hold root.
func stores(capacity int64, list []*memdisk.Disk, root string, entries ...storage.Entry) (nodes []check.NodeView) {
	for i, disk := range list {
		n := runs(fmt.Sprintf("store-%d", i+1), map[string]node.Service{hoarderapi.Service: &fakeHoarder{held: []string{root}, replica: &fakeReplica{entries: entries}}})
		settings := hoarder.DefaultSettings()
		settings.Capacity, settings.ForgetAfter = capacity, time.Minute
		n.Disk, n.Configured = disk, func(string) any { return settings }
		nodes = append(nodes, n)
	}
	return nodes
}

func TestBrokenPromisesAboutItems(t *testing.T) {
	const roomy = 1 << 30
	two, root := disks(t, whole, whole)
	five, _ := disks(t, whole, whole, whole, whole, whole)
	noRecord, _ := disks(t, storeroom{blocks: true, pin: true}, whole)
	noBlocks, _ := disks(t, storeroom{record: true, pin: true}, whole)
	noPins, _ := disks(t, storeroom{blocks: true, record: true}, storeroom{blocks: true, record: true})
	withdrawn, _ := disks(t, storeroom{withdrawn: true}, storeroom{withdrawn: true})
	remaining, _ := disks(t, storeroom{blocks: true, remains: true})
	empty, _ := disks(t, storeroom{}, storeroom{})
	say := func(at int, who, fact, more string) string {
		service := hoarderapi.Service
		if who == "client" {
			service = who
		}
		return fmt.Sprintf("%d %s %s %s root=%s owner=client/o name= seq=1 bytes=300000 %s\n", at, who, service, fact, root, more)
	}
	claimed := func(n int) (all string) {
		for i := range n {
			all += say(5, fmt.Sprintf("store-%d", i+1), "item-claimed", "")
		}
		return all
	}
	sent := say(4, "client", "store-sent", "digest=d")
	acked := func(at, copies, records, target int) string {
		return say(at, "client", "store-acknowledged", fmt.Sprintf("copies=%d records=%d target=%d took=1000 holder=store-1", copies, records, target))
	}
	released := say(9, "store-1", "item-released", "why=release copies=2 asked=0")
	unmarked := say(8, "client", "unmark-sent", "") + say(9, "client", "unmark-acknowledged", "took=1000")
	held := sent + claimed(2) + acked(6, 2, 2, 2)
	vanishes := func() *fakeWorld {
		w := &fakeWorld{nodes: stores(roomy, two, root)}
		w.each = func() {
			if w.now > 10*time.Second {
				w.nodes[0].Disk = empty[0]
			}
		}
		return w
	}
	told := func(fact, more string) string { return held + say(90, "client", fact, "by=store-1 took=1000 "+more) }
	names := func(stores ...string) string {
		var peers []transport.Peer
		for _, s := range stores {
			peers = append(peers, peerCalled(s))
		}
		var list []string
		for _, p := range rendezvous.Rank(root, peers) {
			list = append(list, p.String())
		}
		return "holders=" + strings.Join(list, "_")
	}
	at := func(list []*memdisk.Disk) func() *fakeWorld { return after(stores(roomy, list, root)...) }
	healed := func(list []*memdisk.Disk) func() *fakeWorld { return settled(stores(roomy, list, root)...) }
	setsAside := func(bytes int64, transfers int) func() *fakeWorld {
		nodes := stores(roomy, two, root)
		h := nodes[1].Service(hoarderapi.Service).(*fakeHoarder)
		h.reserved, h.fetching = bytes, transfers
		return after(nodes...)
	}
	// late lets go of a copy after half a minute, when all are calm. goes: also on the disk.
	late := sent + say(5, "store-2", "item-claimed", "") + say(5, "store-3", "item-claimed", "") + say(5, "store-4", "item-claimed", "") +
		say(5, "store-1", "item-claimed", "") + acked(6, 2, 2, 2) + say(40, "store-1", "item-released", "why=release copies=3 asked=0") + quiet(90)
	lets := func(goes bool) func() *fakeWorld {
		return func() *fakeWorld {
			w := &fakeWorld{nodes: stores(roomy, five[:4], root)}
			w.each = func() {
				if goes && w.now > 50*time.Second {
					w.nodes[0].Disk = empty[0]
				}
			}
			return w
		}
	}
	none := func(list []*memdisk.Disk, entries ...storage.Entry) func() *fakeWorld {
		nodes := stores(roomy, list, root, entries...)
		for i := range nodes {
			nodes[i].Service(hoarderapi.Service).(*fakeHoarder).held = nil
		}
		return settled(nodes...)
	}
	remembered := storage.Entry{Key: storage.K("withdrawn", root, "o", "1")}
	judge(t, []broken{
		{"last-copy-kept", "", at(two), held + quiet(30)},
		{"last-copy-kept", "which is not on its disk", at(noRecord), claimed(1)},
		{"last-copy-kept", "which is not on its disk", at(noBlocks), claimed(1)},
		{"last-copy-kept", "which is sound on its disk", at(two), held + say(9, "store-1", "item-corrupted", "")},
		{"last-copy-kept", "", at(five), sent + claimed(5) + acked(6, 2, 2, 2) + released},
		{"last-copy-kept", "released a copy of", at(two), held + released},
		{"last-copy-kept", "discarded", at(two), held + strings.Replace(released, "why=release", "why=discard", 1)},
		{"last-copy-kept", "was acknowledged with 3 copies, and is on 2 disks", at(two), sent + claimed(2) + acked(6, 3, 2, 2)},
		{"last-copy-kept", "acknowledged with 2 records, and is on 0 disks", at(noPins), sent + claimed(2) + acked(6, 2, 2, 2)},
		{"last-copy-kept", "is said to be on 1 disks", at(two), sent + claimed(2) + acked(60, 2, 1, 2)},
		{"last-copy-kept", "acknowledged with one copy", at(two), sent + claimed(2) + acked(60, 1, 2, 2)},
		{"last-copy-kept", "", at(withdrawn), unmarked},
		{"last-copy-kept", "the withdrawal of", at(empty), unmarked},
		{"last-copy-kept", "which has not said so", at(two), held + say(9, "store-1", "pin-withdrawn", "why=unpinned")},
		{"last-copy-kept", "too early", at(two), held + say(9, "store-1", "pin-withdrawn", "why=ended")},
		{"last-copy-kept", "no longer holds", vanishes, held + quiet(30)},
		{"last-copy-kept", "", lets(true), late},
		{"last-copy-kept", "a power cut would bring it back", lets(false), late},

		{"copies-restored", "", healed(two), held},
		{"copies-restored", "is on 1 disks of hoarders that run, 2 are wanted", healed([]*memdisk.Disk{two[0], empty[0]}), sent + claimed(1) + acked(6, 1, 1, 2)},
		{"copies-restored", "is on 1 disks of hoarders that run, 2 are wanted", healed(noBlocks), held},

		{"bounded-surplus", "", healed(two), held},
		{"bounded-surplus", "is on 5 disks, at most 4", healed(five), sent + claimed(5) + acked(6, 2, 2, 2)},
		{"bounded-surplus", "at most 0 are tolerated", healed(two), held + unmarked},
		{"bounded-surplus", "", none(empty), unmarked},
		{"bounded-surplus", "still remembers 1 withdrawals", none(empty, remembered), unmarked},

		{"content-intact", "", healed(two), quiet(1)},
		{"content-intact", "says it holds 1 items, and has a record of 0", healed(noRecord), quiet(1)},
		{"content-intact", "is not on its disk or not right", healed(noBlocks), quiet(1)},
		{"content-intact", "", none(remaining), quiet(1)},
		{"content-intact", "belong to nothing that it holds", none(noRecord[:1]), quiet(1)},

		{"capacity-respected", "", at(two), claimed(1) + quiet(10)},
		{"capacity-respected", "bytes of 100000", after(stores(100_000, two, root)...), claimed(1) + quiet(10)},
		{"capacity-respected", "bytes of 100000", settled(stores(100_000, two, root)...), quiet(1)},

		{"capacity-respected", "", setsAside(0, 0), quiet(3)},
		{"capacity-respected", "", setsAside(500, 1), quiet(3)},
		{"capacity-respected", "sets aside 500 bytes", setsAside(500, 0), quiet(3)},

		{"items-are-told", "", at(two), told("holders-told", names("store-1", "store-2"))},
		{"items-are-told", "as holders of", at(two), told("holders-told", names("store-1"))},
		{"items-are-told", "who is no hoarder", at(two), told("holders-told", names("store-1", "store-9"))},
		{"items-are-told", "says that nobody holds", at(two), told("holders-told", "error=not_found")},
		{"items-are-told", "as a holder of", vanishes, told("holders-told", names("store-1", "store-2"))},
		{"items-are-told", "", at(two), told("copy-told", "has=true")},
		{"items-are-told", "says that it has read", vanishes, told("copy-told", "has=true")},
		{"items-are-told", "says that it does not hold", at(two), told("copy-told", "has=false")},
		{"items-are-told", "promises to keep", at(two), told("copy-told", "has=true promise=5")},
		{"items-are-told", "", at(two), told("owners-told", "owners="+root+"/client/o/")},
		{"items-are-told", "does not say that", at(two), told("owners-told", "owners=")},
		{"items-are-told", "never marked", at(two), told("owners-told", "owners="+root+"/client/o/_"+root+"/client/stranger/")},
		{"items-are-told", "who has withdrawn", at(two), held + unmarked + say(90, "client", "owners-told", "by=store-1 took=1000 owners="+root+"/client/o/")},
		{"items-are-told", "says it has 5 bytes", at(two), told("hoarder-told", "max=5")},
		{"items-are-told", "says it holds 7 items", at(two), told("hoarder-told", fmt.Sprint("held=7 used=0 max=", roomy))},
		{"items-are-told", "others live", at(two), told("hoarder-told", fmt.Sprintf("held=1 used=%d others=4 max=%d", usedBy(t, two[0]), roomy))},
		{"items-are-told", "is not what was stored", at(two), told("retrieved", "whole=true digest=x")},
		{"items-are-told", "", at(two), told("retrieved", "whole=true digest=d")},
		{"items-are-told", "could not be read", at(two), told("retrieved", "whole=false")},
		{"items-are-told", "was refused, although", at(two), told("store-refused", "size=1000")},
		{"items-are-told", "which was never stored", at(two), told("database-told", "version=1")},
		{"items-are-told", "uses of", healed(two), held + say(90, "client", "demand-acknowledged", "n=3")},
	})
}

// usedBy is the size of all blocks on a disk.
func usedBy(t *testing.T, disk *memdisk.Disk) (bytes int64) {
	for _, n := range blocks.AllOnDisk(disk) {
		bytes += n
	}
	require.Positive(t, bytes)
	return bytes
}
