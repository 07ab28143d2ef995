package sim

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
)

// broken is a service that panics three seconds after its start, in one way.
type broken struct {
	env node.Env
	how string
}

func (s *broken) Start(context.Context) error {
	switch s.how {
	case "task":
		s.env.Loop.AfterFunc(3*time.Second, func() { s.env.Loop.Go("late", func(context.Context) { panicOn(s) }) })
	case "timer":
		s.env.Loop.AfterFunc(3*time.Second, func() { panicOn(s) })
	case "fact":
		s.env.Loop.AfterFunc(3*time.Second, func() { s.env.Observe("bad") })
	}
	return nil
}

func (*broken) Stop(context.Context) error { return nil }

func panicOn(s *broken) { panic("by a " + s.how) }

// TestPanicsAreEvidence: wherever code panics, the world ends in order and says
// whose turn it was, when, and where in the code.
func TestPanicsAreEvidence(t *testing.T) {
	for how, want := range map[string]Breakdown{
		"task":  {Node: "n", Service: "broken", Task: "late"},
		"timer": {Node: "n", Task: "timer broken"},
		"fact":  {Node: "n", Task: "timer broken"},
		"world": {Task: "world at last"},
	} {
		var trace bytes.Buffer
		_, err := Run(Config{Seed: 1, Trace: &trace}, func(w *World) error {
			require.NoError(t, w.AddNode(NodeConfig{Name: "n", Services: []node.Configured{{Spec: node.Spec{
				Name: "broken", Settings: func() any { return nil },
				New: func(env node.Env, _ any) (node.Service, error) { return &broken{env, how}, nil },
			}}}}))
			w.OnFact(func(f check.Fact) {
				if f.Name == "bad" {
					panicOn(&broken{how: how})
				}
			})
			if how == "world" {
				w.At(3*time.Second, "at last", func() { panicOn(&broken{how: how}) })
			}
			w.At(0, "start", func() { w.Start("n") })
			return w.RunUntil(time.Minute)
		})
		b := new(Breakdown)
		require.ErrorAs(t, err, &b, how)
		require.Equal(t, want, Breakdown{Node: b.Node, Service: b.Service, Task: b.Task}, how)
		require.Equal(t, BrokenByPanic, b.Kind)
		require.Equal(t, "by a "+how, b.What)
		require.InDelta(t, 3, b.At.Seconds(), 0.5, how)
		require.NotEmpty(t, b.Stack, how)
		require.Contains(t, b.Stack[0], ".panicOn ", how)
		require.Contains(t, b.Stack[0], "breakdown_test.go:", how)
		require.NotContains(t, strings.Join(b.Stack, " "), "runtime.", how)
		require.NotEmpty(t, trace.String())
	}
}

func TestOwnFrames(t *testing.T) {
	const text = `panic: by a library

goroutine 77 [running]:
panic({0x1, 0x2})
	/usr/go/src/runtime/panic.go:783 +0x132
github.com/ipfs/go-ds-crdt.(*Datastore).handle.func1({0x1})
	/mod/crdt.go:12 +0x1f
github.com/taucloud/tau/storage.(*replica).feed(...)
	/tau/storage/replica.go:99
created by github.com/ipfs/go-ds-crdt.New in goroutine 5
	/mod/crdt.go:1 +0x1

goroutine 1 [chan receive]:
github.com/taucloud/tau/other.f()
	/tau/other.go:1 +0x1
`
	require.Equal(t, []string{
		"github.com/ipfs/go-ds-crdt.(*Datastore).handle.func1 /mod/crdt.go:12",
		"github.com/taucloud/tau/storage.(*replica).feed /tau/storage/replica.go:99",
	}, OwnFrames(text))
	require.Empty(t, OwnFrames("panic: and nothing else"))
}
