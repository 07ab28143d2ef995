package scenarios

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
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// judge runs checkers in a world as a scenario's runner does.
func judge(w *sim.World, until time.Duration, checks ...scenario.Check) (settled func() error) {
	var checkers []check.Checker
	for _, c := range checks {
		checkers = append(checkers, c.New())
	}
	w.OnFact(func(f check.Fact) {
		for _, c := range checkers {
			if c, ok := c.(check.OnFact); ok {
				if err := c.Fact(f); err != nil {
					w.Fail(fmt.Errorf("%s at %s: %w", c.Name(), f.At, err))
				}
			}
		}
	})
	for at := check.PollInterval; at < until; at += check.PollInterval {
		w.At(at, "poll", func() {
			for _, c := range checkers {
				if c, ok := c.(check.OnPoll); ok {
					if err := c.Poll(w); err != nil {
						w.Fail(fmt.Errorf("%s at %s: %w", c.Name(), w.Now(), err))
					}
				}
			}
		})
	}
	return func() error {
		for _, c := range checkers {
			if c, ok := c.(check.OnSettled); ok {
				if err := c.Settled(healedView{w}); err != nil {
					return fmt.Errorf("%s: %w", c.Name(), err)
				}
			}
		}
		return nil
	}
}

// tnsWorld has three seers, three tns and some idle nodes.
func tnsWorld(w *sim.World, idle int, client func(ctx context.Context, env node.Env)) []string {
	var names []string
	add := func(name string, specs ...node.Spec) {
		cfg := sim.NodeConfig{Name: name}
		for _, s := range specs {
			cfg.Services = append(cfg.Services, node.Configured{Spec: s})
		}
		if err := w.AddNode(cfg); err != nil {
			panic(err)
		}
		names = append(names, name)
		w.At(0, "start "+name, func() { w.Start(name) })
	}
	for i := range 3 {
		add(fmt.Sprintf("core-%d", i+1), seer.Spec(), tns.Spec(), seer.BeaconSpec())
	}
	for i := range idle {
		add(fmt.Sprintf("idle-%d", i+1), seer.BeaconSpec())
	}
	add("client", taskSpec(client))
	return names
}

type taskService struct {
	env node.Env
	f   func(ctx context.Context, env node.Env)
}

func (s *taskService) Start(context.Context) error {
	s.env.Loop.Go("client", func(ctx context.Context) { s.f(ctx, s.env) })
	return nil
}
func (s *taskService) Stop(context.Context) error { return nil }

func taskSpec(f func(ctx context.Context, env node.Env)) node.Spec {
	return node.Spec{Name: "client", Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
		return &taskService{env: env, f: f}, nil
	}}
}

func TestTNSThroughFaults(t *testing.T) {
	run := func(seed uint64, wire sim.WireKind) (sim.Outcome, map[string]int) {
		facts := map[string]int{}
		failed := map[string]int{}
		trace := new(bytes.Buffer)
		out, err := sim.Run(sim.Config{Seed: seed, Wire: wire, Trace: trace}, func(w *sim.World) error {
			w.OnFact(func(f check.Fact) { facts[f.Name]++ })
			tnsWorld(w, 5, func(ctx context.Context, env node.Env) {
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
			w.At(10*time.Second, "cut", func() { setCut(w, "core-1", "core-2", true); setCut(w, "core-1", "core-3", true) })
			w.At(20*time.Second, "crash", func() { w.Crash("core-2", false) })
			w.At(25*time.Second, "start", func() { w.Start("core-2") })
			w.At(30*time.Second, "crash", func() { w.Crash("idle-1", false) })
			w.At(35*time.Second, "pause", func() { w.SetPaused("core-3", true) })
			w.At(50*time.Second, "resume", func() { w.SetPaused("core-3", false) })
			w.At(52*time.Second, "heal", func() { setCut(w, "core-1", "core-2", false); setCut(w, "core-1", "core-3", false) })
			w.At(55*time.Second, "crash", func() { w.Crash("core-1", true) })
			w.At(60*time.Second, "start", func() { w.Start("core-1"); w.Start("idle-1") })
			settled := judge(w, 150*time.Second, unaudited(append(seerChecks(), tnsChecks()...))...)
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
		names := tnsWorld(w, 0, func(ctx context.Context, env node.Env) {
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
			w.At(at, "cut", func() { setCut(w, name, "client", true) })
			w.At(at+15*time.Second, "mend", func() { setCut(w, name, "client", false) })
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
