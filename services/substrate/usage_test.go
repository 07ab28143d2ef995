package substrate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// TestUsages: all that happened is in the sums, and of more functions than may be known the one that was asked for longest ago goes.
func TestUsages(t *testing.T) {
	of := func(n int) *target {
		return &target{release: &release{version: tnsapi.Version{Project: "p", Branch: "main", Commit: "c"}}, path: fmt.Sprintf("functions/%d", n), function: &project.Function{Memory: 5}}
	}
	var u usages
	add := func(n int, ran Ran, took time.Duration) { u.add(of(n).name(), of(n), ran, took, 7) }
	for n := range substrateapi.UsagesMax {
		add(n, Ran{Ended: Answered, Status: 200, Fuel: 2, Memory: 4, Cold: n == 0}, time.Millisecond)
	}
	add(0, Ran{Ended: Answered, Status: 500, Fuel: 3, Memory: 3}, time.Minute)
	add(0, Ran{Ended: "trap", Status: 400, Fuel: 1}, 30*time.Millisecond)
	u.refused(of(0).name(), of(0))
	require.Equal(t, substrateapi.Usage{
		Project: "p", Branch: "main", Function: "functions/0", Commit: "c", Requests: 3, Errors: 2, Cold: 1, Refused: 1, Fuel: 6, FuelMax: 3, MemoryMax: 4, LimitMemory: 5,
		TookAll: time.Minute + 31*time.Millisecond, Took: []uint64{1, 0, 0, 1, 0, 0, 0, 1}, At: 7,
	}, *u.of(of(0).name(), of(0)))
	add(1000, Ran{Ended: Answered, Status: 200}, 0)
	require.Equal(t, substrateapi.UsagesMax, u.order.Len())
	require.Len(t, u.by, substrateapi.UsagesMax)
	require.NotContains(t, u.by, of(1).name(), "it was asked for longest ago")
	require.Contains(t, u.by, of(0).name())
}
