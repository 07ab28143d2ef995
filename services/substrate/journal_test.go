package substrate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/services/substrate/substrateapi"
)

// TestJournalAgainstAModel: whoever reads on gets each line once and in order, but for those that were told as lost; what is kept is bounded.
func TestJournalAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var j journal
		said, read, lost, known := 0, 0, uint64(0), uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "say") {
				n := rapid.SampledFrom([]int{1, 2, 100, 700}).Draw(t, "lines")
				var text strings.Builder
				for range n {
					fmt.Fprintln(&text, said)
					said++
				}
				j.add("f", text.String(), substrateapi.LogLine{Request: "r"})
				j.add("g", "other", substrateapi.LogLine{})
				continue
			}
			lines, skipped := j.page("f", known)
			lost += skipped
			require.LessOrEqual(t, len(lines), substrateapi.LogLinesMax)
			for i, l := range lines {
				require.Equal(t, fmt.Sprint(read+int(lost)+i), l.Text)
				require.Equal(t, "r", l.Request)
				known = l.Seq
			}
			read += len(lines)
		}
		for _, r := range j.rings {
			require.LessOrEqual(t, len(r.lines), linesMax)
			require.LessOrEqual(t, r.size, ringMax)
		}
	})
}

// TestJournalIsBounded: also where many functions say much; those that were silent for longest are forgotten.
func TestJournalIsBounded(t *testing.T) {
	var j journal
	much := strings.Repeat(strings.Repeat("x", 2*lineMax)+"\n", 300)
	for i := range 200 {
		j.add(fmt.Sprint(i), much, substrateapi.LogLine{})
		require.LessOrEqual(t, j.size, journalMax)
	}
	require.Equal(t, len(j.rings), j.order.Len())
	first, _ := j.page("0", 0)
	require.Empty(t, first)
	last, lost := j.page("199", 0)
	require.NotEmpty(t, last)
	require.Positive(t, lost)
	require.Len(t, last[0].Text, lineMax)
}
