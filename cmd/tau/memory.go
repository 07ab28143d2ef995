package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbagePercent is how much garbage a node keeps before it is collected, of what it uses: half of what Go would let it. A node
	// uses some 20 MB, so it is collected in milliseconds, and memory is what many nodes on one machine lack first.
	garbagePercent = 50
	// garbageBusy is that of a node that makes so much garbage that it was collected busyCollections times in busyInterval: with little to use, most of its
	// processor time would go into that. What it then keeps is some 60 MB of garbage, until it is at rest again.
	garbageBusy     = 200
	busyInterval    = time.Second
	busyCollections = 3
	// calmCollections is up to how many a node with that is at rest: four times as much garbage is collected a quarter as often.
	calmCollections = 0
	// calmIntervals is for how many intervals in a row it must be.
	calmIntervals = 5
)

// saveMemory sets that, unless whoever starts the node has set GOGC.
func saveMemory() {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	debug.SetGCPercent(garbagePercent)
	go func() {
		p := pace{}
		for range time.Tick(busyInterval) {
			if percent, changed := p.next(collections()); changed {
				debug.SetGCPercent(percent)
			}
		}
	}()
}

// collections is how often this process was collected.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// pace says how much garbage is kept, by how often it was collected.
type pace struct {
	seen uint64
	busy bool
	calm int // intervals in a row
}

// next takes how often it was collected so far, once in each interval.
func (p *pace) next(collections uint64) (percent int, changed bool) {
	times := collections - p.seen
	p.seen = collections
	switch {
	case !p.busy && times >= busyCollections:
		p.busy, p.calm = true, 0
		return garbageBusy, true
	case p.busy && times > calmCollections:
		p.calm = 0
	case p.busy:
		if p.calm++; p.calm >= calmIntervals {
			p.busy = false
			return garbagePercent, true
		}
	}
	return 0, false
}
