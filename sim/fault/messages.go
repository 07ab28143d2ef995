package fault

import "fmt"

// Duplicate delivers messages on links twice: requests are served, and notes and publications
// delivered, a second time, perhaps after others.
type Duplicate struct {
	Pairs
	Again Again
}

// Begin implements Fault.
func (d Duplicate) Begin(l *Ledger) func() {
	return l.links.inflict(l, d.matcher(), LinkState{Again: d.Again})
}

func (d Duplicate) String() string {
	return fmt.Sprintf("duplicate %g of messages %s, %s later", d.Again.Chance, d.Pairs, span(d.Again.Min, d.Again.Max))
}

// Lie makes nodes answer wrongly. Where several meet, the worst of each part counts.
type Lie struct {
	Nodes []string
	Lies  Lies
}

// Begin implements Fault.
func (i Lie) Begin(l *Ledger) func() {
	var e ends
	for _, node := range i.Nodes {
		e = append(e, l.lies.begin(node, i.Lies))
		l.watchNode(node, func(e Effects) uint64 { return e.Lies })
	}
	return e.all
}

func (i Lie) String() string {
	what := "blocks"
	if i.Lies.All {
		what = "everything"
	}
	return fmt.Sprintf("lie about %g of %s on %s", i.Lies.Chance, what, names(i.Nodes))
}

func mergeLies(list []Lies) (all Lies) {
	for _, one := range list {
		all.Chance = max(all.Chance, one.Chance)
		all.All = all.All || one.All
	}
	return all
}
