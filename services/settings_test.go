package services_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services"
)

// TestEverySettingHasARange: nothing that a file can set is unbounded, and the
// defaults are within.
func TestEverySettingHasARange(t *testing.T) {
	for _, spec := range slices.Concat(services.Catalogue(services.Ports{}), services.Always()) {
		settings := spec.Settings()
		require.NoError(t, node.CheckSettings(settings), spec.Name)
		haveRanges(t, spec.Name, reflect.TypeOf(settings).Elem())
	}
}

func haveRanges(t *testing.T, at string, settings reflect.Type) {
	for _, f := range reflect.VisibleFields(settings) {
		require.NotEmpty(t, f.Tag.Get("yaml"), "%s: %s has no key", at, f.Name)
		if f.Type.Kind() == reflect.Struct {
			haveRanges(t, at+": "+node.SettingKey(f), f.Type)
			continue
		}
		_, bounded := node.RangeOf(f)
		require.True(t, bounded || f.Type.Kind() == reflect.Bool, "%s: %s has no range tag", at, node.SettingKey(f))
	}
}
