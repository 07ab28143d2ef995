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

// TestReadmeListsStories: the table of stories (docs/stories.md) is what the stories say about
// themselves, in the order of their files.
func TestReadmeListsStories(t *testing.T) {
	var rows []string
	for _, s := range load(t) {
		rows = append(rows, fmt.Sprintf("| [%s](../scenarios/%s) | %s |", s.Name, s.File, strings.Join(strings.Fields(s.About), " ")))
	}
	requireTable(t, "docs/stories.md", "| scenario | what happens |", rows)
}

// TestReadmeListsMutants: the table of mutants (docs/mutants.md) is what the heads of the
// patches say, one row each.
func TestReadmeListsMutants(t *testing.T) {
	patches, err := filepath.Glob("mutants/*.patch")
	require.NoError(t, err)
	head := regexp.MustCompile(`^Mutant: (.*)\nScenario: (.*)\.yaml\nSeed: (.*)\nCaught by: (.*)\n`)
	tested := regexp.MustCompile(`^Mutant: (.*)\nTest: \./(\S+) (\w+)\n`)
	var rows, byTests []string
	for _, p := range patches {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		if m := tested.FindStringSubmatch(string(raw)); m != nil {
			byTests = append(byTests, fmt.Sprintf("| %s | `%s` | %s |", m[1], m[2], m[3]))
			continue
		}
		m := head.FindStringSubmatch(string(raw))
		require.NotNil(t, m, "%s: Mutant, and Scenario, Seed and Caught by or Test, a line each", p)
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", m[1], m[2], m[3], m[4]))
	}
	requireTable(t, "docs/mutants.md", "| mutant | scenario | seed | caught by |", rows)
	requireTable(t, "docs/mutants.md", "| mutant | package | test |", byTests)
}

// requireTable demands that a file's table below a header has these rows and no
// others; in which order is a matter of reading.
func requireTable(t *testing.T, file, header string, rows []string) {
	raw, err := os.ReadFile("../" + file)
	require.NoError(t, err)
	_, below, found := strings.Cut(string(raw)+"\n", "\n"+header+"\n")
	require.True(t, found, "%s has a table %s", file, header)
	table, _, _ := strings.Cut(below, "\n\n")
	has := strings.Split(table, "\n")[1:] // the first line is the rule below the header
	for _, row := range rows {
		require.Contains(t, has, row, "%s: add the row, or make it this one", file)
	}
	require.ElementsMatch(t, rows, has, "%s: a row of something that is not there", file)
}
