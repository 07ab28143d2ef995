package sim

import (
	"context"
	"github.com/taucloud/tau/sim/fault"
	"math/rand/v2"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Bare is a node of a test world with a loop and a host, but without services.
type Bare struct {
	Loop     clock.Loop
	Host     transport.Host
	Disk     storage.Disk
	Endpoint *transport.Endpoint
	life     *incarnation
}

// AddBare adds a node that is up at once and offers services to the directory.
func (w *World) AddBare(name string, services ...string) (*Bare, error) {
	if err := w.AddNode(NodeConfig{Name: name, Listed: services}); err != nil {
		return nil, err
	}
	return w.BootBare(name), nil
}

// BootBare boots a bare node, again if it crashed.
func (w *World) BootBare(name string) *Bare {
	n := w.node(name)
	n.lives++
	life := &incarnation{node: n, number: n.lives}
	n.life = life
	life.host = w.net.newHost(life)
	life.disk = newDisk(life)
	life.main = life.newLoop("node")
	engine := transport.NewEngine(life.host, life.main, w.cloud("").dir)
	return &Bare{Loop: life.main, Host: life.host, Disk: life.disk, Endpoint: engine.Endpoint(life.main), life: life}
}

// Stop stops the node's loop in order.
func (b *Bare) Stop() { b.life.main.stop() }

// RunTask runs f as a task and the world until it has returned.
func (w *World) RunTask(b *Bare, f func(ctx context.Context)) error {
	done := false
	b.Loop.Go("test", func(ctx context.Context) {
		defer func() { done = true }()
		f(ctx)
	})
	for !done {
		if err := w.RunUntil(w.Now() + 1e6); err != nil {
			return err
		}
	}
	return nil
}

// CrashKeeping crashes a node and keeps the first keep unsynced writes, the last
// of them torn if it can be; keep < 0 empties the disk.
func (w *World) CrashKeeping(name string, keep int) {
	n := w.node(name)
	n.leave(n.life)
	if keep < 0 {
		n.disk = n.disk.Wipe()
		return
	}
	n.disk = n.disk.Crash(keep, true)
}

// Rand is a source for tests.
func (b *Bare) Rand() *rand.Rand { return b.life.rand("test") }

// testLinks are the faults of single links that tests have set.
var testLinks = map[*World]map[[2]string]fault.LinkState{}

func (w *World) setLink(from, to string, change func(*fault.LinkState)) {
	if testLinks[w] == nil {
		testLinks[w] = map[[2]string]fault.LinkState{}
	}
	s := testLinks[w][[2]string{from, to}]
	change(&s)
	testLinks[w][[2]string{from, to}] = s
	w.SetLinks(func(from, to string) fault.LinkState { return testLinks[w][[2]string{from, to}] }, nil)
}

// SetCut cuts one direction of one link.
func (w *World) SetCut(from, to string, on bool) {
	w.setLink(from, to, func(s *fault.LinkState) { s.Cut = on })
}

// SetShape changes one direction of one link.
func (w *World) SetShape(from, to string, shape fault.Shape) {
	w.setLink(from, to, func(s *fault.LinkState) { s.Shape = shape })
}

// SetHeld holds one direction of one link.
func (w *World) SetHeld(from, to string, on bool) {
	w.setLink(from, to, func(s *fault.LinkState) { s.Held = on })
}

// SetRefused refuses dials of one direction.
func (w *World) SetRefused(from, to string, on bool) {
	w.setLink(from, to, func(s *fault.LinkState) { s.Refused = on })
}
