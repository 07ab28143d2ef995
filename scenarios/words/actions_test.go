package words

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/scenario"
)

// TestActionsHaveTheBoundsOfTheAPI: what the services would refuse is refused
// when a file is read, and nothing else.
func TestActionsHaveTheBoundsOfTheAPI(t *testing.T) {
	greatest := map[string]map[string]int64{
		"push":     {"project": patrickapi.NameLenMax, "repository": patrickapi.NameLenMax, "branch": patrickapi.NameLenMax, "commit": patrickapi.NameLenMax, "event": patrickapi.NameLenMax},
		"cancel":   {"project": patrickapi.NameLenMax, "repository": patrickapi.NameLenMax, "branch": patrickapi.NameLenMax, "commit": patrickapi.NameLenMax},
		"rebuild":  {"branch": patrickapi.NameLenMax},
		"publish":  {"project": tnsapi.NameLenMax, "branch": tnsapi.NameLenMax, "commit": tnsapi.NameLenMax, "job": tnsapi.NameLenMax, "entries": tnsapi.EntriesMax},
		"rollback": {"project": tnsapi.NameLenMax, "branch": tnsapi.NameLenMax, "commit": tnsapi.NameLenMax},
		"store":    {"target": hoarderapi.TargetMax, "demand": hoarderapi.DemandMax},
		"demand":   {"n": hoarderapi.DemandMax},
	}
	for _, a := range Vocabulary().Actions {
		params := reflect.ValueOf(a.Params()).Elem()
		for _, f := range reflect.VisibleFields(params.Type()) {
			if f.Anonymous {
				continue
			}
			r, bounded := node.RangeOf(f)
			if want, found := greatest[a.Name][node.SettingKey(f)]; found {
				require.Empty(t, r.Check(large(f.Type, want)), "%s: %s", a.Name, f.Name)
				require.NotEmpty(t, r.Check(large(f.Type, want+1)), "%s: %s", a.Name, f.Name)
			}
			require.True(t, bounded || f.Type.Kind() == reflect.Bool || f.Type.Kind() == reflect.Uint64 || f.Type.Kind() == reflect.String,
				"%s: %s has no range", a.Name, f.Name)
		}
	}
}

// large is a number, or a text of that length.
func large(t reflect.Type, n int64) reflect.Value {
	v := reflect.New(t).Elem()
	if t.Kind() == reflect.String {
		v.SetString(strings.Repeat("x", int(n)))
	} else {
		v.SetInt(n)
	}
	return v
}

// TestFiguresAreDefined: each figure has a description and a unit, and each that is
// described is counted.
func TestFiguresAreDefined(t *testing.T) {
	v := Vocabulary()
	counted := scenario.Figures(v)
	for _, w := range scenario.Words(v) {
		if w.Kind == "figure" {
			require.NotEmpty(t, w.Unit, "%s has no unit: describe it in a Figures of scenarios/words", w.Name)
			require.NotContains(t, w.Doc, "counted by the checks of", w.Name)
			require.Contains(t, counted, w.Name, "nobody counts %s", w.Name)
		}
	}
}
