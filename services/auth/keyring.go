package auth

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/transport"
)

// Secrets are sealed with the vault keys of the cloud, which auths keep outside of what is replicated: who has a disk of an auth, or a
// replica, reads no secret. The first auth draws the first key; each other one asks those that there are, and keeps what it is given.

// Vault is where an auth keeps the vault keys.
type Vault interface {
	// Keys are those that are kept, the one that seals first; none is no error.
	Keys() ([][]byte, error)
	// Keep replaces them, durably. It may block.
	Keep(keys [][]byte) error
	// Draw makes a key that nobody can foresee.
	Draw() []byte
}

// keyring is what an auth has of them.
type keyring struct {
	vault Vault // nil: this auth keeps no secrets
	keys  [][]byte
	ring  vault.Ring
	// askedAt is when others were last asked for keys that are not here, in Elapsed; asking says that they are being asked.
	askedAt time.Duration
	asked   bool
}

const (
	// vaultAskEvery is the pause between two questions for vault keys.
	vaultAskEvery = 3 * time.Second
	vaultTimeout  = 2 * time.Second
)

var errNoVault = transport.New(transport.Refused, authapi.Service, "this auth has no vault key yet: it asks the other auths, which may have one, and draws one only if there are none")

// vaultReady refuses as long as nothing can be sealed or opened.
func (s *Service) vaultReady() error {
	if err := s.Ready(); err != nil {
		return err
	}
	if s.keyring.ring.Empty() {
		return errNoVault
	}
	return nil
}

// openVault loads the vault keys, or obtains them.
func (s *Service) openVault() error {
	if s.keyring.vault == nil {
		return nil
	}
	keys, err := s.keyring.vault.Keys()
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		return s.useKeys(keys)
	}
	s.env.Loop.Go("vault keys", func(ctx context.Context) {
		_ = clock.Every(ctx, s.env.Loop, vaultAskEvery, func(ctx context.Context) bool {
			if err := s.obtainKeys(ctx); err != nil {
				s.env.Log.Info("no vault key yet", "err", err)
			}
			return s.keyring.ring.Empty()
		}) // ends when there are some, or with the loop
	})
	return nil
}

func (s *Service) useKeys(keys [][]byte) error {
	ring, err := vault.NewRing(keys...)
	if err != nil {
		return err
	}
	s.keyring.keys, s.keyring.ring = keys, ring
	return nil
}

// obtainKeys asks the other auths, and draws a key if it is certain that nobody has one: all others have said so, and this one is the
// first among them.
func (s *Service) obtainKeys(ctx context.Context) error {
	if err := s.Ready(); err != nil {
		return err
	}
	auths, known := s.env.Wire.Directory().Lookup(authapi.Service)
	if !known {
		return transport.New(transport.Refused, authapi.Service, "it is not known yet who else is an auth")
	}
	first := true
	for _, p := range auths {
		if p == s.env.Self {
			continue
		}
		first = first && s.env.Self.Compare(p) < 0
		if err := s.exchangeKeys(ctx, p, nil); err != nil {
			return err
		}
	}
	if !s.keyring.ring.Empty() || !first {
		return nil
	}
	return s.keepKeys(ctx, [][]byte{s.keyring.vault.Draw()})
}

// exchangeKeys gives another auth keys, and takes over what it has.
func (s *Service) exchangeKeys(ctx context.Context, p transport.Peer, give [][]byte) error {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, vaultTimeout)
	defer cancel()
	resp, err := vaultKeys.Call(ctx, s.env.Wire, p, vaultKeysRequest{Keys: give})
	if err != nil {
		return err
	}
	return s.keepKeys(ctx, union(s.keyring.keys, resp.Keys))
}

// union has all keys of both lists, those of the first one first.
func union(a, b [][]byte) [][]byte {
	all := slices.Clone(a)
	for _, k := range b {
		if !slices.ContainsFunc(all, func(have []byte) bool { return slices.Equal(have, k) }) {
			all = append(all, k)
		}
	}
	return all
}

