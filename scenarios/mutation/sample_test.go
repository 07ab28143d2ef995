package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func mutants(folder string, n int) (all []*mutation) {
	for i := range n {
		all = append(all, &mutation{identity: identity{File: folder + "/a.go", Function: "f", Rule: ruleNegated, Text: "x", Nth: i + 1}})
	}
	return all
}

func names(all []*mutation) (list []string) {
	for _, m := range all {
		list = append(list, m.name())
	}
	return list
}

func TestDraw(t *testing.T) {
	all := append(mutants("services/a", 50), mutants("storage", 50)...)
	one, none := draw(all, []string{"services/..."}, 1, 20, nil)
	require.Len(t, one, 20)
	require.Empty(t, none)
	for _, m := range one {
		require.Equal(t, "services/a", m.folder())
	}
	again, _ := draw(append(mutants("clock", 9), all...), []string{"services/..."}, 1, 20, nil)
	require.Equal(t, names(one), names(again), "others don't matter")
	other, _ := draw(all, []string{"services/..."}, 2, 20, nil)
	require.NotEqual(t, names(one), names(other))

	aside := map[string]equivalent{one[3].key(): {one[3].identity, "same"}}
	rest, set := draw(all, []string{"./services/..."}, 1, 20, aside)
	require.Equal(t, names(one[3:4]), names(set))
	require.Len(t, rest, 20, "what is set aside is replaced")
	require.Equal(t, append(names(one[:3]), names(one[4:])...), names(rest[:19]))
}

func TestSelected(t *testing.T) {
	require.True(t, selected("storage", []string{"storage"}))
	require.True(t, selected("storage/memdisk", []string{"./storage/..."}))
	require.False(t, selected("storage/memdisk", []string{"storage"}))
	require.False(t, selected("storages", []string{"storage/..."}))
}

func TestSetAside(t *testing.T) {
	for text, wrong := range map[string]string{
		"- {file: a/b.go, function: f, rule: boundary-moved, text: a < b, reason: never equal}": "",
		"- {file: a/b.go, function: f, rule: boundary-moved, text: a < b}":                      "no reason",
		"- {file: a/b.go, reason: x}\n- {file: a/b.go, nth: 1, reason: x}":                      "twice",
		"- {fil: a/b.go}": "unknown field",
	} {
		file := filepath.Join(t.TempDir(), "e.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		all, err := setAside(file)
		if wrong != "" {
			require.ErrorContains(t, err, wrong)
			continue
		}
		require.NoError(t, err)
		id := identity{"a/b.go", "f", ruleBoundary, "a < b", 1}
		require.Contains(t, all, id.key())
		require.Len(t, stale(all, mutants("a", 1)), 1)
		require.Empty(t, stale(all, []*mutation{{identity: id}}))
	}
	_, err := setAside("equivalent.yaml")
	require.NoError(t, err)
}

func TestLastLine(t *testing.T) {
	r := report{equivalents: mutants("a", 4)}
	for i := range 100 {
		r.results = append(r.results, result{finding: finding{Noticed: i < 93}})
	}
	require.Equal(t, "mutation score 0.93 (93 of 100 noticed, 4 equivalent set aside)", r.last())
}
