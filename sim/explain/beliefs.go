package explain

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// related are the fields of facts that name what an object is made of or goes into.
var related = []string{"artifact", "source", "root", "log", "job"}

// belief is what some nodes believe of one thing.
type belief struct {
	about, service, says string
	nodes                []string
	since                time.Duration // of the last of them
}

// WriteBeliefs says what the nodes believed of the object at the end, and of what it
// is about; those that believe the same are one line.
func (s *Story) WriteBeliefs(out io.Writer) {
	things := s.things()
	groups := map[[3]string]*belief{}
	for key, b := range s.trace.beliefs {
		if node, service, about := key[0], key[1], key[2]; b.says != "" && slices.Contains(things, about) {
			same := [3]string{about, service, s.trace.named(b.says)}
			g := groups[same]
			if g == nil {
				g = &belief{about: about, service: service, says: same[2]}
				groups[same] = g
			}
			g.nodes, g.since = append(g.nodes, node), max(g.since, b.since)
		}
	}
	list := slices.SortedFunc(maps.Values(groups), func(a, b *belief) int {
		return cmp.Or(cmp.Compare(slices.Index(things, a.about), slices.Index(things, b.about)), cmp.Compare(a.service, b.service), cmp.Compare(a.says, b.says))
	})
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(out, "what was believed at the end, %s\n", s.end.Round(time.Millisecond))
	last := ""
	for _, b := range list {
		if b.about != last {
			fmt.Fprintf(out, "  of %s\n", s.called(b.about))
			last = b.about
		}
		slices.Sort(b.nodes)
		fmt.Fprintf(out, "    %s on %s: %s (seen since %s)\n", b.service, strings.Join(b.nodes, ", "), b.says, b.since.Round(time.Millisecond))
	}
	if down := s.down(); len(down) > 0 {
		fmt.Fprintf(out, "  down: %s\n", strings.Join(down, ", "))
	}
}

// named is a text in which peers have the names of their nodes.
func (t *Trace) named(text string) string {
	parts := strings.Split(text, " ")
	for i, p := range parts {
		if name := t.peers[p]; name != "" {
			parts[i] = name
		}
	}
	return strings.Join(parts, " ")
}

func (s *Story) called(about string) string {
	if about == s.Object {
		return "it"
	}
	return about
}

// thingsMax bounds what is looked up beside the object.
const thingsMax = 8

// things are the object, its branch, and what its facts name.
func (s *Story) things() []string {
	list := []string{s.Object}
	add := func(thing string) {
		if thing != "" && thing != "/" && !slices.Contains(list, thing) && len(list) < thingsMax {
			list = append(list, thing)
		}
	}
	for i := range s.trace.lines {
		l := &s.trace.lines[i]
		if !s.about(l) || s.trace.nodes[s.Object] {
			continue
		}
		add(l.Get("project") + "/" + l.Get("branch"))
		for _, name := range related {
			add(l.Get(name))
		}
	}
	return list
}

// down are the nodes of the story that do not run at the end, and since when.
func (s *Story) down() (list []string) {
	since := map[string]time.Duration{}
	for i := range s.trace.lines {
		if l := &s.trace.lines[i]; l.Service == "node" && l.At <= s.end {
			switch l.Name {
			case "started":
				delete(since, l.Node)
			case "crashed", "stopped", "start-failed":
				since[l.Node] = l.At
			}
		}
	}
	for _, node := range slices.Sorted(maps.Keys(since)) {
		if slices.Contains(s.Nodes, node) {
			list = append(list, fmt.Sprintf("%s since %s", node, since[node].Round(time.Millisecond)))
		}
	}
	return list
}

// lossRows is how many kinds of messages that were not heard are listed.
const lossRows = 12

// WriteLosses says which messages between the nodes of the story were not heard, or
// not in time.
func (s *Story) WriteLosses(out io.Writer) {
	type kind struct{ from, to, what string }
	type loss struct {
		kind
		first, last time.Duration
		n           int
	}
	byKind := map[kind]*loss{}
	for _, m := range s.trace.missed {
		if m.at < s.begin || m.at > s.end || !slices.Contains(s.Nodes, m.from) || !slices.Contains(s.Nodes, m.to) {
			continue
		}
		k := kind{m.from, m.to, m.what}
		if byKind[k] == nil {
			byKind[k] = &loss{kind: k, first: m.at}
		}
		byKind[k].last = m.at
		byKind[k].n++
	}
	if len(byKind) == 0 {
		return
	}
	list := slices.SortedFunc(maps.Values(byKind), func(a, b *loss) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.what, b.what))
	})
	fmt.Fprintln(out, "what was not heard, or only after a link had healed")
	for _, l := range list[:min(len(list), lossRows)] {
		text := fmt.Sprintf("  %-10s %s -> %s  %s", l.first.Round(time.Millisecond), l.from, l.to, l.what)
		if l.n > 1 {
			text += fmt.Sprintf(" (%d times until %s)", l.n, l.last.Round(time.Millisecond))
		}
		fmt.Fprintln(out, text)
	}
	if len(list) > lossRows {
		fmt.Fprintf(out, "  ... and %d kinds of messages more\n", len(list)-lossRows)
	}
}
