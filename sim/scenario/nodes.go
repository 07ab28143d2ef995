package scenario

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
)

// groupDoc is an entry of nodes.
type groupDoc struct {
	Name     string        `yaml:"name" doc:"of the node, or of the group if there are more"`
	Count    int           `yaml:"count" doc:"more than 1 names the nodes NAME-1, NAME-2, ..."`
	Services []raw         `yaml:"services" empty:"yes" doc:"what the nodes run"`
	Settings raw           `yaml:"settings" doc:"over the scenario's settings, for this group"`
	Bad      []raw         `yaml:"bad" doc:"services that the nodes are trusted to offer, and attack with instead of running them"`
	Zone     string        `yaml:"zone" doc:"where the nodes are, a name such as east: see network and {zone: east}; default: nowhere in particular"`
	StartAt  time.Duration `yaml:"start-at" doc:"when the nodes first boot"`
	Release  string        `yaml:"release" values:"this later" doc:"this, or later: one more field in all that is sent and stored"`
	Cloud    string        `yaml:"cloud" doc:"the cloud that the nodes are members of; clouds share the network, and nothing else. Default: that of all groups that name none"`
	// Bootstrap, Certificate and Join are about how the nodes come into their cloud.
	Bootstrap   []raw          `yaml:"bootstrap" doc:"nodes or groups that these nodes are told of, in place of what the scenario says; also of another cloud, by mistake"`
	Certificate certificateDoc `yaml:"certificate" doc:"what the nodes' first certificates say, over what the scenario says"`
	Join        string         `yaml:"join" doc:"the nodes have no certificate: they boot, at start-at at the earliest, when there is an invitation of this name, and come by it"`

	at       *value
	stranger bool
}

func (g *groupDoc) decode(d *decoder, v *value) {
	g.at = v
	g.Count = 1
	if v.kind != mapping {
		d.fail(v, "write {name: core, count: 3, services: [seer, tns]}", "nodes: expected a group, found %s", v)
		return
	}
	d.intoStruct(v, reflect.ValueOf(g).Elem(), "a group of nodes")
}

// place is the position of a key of the group, for messages.
func (g *groupDoc) place(key string) *value {
	if v := g.at.get(key); v != nil {
		return v
	}
	return g.at
}

// miscounted reports whether it is not known how many nodes the group has.
func (g *groupDoc) miscounted() bool {
	v := g.at.get("count")
	return v != nil && (g.Count < 1 || g.Count > NodesMax || g.Count == 1 && v.text != "1")
}

func (b *builder) nodes(root *value, doc *document) {
	if at := root.get("nodes"); at == nil {
		b.fail(root, "write nodes: [{name: core, count: 3, services: [seer, tns]}]", "nodes are missing")
	} else if len(doc.Nodes) == 0 && at.kind != null && at.kind != sequence {
		b.fail(at, "write at least one group of nodes", "nodes: expected a list of groups, found %s", at)
	}
	before := b.failures
	b.checkSettings(doc.Settings.value, nil)
	b.scenario.roster = &roster{exists: map[string]bool{}, group: map[string][]string{}, services: map[string][]string{}, zones: map[string][]string{}, pretended: map[string][]string{}, catalogue: b.serviceNames()}
	b.scenario.roster.open = len(doc.Nodes) == 0
	b.clouds(doc.Nodes)
	for i := range doc.Nodes {
		b.group(&doc.Nodes[i], doc.Settings.value)
	}
	for i := range doc.Strangers {
		b.strangers(&doc.Strangers[i])
	}
	b.bootstrap(root, doc)
	b.certificates(doc)
	b.checkSettingsAreUsed(doc.Settings.value)
	if b.failures == before {
		for i := range doc.Nodes {
			g := &doc.Nodes[i]
			b.checkConflicts(g, b.specs(g), doc.Settings.value)
		}
		b.checkRules(doc)
	}
}

// checkGroup checks the keys of a group.
func (b *builder) checkGroup(g *groupDoc) {
	isName := func(text string) bool { return nameForm.MatchString(text) && len(text) <= nameLenMax }
	switch {
	case g.at.get("name") == nil:
		b.fail(g.at, "write name: core", "a group of nodes without a name")
	case !isName(g.Name):
		b.fail(g.place("name"), "write lower-case words joined by -, such as eu-west", "name: %s is not a name of nodes", quote(g.Name))
	case g.Name == Client || slices.Contains(b.scenario.roster.clients, g.Name):
		b.fail(g.place("name"), "choose another name", "%q is the node outside of the cloud on which actions run", g.Name)
	case b.scenario.roster.group[g.Name] != nil:
		b.fail(g.place("name"), "choose another name, or raise the count of the first", "two groups of nodes are called %s", quote(g.Name))
	}
	if g.at.get("zone") != nil && !isName(g.Zone) {
		b.fail(g.place("zone"), "write lower-case words joined by -, such as eu-west", "zone: %s is not a name of a zone", quote(g.Zone))
	}
	if g.Count < 1 {
		b.fail(g.place("count"), "write at least 1, or remove the group", "count: %d nodes", g.Count)
	} else if g.Count > NodesMax || len(b.scenario.Nodes)+g.Count > NodesMax {
		b.fail(g.place("count"), fmt.Sprintf("at most %d nodes in all", NodesMax), "count: too many nodes")
	}
	b.checkAdmission(g)
	if end := b.scenario.Duration; g.StartAt >= end && end > 0 {
		b.fail(g.place("start-at"), "start earlier, or lengthen duration", "start-at: %s is not before the end of the scenario (%s)", g.StartAt, end)
	}
	if g.at.get("services") == nil && !g.stranger && len(g.Bad) == 0 {
		b.fail(g.at, "services: "+list(b.serviceNames()), "group %s has no services", quote(g.Name))
	}
}

