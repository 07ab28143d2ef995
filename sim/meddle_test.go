package sim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
)

// inWorlds runs f in a world of each wire.
func inWorlds(t *testing.T, f func(w *sim.World)) {
	for _, wire := range wires {
		_, err := sim.Run(sim.Config{Seed: 1, Wire: wire}, func(w *sim.World) error {
			f(w)
			return nil
		})
		require.NoError(t, err)
	}
}

// duplicating makes a world of two bare nodes in which everything from a to b
// comes twice.
func duplicating(t *testing.T, f func(w *sim.World, a, b *sim.Bare)) {
	inWorlds(t, func(w *sim.World) {
		a, err := w.AddBare("a", "t")
		require.NoError(t, err)
		b, err := w.AddBare("b", "t")
		require.NoError(t, err)
		w.SetLinks(func(from, _ string) fault.LinkState {
			if from == "a" {
				return fault.LinkState{Again: fault.Again{Chance: 1, Min: time.Second, Max: 3 * time.Second}}
			}
			return fault.LinkState{}
		}, func(string, string, fault.LinkPart) {})
		f(w, a, b)
	})
}

func TestMessagesComeTwice(t *testing.T) {
	duplicating(t, func(w *sim.World, a, b *sim.Bare) {
		var heard []string
		hear := func(what string) func(context.Context, transport.Peer, []byte) {
			return func(_ context.Context, _ transport.Peer, m []byte) { heard = append(heard, what+string(m)) }
		}
		b.Endpoint.HandleTell("t/note", transport.Anyone, hear("note "))
		b.Endpoint.Subscribe("t/news", transport.Anyone, hear("news "))
		served := 0
		b.Endpoint.Handle("t/call", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) {
			served++
			return fmt.Append(nil, served), nil
		})
		var answer []byte
		require.NoError(t, w.RunTask(a, func(ctx context.Context) {
			require.NoError(t, a.Endpoint.Tell(b.Endpoint.Self(), "t/note", []byte("1")))
			a.Endpoint.Publish("t/news", []byte("2"))
			answer, _ = a.Endpoint.Call(ctx, b.Endpoint.Self(), "t/call", nil)
		}))
		require.Equal(t, "1", string(answer), "that of the first")
		require.Equal(t, 1, served)
		require.NoError(t, w.RunUntil(w.Now()+4*time.Second))
		require.Equal(t, 2, served)
		require.ElementsMatch(t, []string{"note 1", "news 2", "note 1", "news 2"}, heard)
	})
}

// TestASecondRequestIsServedBesideTheFirst, which is slower, and answered.
func TestASecondRequestIsServedBesideTheFirst(t *testing.T) {
	duplicating(t, func(w *sim.World, a, b *sim.Bare) {
		served := 0
		b.Endpoint.Handle("t/call", transport.Anyone, func(ctx context.Context, _ transport.Peer, m []byte) ([]byte, error) {
			served++
			if served == 1 {
				_ = clock.Sleep(ctx, b.Loop, 5*time.Second)
			}
			return m, nil
		})
		var answer []byte
		var err error
		require.NoError(t, w.RunTask(a, func(ctx context.Context) {
			answer, err = a.Endpoint.Call(ctx, b.Endpoint.Self(), "t/call", []byte("x"))
		}))
		require.NoError(t, err)
		require.Equal(t, "x", string(answer))
		require.Equal(t, 2, served)
	})
}

func TestLiesAreAboutBlocksOrEverything(t *testing.T) {
	inWorlds(t, func(w *sim.World) {
		a, err := w.AddBare("a")
		require.NoError(t, err)
		b, err := w.AddBare("b")
		require.NoError(t, err)
		truth := []byte("the truth")
		for _, method := range []string{blocks.Method, "t/call"} {
			b.Endpoint.Handle(method, transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) { return truth, nil })
		}
		told := func(method string) string {
			var answer []byte
			require.NoError(t, w.RunTask(a, func(ctx context.Context) {
				answer, _ = a.Endpoint.Call(ctx, b.Endpoint.Self(), method, nil)
			}))
			require.Len(t, answer, len(truth))
			return string(answer)
		}
		w.SetLies("b", fault.Lies{Chance: 1})
		require.NotEqual(t, string(truth), told(blocks.Method))
		require.Equal(t, string(truth), told("t/call"))
		w.SetLies("b", fault.Lies{Chance: 1, All: true})
		require.NotEqual(t, string(truth), told("t/call"))
		w.SetLies("b", fault.Lies{})
		require.Equal(t, string(truth), told("t/call"))
		require.Equal(t, "the truth", string(truth), "a lie is a copy")
		require.EqualValues(t, 2, w.Effects("b").Lies)
	})
}
