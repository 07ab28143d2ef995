package transporttest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// Start starts the host of node i, at first and again after a crash.
type Start func(i int) (transport.Host, []transport.Option)

// Live makes worlds of live loops. network is called once per world.
func Live(network func(t *testing.T, ids []transport.Identity, dir transport.Directory) Start) Maker {
	return func(t *testing.T, n int, body func(w World)) {
		ids := Identities(n)
		w := &liveWorld{t: t, nodes: make([]liveNode, n), shaper: newShaper()}
		var peers []transport.Peer
		for _, id := range ids {
			peers = append(peers, id.Peer())
		}
		w.dir = Directory(peers)
		w.start = network(t, ids, w.dir)
		for i := range n {
			w.boot(i)
		}
		defer func() {
			for i := range n {
				w.crash(i)
			}
		}()
		body(w)
	}
}

type liveWorld struct {
	t     *testing.T
	dir   transport.Directory
	start Start
	nodes []liveNode

	shaper *shaper
}

type liveNode struct {
	loop     *clock.Live
	engine   *transport.Engine
	endpoint *transport.Endpoint
}

func (w *liveWorld) boot(i int) {
	loop := clock.NewLive()
	host, options := w.start(i)
	engine := transport.NewEngine(w.shaper.host(host), loop, w.dir, options...)
	w.nodes[i] = liveNode{loop: loop, engine: engine, endpoint: engine.Endpoint(loop)}
}

func (w *liveWorld) crash(i int) {
	assert.NoError(w.t, w.nodes[i].engine.Close())
	assert.True(w.t, w.nodes[i].loop.Stop(5*time.Second), "tasks of node %d do not end", i)
}

func (w *liveWorld) Endpoint(i int) *transport.Endpoint { return w.nodes[i].endpoint }

func (w *liveWorld) Do(i int, f func(ctx context.Context)) {
	require.NoError(w.t, clock.Do(context.Background(), w.nodes[i].loop, f))
}

func (w *liveWorld) Shape(bytesPerSecond int) {
	w.shaper.set(func() { w.shaper.speed = bytesPerSecond })
}

func (w *liveWorld) Hold(on bool) { w.shaper.set(func() { w.shaper.held = on }) }

func (w *liveWorld) Restart(i int) {
	w.crash(i)
	w.boot(i)
}
