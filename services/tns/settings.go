package tns

import (
	"fmt"
	"time"
)

// Settings of a tns replica.
type Settings struct {
	// KeepVersions is how many versions of a branch are kept for rollback, the
	// current one included.
	KeepVersions int `yaml:"keep-versions"`
	// ReplicateTimeout bounds the wait for a second replica. When it is over,
	// what is durable here is good enough: the others may be out of reach.
	ReplicateTimeout time.Duration `yaml:"replicate-timeout"`
	// WatchersMax bounds the streams that tell of changes.
	WatchersMax int `yaml:"watchers-max"`
}

func defaultSettings() *Settings {
	return &Settings{KeepVersions: 20, ReplicateTimeout: 3 * time.Second, WatchersMax: 1024}
}

func (s *Settings) validate() error {
	switch {
	case s.KeepVersions < 1:
		return fmt.Errorf("tns: keep-versions must be at least 1, it is %d", s.KeepVersions)
	case s.ReplicateTimeout <= 0:
		return fmt.Errorf("tns: replicate-timeout must be positive, it is %s", s.ReplicateTimeout)
	case s.WatchersMax < 0:
		return fmt.Errorf("tns: watchers-max must not be negative, it is %d", s.WatchersMax)
	}
	return nil
}
