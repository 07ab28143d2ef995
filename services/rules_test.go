package services_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services"
)

// TestRulesBetweenServices: each rule names settings that there are, holds for the
// defaults, holds at its bound and is broken just beyond it.
func TestRulesBetweenServices(t *testing.T) {
	all := slices.Concat(services.Catalogue(services.Ports{}), services.Always())
	settings := func(service string) any {
		i := slices.IndexFunc(all, func(s node.Spec) bool { return s.Name == service })
		require.GreaterOrEqual(t, i, 0, service)
		return all[i].Settings()
	}
	for rule, bounds := range map[[2]string]struct{ bound, good, bad time.Duration }{
		{"beacon interval", "seer gone-after"}:             {8 * time.Second, 4 * time.Second, 4*time.Second + 1},
		{"beacon interval", "seer settle-after"}:           {3 * time.Second, 3 * time.Second, 3*time.Second + 1},
		{"patrick lease", "patrick lease"}:                 {9 * time.Second, 9 * time.Second, 9*time.Second - 1},
		{"hoarder promise-lease", "hoarder promise-lease"}: {9 * time.Second, 9 * time.Second, 9*time.Second + 1},
	} {
		list := slices.DeleteFunc(services.Rules(), func(r node.Rule) bool {
			return r.Service+" "+r.Key != rule[0] || r.With+" "+r.WithKey != rule[1]
		})
		require.Len(t, list, 1, rule)
		r := list[0]
		s, with := settings(r.Service), settings(r.With)
		what, hint := r.Broken(s, with)
		require.Empty(t, what+hint, "%v: the defaults get along", rule)
		set(t, with, r.WithKey, bounds.bound)
		set(t, s, r.Key, bounds.good)
		what, hint = r.Broken(s, with)
		require.Empty(t, what+hint, rule)
		set(t, s, r.Key, bounds.bad)
		what, hint = r.Broken(s, with)
		require.NotEmpty(t, what, rule)
		require.NotEmpty(t, hint, rule)
	}
	require.Len(t, services.Rules(), 4, "rules that this test does not know")
}

func set(t *testing.T, settings any, key string, d time.Duration) {
	v := reflect.ValueOf(settings).Elem()
	for i := range v.NumField() {
		if node.SettingKey(v.Type().Field(i)) == key {
			v.Field(i).SetInt(int64(d))
			return
		}
	}
	require.Fail(t, "no setting "+key)
}
