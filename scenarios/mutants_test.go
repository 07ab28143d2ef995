package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutantsApply: what each patch of mutants/ takes for the code is the code,
// and the story that must notice it is there. `make mutants` runs them.
func TestMutantsApply(t *testing.T) {
	patches, err := filepath.Glob("mutants/*.patch")
	require.NoError(t, err)
	require.NotEmpty(t, patches)
	for _, p := range patches {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		head, body, ok := strings.Cut(string(raw), "\n\n")
		require.True(t, ok, "%s: a head, an empty line, the patch", p)
		for _, word := range []string{"Mutant: ", "Scenario: ", "Seed: ", "Caught by: "} {
			require.Contains(t, head, word, p)
		}
		_, story, _ := strings.Cut(head, "Scenario: ")
		story, _, _ = strings.Cut(story, "\n")
		require.FileExists(t, story, p)
		checkHunks(t, p, body)
	}
}

// checkHunks demands that the old lines of each hunk stand in its file, one
// after the other.
func checkHunks(t *testing.T, patch, body string) {
	var code string
	var old []string
	hunks := 0
	ends := func() {
		if len(old) > 0 {
			require.Contains(t, code, "\n"+strings.Join(old, "\n"), "%s does not apply: make it anew", patch)
			hunks++
		}
		old = nil
	}
	for _, line := range strings.Split(strings.TrimRight(body, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "--- a/"):
			ends()
			raw, err := os.ReadFile(filepath.Join("..", strings.TrimPrefix(line, "--- a/")))
			require.NoError(t, err, patch)
			code = "\n" + string(raw)
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "index "):
		case strings.HasPrefix(line, "@@ "):
			ends()
		case strings.HasPrefix(line, "-"), strings.HasPrefix(line, " "):
			old = append(old, line[1:])
		case line == "":
			old = append(old, "")
		}
	}
	ends()
	require.Positive(t, hunks, "%s changes nothing", patch)
}
