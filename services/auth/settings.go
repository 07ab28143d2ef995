package auth

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport/membership"
)

// Settings of an auth.
type Settings struct {
	// Lifetime is how long a certificate counts that it signs.
	Lifetime time.Duration `yaml:"lifetime" range:"10m..9000h"`
	// RenewGrace is how long after its end a certificate is still renewed, unless it began more than
	// membership.ValidityMax ago: a revocation of it may be forgotten then.
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

// Conflicts implements node.Ruled: what is renewed in the end is young enough for it.
func (s *Settings) Conflicts() (list []*node.SettingError) {
	if most := membership.ValidityMax - 4*membership.SkewMax - s.Lifetime; s.RenewGrace > most {
		list = append(list, &node.SettingError{
			Key: "renew-grace", What: fmt.Sprintf("%s and lifetime, %s, are longer than revocations are remembered", s.RenewGrace, s.Lifetime),
			Hint: "allowed with it: at most " + most.String(),
		})
	}
	return list
}

// AgentSettings of the agent on every node.
type AgentSettings struct {
	// CheckEvery is how often it asks an auth what was revoked.
	CheckEvery time.Duration `yaml:"check-every" range:"100ms..1m"`
}

// DefaultAgentSettings returns the defaults.
func DefaultAgentSettings() *AgentSettings { return &AgentSettings{CheckEvery: 2 * time.Second} }
