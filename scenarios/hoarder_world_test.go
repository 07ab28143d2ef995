package scenarios

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
)

// scripted is a client that does something once it runs.
type scripted struct {
	env node.Env
	do  func(ctx context.Context, env node.Env)
}

func (c *scripted) Start(context.Context) error {
	c.env.Loop.Go("script", func(ctx context.Context) { c.do(ctx, c.env) })
	return nil
}

func (c *scripted) Stop(context.Context) error { return nil }

func scriptedSpec(do func(ctx context.Context, env node.Env)) node.Spec {
	return node.Spec{Name: "client", Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
		return &scripted{env: env, do: do}, nil
	}}
}

// hoarderWorld runs hoarders, seers and a client, with all checks of hoarder.
type hoarderWorld struct {
	seed     uint64
	wire     sim.WireKind
	seers, n int
	settings hoarder.Settings
	client   func(ctx context.Context, env node.Env)
	faults   func(w *sim.World)
	faultsTo time.Duration // faults are over by then
	within   time.Duration
}

func (h hoarderWorld) run(t testing.TB) (sim.Outcome, map[string]float64) {
	figures := map[string]float64{}
	cfg := sim.Config{Seed: h.seed, Wire: h.wire}
	if os.Getenv("HOARDER_TRACE") != "" {
		f, err := os.Create(os.Getenv("HOARDER_TRACE"))
		require.NoError(t, err)
		defer f.Close()
		cfg.Trace = f
	}
	out, err := sim.Run(cfg, func(w *sim.World) error {
		add := func(name string, list ...node.Configured) error {
			for _, s := range services.Always() {
				list = append(list, node.Configured{Spec: s})
			}
			w.At(0, "start "+name, func() { w.Start(name) })
			return w.AddNode(sim.NodeConfig{Name: name, Services: list})
		}
		for i := range h.seers {
			if err := add(fmt.Sprintf("seer-%d", i+1), node.Configured{Spec: seer.Spec()}); err != nil {
				return err
			}
		}
		for i := range h.n {
			if err := add(fmt.Sprintf("hoarder-%d", i+1), node.Configured{Spec: hoarder.Spec(), Settings: &h.settings}); err != nil {
				return err
			}
		}
		if err := add("client", node.Configured{Spec: scriptedSpec(h.client)}); err != nil {
			return err
		}
		var checks []check.Checker
		for _, c := range hoarderChecks() {
			checks = append(checks, c.New())
		}
		w.OnFact(func(f check.Fact) {
			for _, c := range checks {
				if c, ok := c.(check.OnFact); ok {
					if err := c.Fact(f); err != nil {
						w.Fail(fmt.Errorf("%v %s: %w", w.Now(), c.Name(), err))
					}
				}
			}
		})
		if h.faults != nil {
			h.faults(w)
		}
		var unsettled error
		for at := time.Second; at <= h.faultsTo+h.within; at += time.Second {
			if err := w.RunUntil(at); err != nil {
				return err
			}
			unsettled = nil
			for _, c := range checks {
				if c, ok := c.(check.OnPoll); ok {
					if err := c.Poll(w); err != nil {
						return fmt.Errorf("%v %s: %w", w.Now(), c.Name(), err)
					}
				}
				if c, ok := c.(check.OnSettled); ok && at > h.faultsTo {
					if err := c.Settled(w); err != nil {
						unsettled = fmt.Errorf("not settled: %s: %w", c.Name(), err)
					}
				}
			}
			if at > h.faultsTo && unsettled == nil && figures["settled"] == 0 {
				figures["settled"] = (at - h.faultsTo).Seconds()
			}
		}
		for _, c := range checks {
			if c, ok := c.(check.Figures); ok {
				for name, value := range c.Figures() {
					figures[name] = value
				}
			}
		}
		return unsettled
	})
	require.NoError(t, err)
	return out, figures
}

