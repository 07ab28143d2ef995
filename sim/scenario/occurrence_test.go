package scenario

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbered(t *testing.T) {
	a, b := "b-{n}", "main"
	Numbered(17, &a, &b)
	require.Equal(t, []string{"b-17", "main"}, []string{a, b})
}
