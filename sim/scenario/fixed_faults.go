package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// fault is a fault as an entry of a timeline has it: "crash: [core-1]". any is false
// if none of the nodes that it is about is there any more.
func (f *Fixed) fault(x fault.Fault) (word string, any bool) {
	switch x := x.(type) {
	case fault.Crash:
		if x.Zone != "" && f.whole(x) {
			return "power: {zone: [" + x.Zone + "]}", true
		}
		return f.on("crash", x.Nodes, optional(x.LoseDisk, "lose-disk: true"))
	case fault.Stop:
		return f.on("stop", x.Nodes)
	case fault.Start:
		return f.on("start", x.Nodes)
	case fault.Restart:
		return f.on("restart", x.Nodes)
	case fault.Move:
		return f.on("move", x.Nodes, optional(x.PortOnly, "port-only: true"))
	case fault.Configure:
		return f.on("configure", x.Nodes)
	case fault.Leave:
		return f.on("leave", x.Nodes)
	case fault.Pause:
		return f.on("pause", x.Nodes)
	case fault.Suspend:
		return f.on("suspend", x.Nodes)
	case fault.Resume:
		return f.on("resume", x.Nodes)
	case fault.Skew:
		return f.on("skew", x.Nodes, "by: "+x.By.String())
	case fault.Drift:
		return f.on("drift", x.Nodes, fmt.Sprintf("ppm: %d", x.PPM))
	case fault.Disk:
		return f.on("disk", x.Nodes, condition(x.Condition)...)
	case fault.Corrupt:
		return f.on("disk", x.Nodes, fmt.Sprintf("corrupt: %d", x.Values))
	case fault.Lie:
		about := aboutBlocks
		if x.Lies.All {
			about = aboutAll
		}
		return f.on("lie", x.Nodes, "about: "+about, "chance: "+decimal(x.Lies.Chance))
	case fault.Failpoint:
		return f.failpoint(x)
	case fault.Heal:
		return "heal: all", true
	}
	return f.linkFault(x)
}

func (f *Fixed) linkFault(x fault.Fault) (word string, any bool) {
	switch x := x.(type) {
	case fault.Partition:
		return f.partition(x)
	case fault.Isolate:
		_, others := f.links(f.there(x.From), f.there(x.To), true)
		word, _ := f.on("isolate", x.From)
		return word, others
	case fault.Cut:
		return f.between("cut", x.Pairs)
	case fault.Mend:
		return f.between("mend", x.Pairs)
	case fault.Hold:
		return f.between("hold", x.Pairs)
	case fault.Release:
		return f.between("release", x.Pairs)
	case fault.Reset:
		return f.between("reset", x.Pairs)
	case fault.Refuse:
		return f.between("refuse", x.Pairs)
	case fault.Slow:
		return f.between("slow-link", x.Pairs, shapeKeys(x.Shape)...)
	case fault.Duplicate:
		return f.between("duplicate", x.Pairs, "chance: "+decimal(x.Again.Chance), "later: "+span(x.Again.Min, x.Again.Max))
	}
	panic(fmt.Sprintf("scenario: %T has no word in a timeline", x))
}

// there are those of the names that are there, as clients are.
func (f *Fixed) there(names []string) []string {
	clients := f.clients()
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return !slices.Contains(clients, n) && !slices.Contains(f.Nodes, n)
	})
}

// clients are the client, and those of further clouds of which some node is there.
func (f *Fixed) clients() []string {
	list := []string{Client}
	for _, n := range f.of.Nodes {
		if of := f.of.ClientOf(n.Cloud); !n.Stranger && slices.Contains(f.Nodes, n.Name) && !slices.Contains(list, of) {
			list = append(list, of)
		}
	}
	return list
}

