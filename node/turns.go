package node

import "github.com/taucloud/tau/clock"

// LoopTurns is the statistics of the turns of one of a node's loops.
type LoopTurns struct {
	// Loop is the service's name, or "node".
	Loop string
	clock.TurnStats
}

// Turns lists the loops that measure their turns, as live ones do: the node's
// own and then those of the services that run, in the order in which they
// started. It must be called in a turn of the node's loop.
func (n *Node) Turns() []LoopTurns {
	var list []LoopTurns
	add := func(name string, l clock.Loop) {
		if m, ok := l.(clock.TurnMeter); ok {
			list = append(list, LoopTurns{Loop: name, TurnStats: m.Turns()})
		}
	}
	add("node", n.loop)
	for _, in := range n.running {
		add(in.name, in.loop)
	}
	return list
}
