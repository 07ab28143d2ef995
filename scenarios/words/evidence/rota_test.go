package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRotaComesToEverything(t *testing.T) {
	var r Rota
	for i := range 500 {
		r.Add(fmt.Sprint(i), time.Duration(i)*time.Second)
		r.Add(fmt.Sprint(i), time.Hour) // is there already
	}
	now, seen := 500*time.Second, map[string]int{}
	for range 11 {
		due := r.Due(now)
		require.Contains(t, slices.Concat(due[0], due[1]), "499")
		require.LessOrEqual(t, len(due[0]), oldAtOnce)
		for _, id := range due[0] {
			seen[id]++
		}
		require.NotContains(t, due[1], "439")
		require.Contains(t, due[1], "440")
	}
	require.Len(t, seen, 440, "each old one had its turn")
}
