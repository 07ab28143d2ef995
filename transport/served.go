package transport

import (
	"cmp"
	"slices"
)

// Served is something that a node serves, and who may use it.
type Served struct {
	Name string
	// Kind is "call", "note", "stream" or "topic".
	Kind string
	Rule Rule
}

// Served lists what the services of the node serve, by name and kind.
func (e *Engine) Served() (list []Served) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, m := range e.methods {
		s := Served{Name: name, Kind: "call", Rule: m.rule}
		switch {
		case m.note != nil:
			s.Kind = "note"
		case m.stream != nil:
			s.Kind = "stream"
		}
		list = append(list, s)
	}
	for name, sub := range e.topics {
		for _, m := range sub.methods {
			list = append(list, Served{Name: name, Kind: "topic", Rule: m.rule})
		}
	}
	slices.SortFunc(list, func(a, b Served) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) })
	return list
}
