package tns

import (
	"time"

	"github.com/taucloud/tau/storage"
)

// Settings of a tns replica.
type Settings struct {
	// KeepVersions is how many versions of a branch are kept for rollback, the
	// current one included.
	KeepVersions int `yaml:"keep-versions" range:"1..10000"`
	// KeepArtifacts is for how many of the newest versions of a branch hoarders keep the artifact,
	// the current one included; an older version can only be rolled back to while some hoarder
	// still has its artifact. It is capped at KeepVersions.
	KeepArtifacts int `yaml:"keep-artifacts" range:"1..10000"`
	// ReplicateTimeout bounds the wait for a second replica. After that a copy here is enough: the
	// others may be unreachable.
	ReplicateTimeout time.Duration `yaml:"replicate-timeout" range:"100ms..1m"`
	// WatchersMax bounds the streams of watchers.
	WatchersMax int `yaml:"watchers-max" range:"0..1000000"`
	// History bounds what the replica keeps for those that lag behind.
	History storage.History `yaml:"history"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{KeepVersions: 20, KeepArtifacts: 10, ReplicateTimeout: 3 * time.Second, WatchersMax: 1024, History: storage.DefaultHistory()}
}