// group adds the nodes of a group. Of one with mistakes there is in the roster what is known of
// it, so that what speaks of its nodes can be checked all the same.
func (b *builder) group(g *groupDoc, common *value) {
	if g.at.kind != mapping {
		b.scenario.roster.open = true
		return
	}
	before := b.failures
	specs, bad := b.specs(g), b.badServices(g)
	if g.at.get("services") == nil {
		b.checkSettings(g.Settings.value, nil)
	} else {
		b.checkSettings(g.Settings.value, specs)
	}
	b.addGroup(g, before, func() Node {
		n := Node{Bad: bad, Later: g.Release == "later"}
		for _, spec := range specs {
			n.Services = append(n.Services, node.Configured{Spec: spec, Settings: settingsOf(spec, common, g.Settings.value)})
		}
		return n
	})
}

// strangers adds a group of strangers, and refuses what they cannot have.
func (b *builder) strangers(g *groupDoc) {
	g.stranger = true
	before := b.failures
	for _, key := range []string{"services", "settings", "bad", "release", "cloud", "bootstrap", "certificate", "join"} {
		if at := g.at.get(key); at != nil {
			b.fail(at, "remove it; for a member that attacks, write a group of nodes with bad: [monkey]", "strangers have no %s: they are no members of the cloud", key)
		}
	}
	if g.at.kind != mapping {
		b.scenario.roster.open = true
		return
	}
	b.addGroup(g, before, func() Node { return Node{Stranger: true} })
}

// addGroup adds the nodes of a group, each made by one, as far as it is known how many there are and
// what they are called. before is how many mistakes there were before the group.
func (b *builder) addGroup(g *groupDoc, before int, one func() Node) {
	r := b.scenario.roster
	named := nameForm.MatchString(g.Name) && r.group[g.Name] == nil && g.Name != Client && !slices.Contains(r.clients, g.Name)
	b.checkGroup(g)
	r.open = r.open || !named
	r.unsure = r.unsure || b.failures > before || g.miscounted()
	if g.miscounted() {
		r.uncounted = append(r.uncounted, g.Name)
		g.Count = 1
	}
	if named {
		b.addNodes(g, one)
	}
}

// badServices are what a group is trusted to offer and attacks with.
func (b *builder) badServices(g *groupDoc) (names []string) {
	for _, v := range g.Bad {
		switch known := b.serviceNames(); {
		case v.kind != scalar:
			b.fail(v.value, "write [monkey]", "bad: expected names of services, found %s", v)
		case !slices.Contains(known, v.text):
			b.unknown(v.value, "service", "", known)
		case slices.Contains(names, v.text), slices.ContainsFunc(g.Services, func(s raw) bool { return s.text == v.text }):
			b.fail(v.value, "name it once", "service %s is given twice", quote(v.text))
		default:
			names = append(names, v.text)
		}
	}
	return names
}

// addNodes adds the nodes of a group, each made by one.
func (b *builder) addNodes(g *groupDoc, one func() Node) {
	r := b.scenario.roster
	for i := range g.Count {
		name := g.Name
		if g.Count > 1 {
			name = fmt.Sprintf("%s-%d", g.Name, i+1)
		}
		if r.exists[name] {
			b.fail(g.place("name"), "rename one of the groups", "two nodes are called %s", quote(name))
			return
		}
		n := one()
		n.Name, n.Group, n.StartAt, n.Zone, n.source = name, g.Name, g.StartAt, g.Zone, g.at
		n.Cloud, n.Invitation = g.Cloud, g.Join
		for _, c := range n.Services {
			r.services[c.Spec.Name] = append(r.services[c.Spec.Name], name)
		}
		for _, service := range n.Bad {
			r.pretended[service] = append(r.pretended[service], name)
		}
		b.scenario.Nodes = append(b.scenario.Nodes, n)
		if n.Stranger { // as the client, it is selected by its name only
			r.outside = append(r.outside, name)
		} else {
			r.names = append(r.names, name)
		}
		if g.Zone != "" {
			r.zones[g.Zone] = append(r.zones[g.Zone], name)
		}
		r.exists[name] = true
		r.group[g.Name] = append(r.group[g.Name], name)
	}
}

// specs are what a group runs, in catalogue order, without those that are mistakes.
func (b *builder) specs(g *groupDoc) []node.Spec {
	wanted := map[string]bool{}
	for _, v := range g.Services {
		name := v.text
		switch known := b.serviceNames(); {
		case v.kind != scalar:
			b.fail(v.value, "write [seer, tns]", "services: expected names, found %s", v)
		case slices.ContainsFunc(b.words.Always, func(s node.Spec) bool { return s.Name == name }):
			b.fail(v.value, "remove it", "service %s runs on every node anyway", quote(name))
		case !slices.Contains(known, name):
			b.unknown(v.value, "service", "", known)
			if meant, clear := closest(name, known); clear {
				name = meant
			}
		case wanted[name]:
			b.fail(v.value, "name it once", "service %s is given twice", quote(name))
		}
		wanted[name] = true
	}
	specs := []node.Spec{}
	for _, s := range b.words.Services {
		if wanted[s.Name] {
			specs = append(specs, s)
		}
	}
	return node.InStartOrder(specs, b.words.Always)
}

func (b *builder) serviceNames() []string { return namesOf(b.words.Services) }

func namesOf(specs []node.Spec) []string {
	out := make([]string, len(specs))
	for i, s := range specs {
		out[i] = s.Name
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
