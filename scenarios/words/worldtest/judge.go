// Package worldtest is for tests that build a world by hand, without a scenario
// file.
package worldtest

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// Judge runs checkers in a world as a scenario's runner does.
func Judge(w *sim.World, until time.Duration, checks ...scenario.Check) (settled func() error) {
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
				if err := c.Settled(Healed{w}); err != nil {
					return fmt.Errorf("%s: %w", c.Name(), err)
				}
			}
		}
		return nil
	}
}
