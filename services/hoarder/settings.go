package hoarder

import (
	"time"

	"github.com/taucloud/tau/storage"
)

// Settings of a hoarder. Durations are measured on its own monotonic clock.
type Settings struct {
	// Capacity is how many bytes of content it keeps at most.
	Capacity int64 `yaml:"capacity" range:"0..1024TiB"`
	// ItemSizeMax is the largest single item it takes, in bytes.
	ItemSizeMax int64 `yaml:"item-size-max" range:"1..1TiB"`
	// TransfersMax is how many items it fetches at once when it competes.
	TransfersMax int `yaml:"transfers-max" range:"1..1024"`
	// SurplusMax is how many copies above its target an item may keep for ever:
	// the hysteresis between repair and release.
	SurplusMax int `yaml:"surplus-max" range:"0..1000"`
	// SurplusGrace is how long an item must have been in surplus before a copy
	// is released.
	SurplusGrace time.Duration `yaml:"surplus-grace" range:"0s..24h"`
	// RepairGrace is how long a hoarder must have been missing before its copies
	// no longer count.
	RepairGrace time.Duration `yaml:"repair-grace" range:"0s..24h"`
	// PromiseLease is how long a holder that has confirmed a copy to another
	// keeps it. A release must follow its confirmations within half of that.
	PromiseLease time.Duration `yaml:"promise-lease" range:"1s..24h"`
	// LivenessInterval is how often it asks who is alive.
	LivenessInterval time.Duration `yaml:"liveness-interval" range:"100ms..1h"`
	// SweepInterval is the pause between two sweeps, which handle changes without an event.
	SweepInterval time.Duration `yaml:"sweep-interval" range:"1s..24h"`
	// ForgetAfter is how long a withdrawal is remembered, at least: a pin that was
	// made before it and comes later than that undoes it.
	ForgetAfter time.Duration `yaml:"forget-after" range:"1m..8760h"`
	// ScrubInterval is how long one round of verifying all held content takes.
	ScrubInterval time.Duration `yaml:"scrub-interval" range:"1s..8760h"`
	// History bounds what its replica keeps for those that lag behind.
	History storage.History `yaml:"history"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		Capacity:         10 << 30,
		ItemSizeMax:      1 << 30,
		TransfersMax:     4,
		SurplusMax:       1,
		SurplusGrace:     15 * time.Second,
		RepairGrace:      10 * time.Second,
		PromiseLease:     20 * time.Second,
		LivenessInterval: 2 * time.Second,
		SweepInterval:    10 * time.Second,
		ForgetAfter:      12 * time.Hour,
		ScrubInterval:    6 * time.Hour,
		History:          storage.DefaultHistory(),
	}
}
