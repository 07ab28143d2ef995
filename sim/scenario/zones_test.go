package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
)

const zoned = `duration: 10m
network:
  latency: 4ms
  within-zones: {latency: 1ms..2ms}
  between-zones: {latency: 30ms..60ms, loss: 0.1%, bandwidth: 1MB/s}
  links: [{between: [{zone: east}, {zone: north}], latency: 9ms}]
nodes:
  - {name: a, count: 2, services: [seer], zone: east}
  - {name: b, count: 2, services: [seer], zone: west}
  - {name: c, services: [seer], zone: east}
  - {name: n, services: [seer], zone: north}
  - {name: nowhere, services: [seer]}
timeline:
  - {at: 1s, power: {zone: east}, for: 10s}
  - {at: 2s, power: [west, north]}
  - {at: 3s, crash: {one-of: {zone: west}}}
  - {at: 4s, partition: [{zone: east}, {zone: west}]}
  - {at: 5s, slow-link: {between: [{zone: east}, {zone: west}], loss: 5%}}
`

func TestLinksOfZones(t *testing.T) {
	s := parse(t, zoned)
	ms := time.Millisecond
	for link, want := range map[[2]string]fault.Shape{
		{"a-1", "c"}:       {LatencyMin: ms, LatencyMax: 2 * ms},
		{"a-1", "b-2"}:     {LatencyMin: 30 * ms, LatencyMax: 60 * ms, Loss: 0.001, Bandwidth: 1e6},
		{"n", "c"}:         {LatencyMin: 9 * ms, LatencyMax: 9 * ms, Loss: 0.001, Bandwidth: 1e6},
		{"nowhere", "a-2"}: {LatencyMin: 4 * ms, LatencyMax: 4 * ms},
		{"a-1", Client}:    {LatencyMin: 4 * ms, LatencyMax: 4 * ms},
	} {
		require.Equal(t, want, s.Network.Shape(link[0], link[1]), "%v", link)
	}
}

func TestFaultsOfZones(t *testing.T) {
	s := parse(t, zoned)
	steps := s.Plan(1)
	require.Equal(t, fault.Crash{Nodes: []string{"a-1", "a-2", "c"}, Zone: "east"}, steps[0].Fault)
	require.Equal(t, fault.Crash{Nodes: []string{"b-1", "b-2", "n"}, Zone: "west, north"}, steps[1].Fault)
	require.Equal(t, "power cut in west, north: b-1 b-2 n", steps[1].Fault.String())
	require.Contains(t, []string{"b-1", "b-2"}, steps[2].Fault.(fault.Crash).Nodes[0])
	require.Equal(t, fault.Partition{Groups: [][]string{{"a-1", "a-2", "c"}, {"b-1", "b-2"}}}, steps[3].Fault)
	require.Equal(t, 0.05, steps[4].Fault.(fault.Slow).Shape.Loss)
}

// TestZonesAreWrittenOut: with all nodes and with fewer.
func TestZonesAreWrittenOut(t *testing.T) {
	s := parse(t, zoned)
	fixed := s.Fix(7, Direct, s.Duration, nil)
	again := parse(t, string(fixed.Text()))
	require.Equal(t, s.Network.Shape("a-1", "b-2"), again.Network.Shape("a-1", "b-2"))
	steps := again.Plan(99)
	for i, want := range fixed.Steps {
		require.Equal(t, want.Fault, steps[i].Fault)
	}
	fixed.Nodes = []string{"a-1", "c"}
	less := parse(t, string(fixed.Text()))
	require.Equal(t, fault.Crash{Nodes: []string{"a-1", "c"}, Zone: "east"}, less.Plan(1)[0].Fault)
	require.Equal(t, s.Network.Shape("a-1", "c"), less.Network.Shape("a-1", "c"))
	for _, smaller := range fault.Smaller(fixed.Steps[0].Fault) {
		require.Empty(t, smaller.(fault.Crash).Zone, "a part of a zone is no power cut")
	}
}
