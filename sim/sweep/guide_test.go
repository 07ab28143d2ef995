package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuidePrefersWhatIsRareAndWhatFinds(t *testing.T) {
	kinds := []string{"barren", "fertile", "new", "never"}
	base := Choice{Weights: map[string]float64{"never": 0}}
	g := NewGuide()
	require.Equal(t, map[string]float64{"barren": 1, "fertile": 1, "new": 1, "never": 0}, g.Choose(1, kinds, base).Weights)
	require.Equal(t, []string{"x", "y"}, g.Learn(1, []string{"fertile"}, []string{"x", "y"}))
	require.Empty(t, g.Learn(2, []string{"barren"}, []string{"x"}))
	require.Empty(t, g.Learn(3, []string{"barren"}, []string{"y", "x"}))
	w := g.Choose(4, kinds, base).Weights
	require.Greater(t, w["fertile"], w["new"])
	require.Greater(t, w["new"], w["barren"])
	require.Positive(t, w["barren"], "nothing is given up")
	require.Zero(t, w["never"])
	require.Equal(t, []uint64{1}, g.Corpus())
	based := 0
	for n := range uint64(100) {
		c := g.Choose(n, kinds, base)
		require.Equal(t, c, g.Choose(n, kinds, base), "it follows from what was learnt")
		if c.Base == 1 {
			based++
		}
	}
	require.InDelta(t, 50, based, 25)
}
