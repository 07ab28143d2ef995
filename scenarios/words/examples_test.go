package words_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/scenario"
)

// exampleCloud has all that examples speak of.
const exampleCloud = `duration: 5m
nodes:
  - {name: core, count: 3, services: [auth, seer, tns, hoarder, patrick, substrate, gateway], zone: east}
  - {name: monkey, count: 3, services: [monkey], zone: west}
strangers: [{name: mallory}]
`

// TestEveryExampleIsAScenario: each word has an example that uses it, and that is read and planned.
func TestEveryExampleIsAScenario(t *testing.T) {
	for _, w := range scenario.Words(words.Vocabulary()) {
		t.Run(w.Kind+" "+w.Name, func(t *testing.T) {
			if w.Kind == "service" && w.Example == "" {
				require.Contains(t, w.Doc, "runs on every node")
				return
			}
			require.Contains(t, w.Example, w.Name)
			require.NotEmpty(t, w.Doc)
			text := exampleText(w)
			s, err := scenario.Parse("example.yaml", []byte(text), words.Vocabulary())
			require.NoError(t, err, "%s", text)
			if strings.Contains(text, "timeline:") {
				require.NotEmpty(t, s.Plan(1))
			}
			for _, k := range w.Keys {
				if w.Kind == "action" || w.Kind == "fault" || w.Kind == "select" {
					require.NotEmpty(t, k.Doc, "%s: the key %s is not explained", w.Name, k.Name)
				}
			}
			if w.Kind == "figure" {
				require.NotEmpty(t, w.Unit)
			}
		})
	}
}

// exampleText puts an example into a cloud.
func exampleText(w scenario.Word) string {
	entry := func(text string) string {
		return exampleCloud + "timeline: [{at: 1s, crash: core-2, for: 2s}, " + text + "]\n"
	}
	switch w.Kind {
	case "entry":
		return entry(w.Example)
	case "action", "fault", "select", "quality", "failpoint":
		return entry("{at: 1s, " + w.Example + "}")
	case "service":
		return "duration: 1m\n" + w.Example + "\n"
	case "key":
		var rest []string
		for _, line := range strings.SplitAfter(exampleCloud, "\n") {
			if key, _, _ := strings.Cut(line, ":"); key != w.Name && !(w.Name == "nodes" && strings.HasPrefix(line, "  -")) {
				rest = append(rest, line)
			}
		}
		return strings.Join(rest, "") + w.Example + "\n"
	}
	return exampleCloud + w.Example + "\n"
}

// TestEveryCheckMeansSomethingInOneLine: and nothing else has a meaning.
func TestEveryCheckMeansSomethingInOneLine(t *testing.T) {
	for _, c := range words.Vocabulary().Checks {
		require.NotEmpty(t, c.Means, "%s: say in scenarios/words/means.go what it demands", c.Name)
		require.LessOrEqual(t, len(c.Means), 100, c.Name)
		require.NotContains(t, c.Means, "\n")
	}
}
