package scenario

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
)

// groupDoc is an entry of nodes.
type groupDoc struct {
	Name     string        `yaml:"name" doc:"of the node, or of the group if there are more"`
	Count    int           `yaml:"count" doc:"more than 1 names the nodes NAME-1, NAME-2, ..."`
	Services []raw         `yaml:"services" doc:"what the nodes run"`
	Settings raw           `yaml:"settings" doc:"over the scenario's settings, for this group"`
	Bad      []raw         `yaml:"bad" doc:"services that the nodes are trusted to offer, and attack with instead of running them"`
	Zone     string        `yaml:"zone" doc:"where the nodes are, a name such as east: see network and {zone: east}; default: nowhere in particular"`
	StartAt  time.Duration `yaml:"start-at" doc:"when the nodes first boot"`
	Release  string        `yaml:"release" doc:"this, or later: one more field in all that is sent and stored"`

	at       *value
	stranger bool
}

var groupKeys = keysOf(reflect.TypeFor[groupDoc]())

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

func (b *builder) nodes(root *value, doc *document) {
	if root.get("nodes") == nil && !misspelt(root, "nodes", documentKeys) {
		b.fail(root, "write nodes: [{name: core, count: 3, services: [seer, tns]}]", "nodes are missing")
	} else if at := root.get("nodes"); at != nil && len(doc.Nodes) == 0 {
		b.fail(at, "write at least one group of nodes", "nodes: expected a list of groups, found nothing")
	}
	before := len(b.errors)
	b.checkSettings(doc.Settings.value, nil)
	b.scenario.roster = &roster{exists: map[string]bool{}, group: map[string][]string{}, services: map[string][]string{}, zones: map[string][]string{}}
	for i := range doc.Nodes {
		if g := &doc.Nodes[i]; b.groupIsGood(g) {
			b.group(g, doc.Settings.value)
		}
	}
	for i := range doc.Strangers {
		if g := &doc.Strangers[i]; b.strangersAreGood(g) && b.groupIsGood(g) {
			b.addNodes(g, func() Node { return Node{Stranger: true} })
		}
	}
	if len(b.errors) == before {
		b.checkRules(doc)
	}
}

func (b *builder) groupIsGood(g *groupDoc) bool {
	if g.at.kind != mapping {
		return false
	}
	before := len(b.errors)
	switch {
	case g.Name == "":
		b.fail(g.at, "write name: core", "a group of nodes without a name")
	case !nameForm.MatchString(g.Name) || len(g.Name) > nameLenMax:
		b.fail(g.place("name"), "write lower-case words joined by -, such as eu-west", "name: %s is not a name of nodes", quote(g.Name))
	case g.Name == Client:
		b.fail(g.place("name"), "choose another name", "%q is the node outside of the cloud on which actions run", Client)
	case b.scenario.roster.group[g.Name] != nil:
		b.fail(g.place("name"), "choose another name, or raise the count of the first", "two groups of nodes are called %s", quote(g.Name))
	case g.Zone != "" && (!nameForm.MatchString(g.Zone) || len(g.Zone) > nameLenMax):
		b.fail(g.place("zone"), "write lower-case words joined by -, such as eu-west", "zone: %s is not a name of a zone", quote(g.Zone))
	case g.Count < 1:
		b.fail(g.place("count"), "write at least 1, or remove the group", "count: %d nodes", g.Count)
	case g.Count > NodesMax || len(b.scenario.Nodes)+g.Count > NodesMax:
		b.fail(g.place("count"), fmt.Sprintf("at most %d nodes in all", NodesMax), "count: too many nodes")
	case g.Release != "" && g.Release != "this" && g.Release != "later":
		b.fail(g.place("release"), "write this or later", "release: %s is none", quote(g.Release))
	case g.StartAt > b.scenario.Duration && b.scenario.Duration > 0:
		b.fail(g.place("start-at"), "start earlier, or lengthen duration", "start-at: %s is after the end of the scenario (%s)", g.StartAt, b.scenario.Duration)
	case g.stranger || len(g.Bad) > 0 && g.at.get("services") == nil:
	case g.at.get("services") == nil && misspelt(g.at, "services", groupKeys):
		return false // said already
	case g.at.get("services") == nil:
		b.fail(g.at, "services: "+list(b.serviceNames()), "group %s has no services", quote(g.Name))
	}
	return len(b.errors) == before
}

func (b *builder) group(g *groupDoc, common *value) {
	specs := b.specs(g)
	if specs == nil {
		return
	}
	b.checkSettings(g.Settings.value, specs)
	b.checkConflicts(g, specs, common)
	bad, good := b.badServices(g)
	if !good {
		return
	}
	b.addNodes(g, func() Node {
		n := Node{Bad: bad, Later: g.Release == "later"}
		for _, spec := range specs {
			n.Services = append(n.Services, node.Configured{Spec: spec, Settings: settingsOf(spec, common, g.Settings.value)})
		}
		return n
	})
}

