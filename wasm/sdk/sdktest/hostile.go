package sdktest

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
)

// Hostile calls each function of these hosts with values that make no sense, in each parameter while the others take turns. Whatever it answers, it
// must answer: neither may the host panic, nor may the guest be stopped for anything but what it has used up.
func Hostile(t *testing.T, values []uint64, o engine.Options, value func() any, hosts ...engine.Host) {
	t.Helper()
	s := New(t, 2, o, hosts...)
	require.NotEmpty(t, s.functions)
	for _, f := range s.functions {
		name, calls := Base(f.Name), 0
		err := s.Play(value(), func(g *Guest) {
			for turn := range len(values) {
				for at := range max(len(f.Params), 1) {
					args := make([]uint64, len(f.Params))
					for i := range args {
						args[i] = values[(turn+3*i)%len(values)]
						if i == at {
							args[i] = values[turn]
						}
					}
					if _, goesOn := g.Call(name, args...); !goesOn {
						return
					}
					calls++
				}
			}
		})
		if err != nil {
			require.True(t, errors.Is(err, engine.ErrFuel) || errors.Is(err, engine.ErrOutput) || errors.Is(err, engine.ErrHostCalls), "%s, after %d calls: %v", f.Name, calls, err)
			require.NotContains(t, strings.ToLower(err.Error()), "nil pointer", f.Name)
		}
	}
}
