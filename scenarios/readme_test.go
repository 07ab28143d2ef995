package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeListsStories: the table of stories is what the stories say about
// themselves, in the order of their files.
func TestReadmeListsStories(t *testing.T) {
	var rows []string
	for _, s := range load(t) {
		rows = append(rows, fmt.Sprintf("| [%s](scenarios/%s) | %s |", s.Name, s.File, strings.Join(strings.Fields(s.About), " ")))
	}
	requireTable(t, "| scenario | what happens |", rows)
}

// TestReadmeListsMutants: the table of mutants is what the heads of the
// patches say, one row each.
func TestReadmeListsMutants(t *testing.T) {
	patches, err := filepath.Glob("mutants/*.patch")
	require.NoError(t, err)
	head := regexp.MustCompile(`^Mutant: (.*)\nScenario: (.*)\.yaml\nSeed: (.*)\nCaught by: (.*)\n`)
	var rows []string
	for _, p := range patches {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		m := head.FindStringSubmatch(string(raw))
		require.NotNil(t, m, "%s: Mutant, Scenario, Seed and Caught by, a line each", p)
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", m[1], m[2], m[3], m[4]))
	}
	requireTable(t, "| mutant | scenario | seed | caught by |", rows)
}

// requireTable demands that the README's table below a header has these rows and no
// others; in which order is a matter of reading.
func requireTable(t *testing.T, header string, rows []string) {
	raw, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, below, found := strings.Cut(string(raw), "\n"+header+"\n")
	require.True(t, found, "the README has a table %s", header)
	table, _, _ := strings.Cut(below, "\n\n")
	has := strings.Split(table, "\n")[1:] // the first line is the rule below the header
	for _, row := range rows {
		require.Contains(t, has, row, "README.md: add the row, or make it this one")
	}
	require.ElementsMatch(t, rows, has, "README.md: a row of something that is not there")
}
