package scenarios

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// quiet is a cloud of n nodes with a push every half a minute, for five virtual
// minutes.
func quiet(nodes int) string {
	return fmt.Sprintf(`
name: quiet-%d
seed: 1
duration: 5m
nodes:
  - {name: core, count: 3, services: [seer, tns, patrick, hoarder]}
  - {name: monkey, count: %d, services: [monkey]}
timeline:
  - {at: 10s, every: 30s, push: {project: hello, branch: main}}
expect:
  always: [no-lost-jobs]
`, nodes, nodes-3)
}

// busy is a cloud of n nodes at work for a virtual minute: five of the core, a
// tenth hoarders, the rest monkeys; a push every two seconds, a crash every ten.
func busy(nodes int) string {
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
	for _, c := range []struct {
		name  string
		story func(nodes int) string
		nodes int
		wire  string
	}{
		{"quiet", quiet, 20, scenario.Direct}, {"quiet", quiet, 20, scenario.Mocknet}, {"quiet", quiet, 1000, scenario.Direct},
		{"busy", busy, 20, scenario.Direct}, {"busy", busy, 20, scenario.Mocknet},
		{"busy", busy, 100, scenario.Direct}, {"busy", busy, 100, scenario.Mocknet},
		{"busy", busy, 1000, scenario.Direct}, {"busy", busy, 5000, scenario.Direct},
	} {
		b.Run(fmt.Sprintf("%s/%d-nodes/%s", c.name, c.nodes, c.wire), func(b *testing.B) {
			s, err := scenario.Parse("cloud.yaml", []byte(c.story(c.nodes)), words.Vocabulary())
			require.NoError(b, err)
			var events uint64
			var virtual time.Duration
			var bytesMax uint64
			for b.Loop() {
				r := run.Run(s, words.Vocabulary(), run.Options{Seed: 1, Wire: c.wire, Progress: func(at time.Duration, n uint64) {
					if n == 1<<14 || n%(1<<18) == 0 {
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
			b.ReportMetric(float64(bytesMax)/1024/float64(c.nodes), "KB/node")
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
