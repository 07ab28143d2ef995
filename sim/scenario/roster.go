package scenario

import (
	"path"
	"slices"
	"strings"
)

// roster is the nodes that selectors select from.
type roster struct {
	names    []string // without the client
	exists   map[string]bool
	group    map[string][]string
	services map[string][]string // service to nodes
	zones    map[string][]string // zone to nodes
	// clients are those of further clouds.
	clients []string
	// outside are strangers: only their own names select them.
	outside []string
	// pretended are bad members by the services that they are trusted to offer.
	pretended map[string][]string
	// catalogue has all services that nodes may run.
	catalogue []string

	// Of a file with mistakes: a group has some, uncounted are groups of which it is not known how
	// many nodes they have, and open says that there may be nodes of any name.
	unsure    bool
	uncounted []string
	open      bool

	state    State       // in a run; nil before it
	chosen   *[][]string // what selectors by state have answered in it
	replay   [][]string  // what they answer again
	replayed bool
}

func (r *roster) inOrder(selected map[string]bool) (out []string) {
	for _, name := range slices.Concat(r.names, r.outside, []string{Client}, r.clients) {
		if selected[name] {
			out = append(out, name)
		}
	}
	return out
}

func (r *roster) without(names []string) []string {
	gone := make(map[string]bool, len(names))
	for _, n := range names {
		gone[n] = true
	}
	return slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return gone[n] })
}

// match finds nodes by name, group or glob. A group of one node answers to
// both forms of its name.
func (r *roster) match(pattern string) (out []string) {
	if pattern == Client || slices.Contains(r.clients, pattern) {
		return []string{pattern}
	}
	if !strings.ContainsAny(pattern, `*?[\`) {
		if r.exists[pattern] {
			return []string{pattern}
		}
		if group := r.group[pattern]; group != nil {
			return group
		}
		if first, ok := strings.CutSuffix(pattern, "-1"); ok && len(r.group[first]) == 1 {
			return r.group[first]
		}
		return nil
	}
	for _, name := range r.names {
		one, _ := path.Match(pattern, name)
		if alone := len(r.group[name]) == 1; alone && !one {
			one, _ = path.Match(pattern, name+"-1")
		}
		if one {
			out = append(out, name)
		}
	}
	return out
}

// known lists groups before nodes: a large group's nodes would hide them.
func (r *roster) known() []string {
	words := slices.DeleteFunc(sortedKeys(r.group), func(group string) bool { return r.exists[group] })
	return append(append(append(words, r.names...), Client), r.clients...)
}

func (r *roster) serviceNames() []string { return sortedKeys(r.services) }
