package live

import (
	crand "crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/vault"
)

// vaultFile keeps the vault keys of a node's auth in a file beside its other keys: one a line, in base64, the one that seals first.
type vaultFile struct{ path string }

// newVault is that of a node.
func newVault(cfg Config) func(node.Env) auth.Vault {
	return func(node.Env) auth.Vault { return vaultFile{cfg.Paths.Vault} }
}

// Keys implements auth.Vault.
func (v vaultFile) Keys() (keys [][]byte, err error) {
	text, err := os.ReadFile(v.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != vault.KeyLen {
			return nil, fmt.Errorf("%s: a line that is no vault key: restore the file, or copy that of another auth", v.path)
		}
		keys = append(keys, raw)
	}
	return keys, nil
}

// Keep implements auth.Vault.
func (v vaultFile) Keep(keys [][]byte) error {
	var b strings.Builder
	b.WriteString("# The vault keys of the cloud: whoever has them reads its secrets.\n")
	for _, k := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(k) + "\n")
	}
	return WriteFile(v.path, []byte(b.String()))
}

// Draw implements auth.Vault.
func (vaultFile) Draw() []byte {
	key := make([]byte, vault.KeyLen)
	_, _ = crand.Read(key)
	return key
}
