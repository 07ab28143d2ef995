package jobs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/scenarios/words/worldtest"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// chaos runs pushes under random faults, heals after three minutes and demands
// that all checks hold. It needs no scenario file.
type chaos struct {
	w        *sim.World
	rand     *rand.Rand
	names    []string
	checkers []check.Checker
	ends     []func()
}

func (c *chaos) fault() {
	w, r := c.w, c.rand
	victim := c.names[r.IntN(len(c.names))]
	lasts := time.Duration(1+r.IntN(25)) * time.Second
	switch r.IntN(12) {
	case 0, 1:
		w.Crash(victim, false)
		w.After(lasts, "start", func() { w.Start(victim) })
	case 2:
		w.SetPaused(victim, true)
		w.After(lasts, "resume", func() { w.SetPaused(victim, false) })
	case 3:
		for _, other := range c.names {
			worldtest.SetCut(w, victim, other, true)
			worldtest.SetCut(w, other, victim, true)
		}
		w.After(lasts, "mend", c.mend)
	case 4:
		side := map[string]bool{}
		for _, n := range c.names {
			side[n] = r.IntN(2) == 0
		}
		for _, a := range c.names {
			for _, b := range c.names {
				if side[a] != side[b] {
					worldtest.SetCut(w, a, b, true)
				}
			}
		}
		w.After(lasts, "mend", c.mend)
	case 5:
		w.Stop(victim)
		w.After(lasts, "start", func() { w.Start(victim) })
	case 6, 7:
		for _, other := range c.names {
			worldtest.SetHeld(w, victim, other, true)
		}
		w.After(lasts, "release", c.mend)
	case 8:
		for _, other := range c.names {
			worldtest.SetCut(w, victim, other, true)
		}
		w.After(lasts, "mend", c.mend)
	case 9:
		w.SetSkew(victim, time.Duration(r.IntN(600)-300)*time.Second)
	case 10:
		w.SetDisk(victim, fault.Condition{SyncMin: 200 * time.Millisecond, SyncMax: 3 * time.Second, ErrorProbability: 0.1})
		w.After(lasts, "mend disk", func() { w.SetDisk(victim, fault.Condition{}) })
	case 11:
		c.failpoint(victim)
	}
}

func (c *chaos) failpoint(victim string) {
	points := fail.Points()
	points = slices.DeleteFunc(points, func(p *fail.Point) bool {
		return !strings.HasPrefix(p.Name(), "patrick/") && !strings.HasPrefix(p.Name(), "monkey/")
	})
	action := []string{"crash", "error", "delay 15s", "crash"}[c.rand.IntN(4)]
	do, err := fail.ParseAction(action)
	if err != nil {
		panic(err)
	}
	off, err := fail.Enable(fail.Rule{Point: points[c.rand.IntN(len(points))].Name(), Do: do, Times: 2})
	if err != nil {
		panic(err)
	}
	c.ends = append(c.ends, off)
}

func (c *chaos) mend() {
	for _, a := range c.names {
		for _, b := range c.names {
			worldtest.SetCut(c.w, a, b, false)
			worldtest.SetHeld(c.w, a, b, false)
		}
	}
}

func (c *chaos) poll() {
	for _, k := range c.checkers {
		if p, ok := k.(check.OnPoll); ok {
			if err := p.Poll(c.w); err != nil {
				c.w.Fail(fmt.Errorf("%s at %v: %w", k.Name(), c.w.Now(), err))
			}
		}
	}
}

func runChaos(seed uint64, trace *bytes.Buffer) (map[string]float64, sim.Outcome, error) {
	c := &chaos{rand: rand.New(rand.NewPCG(seed, 1))}
	for _, k := range worldtest.Unaudited(append(PatrickChecks(), MonkeyChecks()...)) {
		c.checkers = append(c.checkers, k.New())
	}
	cfg := sim.Config{Seed: seed}
	if trace != nil {
		cfg.Trace = trace
	}
	out, err := sim.Run(cfg, func(w *sim.World) error {
		c.w = w
		w.OnFact(func(f check.Fact) {
			for _, k := range c.checkers {
				if p, ok := k.(check.OnFact); ok {
					if err := p.Fact(f); err != nil {
						w.Fail(fmt.Errorf("%s at %v: %w", k.Name(), f.At, err))
					}
				}
			}
		})
		add := func(name string, specs ...node.Spec) {
			c.names = append(c.names, name)
			cfg := sim.NodeConfig{Name: name}
			for _, s := range specs {
				cfg.Services = append(cfg.Services, node.Configured{Spec: s})
			}
			if err := w.AddNode(cfg); err != nil {
				panic(err)
			}
			w.At(0, "start "+name, func() { w.Start(name) })
		}
		for i := range 3 {
			add(fmt.Sprintf("core-%d", i+1), tns.Spec(), patrick.Spec(patrick.Ends{}))
		}
		for i := range 5 {
			add(fmt.Sprintf("monkey-%d", i+1), monkey.Spec(ports.NewBuilder, nil))
		}
		add("client", pusherSpec(40, 4*time.Second, pushParams{Project: "hello", Branch: "main", Deliveries: 1 + int(seed%2), RetryFor: 10 * time.Minute}))
		c.names = c.names[:len(c.names)-1]
		for at := 5 * time.Second; at < 3*time.Minute; at += 6 * time.Second {
			w.At(at, "fault", c.fault)
		}
		for at := time.Second; at < 5*time.Minute; at += time.Second {
			w.At(at, "poll", c.poll)
		}
		w.At(3*time.Minute, "heal", func() {
			c.mend()
			for _, end := range c.ends {
				end()
			}
			for _, n := range c.names {
				w.SetPaused(n, false)
				w.SetDisk(n, fault.Condition{})
				w.Start(n)
			}
		})
		if err := w.RunUntil(5 * time.Minute); err != nil {
			return err
		}
		for _, k := range c.checkers {
			if p, ok := k.(check.OnSettled); ok {
				if err := p.Settled(worldtest.Healed{World: w}); err != nil {
					return fmt.Errorf("%s: %w", k.Name(), err)
				}
			}
		}
		return nil
	})
	return c.checkers[0].(*noLostJobs).Figures(), out, err
}

func TestJobsSurviveChaos(t *testing.T) {
	seeds, first := 5, 1
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = n
	}
	if n, err := strconv.Atoi(os.Getenv("SEED")); err == nil {
		first, seeds = n, 1
	}
	for i := range seeds {
		seed := uint64(first + i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			trace := new(bytes.Buffer)
			figures, out, err := runChaos(seed, trace)
			t.Log(out, figures)
			if file := os.Getenv("TRACE"); file != "" {
				require.NoError(t, os.WriteFile(file, trace.Bytes(), 0o600))
			}
			require.NoError(t, err)
		})
	}
}
