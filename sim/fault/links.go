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

// each calls f for every directed link once, in order.
func (p Pairs) each(f func(from, to string)) {
	seen := map[link]bool{}
	visit := func(from, to string) {
		if k := (link{from, to}); from != to && !seen[k] {
			seen[k] = true
			f(from, to)
		}
	}
	for _, from := range p.From {
		for _, to := range p.To {
			visit(from, to)
			if p.TwoWay {
				visit(to, from)
			}
		}
	}
}

func (p Pairs) String() string {
	if p.TwoWay {
		return "between " + names(p.From) + " and " + names(p.To)
	}
	return "from " + names(p.From) + " to " + names(p.To)
}

// begin wants a state of every link.
func (p Pairs) begin(t *tally[link]) func() {
	var e ends
	p.each(func(from, to string) { e = append(e, t.begin(link{from, to})) })
	return e.all
}

func (p Pairs) clear(t *tally[link]) {
	p.each(func(from, to string) { t.clear(link{from, to}) })
}

// Cut loses everything that travels on links.
type Cut struct{ Pairs }

// Begin implements Fault.
func (c Cut) Begin(l *Ledger) func() { return c.begin(&l.cuts) }

func (c Cut) String() string { return "cut " + c.Pairs.String() }

// Mend ends every cut of links, partitions included.
type Mend struct{ Pairs }

// Begin implements Fault.
func (m Mend) Begin(l *Ledger) func() { m.clear(&l.cuts); return nil }

func (m Mend) String() string { return "mend " + m.Pairs.String() }

// Isolate cuts nodes off from everybody.
type Isolate struct{ Pairs }

// Begin implements Fault.
func (i Isolate) Begin(l *Ledger) func() { return i.begin(&l.cuts) }

func (i Isolate) String() string { return "isolate " + names(i.From) }

// Partition cuts both ways between nodes of different groups. A node in no
// group keeps all its links.
type Partition struct{ Groups [][]string }

// Begin implements Fault.
func (p Partition) Begin(l *Ledger) func() {
	var e ends
	for i, group := range p.Groups {
		for _, other := range p.Groups[i+1:] {
			e = append(e, Pairs{From: group, To: other, TwoWay: true}.begin(&l.cuts))
		}
	}
	return e.all
}

func (p Partition) String() string {
	groups := make([]string, len(p.Groups))
	for i, g := range p.Groups {
		groups[i] = names(g)
	}
	return "partition " + strings.Join(groups, " | ")
}

// Hold keeps what travels on links; it arrives when the hold ends.
type Hold struct{ Pairs }

// Begin implements Fault.
func (h Hold) Begin(l *Ledger) func() { return h.begin(&l.holds) }

func (h Hold) String() string { return "hold " + h.Pairs.String() }

// Release ends every hold of links.
type Release struct{ Pairs }

// Begin implements Fault.
func (r Release) Begin(l *Ledger) func() { r.clear(&l.holds); return nil }

func (r Release) String() string { return "release " + r.Pairs.String() }

// Refuse makes new dials over links fail while existing conns live on.
type Refuse struct{ Pairs }

// Begin implements Fault.
func (r Refuse) Begin(l *Ledger) func() { return r.begin(&l.refusals) }

func (r Refuse) String() string { return "refuse dials " + r.Pairs.String() }

// Reset ends the conns between nodes once; they may dial again.
type Reset struct{ Pairs }

// Begin implements Fault.
func (r Reset) Begin(l *Ledger) func() {
	seen := map[link]bool{}
	r.each(func(from, to string) {
		if !seen[link{to, from}] {
			seen[link{from, to}] = true
			l.target.Reset(from, to)
		}
	})
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
	var e ends
	s.each(func(from, to string) { e = append(e, l.shapes.begin(link{from, to}, s.Shape)) })
	return e.all
}

func (s Slow) String() string {
	text := "slow links " + s.Pairs.String()
	if s.Shape.LatencyMax > 0 {
		text += ", latency " + span(s.Shape.LatencyMin, s.Shape.LatencyMax)
	}
	if s.Shape.Bandwidth > 0 {
		text += fmt.Sprintf(", %d bytes/s", s.Shape.Bandwidth)
	}
	return text
}