func TestHoardersKeepWhatIsStored(t *testing.T) {
	h := hoarderWorld{
		seed: 1, seers: 2, n: 6, settings: hoarder.DefaultSettings(), faultsTo: 10 * time.Second, within: 50 * time.Second,
		client: func(ctx context.Context, env node.Env) {
			p := storeAction().Params().(*storeParams)
			p.Count = 20
			_ = storeAction().Run(ctx, env, p, 0)
		},
	}
	out, figures := h.run(t)
	t.Log(out, figures)
	require.Equal(t, 20.0, figures["items.marked"])
	again, _ := h.run(t)
	require.Equal(t, out.Digest, again.Digest)
}

// storm stores items now and then while hoarders crash, lose disks and are cut
// off.
func storm(seed uint64) hoarderWorld {
	settings := hoarder.DefaultSettings()
	settings.ScrubInterval = time.Minute
	return hoarderWorld{
		seed: seed, seers: 2, n: 9, settings: settings, faultsTo: 3 * time.Minute, within: 90 * time.Second,
		client: func(ctx context.Context, env node.Env) {
			for n := range 10 {
				p := storeAction().Params().(*storeParams)
				p.Count, p.Size, p.SizeMax = 10, 1<<10, 400<<10
				if n%3 == 2 {
					p.Kind, p.Count = "database", 3
				}
				_ = storeAction().Run(ctx, env, p, n)
				if clock.Sleep(ctx, env.Loop, 10*time.Second) != nil {
					return
				}
			}
		},
		faults: func(w *sim.World) {
			name := func(i int) string { return fmt.Sprintf("hoarder-%d", i%9+1) }
			for k := range 12 {
				at := 12*time.Second + time.Duration(k)*13*time.Second
				w.At(at, "crash", func() { w.Crash(name(int(seed)+k*5), k%3 == 0) })
				w.At(at+8*time.Second, "boot", func() { w.Start(name(int(seed) + k*5)) })
			}
			cut := func(on bool) func() {
				return func() {
					for i := range 4 {
						for j := 4; j < 9; j++ {
							setCut(w, name(i), name(j), on)
							setCut(w, name(j), name(i), on)
						}
						setCut(w, name(i), "seer-1", on)
						setCut(w, "seer-1", name(i), on)
						setCut(w, name(i), "seer-2", on)
						setCut(w, "seer-2", name(i), on)
					}
				}
			}
			w.At(60*time.Second, "cut", cut(true))
			w.At(110*time.Second, "mend", cut(false))
		},
	}
}

// wipe loses disks just when the surplus of a healed partition is released:
// claims are wrong then.
func wipe(seed uint64) hoarderWorld {
	h := storm(seed)
	h.faultsTo = 2 * time.Minute
	h.client = func(ctx context.Context, env node.Env) {
		p := storeAction().Params().(*storeParams)
		p.Count = 100
		_ = storeAction().Run(ctx, env, p, 0)
	}
	h.faults = func(w *sim.World) {
		name := func(i int) string { return fmt.Sprintf("hoarder-%d", i%9+1) }
		cut := func(on bool) func() {
			return func() {
				for i := range 4 {
					for _, to := range []string{name(4), name(5), name(6), name(7), name(8), "seer-1", "seer-2"} {
						setCut(w, name(i), to, on)
						setCut(w, to, name(i), on)
					}
				}
			}
		}
		w.At(20*time.Second, "cut", cut(true))
		w.At(60*time.Second, "mend", cut(false))
		for i := range 3 {
			at := 77*time.Second + time.Duration(seed%8)*time.Second/2
			w.At(at, "wipe", func() { w.Crash(name(i*3+int(seed)), true) })
			w.At(at+time.Second, "boot", func() { w.Start(name(i*3 + int(seed))) })
		}
	}
	return h
}

func TestHoardersAreNotDeceivedByClaims(t *testing.T) {
	for seed := range uint64(4) {
		out, figures := wipe(seed).run(t)
		t.Log(out, figures)
	}
}

func TestHoardersThroughAStorm(t *testing.T) {
	seeds := 2
	if s := os.Getenv("HOARDER_SEEDS"); s != "" {
		seeds, _ = strconv.Atoi(s)
	}
	from := 1
	if s := os.Getenv("HOARDER_FROM"); s != "" {
		from, _ = strconv.Atoi(s)
	}
	for seed := from; seed < from+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			out, figures := storm(uint64(seed)).run(t)
			t.Log(out, figures)
		})
	}
}