// keepKeys makes keys durable here, then uses them.
func (s *Service) keepKeys(ctx context.Context, keys [][]byte) error {
	ring, err := vault.NewRing(keys...)
	if err != nil || slices.Equal(ring.IDs(), s.keyring.ring.IDs()) {
		return err
	}
	if left := clock.Offload(ctx, s.env.Loop, func() { err = s.keyring.vault.Keep(keys) }); left != nil || err != nil {
		return transport.New(transport.Internal, authapi.Service, "the vault keys could not be kept")
	}
	s.env.Observe("vault-keys", node.F("keys", len(keys)))
	return s.useKeys(keys)
}

// giveKeys serves another auth.
func (s *Service) giveKeys(ctx context.Context, _ transport.Peer, req vaultKeysRequest) (resp vaultKeysResponse, err error) {
	if s.keyring.vault == nil {
		return resp, nil
	}
	if len(req.Keys) > 0 {
		if err := s.keepKeys(ctx, union(req.Keys, s.keyring.keys)); err != nil {
			return resp, transport.New(transport.Invalid, vaultKeys.Name, "these are no vault keys, or too many")
		}
	}
	resp.Keys = s.keyring.keys
	return resp, nil
}

// opened is what was sealed for a place; other auths are asked for a key that is not here, now and then.
func (s *Service) opened(ctx context.Context, at vault.Place, sealed vault.Sealed) ([]byte, error) {
	secret, err := s.keyring.ring.Open(at, sealed)
	k := &s.keyring
	if err != vault.ErrNoKey || k.vault == nil || k.asked && s.env.Loop.Elapsed() < k.askedAt+vaultAskEvery {
		return secret, err
	}
	k.asked, k.askedAt = true, s.env.Loop.Elapsed()
	auths, _ := s.env.Wire.Directory().Lookup(authapi.Service)
	for _, p := range auths {
		if p != s.env.Self && s.exchangeKeys(ctx, p, nil) == nil {
			if secret, err = s.keyring.ring.Open(at, sealed); err != vault.ErrNoKey {
				break
			}
		}
	}
	return secret, err
}

// changeVault replaces the vault key, or forgets what nothing is sealed with.
func (s *Service) changeVault(ctx context.Context, from transport.Peer, req authapi.VaultRequest) (resp authapi.VaultResponse, err error) {
	op := authapi.Vault.Name
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	if req.Forget {
		err = s.forgetKeys(ctx)
	} else {
		err = s.replaceKey(ctx)
	}
	if err != nil {
		return resp, transport.New(transport.Conflict, op, err.Error())
	}
	if err := s.audit(from, map[bool]string{false: "vault-key-replaced", true: "vault-keys-forgotten"}[req.Forget], "", ""); err != nil {
		return resp, err
	}
	if _, err := s.replicate(ctx); err != nil {
		return resp, err
	}
	resp.Keys, resp.Stale = s.keyring.ring.IDs(), s.staleSecrets()
	return resp, nil
}

// replaceKey draws a key, tells the other auths, and seals all anew with it. An auth that it does not reach asks for the key when it
// meets what it can't open.
func (s *Service) replaceKey(ctx context.Context) error {
	if len(s.keyring.keys) >= vault.KeysMax {
		return transport.New(transport.Conflict, authapi.Vault.Name, "there are too many vault keys: forget the old ones first")
	}
	if err := s.keepKeys(ctx, union([][]byte{s.keyring.vault.Draw()}, s.keyring.keys)); err != nil {
		return err
	}
	auths, _ := s.env.Wire.Directory().Lookup(authapi.Service)
	for _, p := range auths {
		if p != s.env.Self {
			if err := s.exchangeKeys(ctx, p, s.keyring.keys); err != nil {
				s.env.Log.Info("another auth has not heard of the new vault key: it asks when it needs it", "peer", p, "err", err)
			}
		}
	}
	return s.sealAnew(ctx)
}

// forgetKeys lets go of keys with which nothing is sealed.
func (s *Service) forgetKeys(ctx context.Context) error {
	if n := s.staleSecrets(); n > 0 {
		if err := s.sealAnew(ctx); err != nil {
			return err
		}
	}
	return s.keepKeys(ctx, s.keyring.keys[:1])
}
