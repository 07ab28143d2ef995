package scenarios

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// cloud is a cloud of n nodes at work for a virtual minute: five of the core, a
// tenth hoarders, the rest monkeys; a push every two seconds, a crash every ten.
func cloud(nodes int) string {
	hoarders := max(3, min(nodes/10, 20))
	return fmt.Sprintf(`
name: cloud-%d
seed: 1
duration: 60s
nodes:
  - {name: core, count: 5, services: [seer, tns, patrick]}
  - {name: store, count: %d, services: [hoarder]}
  - {name: monkey, count: %d, services: [monkey]}
timeline:
  - {at: 2s, every: 2s, until: 50s, push: {project: hello, branch: main}}
  - {at: 5s, every: 10s, until: 50s, crash: {pick: {one-of: "monkey-*"}, restart-after: 5s}}
expect:
  always: [no-lost-jobs, one-effective-outcome-per-job]
`, nodes, hoarders, nodes-5-hoarders)
}

// BenchmarkCloud states how fast a cloud runs and what a node weighs.
func BenchmarkCloud(b *testing.B) {
	for _, size := range []struct {
		nodes int
		wire  string
	}{{20, scenario.Direct}, {20, scenario.Mocknet}, {100, scenario.Direct}, {100, scenario.Mocknet}, {1000, scenario.Direct}, {5000, scenario.Direct}} {
		b.Run(fmt.Sprintf("%d-nodes/%s", size.nodes, size.wire), func(b *testing.B) {
			s, err := scenario.Parse("cloud.yaml", []byte(cloud(size.nodes)), Vocabulary())
			require.NoError(b, err)
			var events uint64
			var virtual time.Duration
			var bytesMax uint64
			for b.Loop() {
				r := run.Run(s, Vocabulary(), run.Options{Seed: 1, Wire: size.wire, Progress: func(at time.Duration, n uint64) {
					if n%(1<<16) == 0 {
						bytesMax = max(bytesMax, memory())
					}
				}})
				require.Equal(b, report.Held, r.Verdict)
				events += r.Events
				virtual += time.Duration(r.VirtualMS) * time.Millisecond
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(float64(events)/seconds, "events/s")
			b.ReportMetric(virtual.Seconds()/seconds, "virtual/real")
			b.ReportMetric(float64(bytesMax)/1024/float64(size.nodes), "KB/node")
		})
	}
}

// memory is what the process holds for the world: live objects and stacks.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
