package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fixed is a scenario whose timeline leaves nothing to chance: each fault has its moment, its
// length and its nodes, each action its moment and its number. The seed still decides the network
// and services: it is part of the file. All fields may be changed before Text is called.
type Fixed struct {
	// About stands above the file as a comment.
	About    string
	Seed     uint64
	Wire     string
	Duration time.Duration
	// Nodes are the names of those that are there, in order.
	Nodes []string
	// Latency is that of the network, "" as in the file.
	Latency string
	Steps   []Step
	// Expect is the only expectation, nil for those of the file.
	Expect *Expectation
	// Failed, if not nil, leaves of the expectations of the file those of always and this one:
	// figures, and what is expected after healing or at moments, are about the whole timeline, and a
	// part of it may miss them for no other reason than that it is one.
	Failed *Expectation
	// Cut tells that Fix has omitted steps that would have come later.
	Cut bool

	of *Scenario
}

// Expectation names one expectation of a scenario.
type Expectation struct {
	Name string
	// When is "always", "after-heal" or "report", as in a report; else it is that of a moment.
	When string
}

// Fix draws everything that a scenario leaves to chance, and omits steps that would begin after
// until.
//
// What selectors by state have answered is not known before a run: chosen is that of
// a run, by the keys of steps. A step that is not in it has not happened, and is left
// out.
func (s *Scenario) Fix(seed uint64, wire string, until time.Duration, chosen map[string][][]string) *Fixed {
	var steps []Step
	for _, step := range s.Plan(seed) {
		if step.Late == nil {
			steps = append(steps, step)
		} else if was, happened := chosen[step.Key]; happened {
			steps = append(steps, step.again(was)...)
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	all := len(steps)
	steps = slices.DeleteFunc(steps, func(step Step) bool { return step.At > until })
	return &Fixed{Seed: seed, Wire: wire, Duration: s.Duration, Nodes: s.nodeNames(), Steps: steps, Cut: len(steps) < all, of: s}
}

// nodeNames are those of all nodes, strangers included.
func (s *Scenario) nodeNames() (names []string) {
	for i := range s.Nodes {
		names = append(names, s.Nodes[i].Name)
	}
	return names
}

// Text is the scenario as a file, which Parse reads.
func (f *Fixed) Text() []byte {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	for _, text := range strings.Split(strings.TrimSpace(f.About), "\n") {
		line("# %s", text)
	}
	line("name: %s", f.of.Name)
	line("seed: %d", f.Seed)
	line("duration: %s", f.Duration)
	line("wire: %s", f.Wire)
	if f.of.Schedule.Kind != "" {
		line("schedule: %s", f.of.Schedule)
	}
	if settings := f.settings(); settings != "" {
		line("settings: %s", settings)
	}
	if network := f.network(); network != "" {
		line("network: %s", network)
	}
	line("nodes:")
	for _, group := range f.groups(false) {
		line("  - %s", group)
	}
	if names := f.there(f.of.told); len(names) > 0 {
		line("bootstrap: %s", flow(names))
	}
	if doc := f.of.source.get("certificates"); doc != nil {
		line("certificates: %s", doc.yaml())
	}
	if strangers := f.groups(true); len(strangers) > 0 {
		line("strangers:\n  - %s", strings.Join(strangers, "\n  - "))
	}
	if steps := f.timeline(); len(steps) > 0 {
		line("timeline:\n  - %s", strings.Join(steps, "\n  - "))
	}
	if expect := f.expect(); expect != "" {
		line("expect: %s", expect)
	}
	return []byte(out.String())
}

// Prune removes the steps without any node that is there.
func (f *Fixed) Prune() {
	f.Steps = slices.DeleteFunc(f.Steps, func(s Step) bool {
		if len(s.By) > 0 {
			return len(f.there(s.By)) == 0
		}
		if s.Fault == nil {
			return s.Moment != nil && !f.asksMoments()
		}
		_, any := f.fault(s.Fault)
		return !any
	})
}

// Alike are the nodes that are there, one list for each group of the file.
func (f *Fixed) Alike() (groups [][]string) {
	for i := 0; i < len(f.of.Nodes); {
		all := f.of.roster.group[f.of.Nodes[i].Group]
		groups = append(groups, f.there(all))
		i += len(all)
	}
	return groups
}

// Count is how many faults and actions there are.
func (f *Fixed) Count() (faults, actions int) {
	for _, s := range f.Steps {
		switch {
		case s.Fault != nil:
			faults++
		case s.Action != nil:
			actions++
		}
	}
	return faults, actions
}

// groups are the groups of which all nodes are there, and the single nodes of
// others: those of strangers, or of the cloud.
func (f *Fixed) groups(strangers bool) (list []string) {
	for i := 0; i < len(f.of.Nodes); {
		n := &f.of.Nodes[i]
		all := f.of.roster.group[n.Group]
		i += len(all)
		if n.Stranger != strangers {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !slices.Contains(f.Nodes, name) })
		if len(left) == len(all) {
			list = append(list, f.group(n).yaml())
			continue
		}
		for _, name := range left {
			list = append(list, f.group(n).with("name", name).without("count").yaml())
		}
	}
	return list
}

// group is a node's group as the file has it, told of those that are there.
func (f *Fixed) group(n *Node) *value {
	if n.source.get("bootstrap") == nil {
		return n.source
	}
	out := n.source.without("bootstrap")
	if names := f.there(n.Contacts); len(names) > 0 {
		list := &value{kind: sequence}
		for _, name := range names {
			list.items = append(list.items, &value{kind: scalar, text: name})
		}
		out.entries = append(out.entries, entry{key: &value{kind: scalar, text: "bootstrap"}, value: list})
	}
	return out
}

func (f *Fixed) network() string {
	var parts []string
	add := func(key, text string) { parts = append(parts, key+": "+text) }
	doc := f.of.source.get("network")
	if f.Latency != "" {
		add("latency", f.Latency)
	} else if v := doc.path([]string{"latency"}); v != nil {
		add("latency", v.yaml())
	}
	for _, key := range []string{"bandwidth", "loss"} {
		if v := doc.path([]string{key}); v != nil {
			add(key, v.yaml())
		}
	}
	zones := f.zones()
	if v := doc.path([]string{"within-zones"}); v != nil && zones > 0 {
		add("within-zones", v.yaml())
	}
	if v := doc.path([]string{"between-zones"}); v != nil && zones > 1 {
		add("between-zones", v.yaml())
	}
	var links []string
	for _, rule := range f.of.Network.links {
		if text := f.link(rule); text != "" {
			links = append(links, text)
		}
	}
	if len(links) > 0 {
		add("links", flow(links))
	}
	if len(parts) == 0 {
		return ""
	}
	return mappingOf(parts)
}

// link is a rule about the nodes that are there, "" if it concerns none of them.
func (f *Fixed) link(rule linkRule) string {
	some := func(set map[string]bool) []string {
		return slices.DeleteFunc(slices.Concat(f.Nodes, f.clients()), func(n string) bool { return !set[n] })
	}
	parts, any := f.links(some(rule.from), some(rule.to), rule.twoWay)
	if !any {
		return ""
	}
	return mappingOf(append(parts, shapeKeys(rule.shape)...))
}

// zones is how many there are with nodes.
func (f *Fixed) zones() int {
	zones := map[string]bool{}
	for _, n := range f.of.Nodes {
		if n.Zone != "" && slices.Contains(f.Nodes, n.Name) {
			zones[n.Zone] = true
		}
	}
	return len(zones)
}

// timeline has a line for each step that still concerns a node.
func (f *Fixed) timeline() (list []string) {
	for _, s := range f.Steps {
		parts := []string{"at: " + s.At.String()}
		e := &f.of.Timeline[s.Entry]
		switch {
		case s.Fault != nil:
			word, any := f.fault(s.Fault)
			if !any {
				continue
			}
			if s.For > 0 {
				parts = append(parts, "for: "+s.For.String())
			}
			parts = append(parts, word)
			if s.Label != "" {
				parts = append(parts, "label: "+s.Label)
			}
		case s.Moment != nil && !f.asksMoments():
			continue
		case len(f.there(s.By)) < len(s.By):
			for _, name := range f.there(s.By) { // each by itself: their group is not there as a whole
				list = append(list, mappingOf(append(parts, fmt.Sprintf("number: %d", s.N), e.Verb+": "+e.source.with("by", name).yaml())))
			}
			continue
		default:
			if s.Action != nil && s.N > 0 {
				parts = append(parts, fmt.Sprintf("number: %d", s.N))
			}
			word, any := f.action(s)
			if !any {
				continue
			}
			parts = append(parts, word)
		}
		list = append(list, mappingOf(parts))
	}
	return list
}

// span is a range of durations as a file has it.
func span(lo, hi time.Duration) string {
	if lo == hi {
		return lo.String()
	}
	return lo.String() + ".." + hi.String()
}

// flow formats a list in one line, mappingOf a mapping.
func flow(items []string) string      { return "[" + strings.Join(items, ", ") + "]" }
func mappingOf(parts []string) string { return "{" + strings.Join(parts, ", ") + "}" }
