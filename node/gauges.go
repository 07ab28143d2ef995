package node

import (
	"maps"
	"sync"
)

// gauges are numbers that a node announces about itself: capacities and usage. The services of a
// node have a turn each, so a lock guards the map between them.
type gauges struct {
	mu     sync.Mutex
	values map[string]int64
}

// SetGauge sets a number that this node announces about itself, by convention
// "<service>.<what>", such as "monkey.slots-free" or "hoarder.bytes-max".
func (e Env) SetGauge(name string, value int64) {
	e.gauges.mu.Lock()
	defer e.gauges.mu.Unlock()
	if e.gauges.values == nil {
		e.gauges.values = map[string]int64{}
	}
	e.gauges.values[name] = value
}

// Gauges returns a copy of all numbers that the node's services have set.
func (e Env) Gauges() map[string]int64 {
	e.gauges.mu.Lock()
	defer e.gauges.mu.Unlock()
	return maps.Clone(e.gauges.values)
}

// ServiceNames lists the services that this node offers, in catalogue order.
func (e Env) ServiceNames() []string { return e.services }
