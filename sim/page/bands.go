package page

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// band is something that lasts, on the lane of a node.
type band struct {
	node     string
	from, to time.Duration
	kind     string // "down", "lost disk", "lock", or the first word of a fault
	label    string
}

// atOnce are the faults that do not last.
var atOnce = []string{"start", "restart", "resume", "mend", "release", "reset", "corrupt", "heal"}

// fromFacts are the kinds that are better read off what nodes say themselves.
var fromFacts = []string{"crash", "stop"}

// bandsMax bounds the bands of a run, the first ones.
const bandsMax = 100_000

// bands are all that last in a run, in order of time.
func bands(run *Run, c *collected) []band {
	end := time.Duration(run.Result.VirtualMS) * time.Millisecond
	list := append(faultBands(run, end), downBands(c, end)...)
	list = append(list, heldBands(c, end)...)
	slices.SortStableFunc(list, func(a, b band) int { return cmp.Compare(a.from, b.from) })
	return list[:min(len(list), bandsMax)]
}

func faultBands(run *Run, end time.Duration) (list []band) {
	for _, f := range run.Faults {
		if f.At > end {
			continue
		}
		text := f.Fault.String()
		kind, _, _ := strings.Cut(text, " ")
		if slices.Contains(atOnce, kind) || slices.Contains(fromFacts, kind) {
			continue
		}
		to := end
		if f.For > 0 {
			to = min(to, f.At+f.For)
		}
		if run.HealedAt > 0 {
			to = min(to, run.HealedAt)
		}
		nodes := fault.Nodes(f.Fault)
		if nodes == nil { // of all
			for _, n := range run.Nodes {
				nodes = append(nodes, n.Name)
			}
		}
		slices.Sort(nodes)
		for _, node := range slices.Compact(slices.Clone(nodes)) {
			list = append(list, band{node: node, from: f.At, to: to, kind: kind, label: text})
		}
	}
	return list
}

// downBands are the times in which nodes did not run, after they had.
func downBands(c *collected, end time.Duration) (list []band) {
	open := map[string]band{}
	var order []string
	for i := range c.items {
		it := &c.items[i]
		if it.kind != itemFact || it.a != "node" {
			continue
		}
		b, down := open[it.node]
		switch it.b {
		case "started":
			if down {
				b.to = it.at
				list = append(list, b)
				delete(open, it.node)
			}
		case "crashed", "stopped":
			if down && it.b == "crashed" && strings.Contains(it.c, "disk-lost=true") {
				b.kind, b.label = "lost disk", "down, and its disk is lost"
				open[it.node] = b
			}
			if down {
				continue
			}
			b = band{node: it.node, from: it.at, kind: "down", label: "down: " + it.b}
			if strings.Contains(it.c, "disk-lost=true") {
				b.kind, b.label = "lost disk", "down, and its disk is lost"
			}
			open[it.node] = b
			if !slices.Contains(order, it.node) {
				order = append(order, it.node)
			}
		}
	}
	for _, node := range order {
		if b, down := open[node]; down {
			b.to = end
			list = append(list, b)
		}
	}
	return list
}

// heldBands are the times in which a node believed to hold something.
func heldBands(c *collected, end time.Duration) (list []band) {
	open := map[[2]string]int{}
	for i := range c.items {
		it := &c.items[i]
		if it.kind != itemBelief {
			continue
		}
		key := [2]string{it.node, it.b}
		if n, held := open[key]; held {
			list[n].to = it.at
			delete(open, key)
		}
		if strings.HasPrefix(it.c, heldBelief) {
			open[key] = len(list)
			list = append(list, band{node: it.node, from: it.at, to: end, kind: "lock", label: it.c + " of " + it.b})
		}
	}
	return list
}
