package run

import (
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// excludedWithin is how long after one node has learned that a member was excluded others may still work
// with it: until they have learned it, too, as far as they are not cut off.
const excludedWithin = 6 * time.Second

// exclusions are the members that the cloud has excluded. Nothing can be expected of such a node any more, nor of
// others that it works with them: from when the first one knows of it they do not count as connected, and
// soon after that it is to checks as if it had crashed, lost its disk and left for ever, whatever it goes on doing.
type exclusions struct {
	since map[string]time.Duration // by node
	gone  map[string]bool          // checks were told
}

// hear notes who is excluded; unlist is told of it.
func (x *exclusions) hear(v check.View, f check.Fact, unlist func(node string)) {
	subject, ok := f.Get("subject").(transport.Peer)
	if f.Name != check.Excluded || !ok {
		return
	}
	for _, n := range v.Nodes() {
		if _, known := x.since[n.Name]; n.Peer == subject && !known {
			x.since[n.Name] = f.At
			unlist(n.Name)
		}
	}
}

// due are the facts about nodes that are gone from now on.
func (x *exclusions) due(now time.Duration) (facts []check.Fact) {
	for _, name := range slices.Sorted(maps.Keys(x.since)) {
		if !x.gone[name] && now-x.since[name] >= excludedWithin {
			x.gone[name] = true
			facts = append(facts, check.Fact{
				At: now, Node: name, Service: "node", Name: "crashed",
				Fields: []node.Field{node.F("unsynced", 0), node.F("kept", 0), node.F("disk-lost", true), node.F("excluded", true)},
			})
		}
	}
	return facts
}

// connects reports whether none of two nodes is excluded, as far as they are two.
func (x *exclusions) connects(a, b string) bool {
	_, without := x.since[a]
	_, either := x.since[b]
	return a == b || !without && !either
}

// exclude tells checks of those that are gone from now on.
func (r *runner) exclude() error {
	for _, f := range r.excluded.due(r.world.Now()) {
		if err := r.judges.hear(r.view(), f); err != nil {
			return err
		}
	}
	return nil
}
