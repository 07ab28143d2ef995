package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/tracefile"
)

// TestCauses: from the response to a call the causes lead back over the request to
// the turn that asked, and what was woken by a message follows from it.
func TestCauses(t *testing.T) {
	_, text := chatter(t, sim.Config{Seed: 7}, 4, 10*time.Second)
	history, r := tracefile.NewHistory(), tracefile.NewReader(strings.NewReader(text))
	var l tracefile.Line
	responses, woken, resent := 0, 0, 0
	for r.Next(&l) == nil {
		history.Add(&l)
		if l.Kind != tracefile.KindFact && l.Kind != tracefile.KindTrace && l.Kind != tracefile.KindMissed {
			require.Less(t, l.Cause, l.ID)
		}
		cause, _ := history.Event(l.Cause)
		if l.Kind == tracefile.KindWake && cause.Kind == tracefile.KindFrame {
			require.Equal(t, cause.Node, l.Node, "only one's own node hears a frame")
			woken++
		}
		if l.Kind == tracefile.KindResend {
			from, _, _ := strings.Cut(l.Name, ">")
			require.Equal(t, from, cause.Node, "who sent it, and not what healed the link")
			resent++
		}
		if l.Kind != tracefile.KindFrame || l.What != "response" {
			continue
		}
		require.Equal(t, "echo", l.Method)
		from, to, _ := strings.Cut(l.Name, ">")
		require.Equal(t, from, cause.Node, "who sent it")
		var way []string
		for _, e := range history.Chain(l.ID, 100) {
			if way = append(way, e.What+" "+e.Name); e.What == "request" {
				require.Equal(t, to+">"+from, e.Name)
				responses++
				break
			}
		}
		require.Contains(t, way[len(way)-1], "request")
	}
	require.Greater(t, responses, 100)
	require.Greater(t, woken, 100)
	require.Positive(t, resent)
	require.True(t, strings.Contains(text, `"src":"sim/determinism_test.go:34"`), "where the fact was reported")
}
