package scenario

import (
	"fmt"
	"slices"
)

// expect is the value of the key, "" for none.
func (f *Fixed) expect() string {
	doc := f.of.source.get("expect")
	switch {
	case doc == nil:
		return ""
	case f.Expect == nil:
		return f.remaining()
	}
	name := f.Expect.Name
	named := func(c Check) bool { return c.Name == name }
	switch {
	case f.Expect.When == "always" && slices.ContainsFunc(f.of.Expect.Always, named):
		return "{always: [" + name + "]}"
	case f.Expect.When == "after-heal" && slices.ContainsFunc(f.of.Expect.AfterHeal, named):
		return fmt.Sprintf("{after-heal: {within: %s, all: [%s]}}", f.of.Expect.Within, name)
	case f.Expect.When == "report":
		for _, b := range f.of.Expect.Report {
			if b.Label() == name {
				return "{report: {" + b.Figure + ": " + b.source.yaml() + "}}"
			}
		}
	}
	return ""
}

// asksMoments reports whether what the timeline expects at moments is still demanded.
func (f *Fixed) asksMoments() bool {
	return f.Expect == nil && (f.Failed == nil || !slices.Contains([]string{"always", "after-heal", "report"}, f.Failed.When))
}

// demands reports whether an expectation that is not of always is still demanded.
func (f *Fixed) demands(name, when string) bool {
	return f.Failed == nil || *f.Failed == Expectation{Name: name, When: when}
}

// remaining are the expectations of the file that are still demanded and can still be asked:
// those about services, nodes and labels that are there.
func (f *Fixed) remaining() string {
	var parts []string
	if names := f.checks(f.of.Expect.Always); len(names) > 0 {
		parts = append(parts, "always: "+flow(names))
	}
	healed := slices.DeleteFunc(f.checks(f.of.Expect.AfterHeal), func(name string) bool { return !f.demands(name, "after-heal") })
	if len(healed) > 0 {
		parts = append(parts, fmt.Sprintf("after-heal: {within: %s, all: %s}", f.of.Expect.Within, flow(healed)))
	}
	var figures []string
	bounds := map[string][]string{}
	for i := range f.of.Expect.Report {
		b := &f.of.Expect.Report[i]
		if !f.asks(b) || !f.demands(b.Label(), "report") {
			continue
		}
		if !slices.Contains(figures, b.Figure) {
			figures = append(figures, b.Figure)
		}
		bounds[b.Figure] = append(bounds[b.Figure], b.source.yaml())
	}
	for i, name := range figures {
		figures[i] = name + ": " + flow(bounds[name])
	}
	if len(figures) > 0 {
		parts = append(parts, "report: "+mappingOf(figures))
	}
	if len(parts) == 0 {
		return ""
	}
	return mappingOf(parts)
}

func (f *Fixed) checks(list []Check) (names []string) {
	for _, c := range list {
		if f.runsAny(c.Of) {
			names = append(names, c.Name)
		}
	}
	return names
}

// runsAny reports whether one of some services runs on a node that is there, or none is needed.
func (f *Fixed) runsAny(services []string) bool {
	return len(services) == 0 || slices.ContainsFunc(services, func(name string) bool {
		return slices.ContainsFunc(f.of.roster.services[name], func(n string) bool { return slices.Contains(f.Nodes, n) })
	})
}

// asks reports whether a bound can still be asked.
func (f *Fixed) asks(b *Bound) bool {
	w := &b.Window
	switch {
	case !f.runsAny(f.of.services[b.Figure]):
		return false
	case slices.ContainsFunc(w.Nodes, func(n string) bool { return n != Client && !slices.Contains(f.Nodes, n) }):
		return false
	case w.During == "":
		return true
	}
	until := f.Duration
	if w.To > 0 {
		until = w.To
	}
	return slices.ContainsFunc(f.Steps, func(s Step) bool {
		over := f.Duration
		if s.For > 0 {
			over = min(over, s.At+s.For)
		}
		return s.Label == w.During && s.At < min(until, f.Duration) && w.From < over
	})
}

// settings are those of services that still run, "" if there are none.
func (f *Fixed) settings() string {
	v := f.of.source.get("settings")
	if v == nil {
		return ""
	}
	left := *v
	left.entries = slices.DeleteFunc(slices.Clone(v.entries), func(e entry) bool { return !f.runsAny([]string{e.key.text}) })
	if len(left.entries) == 0 {
		return ""
	}
	return left.yaml()
}
