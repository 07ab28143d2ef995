package scenario

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/taucloud/tau/node"
)

// checkSettings reports what is wrong with a settings mapping. on are the
// services it may speak of, nil for all.
func (b *builder) checkSettings(v *value, on []node.Spec) {
	if v == nil || v.kind == null {
		return
	}
	if v.kind != mapping || len(v.entries) == 0 {
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
	if v.kind == null {
		b.fail(v, "write {key: value}, or remove it", "settings of %s: expected a mapping, found nothing", spec.Name)
		return
	}
	b.inSettings = true
	b.into(v, reflect.ValueOf(spec.Settings()).Elem(), "settings of "+spec.Name)
	b.inSettings = false
}

// checkSettingsAreUsed reports settings for all nodes of services that run on none.
func (b *builder) checkSettingsAreUsed(v *value) {
	if v == nil || b.scenario.roster.unsure || b.scenario.roster.open {
		return
	}
	for _, e := range v.entries {
		if slices.Contains(b.serviceNames(), e.key.text) && len(b.scenario.roster.services[e.key.text]) == 0 {
			b.fail(e.key, "add it to the services of a group, or remove its settings", "settings: no node runs service %s", quote(e.key.text))
		}
	}
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
	silent := &decoder{inSettings: true}
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
