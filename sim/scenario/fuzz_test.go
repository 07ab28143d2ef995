package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzParse asserts that no file makes Parse panic, that every error has a
// place, and that a good file can be planned.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(example))
	words := testWords()
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data, words)
		if err == nil {
			if s.Duration < time.Hour && len(s.Nodes) < 100 {
				s.Plan(1)
			}
			return
		}
		var all Errors
		if !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("not a list of errors: %v", err)
		}
		for _, e := range all {
			if e.Line < 1 || e.Col < 1 || e.What == "" || e.Hint == "" {
				t.Fatalf("an error without a place, a text or a hint: %#v", e)
			}
			if strings.Count(e.What, "\n") > 0 {
				t.Fatalf("an error of several lines: %q", e.What)
			}
		}
	})
}

func TestHostileFilesAreRefusedSoon(t *testing.T) {
	const quarter = FileLenMax / 4
	for name, text := range map[string]string{
		"10 MB":     "name: " + strings.Repeat("x", 10<<20),
		"brackets":  strings.Repeat("[", FileLenMax),
		"braces":    strings.Repeat("{a: ", quarter/4),
		"dashes":    strings.Repeat("- ", quarter/2),
		"questions": strings.Repeat("? ", quarter/2),
		"colons":    strings.Repeat(":", quarter),
		"keys":      strings.Repeat("a: 1\n", quarter/5),
		"list":      "nodes: [" + strings.Repeat("b, ", quarter/3-10) + "]",
		"anchors":   strings.Repeat("&a ", quarter/3),
		"steps":     strings.Repeat(" ", 0) + stairs(1000),
		"quotes":    strings.Repeat("'", quarter),
		"timeline":  "duration: 1m\nnodes: [{name: a, services: []}]\ntimeline:\n" + strings.Repeat("- {at: 1s, crash: a*}\n", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("hostile.yaml", []byte(text), testWords())
			if name != "timeline" {
				require.Error(t, err)
				requirePositions(t, err)
				require.Less(t, len(err.Error()), 10_000)
			}
			t.Logf("%v", time.Since(start))
			require.Less(t, time.Since(start), 30*time.Second)
		})
	}
}

// stairs is a mapping in a mapping in a mapping.
func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
