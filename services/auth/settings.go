package auth

import (
	"time"

	"github.com/taucloud/tau/storage"
)

// Settings of an auth.
type Settings struct {
	// Lifetime is how long a certificate counts that it signs.
	Lifetime time.Duration `yaml:"lifetime" range:"10m..9000h"`
	// RenewGrace is how long after its end a certificate is still renewed.
	RenewGrace time.Duration `yaml:"renew-grace" range:"0s..9000h"`
	// InvitationMax bounds how long an invitation counts.
	InvitationMax time.Duration `yaml:"invitation-max" range:"1m..2160h"`
	// ReplicateTimeout bounds the wait for a second auth. After that a copy here is enough.
	ReplicateTimeout time.Duration `yaml:"replicate-timeout" range:"100ms..1m"`
	// History bounds what the replica keeps for those that lag behind.
	History storage.History `yaml:"history"`
}

// DefaultSettings returns the defaults: a month, renewed after two thirds of it, so that a partition
// of ten days ends nobody's membership.
func DefaultSettings() *Settings {
	return &Settings{
		Lifetime: 30 * 24 * time.Hour, RenewGrace: 30 * 24 * time.Hour, InvitationMax: 7 * 24 * time.Hour,
		ReplicateTimeout: 3 * time.Second, History: storage.DefaultHistory(),
	}
}

// AgentSettings of the agent on every node.
type AgentSettings struct {
	// CheckEvery is how often it asks an auth what was revoked.
	CheckEvery time.Duration `yaml:"check-every" range:"100ms..1m"`
}

// DefaultAgentSettings returns the defaults.
func DefaultAgentSettings() *AgentSettings { return &AgentSettings{CheckEvery: 2 * time.Second} }
