package jobs

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
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
)

// pusher is a client that pushes now and then.
type pusher struct {
	env   node.Env
	times int
	every time.Duration
	with  pushParams
}

func (p *pusher) Start(context.Context) error {
	p.env.Loop.Go("push", func(ctx context.Context) {
		for range p.times {
			p.env.Loop.Go("one", func(ctx context.Context) { _ = p.with.run(ctx, p.env) })
			if clock.Sleep(ctx, p.env.Loop, p.every) != nil {
				return
			}
		}
	})
	return nil
}

func (p *pusher) Stop(context.Context) error { return nil }

func pusherSpec(times int, every time.Duration, with pushParams) node.Spec {
	return node.Spec{
		Name: "client", Settings: func() any { return nil },
		New: func(env node.Env, _ any) (node.Service, error) {
			return &pusher{env: env, times: times, every: every, with: with}, nil
		},
	}
}

func buildWorld(w *sim.World, patricks, monkeys int, client node.Spec) {
	buildWorldOf(w, patrick.Spec(patrick.Ends{}), patricks, monkeys, client)
}

func buildWorldOf(w *sim.World, ofPatrick node.Spec, patricks, monkeys int, client node.Spec) {
	add := func(name string, specs ...node.Spec) {
		cfg := sim.NodeConfig{Name: name}
		for _, s := range specs {
			cfg.Services = append(cfg.Services, node.Configured{Spec: s})
		}
		if err := w.AddNode(cfg); err != nil {
			panic(err)
		}
		w.At(0, "start "+name, func() { w.Start(name) })
	}
	for i := range patricks {
		add(fmt.Sprintf("patrick-%d", i+1), ofPatrick)
	}
	for i := range monkeys {
		add(fmt.Sprintf("monkey-%d", i+1), monkey.Spec(ports.NewBuilder, nil))
	}
	add("client", client)
}

func TestPushesBecomeSuccesses(t *testing.T) {
	run := func(seed uint64) (sim.Outcome, map[string]int) {
		facts := map[string]int{}
		trace := new(bytes.Buffer)
		out, err := sim.Run(sim.Config{Seed: seed, Trace: trace}, func(w *sim.World) error {
			w.OnFact(func(f check.Fact) { facts[f.Name+" "+f.Text("status")]++ })
			buildWorld(w, 3, 3, pusherSpec(10, time.Second, pushParams{Project: "hello", Branch: "main", Deliveries: 2, RetryFor: time.Minute}))
			if err := w.RunUntil(2 * time.Minute); err != nil {
				return err
			}
			for _, n := range w.Nodes() {
				if s, ok := n.Service("patrick").(*patrick.Service); ok {
					jobs := s.Jobs()
					require.Len(t, jobs, 10)
					for _, j := range jobs {
						require.Equal(t, patrickapi.Success, j.Status, "%+v", j)
					}
				}
			}
			return nil
		})
		if file := os.Getenv("TRACE"); file != "" {
			require.NoError(t, os.WriteFile(file, trace.Bytes(), 0o600))
		}
		require.NoError(t, err)
		return out, facts
	}
	out, facts := run(1)
	t.Log(out, facts)
	again, _ := run(1)
	require.Equal(t, out, again)
}
