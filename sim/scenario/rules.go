package scenario

import (
	"fmt"
	"slices"

	"github.com/taucloud/tau/node"
)

// checkRules reports settings of different services, or of different groups, that
// are at odds with each other: each rule once for a group. All groups were read
// without error.
func (b *builder) checkRules(doc *document) {
	for _, rule := range b.words.Rules {
		groups, with := b.configured(doc, rule.Service), distinct(b.configured(doc, rule.With))
		if rule.Service == rule.With { // all are to be as the first
			groups, with = groups[min(1, len(groups)):], with[:min(1, len(with))]
		}
		for _, g := range groups {
			for _, other := range with {
				if what, hint := rule.Broken(g.settings, other.settings); what != "" {
					b.fail(placeOf(rule, g.doc, other.doc, doc.Settings.value), hint, "%s: %s: %s", rule.Service, rule.Key, what)
					break
				}
			}
		}
	}
}

// configuredGroup is a group with the settings of one of its services.
type configuredGroup struct {
	doc      *groupDoc
	settings any
}

// configured lists the groups that run a service.
func (b *builder) configured(doc *document, service string) (list []configuredGroup) {
	groups := map[*value]*groupDoc{}
	for i := range doc.Nodes {
		groups[doc.Nodes[i].at] = &doc.Nodes[i]
	}
	for _, n := range b.scenario.Nodes {
		i := slices.IndexFunc(n.Services, func(c node.Configured) bool { return c.Spec.Name == service })
		if g := groups[n.source]; i >= 0 && g != nil {
			list = append(list, configuredGroup{g, n.Services[i].Settings})
			delete(groups, n.source) // the other nodes of the group have the same
		}
	}
	return list
}

// distinct leaves out what has the settings of one before it.
func distinct(list []configuredGroup) (few []configuredGroup) {
	known := map[string]bool{}
	for _, g := range list {
		if text := fmt.Sprintf("%+v", g.settings); !known[text] {
			known[text] = true
			few = append(few, g)
		}
	}
	return few
}

// placeOf is where the setting is written that a rule is about, else where the one is
// that it is at odds with.
func placeOf(rule node.Rule, g, with *groupDoc, common *value) *value {
	key, other := []string{rule.Service, rule.Key}, []string{rule.With, rule.WithKey}
	return narrowest(g.at, common.path(other), with.Settings.value.path(other), common.path(key), g.Settings.value.path(key))
}
