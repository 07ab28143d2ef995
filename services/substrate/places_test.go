package substrate

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPlacesAgainstAModel: whoever comes and goes in whatever order, no more run than may, nobody waits who could run, of one function
// who came first is let in first, and in the end nothing is left.
func TestPlacesAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := places{most: rapid.IntRange(1, 6).Draw(t, "most")}
		most, queue := rapid.IntRange(1, 4).Draw(t, "of one"), rapid.IntRange(0, 3).Draw(t, "queue")
		var here []*place
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if f := rapid.IntRange(0, 3).Draw(t, "what"); f < 3 {
				one := p.enter(fmt.Sprint(f), most, queue)
				running, waiting := 0, 0
				for _, h := range here {
					if h.function == fmt.Sprint(f) && h.granted {
						running++
					} else if h.function == fmt.Sprint(f) {
						waiting++
					}
				}
				if one == nil {
					require.Equal(t, queue, waiting)
					continue
				}
				require.False(t, one.granted && waiting > 0, "nobody overtakes")
				here = append(here, one)
			} else if len(here) > 0 {
				i := rapid.IntRange(0, len(here)-1).Draw(t, "who")
				p.leave(here[i])
				here = append(here[:i], here[i+1:]...)
			}
			inOrder(t, &p, here, most)
		}
		for _, h := range here {
			p.leave(h)
		}
		require.Zero(t, p.running)
		require.Empty(t, p.waiting)
		require.Empty(t, p.lanes)
	})
}

func inOrder(t *rapid.T, p *places, here []*place, most int) {
	running, of := 0, map[string]int{}
	for _, h := range here {
		if h.granted {
			running++
			of[h.function]++
		}
	}
	require.Equal(t, running, p.running)
	require.LessOrEqual(t, running, p.most)
	waits := map[string]bool{}
	for _, h := range here {
		require.LessOrEqual(t, of[h.function], most)
		if !h.granted {
			require.True(t, running == p.most || of[h.function] == most, "who waits could run")
			waits[h.function] = true
			continue
		}
		require.False(t, waits[h.function], "who came later was let in")
	}
}
