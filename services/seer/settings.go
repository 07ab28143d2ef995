package seer

import (
	"fmt"
	"time"
)

// Settings of a seer.
type Settings struct {
	// GoneAfter is how long a node may be silent before it leaves the answers.
	GoneAfter time.Duration `yaml:"gone-after"`
	// ExchangeInterval is the pause between two rounds of asking other seers.
	ExchangeInterval time.Duration `yaml:"exchange-interval"`
	// SettleAfter is how long after its start, or after a stall of its own, a
	// seer refuses to answer because it can't know yet.
	SettleAfter time.Duration `yaml:"settle-after"`
	// ForgetAfter is how long a node that is gone is remembered.
	ForgetAfter time.Duration `yaml:"forget-after"`
	// MembersMax bounds the table; beacons of further nodes are ignored.
	MembersMax int `yaml:"members-max"`
}

func defaultSettings() *Settings {
	return &Settings{
		GoneAfter:        5 * time.Second,
		ExchangeInterval: time.Second,
		SettleAfter:      2 * time.Second,
		ForgetAfter:      10 * time.Minute,
		MembersMax:       16384,
	}
}

func (s *Settings) validate() error {
	switch {
	case s.GoneAfter <= 0:
		return fmt.Errorf("seer: gone-after must be positive, it is %s", s.GoneAfter)
	case s.ExchangeInterval <= 0 || s.ExchangeInterval > s.GoneAfter/2:
		return fmt.Errorf("seer: exchange-interval must be positive and at most half of gone-after, it is %s", s.ExchangeInterval)
	case s.SettleAfter < 0 || s.ForgetAfter < 0:
		return fmt.Errorf("seer: settle-after and forget-after must not be negative")
	case s.MembersMax < 1:
		return fmt.Errorf("seer: members-max must be at least 1, it is %d", s.MembersMax)
	}
	return nil
}

// BeaconSettings of the agent that runs on every node.
type BeaconSettings struct {
	// Interval is the pause between two beacons.
	Interval time.Duration `yaml:"interval"`
	// AnnounceEvery is how often a beacon carries everything although nothing
	// has changed, in beacons.
	AnnounceEvery int `yaml:"announce-every"`
	// Addresses are where the outside world reaches this node.
	Addresses []string `yaml:"addresses"`
}

func defaultBeaconSettings() *BeaconSettings {
	return &BeaconSettings{Interval: time.Second, AnnounceEvery: 30}
}

func (s *BeaconSettings) validate() error {
	switch {
	case s.Interval <= 0:
		return fmt.Errorf("beacon: interval must be positive, it is %s", s.Interval)
	case s.AnnounceEvery < 1:
		return fmt.Errorf("beacon: announce-every must be at least 1, it is %d", s.AnnounceEvery)
	}
	return nil
}
