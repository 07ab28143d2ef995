package seer

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
)

// Settings of a seer.
type Settings struct {
	// GoneAfter is how long a node may be silent before it leaves the answers.
	GoneAfter time.Duration `yaml:"gone-after" range:"500ms..1h"`
	// ExchangeInterval is the pause between two rounds of asking other seers.
	ExchangeInterval time.Duration `yaml:"exchange-interval" range:"10ms..1h"`
	// SettleAfter is how long after its start, or after a stall of its own, a
	// seer refuses to answer because it can't know yet.
	SettleAfter time.Duration `yaml:"settle-after" range:"100ms..1h"`
	// ForgetAfter is how long a node that is gone is remembered.
	ForgetAfter time.Duration `yaml:"forget-after" range:"0s..8760h"`
	// MembersMax bounds the table; beacons of further nodes are ignored.
	MembersMax int `yaml:"members-max" range:"1..1000000"`
	// KnowAfter is how long after its start a seer says at the earliest that it knows of all members.
	KnowAfter time.Duration `yaml:"know-after" range:"100ms..1h"`
	// AloneAfter is how long after its start it says so although it does not reach other seers.
	AloneAfter time.Duration `yaml:"alone-after" range:"100ms..24h"`
	// DepartAfter is how long a member may be silent before it counts as having left for ever.
	DepartAfter time.Duration `yaml:"depart-after" range:"10s..87600h"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		GoneAfter:        5 * time.Second,
		ExchangeInterval: time.Second,
		SettleAfter:      2 * time.Second,
		ForgetAfter:      10 * time.Minute,
		MembersMax:       16384,
		KnowAfter:        time.Second,
		AloneAfter:       10 * time.Second,
		DepartAfter:      7 * 24 * time.Hour,
	}
}

// Conflicts implements node.Ruled: two rounds of exchange fit in the time that it
// takes for a silent node to be gone.
func (s *Settings) Conflicts() (list []*node.SettingError) {
	if s.ExchangeInterval > s.GoneAfter/2 {
		list = append(list, &node.SettingError{
			Key: "exchange-interval", What: fmt.Sprintf("%s is more than half of gone-after, %s", s.ExchangeInterval, s.GoneAfter),
			Hint: "allowed with it: at most " + (s.GoneAfter / 2).String(),
		})
	}
	return list
}

// DiscoverySettings of the agent that finds the others.
type DiscoverySettings struct {
	// Interval is the pause between two questions for what has changed.
	Interval time.Duration `yaml:"interval" range:"100ms..1h"`
}

// DefaultDiscoverySettings returns the defaults.
func DefaultDiscoverySettings() *DiscoverySettings {
	return &DiscoverySettings{Interval: 5 * time.Second}
}

// BeaconSettings of the agent that runs on every node.
type BeaconSettings struct {
	// Interval is the pause between two beacons.
	Interval time.Duration `yaml:"interval" range:"100ms..1h"`
	// AnnounceEvery is how often a beacon carries everything although nothing
	// has changed, in beacons.
	AnnounceEvery int `yaml:"announce-every" range:"1..1000000"`
	// Addresses are where the outside world reaches this node.
	Addresses []string `yaml:"addresses" range:"0..16"`
}

// DefaultBeaconSettings returns the defaults.
func DefaultBeaconSettings() *BeaconSettings {
	return &BeaconSettings{Interval: time.Second, AnnounceEvery: 30}
}
