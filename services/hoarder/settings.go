package hoarder

import (
	"errors"
	"time"
)

// Settings of a hoarder. Durations are measured on its own monotonic clock.
type Settings struct {
	// Capacity is how many bytes of content it keeps at most.
	Capacity int64 `yaml:"capacity"`
	// ItemSizeMax is the largest single item it takes, in bytes.
	ItemSizeMax int64 `yaml:"item-size-max"`
	// TransfersMax is how many items it fetches at once when it competes.
	TransfersMax int `yaml:"transfers-max"`
	// SurplusMax is how many copies above its target an item may keep for ever:
	// the hysteresis between repair and release.
	SurplusMax int `yaml:"surplus-max"`
	// SurplusGrace is how long an item must have been in surplus before a copy
	// is released.
	SurplusGrace time.Duration `yaml:"surplus-grace"`
	// RepairGrace is how long a hoarder must have been missing before its copies
	// no longer count.
	RepairGrace time.Duration `yaml:"repair-grace"`
	// PromiseLease is how long a holder that has confirmed a copy to another
	// keeps it. A release must follow its confirmations within half of that.
	PromiseLease time.Duration `yaml:"promise-lease"`
	// LivenessInterval is how often it asks who is alive.
	LivenessInterval time.Duration `yaml:"liveness-interval"`
	// SweepInterval is how often it looks again at what no event has told it.
	SweepInterval time.Duration `yaml:"sweep-interval"`
	// ScrubInterval is how long one round of verifying all held content takes.
	ScrubInterval time.Duration `yaml:"scrub-interval"`
}

// DefaultSettings are those of a node that says nothing.
func DefaultSettings() Settings {
	return Settings{
		Capacity:         10 << 30,
		ItemSizeMax:      1 << 30,
		TransfersMax:     4,
		SurplusMax:       1,
		SurplusGrace:     15 * time.Second,
		RepairGrace:      10 * time.Second,
		PromiseLease:     20 * time.Second,
		LivenessInterval: 2 * time.Second,
		SweepInterval:    10 * time.Second,
		ScrubInterval:    6 * time.Hour,
	}
}

func (s Settings) validate() error {
	switch {
	case s.Capacity < 0 || s.ItemSizeMax <= 0:
		return errors.New("hoarder: capacity must not be negative and item-size-max must be positive")
	case s.TransfersMax < 1:
		return errors.New("hoarder: transfers-max must be at least 1")
	case s.SurplusMax < 0:
		return errors.New("hoarder: surplus-max must not be negative")
	case s.SurplusGrace < 0 || s.RepairGrace < 0:
		return errors.New("hoarder: surplus-grace and repair-grace must not be negative")
	case s.PromiseLease < time.Second, s.LivenessInterval < 100*time.Millisecond, s.SweepInterval < time.Second, s.ScrubInterval < time.Second:
		return errors.New("hoarder: promise-lease, sweep-interval and scrub-interval must be at least 1s, liveness-interval 100ms")
	}
	return nil
}
