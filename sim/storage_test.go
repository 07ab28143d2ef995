package sim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/storage/storagetest"
)

// storageWorld is a simulated world as the storage suites see one.
type storageWorld struct {
	t     *testing.T
	w     *sim.World
	nodes []*sim.Bare
	cut   [][2]string
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

func (sw *storageWorld) Node(i int) storagetest.Node {
	b := sw.nodes[i]
	return storagetest.Node{Loop: b.Loop, Endpoint: b.Endpoint, Disk: b.Disk, Rand: b.Rand()}
}

func (sw *storageWorld) Do(i int, f func(ctx context.Context)) {
	assert.NoError(sw.t, sw.w.RunTask(sw.nodes[i], f))
}

func (sw *storageWorld) Restart(i int, keep int) {
	sw.w.CrashKeeping(nodeName(i), keep)
	sw.nodes[i] = sw.w.BootBare(nodeName(i))
}

func (sw *storageWorld) Partition(groups ...[]int) {
	for x, a := range groups {
		for y, b := range groups {
			for _, i := range a {
				for _, j := range b {
					if x != y {
						sw.w.SetCut(nodeName(i), nodeName(j), true)
						sw.cut = append(sw.cut, [2]string{nodeName(i), nodeName(j)})
					}
				}
			}
		}
	}
}

func (sw *storageWorld) Heal() {
	for _, c := range sw.cut {
		sw.w.SetCut(c[0], c[1], false)
	}
	sw.cut = nil
}

func TestStorageConforms(t *testing.T) {
	for _, wire := range wires {
		t.Run(string(wire), func(t *testing.T) {
			maker := func(t *testing.T, nodes int, body func(storagetest.World)) {
				_, err := sim.Run(sim.Config{Seed: 3, Wire: wire, StallTimeout: time.Minute}, func(w *sim.World) error {
					sw := &storageWorld{t: t, w: w}
					for i := range nodes {
						b, err := w.AddBare(nodeName(i), storagetest.Service)
						if err != nil {
							return err
						}
						sw.nodes = append(sw.nodes, b)
					}
					body(sw)
					return nil
				})
				assert.NoError(t, err)
			}
			storagetest.RunLocal(t, maker)
			storagetest.RunReplicated(t, maker)
			storagetest.RunBlocks(t, maker)
		})
	}
}
