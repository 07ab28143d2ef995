package site

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWeights are between 0 and 1, in thousandths; what is none rules nothing in.
func TestWeights(t *testing.T) {
	for text, want := range map[string]int{"": 1000, " ": 1000, "q=1": 1000, " Q = 0.5 ": 500, "q=0": 0, "q=0.001": 1, "q=0.0004": 0, "q=0.9996": 1000, "q=1.0": 1000} {
		got, ok := weightOf(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"q", "q=", "q=x", "q=1.1", "q=-0.1", "q=NaN", "q=Inf", "x=1", "v=0.5"} {
		_, ok := weightOf(text)
		require.False(t, ok, text)
	}
}
