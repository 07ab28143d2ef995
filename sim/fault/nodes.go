package fault

import "slices"

// Smaller lists faults of the same kind that hit fewer nodes, the smallest first. It
// is empty for a fault that cannot hit fewer.
func Smaller(f Fault) (list []Fault) {
	switch f := f.(type) {
	case Crash:
		return with(f.Nodes, func(n []string) Fault { f.Nodes, f.Zone = n, ""; return f })
	case Stop:
		return with(f.Nodes, func(n []string) Fault { return Stop{n} })
	case Start:
		return with(f.Nodes, func(n []string) Fault { return Start{n} })
	case Restart:
		return with(f.Nodes, func(n []string) Fault { return Restart{n} })
	case Move:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Configure:
		return with(f.Nodes, func(n []string) Fault { return Configure{n} })
	case Leave:
		return with(f.Nodes, func(n []string) Fault { return Leave{n} })
	case Pause:
		return with(f.Nodes, func(n []string) Fault { return Pause{n} })
	case Suspend:
		return with(f.Nodes, func(n []string) Fault { return Suspend{n} })
	case Skew:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Drift:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Disk:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Corrupt:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Lie:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Failpoint:
		return with(f.Nodes, func(n []string) Fault { f.Nodes = n; return f })
	case Partition:
		return smallerPartition(f)
	case Isolate:
		return with(f.From, func(n []string) Fault { f.From = n; return f })
	}
	return smallerLinks(f)
}

func smallerLinks(f Fault) []Fault {
	switch f := f.(type) {
	case Cut:
		return f.smaller(func(p Pairs) Fault { return Cut{p} })
	case Hold:
		return f.smaller(func(p Pairs) Fault { return Hold{p} })
	case Refuse:
		return f.smaller(func(p Pairs) Fault { return Refuse{p} })
	case Reset:
		return f.smaller(func(p Pairs) Fault { return Reset{p} })
	case Slow:
		return f.smaller(func(p Pairs) Fault { f.Pairs = p; return f })
	case Duplicate:
		return f.smaller(func(p Pairs) Fault { f.Pairs = p; return f })
	}
	return nil
}

// smaller has fewer nodes on either side.
func (p Pairs) smaller(make func(Pairs) Fault) (list []Fault) {
	for _, from := range fewer(p.From) {
		list = append(list, make(Pairs{From: from, To: p.To, TwoWay: p.TwoWay}))
	}
	for _, to := range fewer(p.To) {
		list = append(list, make(Pairs{From: p.From, To: to, TwoWay: p.TwoWay}))
	}
	return list
}

// smallerPartition lets nodes talk to everybody.
func smallerPartition(p Partition) (list []Fault) {
	for i, group := range p.Groups {
		for _, g := range fewer(group) {
			groups := slices.Clone(p.Groups)
			groups[i] = g
			list = append(list, Partition{groups})
		}
	}
	return list
}

// Nodes are the names in a fault, those of links and groups included.
func Nodes(f Fault) []string {
	switch f := f.(type) {
	case Crash:
		return f.Nodes
	case Stop:
		return f.Nodes
	case Start:
		return f.Nodes
	case Restart:
		return f.Nodes
	case Move:
		return f.Nodes
	case Configure:
		return f.Nodes
	case Leave:
		return f.Nodes
	case Pause:
		return f.Nodes
	case Suspend:
		return f.Nodes
	case Resume:
		return f.Nodes
	case Skew:
		return f.Nodes
	case Drift:
		return f.Nodes
	case Disk:
		return f.Nodes
	case Corrupt:
		return f.Nodes
	case Lie:
		return f.Nodes
	case Failpoint:
		return f.Nodes
	case Isolate:
		return f.From
	case Partition:
		return slices.Concat(f.Groups...)
	case interface{ sides() []string }:
		return f.sides()
	}
	return nil
}

// Concerns reports whether a fault affects one of the nodes, or a link between two of them. Faults
// of all links of a node concern it.
func Concerns(f Fault, nodes []string) bool {
	some := func(of []string) bool {
		return slices.ContainsFunc(of, func(n string) bool { return slices.Contains(nodes, n) })
	}
	switch f := f.(type) {
	case Heal:
		return true
	case Failpoint:
		return f.Nodes == nil || some(f.Nodes)
	case Isolate:
		return some(f.From)
	case Partition:
		sides := 0
		for _, g := range f.Groups {
			if some(g) {
				sides++
			}
		}
		return sides > 1
	case interface{ ends() (from, to []string) }:
		from, to := f.ends()
		return some(from) && some(to)
	}
	return some(Nodes(f))
}

func (p Pairs) ends() (from, to []string) { return p.From, p.To }

func (p Pairs) sides() []string { return slices.Concat(p.From, p.To) }

func with(nodes []string, make func([]string) Fault) (list []Fault) {
	for _, n := range fewer(nodes) {
		list = append(list, make(n))
	}
	return list
}

// fewer are single names, halves, and all but one.
func fewer(names []string) (list [][]string) {
	n := len(names)
	if n < 2 {
		return nil
	}
	for i := range names {
		list = append(list, names[i:i+1])
	}
	if n > 3 {
		list = append(list, names[:n/2], names[n/2:])
	}
	for i := range names {
		if n > 2 {
			list = append(list, slices.Concat(names[:i], names[i+1:]))
		}
	}
	return list
}

// Aimless reports whether a fault names nothing that it could hit: no node, no link between
// two nodes, or no second side of a partition.
func Aimless(f Fault) bool {
	switch f := f.(type) {
	case Heal, Failpoint:
		return false
	case Partition:
		sides := slices.DeleteFunc(slices.Clone(f.Groups), func(g []string) bool { return len(g) == 0 })
		return len(sides) < 2
	case interface{ linkless() bool }:
		return f.linkless()
	}
	return len(Nodes(f)) == 0
}

func (p Pairs) linkless() bool {
	return len(p.From) == 0 || len(p.To) == 0 || len(p.From) == 1 && len(p.To) == 1 && p.From[0] == p.To[0]
}
