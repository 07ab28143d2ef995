package versions

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/members"
	"github.com/taucloud/tau/scenarios/words/worldtest"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
)

func TestTNSThroughFaults(t *testing.T) {
	run := func(seed uint64, wire sim.WireKind) (sim.Outcome, map[string]int) {
		facts := map[string]int{}
		failed := map[string]int{}
		trace := new(bytes.Buffer)
		out, err := sim.Run(sim.Config{Seed: seed, Wire: wire, Trace: trace}, func(w *sim.World) error {
			w.OnFact(func(f check.Fact) { facts[f.Name]++ })
			worldtest.Core(w, 5, func(ctx context.Context, env node.Env) {
				for i := range 60 {
					p := &publishParams{Project: "hello", Branch: fmt.Sprintf("b%d", i%2), Attempt: 1, Entries: 10, Fence: true, RetryFor: 30 * time.Second}
					env.Loop.Go("publish", func(ctx context.Context) {
						if err := p.run(ctx, env, i); err != nil {
							failed[err.Error()]++
						}
					})
					if i%10 == 9 {
						env.Loop.Go("rollback", func(ctx context.Context) {
							_ = rollbackAction().Run(ctx, env, &rollbackParams{Project: "hello", Branch: "b1", RetryFor: time.Minute}, i)
						})
					}
					if clock.Sleep(ctx, env.Loop, time.Second) != nil {
						return
					}
				}
			})
			w.At(10*time.Second, "cut", func() { worldtest.SetCut(w, "core-1", "core-2", true); worldtest.SetCut(w, "core-1", "core-3", true) })
			w.At(20*time.Second, "crash", func() { w.Crash("core-2", false) })
			w.At(25*time.Second, "start", func() { w.Start("core-2") })
			w.At(30*time.Second, "crash", func() { w.Crash("idle-1", false) })
			w.At(35*time.Second, "pause", func() { w.SetPaused("core-3", true) })
			w.At(50*time.Second, "resume", func() { w.SetPaused("core-3", false) })
			w.At(52*time.Second, "heal", func() { worldtest.SetCut(w, "core-1", "core-2", false); worldtest.SetCut(w, "core-1", "core-3", false) })
			w.At(55*time.Second, "crash", func() { w.Crash("core-1", true) })
			w.At(60*time.Second, "start", func() { w.Start("core-1"); w.Start("idle-1") })
			settled := worldtest.Judge(w, 150*time.Second, worldtest.Unaudited(append(members.Checks(), Checks()...))...)
			if err := w.RunUntil(150 * time.Second); err != nil {
				return err
			}
			return settled()
		})
		if file := os.Getenv("TRACE"); file != "" {
			require.NoError(t, os.WriteFile(file, trace.Bytes(), 0o600))
		}
		require.NoError(t, err, "seed %d", seed)
		t.Log(seed, out.Digest[:8], out.Events, facts, failed)
		return out, facts
	}
	for seed := range uint64(5) {
		direct, _ := run(seed+1, sim.Direct)
		if seed == 0 {
			mocknet, _ := run(seed+1, sim.Mocknet)
			require.Equal(t, direct, mocknet)
		}
	}
}

// TestWatchFollowsABranch has a client watch a branch while the replica that
// tells it is cut off, frozen and crashed.
func TestWatchFollowsABranch(t *testing.T) {
	var told []tnsapi.Version
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		names := worldtest.Core(w, 0, func(ctx context.Context, env node.Env) {
			env.Loop.Go("watch", func(ctx context.Context) {
				_ = tnsapi.NewClient(env.Wire).Watch(ctx, "hello", "main", func(v tnsapi.Version) { told = append(told, v) })
			})
			for i := range 50 {
				p := &publishParams{Project: "hello", Branch: "main", Commit: fmt.Sprintf("commit-%d", i), Attempt: 1, Entries: 3, RetryFor: time.Minute}
				_ = p.run(ctx, env, i)
				if clock.Sleep(ctx, env.Loop, time.Second) != nil {
					return
				}
			}
		})
		for i, name := range names[:3] { // whichever the watcher follows
			at := time.Duration(10+20*i) * time.Second
			w.At(at, "cut", func() { worldtest.SetCut(w, name, "client", true) })
			w.At(at+15*time.Second, "mend", func() { worldtest.SetCut(w, name, "client", false) })
			w.At(at+2*time.Second, "crash", func() { w.Crash(name, false) })
			w.At(at+4*time.Second, "start", func() { w.Start(name) })
			w.At(at+6*time.Second, "pause", func() { w.SetPaused(name, true) })
			w.At(at+17*time.Second, "resume", func() { w.SetPaused(name, false) })
		}
		if err := w.RunUntil(2 * time.Minute); err != nil {
			return err
		}
		replica := w.Nodes()[0].Service("tns").(*tns.Service)
		current, err := replica.Current("hello", "main")
		require.NoError(t, err)
		require.NotEmpty(t, told)
		require.Equal(t, current, told[len(told)-1])
		require.Greater(t, len(told), 25)
		for i := 1; i < len(told); i++ {
			require.Greater(t, told[i].Order, told[i-1].Order, "never the past")
		}
		return nil
	})
	require.NoError(t, err)
	t.Log(len(told))
}