// strangersAreGood refuses what strangers cannot have.
func (b *builder) strangersAreGood(g *groupDoc) bool {
	g.stranger = true
	for _, key := range []string{"services", "settings", "bad", "release"} {
		if at := g.at.get(key); at != nil {
			b.fail(at, "remove it; for a member that attacks, write a group of nodes with bad: [monkey]", "strangers have no %s: they are no members of the cloud", key)
			return false
		}
	}
	return true
}

// badServices are what a group is trusted to offer and attacks with.
func (b *builder) badServices(g *groupDoc) (names []string, good bool) {
	before := len(b.errors)
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
	return names, len(b.errors) == before
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
		for _, c := range n.Services {
			r.services[c.Spec.Name] = append(r.services[c.Spec.Name], name)
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

// specs are what a group runs, in catalogue order, or nil after an error.
func (b *builder) specs(g *groupDoc) []node.Spec {
	wanted := map[string]bool{}
	good := true
	for _, v := range g.Services {
		name := v.text
		switch known := b.serviceNames(); {
		case v.kind != scalar:
			b.fail(v.value, "write [seer, tns]", "services: expected names, found %s", v)
			good = false
		case slices.ContainsFunc(b.words.Always, func(s node.Spec) bool { return s.Name == name }):
			b.fail(v.value, "remove it", "service %s runs on every node anyway", quote(name))
			good = false
		case !slices.Contains(known, name):
			b.unknown(v.value, "service", "", known)
			good = false
		case wanted[name]:
			b.fail(v.value, "name it once", "service %s is given twice", quote(name))
			good = false
		}
		wanted[name] = true
	}
	if !good {
		return nil
	}
	specs := []node.Spec{}
	for _, s := range b.words.Services {
		if wanted[s.Name] {
			specs = append(specs, s)
		}
	}
	return append(specs, b.words.Always...)
}

// checkSettings reports what is wrong with a settings mapping. on are the
// services it may speak of, nil for all.
func (b *builder) checkSettings(v *value, on []node.Spec) {
	if v == nil || v.kind == null {
		return
	}
	if v.kind != mapping {
		b.fail(v, "write {patrick: {key: value}}", "settings: expected a mapping of services, found %s", v)
		return
	}
	all := append(slices.Clone(b.words.Services), b.words.Always...)
	named := func(specs []node.Spec, name string) int {
		return slices.IndexFunc(specs, func(s node.Spec) bool { return s.Name == name })
	}
	for _, e := range v.entries {
		i := named(all, e.key.text)
		if i < 0 {
			b.unknown(e.key, "service", "in settings", append(b.serviceNames(), namesOf(b.words.Always)...))
			continue
		}
		if on != nil && named(on, e.key.text) < 0 {
			b.fail(e.key, "add it to services, or remove its settings", "the group does not run service %s", quote(e.key.text))
		}
		b.settings(e.value, all[i])
	}
}

func (b *builder) settings(v *value, spec node.Spec) {
	if spec.Settings == nil || spec.Settings() == nil {
		b.fail(v, "remove it", "service %s has no settings", quote(spec.Name))
		return
	}
	b.into(v, reflect.ValueOf(spec.Settings()).Elem(), "settings of "+spec.Name)
}

// checkConflicts reports conflicts between settings after those of the scenario and of the group
// are combined.
func (b *builder) checkConflicts(g *groupDoc, specs []node.Spec, common *value) {
	for _, spec := range specs {
		for _, e := range conflicts(node.CheckConflicts(settingsOf(spec, common, g.Settings.value))) {
			key := append([]string{spec.Name}, strings.Split(e.Key, ".")...)
			b.fail(narrowest(g.at, common.path(key), g.Settings.value.path(key[:1]), g.Settings.value.path(key)), e.Hint, "%s: %s: %s", spec.Name, e.Key, e.What)
		}
	}
}

// narrowest is the last of some places that is one.
func narrowest(places ...*value) (at *value) {
	for _, v := range places {
		if v != nil {
			at = v
		}
	}
	return at
}

// conflicts unwraps the errors of node.CheckConflicts.
func conflicts(err error) (list []*node.SettingError) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, one := range joined.Unwrap() {
		if e := new(node.SettingError); errors.As(one, &e) {
			list = append(list, e)
		}
	}
	return list
}

// settingsOf decodes the checked settings again, for one node.
func settingsOf(spec node.Spec, layers ...*value) any {
	if spec.Settings == nil {
		return nil
	}
	settings := spec.Settings()
	silent := new(decoder)
	for _, v := range layers {
		if v == nil || v.kind != mapping || settings == nil {
			continue
		}
		if own := v.get(spec.Name); own != nil {
			silent.into(own, reflect.ValueOf(settings).Elem(), spec.Name)
		}
	}
	return settings
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
