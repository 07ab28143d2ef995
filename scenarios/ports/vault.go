package ports

import (
	"crypto/sha256"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth"
)

// vaultOf is where simulated auths have their vault keys: outside of the world, so that no disk of it holds them, and the same of all, as
// after a first exchange.
type vaultOf struct{ key [32]byte }

// NewVault is that of a simulated auth.
func NewVault(env node.Env) auth.Vault {
	return vaultOf{sha256.Sum256([]byte("simulated vault key of " + env.Cloud()))}
}

// Keys implements auth.Vault.
func (v vaultOf) Keys() ([][]byte, error) { return [][]byte{v.key[:]}, nil }

// Keep implements auth.Vault: the keys of a simulated cloud are not replaced.
func (vaultOf) Keep([][]byte) error { return nil }

// Draw implements auth.Vault.
func (v vaultOf) Draw() []byte {
	next := sha256.Sum256(v.key[:])
	return next[:]
}
