package dreamland

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWrapped(t *testing.T) {
	row := "  held  always  no-lost-jobs  8116 judged, 362 excused: a patrick is down, which may be the one that knows"
	require.Equal(t, row, wrapped(row, 0), "a terminal that does not say how wide it is")
	require.Equal(t, row, wrapped(row, 300))
	require.Equal(t, strings.Join([]string{
		"  held  always  no-lost-jobs  8116 judged, 362 excused: a",
		"                patrick is down, which may be the one that",
		"                knows",
	}, "\n"), wrapped(row, 58))
	require.Equal(t, "  held  always  no-\n", wrapped("  held  always  no-", 20)+"\n")
	require.Equal(t, strings.Join([]string{
		"            as far",
		"          right as",
		"          it may be",
	}, "\n"), "  "+wrapped(strings.Repeat(" ", 30)+"as far right as it may be", 20), "what is indented further than half of a narrow window")
	for _, line := range []string{"replay   dreamland sim " + strings.Repeat("x", 99) + " --seed 1", `{"a": ` + strings.Repeat("1 ", 99) + `}`} {
		require.Equal(t, line, wrapped(line, 50), "it is copied, or read by a machine")
	}
}

// TestWrappedLosesNothing: the words are the same in the same order, and no line is too
// wide that has more than one word.
func TestWrappedLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`( {0,8}[a-zé]{1,30}){0,20}`).Draw(t, "line")
		columns := rapid.IntRange(narrowest, 120).Draw(t, "columns")
		text := wrapped(line, columns)
		require.Equal(t, strings.Fields(line), strings.Fields(text))
		for _, l := range strings.Split(text, "\n") {
			if len(strings.Fields(l)) > 1 {
				require.LessOrEqual(t, len([]rune(l)), columns, "%q", l)
			}
		}
	})
}

// TestColouredOnlyColours: without the codes it is what it was.
func TestColouredOnlyColours(t *testing.T) {
	for _, line := range []string{"  FAILED  always  x  at 3s", "verdict  failed: 1 of 3 expectations", "verdict  held: all 3 expectations", "  held  always  x", "held    good  seed 1", "figures", "plain"} {
		text := coloured(line)
		require.Equal(t, line, strings.NewReplacer("\x1b[1;31m", "", "\x1b[1m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(text))
		require.Equal(t, line != "plain", line != text, line)
		require.Equal(t, strings.Count(text, "\x1b[0m")*2, strings.Count(text, "\x1b["))
	}
}
