package storagetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

// Live makes worlds of live loops, disks in memory and a network in memory.
func Live(t *testing.T, n int, body func(w World)) {
	w := &liveWorld{t: t, net: transporttest.NewPipeNet(), dir: transport.NewStaticDirectory()}
	for i := range n {
		peer := transport.NewIdentity(fmt.Appendf(nil, "storagetest %d", i)).Peer()
		w.dir.Add(peer, Service)
		w.nodes = append(w.nodes, &liveNode{peer: peer, disk: memdisk.New()})
	}
	for i := range n {
		w.boot(i)
	}
	defer func() {
		for i := range n {
			w.end(i)
		}
	}()
	body(w)
}

type liveWorld struct {
	t     *testing.T
	net   *transporttest.PipeNet
	dir   *transport.StaticDirectory
	nodes []*liveNode

	mu    sync.Mutex
	group map[transport.Peer]int // during a partition
	conns []cutConn
}

// cutConn is a conn and the peers at its ends.
type cutConn struct {
	transport.Conn
	from transport.Peer
}

type liveNode struct {
	peer     transport.Peer
	disk     *memdisk.Disk
	boots    uint64
	loop     *clock.Live
	engine   *transport.Engine
	endpoint *transport.Endpoint
}

func (w *liveWorld) boot(i int) {
	n := w.nodes[i]
	n.boots++
	n.loop = clock.NewLive()
	n.engine = transport.NewEngine(&cutHost{w.net.Host(n.peer), w}, n.loop, w.dir)
	n.endpoint = n.engine.Endpoint(n.loop)
}

func (w *liveWorld) end(i int) {
	n := w.nodes[i]
	assert.NoError(w.t, n.engine.Close())
	assert.True(w.t, n.loop.Stop(5*time.Second), "tasks of node %d do not end", i)
}

// Node implements World.
func (w *liveWorld) Node(i int) Node {
	n := w.nodes[i]
	return Node{Loop: n.loop, Endpoint: n.endpoint, Disk: n.disk, Rand: rand.New(rand.NewPCG(uint64(i), n.boots))}
}

// Do implements World.
func (w *liveWorld) Do(i int, f func(ctx context.Context)) {
	require.NoError(w.t, clock.Do(context.Background(), w.nodes[i].loop, f))
}

// Restart implements World.
func (w *liveWorld) Restart(i int, keep int) {
	w.end(i)
	n := w.nodes[i]
	if keep < 0 {
		n.disk = n.disk.Wipe()
	} else {
		n.disk = n.disk.Crash(keep, true)
	}
	w.boot(i)
}

// Partition implements World.
func (w *liveWorld) Partition(groups ...[]int) {
	w.mu.Lock()
	w.group = map[transport.Peer]int{}
	for g, members := range groups {
		for _, i := range members {
			w.group[w.nodes[i].peer] = g
		}
	}
	conns := w.conns
	w.conns = nil
	w.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// Heal implements World.
func (w *liveWorld) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group = nil
}

// cutHost is a host whose dials fail across a partition.
type cutHost struct {
	*transporttest.PipeHost
	world *liveWorld
}

// Open implements transport.Host.
func (h *cutHost) Open(to transport.Peer, class transport.Class, opened func(transport.Conn, error)) {
	h.world.mu.Lock()
	cut := h.world.group != nil && h.world.group[h.ID()] != h.world.group[to]
	h.world.mu.Unlock()
	if cut {
		opened(nil, transport.New(transport.Unreachable, "open", "partition"))
		return
	}
	h.PipeHost.Open(to, class, func(c transport.Conn, err error) {
		if err == nil {
			h.world.mu.Lock()
			h.world.conns = append(h.world.conns, cutConn{c, h.ID()})
			h.world.mu.Unlock()
		}
		opened(c, err)
	})
}
