package up

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/taucloud/tau/cmd/dreamland/live/relay"
	"github.com/taucloud/tau/sim/fault"
)

// links says what passes between nodes.
type links struct {
	to *relay.Relay

	mu     sync.Mutex
	groups [][]string // of a partition, nil: there is none
	held   []string   // nodes that are paused
}

// partition lets nodes of different groups not hear of each other. Nodes in no group are in one of their own kind: that of the rest.
func (l *links) partition(groups [][]string) {
	l.change(func() { l.groups = groups })
}

// hold keeps all that a node says and is told until it goes on.
func (l *links) hold(name string, held bool) {
	l.change(func() {
		l.held = slices.DeleteFunc(slices.Clone(l.held), func(n string) bool { return n == name })
		if held {
			l.held = append(l.held, name)
		}
	})
}

func (l *links) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	groups, held := l.groups, slices.Clone(l.held)
	l.to.SetLinks(func(from, to string) relay.State {
		return relay.State{LinkState: fault.LinkState{
			Cut:  groups != nil && groupOf(groups, from) != groupOf(groups, to),
			Held: slices.Contains(held, from) || slices.Contains(held, to),
		}}
	}, func(string, string, fault.LinkPart) {})
}

func groupOf(groups [][]string, name string) int {
	return slices.IndexFunc(groups, func(g []string) bool { return slices.Contains(g, name) })
}

func (l *links) parted() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups
}

// readGroups reads A,B|C,D, of nodes that there are.
func readGroups(text string, names []string) (groups [][]string, err error) {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, "|") {
		var group []string
		for name := range strings.SplitSeq(part, ",") {
			name = strings.TrimSpace(name)
			if !slices.Contains(names, name) {
				return nil, noNode(name, names)
			}
			if seen[name] {
				return nil, fmt.Errorf("node %s is on two sides", name)
			}
			seen[name], group = true, append(group, name)
		}
		groups = append(groups, group)
	}
	return groups, nil
}
