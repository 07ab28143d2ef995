package fault

import (
	"fmt"
	"strings"
)

// Pairs are the links from every one of From to every one of To.
type Pairs struct {
	From, To []string
	// TwoWay includes the links back.
	TwoWay bool
}

// matcher reports whether a link belongs to p.
func (p Pairs) matcher() func(from, to string) bool {
	a, b := setOf(p.From), setOf(p.To)
	return func(from, to string) bool {
		return from != to && (a[from] && b[to] || p.TwoWay && a[to] && b[from])
	}
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

func (p Pairs) String() string {
	if p.TwoWay {
		return "between " + names(p.From) + " and " + names(p.To)
	}
	return "from " + names(p.From) + " to " + names(p.To)
}

// Cut loses all frames on links.
type Cut struct{ Pairs }

// Begin implements Fault.
func (c Cut) Begin(l *Ledger) func() { return l.links.inflict(l, c.matcher(), LinkState{Cut: true}) }

func (c Cut) String() string { return "cut " + c.Pairs.String() }

// Mend ends every cut of links, partitions included.
type Mend struct{ Pairs }

// Begin implements Fault.
func (m Mend) Begin(l *Ledger) func() {
	l.affect(l.links.end(func(s LinkState) bool { return s.Cut }, m.matcher()))
	return nil
}

func (m Mend) String() string { return "mend " + m.Pairs.String() }

// Isolate cuts nodes off from all others.
type Isolate struct{ Pairs }

// Begin implements Fault.
func (i Isolate) Begin(l *Ledger) func() {
	return l.links.inflict(l, i.matcher(), LinkState{Cut: true})
}

func (i Isolate) String() string { return "isolate " + names(i.From) }

// Partition cuts both ways between nodes of different groups. A node in no
// group keeps all its links.
type Partition struct{ Groups [][]string }

// Begin implements Fault.
func (p Partition) Begin(l *Ledger) func() {
	group := map[string]int{}
	for i, names := range p.Groups {
		for _, n := range names {
			group[n] = i + 1
		}
	}
	return l.links.inflict(l, func(from, to string) bool {
		return group[from] != 0 && group[to] != 0 && group[from] != group[to]
	}, LinkState{Cut: true})
}

func (p Partition) String() string {
	groups := make([]string, len(p.Groups))
	for i, g := range p.Groups {
		groups[i] = names(g)
	}
	return "partition " + strings.Join(groups, " | ")
}

// Hold keeps the frames on links; they arrive when the hold ends.
type Hold struct{ Pairs }

// Begin implements Fault.
func (h Hold) Begin(l *Ledger) func() { return l.links.inflict(l, h.matcher(), LinkState{Held: true}) }

func (h Hold) String() string { return "hold " + h.Pairs.String() }

// Release ends every hold of links.
type Release struct{ Pairs }

// Begin implements Fault.
func (r Release) Begin(l *Ledger) func() {
	l.affect(l.links.end(func(s LinkState) bool { return s.Held }, r.matcher()))
	return nil
}

func (r Release) String() string { return "release " + r.Pairs.String() }

// Refuse makes new dials over links fail while existing conns live on.
type Refuse struct{ Pairs }

// Begin implements Fault.
func (r Refuse) Begin(l *Ledger) func() {
	return l.links.inflict(l, r.matcher(), LinkState{Refused: true})
}

func (r Refuse) String() string { return "refuse dials " + r.Pairs.String() }

// Reset ends the conns between nodes once; they may dial again.
type Reset struct{ Pairs }

// Begin implements Fault.
func (r Reset) Begin(l *Ledger) func() {
	r.TwoWay = true // a conn has both directions
	l.affect(l.target.Reset(r.matcher()) > 0)
	return nil
}

func (r Reset) String() string { return "reset conns " + r.Pairs.String() }

// Slow changes latency and bandwidth of links.
type Slow struct {
	Pairs
	Shape Shape
}

// Begin implements Fault.
func (s Slow) Begin(l *Ledger) func() {
	return l.links.inflict(l, s.matcher(), LinkState{Shape: s.Shape})
}

func (s Slow) String() string {
	text := "slow links " + s.Pairs.String()
	if s.Shape.LatencyMax > 0 {
		text += ", latency " + span(s.Shape.LatencyMin, s.Shape.LatencyMax)
	}
	if s.Shape.Bandwidth > 0 {
		text += fmt.Sprintf(", %d bytes/s", s.Shape.Bandwidth)
	}
	if s.Shape.Loss > 0 {
		text += fmt.Sprintf(", %g%% lost", 100*s.Shape.Loss)
	}
	return text
}