// whole reports whether a power cut hits all nodes of its zones that are there, and
// there are some in each.
func (f *Fixed) whole(x fault.Crash) bool {
	all := map[string]bool{}
	for _, zone := range strings.Split(x.Zone, zoneSeparator) {
		there := f.there(f.of.roster.zones[zone])
		if len(there) == 0 {
			return false
		}
		for _, name := range there {
			all[name] = true
		}
	}
	return slices.Equal(f.of.roster.inOrder(all), f.there(x.Nodes))
}

// on is a fault of nodes. An option that is "" is left out.
func (f *Fixed) on(verb string, nodes []string, options ...string) (word string, any bool) {
	nodes = f.there(nodes)
	parts := append([]string{"on: " + flow(nodes)}, given(options)...)
	if len(parts) == 1 {
		return verb + ": " + flow(nodes), len(nodes) > 0
	}
	return verb + ": " + mappingOf(parts), len(nodes) > 0
}

func (f *Fixed) between(verb string, p fault.Pairs, options ...string) (word string, any bool) {
	parts, any := f.links(f.there(p.From), f.there(p.To), p.TwoWay)
	return verb + ": " + mappingOf(append(parts, given(options)...)), any
}

// links says which links: those between two sides, or from one to the other.
func (f *Fixed) links(from, to []string, twoWay bool) (parts []string, any bool) {
	alone := len(from) == 1 && len(to) == 1 && from[0] == to[0] // a node has no link to itself
	any = len(from) > 0 && len(to) > 0 && !alone
	everybody := !slices.ContainsFunc(f.Nodes, func(n string) bool { return !slices.Contains(to, n) })
	switch {
	case twoWay && everybody && !slices.Contains(to, Client):
		return []string{"on: " + flow(from)}, any
	case twoWay:
		return []string{"between: " + flow([]string{flow(from), flow(to)})}, any
	}
	return []string{"from: " + flow(from), "to: " + flow(to)}, any
}

func (f *Fixed) partition(x fault.Partition) (word string, any bool) {
	var groups []string
	for _, g := range x.Groups {
		if g = f.there(g); len(g) > 0 {
			groups = append(groups, flow(g))
		}
	}
	return "partition: " + flow(groups), len(groups) > 1
}

func (f *Fixed) failpoint(x fault.Failpoint) (word string, any bool) {
	parts := []string{"name: " + x.Point}
	service, _, _ := strings.Cut(x.Point, "/")
	nodes := f.there(x.Nodes)
	if slices.Contains(f.of.roster.catalogue, service) { // nobody else comes there
		runs := f.of.roster.services[service]
		nodes = slices.DeleteFunc(nodes, func(n string) bool { return !slices.Contains(runs, n) })
	}
	if x.Nodes != nil {
		parts = append(parts, "on: "+flow(nodes))
	}
	parts = append(parts, given([]string{
		"do: " + x.Do.String(),
		optional(x.Times > 0, fmt.Sprintf("times: %d", x.Times)),
		optional(x.RestartAfter > 0, "restart-after: "+x.RestartAfter.String()),
	})...)
	return "failpoint: " + mappingOf(parts), x.Nodes == nil && f.comesTo(service) || len(nodes) > 0
}

// comesTo reports whether some node that is there comes to the failpoints of a service.
func (f *Fixed) comesTo(service string) bool {
	return !slices.Contains(f.of.roster.catalogue, service) || f.runsAny([]string{service})
}

func condition(c fault.Condition) []string {
	chance := func(key string, p float64) string { return optional(p > 0, key+": "+decimal(p)) }
	return []string{
		optional(c.SyncMax > time.Duration(0), "slow: "+span(c.SyncMin, c.SyncMax)),
		optional(c.Full, "full: true"),
		chance("errors", c.ErrorProbability), chance("corrupt-reads", c.CorruptProbability),
		chance("lose-writes", c.LossProbability), chance("misdirect", c.MisdirectProbability), chance("lose-syncs", c.SyncLossProbability),
	}
}

func optional(on bool, text string) string {
	if on {
		return text
	}
	return ""
}

func given(options []string) []string {
	return slices.DeleteFunc(options, func(text string) bool { return text == "" })
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
