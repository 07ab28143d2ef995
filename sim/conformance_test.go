package sim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

var wires = []sim.WireKind{sim.Direct, sim.Mocknet}

// transportWorld is a simulated world as the transport suite sees one.
type transportWorld struct {
	t     *testing.T
	w     *sim.World
	nodes []*sim.Bare
}

func (tw *transportWorld) Endpoint(i int) *transport.Endpoint { return tw.nodes[i].Endpoint }

func (tw *transportWorld) Do(i int, f func(ctx context.Context)) {
	assert.NoError(tw.t, tw.w.RunTask(tw.nodes[i], f))
}

func (tw *transportWorld) Restart(i int) {
	name := fmt.Sprintf("n%d", i)
	tw.w.Crash(name, false)
	tw.nodes[i] = tw.w.BootBare(name)
}

func (tw *transportWorld) Shape(bytesPerSecond int) {
	tw.eachLink(func(from, to string) {
		tw.w.SetShape(from, to, fault.Shape{Bandwidth: int64(bytesPerSecond)})
	})
}

func (tw *transportWorld) Hold(on bool) {
	tw.eachLink(func(from, to string) { tw.w.SetHeld(from, to, on) })
}

func (tw *transportWorld) eachLink(f func(from, to string)) {
	for i := range tw.nodes {
		for j := range tw.nodes {
			if i != j {
				f(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", j))
			}
		}
	}
}

func TestTransportConforms(t *testing.T) {
	for _, wire := range wires {
		t.Run(string(wire), func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T, nodes int, body func(transporttest.World)) {
				_, err := sim.Run(sim.Config{Seed: 3, Wire: wire, StallTimeout: time.Minute}, func(w *sim.World) error {
					tw := &transportWorld{t: t, w: w}
					for i := range nodes {
						services := []string{"all"}
						if i < 2 {
							services = append(services, "some")
						}
						b, err := w.AddBare(fmt.Sprintf("n%d", i), services...)
						if err != nil {
							return err
						}
						tw.nodes = append(tw.nodes, b)
					}
					body(tw)
					return nil
				})
				assert.NoError(t, err)
			})
		})
	}
}
