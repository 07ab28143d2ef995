package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/deploykey"
	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// sealedSecret is a version of a secret, as it is stored.
type sealedSecret struct {
	Sealed vault.Sealed `cbor:"1,keyasint"`
	Made   int64        `cbor:"2,keyasint"` // seconds since 1970
	// Public is the public half of a deploy key.
	Public string `cbor:"3,keyasint,omitempty"`
}

// secretKept is how long what has ended is kept, in seconds: people see for a day what has ended.
const secretKept = 24 * 3600

// hookSecretLenMin and Max bound what signs webhooks: shorter ones could be guessed.
const hookSecretLenMin, hookSecretLenMax = 16, 256

// secret is a version of one, from the store.
type secret struct {
	key     storage.Key
	id      authapi.SecretID
	version uint64
	until   int64 // 0: it does not end
	sealedSecret
}

func (x secret) place() vault.Place {
	return vault.Place{Project: string(x.id.Kind) + "/" + x.id.Owner, Name: x.id.Name, Version: x.version}
}

func (x secret) counts(now int64) bool { return x.until == 0 || now < x.until }

func (x secret) state() authapi.SecretState {
	return authapi.SecretState{ID: x.id, Version: x.version, Made: x.Made, Until: x.until, Public: x.Public, Key: hex.EncodeToString(x.Sealed.Key)}
}

func secretKey(id authapi.SecretID, version uint64, by transport.Peer) storage.Key {
	return storage.K(secretPart, id.Owner, string(id.Kind), id.Name+"-", fmt.Sprintf("%020d", version), by.String())
}

// secretEndKey says when a version ends. What is said of one is only added to, so that none comes back.
func secretEndKey(k storage.Key, until int64) storage.Key {
	parts := k.Parts()
	return storage.K(append(append([]string{secretEndPart}, parts[1:]...), fmt.Sprintf("%020d", until))...)
}

// secretsOf lists the versions of the secrets of an owner that are stored, newest first of each.
func (s *Service) secretsOf(owner string) (list []secret) {
	return s.secretsBelow(storage.K(secretPart, owner))
}

func (s *Service) secretsBelow(prefix storage.Key) (list []secret) {
	for _, e := range s.store.Entries(prefix) {
		parts := e.Key.Parts()
		if len(parts) != 6 || len(parts[3]) == 0 {
			continue
		}
		x := secret{key: e.Key, id: authapi.SecretID{Owner: parts[1], Kind: authapi.Kind(parts[2]), Name: parts[3][:len(parts[3])-1]}}
		version, err := strconv.ParseUint(parts[4], 10, 64)
		if err != nil || transport.Decode(e.Value, &x.sealedSecret) != nil {
			continue
		}
		x.version = version
		for _, end := range s.store.Entries(storage.K(append([]string{secretEndPart}, parts[1:]...)...)) {
			ends := end.Key.Parts()
			if until, err := strconv.ParseInt(ends[len(ends)-1], 10, 64); err == nil && (x.until == 0 || until < x.until) {
				x.until = until
			}
		}
		list = append(list, x)
	}
	slices.SortStableFunc(list, func(a, b secret) int {
		return cmp.Or(cmp.Compare(a.id.Owner, b.id.Owner), cmp.Compare(a.id.Kind, b.id.Kind), cmp.Compare(a.id.Name, b.id.Name),
			-cmp.Compare(a.version, b.version), -a.key.Compare(b.key))
	})
	return list
}

// putSecret stores a version, and ends those before.
func (s *Service) putSecret(ctx context.Context, from transport.Peer, req authapi.SecretPutRequest) (resp authapi.SecretPutResponse, err error) {
	op := authapi.SecretPut.Name
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	if err := checkSecret(req); err != nil {
		return resp, err
	}
	project, err := s.projectOf(op, req.ID)
	if err != nil {
		return resp, err
	}
	all, now := s.secretsOf(req.ID.Owner), s.env.Loop.Now().Unix()
	if err := s.roomForSecret(req.ID, all); err != nil {
		return resp, err
	}
	x := secret{id: req.ID, version: 1, sealedSecret: sealedSecret{Made: now}}
	batch := new(storage.Batch)
	counting := 1
	for _, was := range all {
		if was.id != req.ID {
			continue
		}
		x.version = max(x.version, was.version+1)
		until := now + req.Overlap
		if counting++; counting > authapi.SecretVersionsMax {
			until = now
		}
		switch {
		case was.until != 0 && was.until < now-secretKept:
			s.dropSecret(batch, was.key)
		case was.until == 0 || until < was.until:
			batch.Put(secretEndKey(was.key, until), nil)
		}
	}
	if req.ID.Kind == authapi.DeployKey {
		pair, err := deploykey.New(req.Value, "tau-"+req.ID.Owner)
		if err != nil {
			return resp, transport.New(transport.Invalid, op, "a deploy key is made of 32 drawn bytes")
		}
		x.Public = pair.Public
	}
	if x.Sealed, err = s.keyring.ring.Seal(x.place(), req.Value); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	batch.Put(secretKey(x.id, x.version, s.env.Self), transport.Encode(x.sealedSecret))
	resp.State = x.state()
	resp.Copies, err = s.commit(ctx, batch, from, "secret-stored", project, describe(req.ID, x.version))
	return resp, err
}

func checkSecret(req authapi.SecretPutRequest) error {
	if err := req.ID.Check(); err != nil {
		return err
	}
	wrong := ""
	switch {
	case len(req.Value) == 0 || len(req.Value) > authapi.SecretLenMax:
		wrong = "a secret has 1 to 8192 bytes"
	case req.Overlap < 0 || req.Overlap > authapi.OverlapMax:
		wrong = "what is replaced counts for 30 days more at most"
	case req.ID.Kind == authapi.HookSecret && (len(req.Value) < hookSecretLenMin || len(req.Value) > hookSecretLenMax):
		wrong = "the secret of a webhook has 16 to 256 bytes"
	case req.ID.Kind.OfProject() && bytes.ContainsRune(req.Value, 0):
		wrong = "no variable of an environment holds a zero byte"
	}
	if wrong != "" {
		return transport.New(transport.Invalid, authapi.SecretPut.Name, wrong)
	}
	return nil
}

func describe(id authapi.SecretID, version uint64) string {
	text := string(id.Kind) + " of " + id.Owner
	if id.Name != "" {
		text = string(id.Kind) + " " + id.Name + " of " + id.Owner
	}
	if version > 0 {
		text += fmt.Sprintf(", version %d", version)
	}
	return text
}

// projectOf is the project that a secret is of.
func (s *Service) projectOf(op string, id authapi.SecretID) (string, error) {
	if !id.Kind.OfProject() {
		r, err := s.repository(op, id.Owner)
		return r.Project, err
	}
	if !s.has(projectKey(id.Owner)) {
		return "", transport.New(transport.NotFound, op, "this auth knows of no such project")
	}
	return id.Owner, nil
}

func (s *Service) roomForSecret(id authapi.SecretID, all []secret) error {
	names := map[string]bool{}
	for _, x := range all {
		if x.id.Kind == id.Kind && x.counts(s.env.Loop.Now().Unix()) {
			names[x.id.Name] = true
		}
	}
	if id.Kind.OfProject() && !names[id.Name] && len(names) >= authapi.BuildSecretsMax {
		return transport.New(transport.Conflict, authapi.SecretPut.Name, "the project has too many such secrets")
	}
	return nil
}

func (s *Service) listSecrets(_ context.Context, _ transport.Peer, req authapi.SecretsRequest) (resp authapi.SecretsResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	now := s.env.Loop.Now().Unix()
	for _, x := range s.secretsOf(req.Owner) {
		if (x.until == 0 || x.until >= now-secretKept) && len(resp.List) < 16*authapi.BuildSecretsMax {
			resp.List = append(resp.List, x.state())
		}
	}
	return resp, nil
}

// revokeSecret ends versions of a secret at once and for ever.
func (s *Service) revokeSecret(ctx context.Context, from transport.Peer, req authapi.SecretRevokeRequest) (resp authapi.Done, err error) {
	op := authapi.SecretRevoke.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	if err := req.ID.Check(); err != nil {
		return resp, err
	}
	project, err := s.projectOf(op, req.ID)
	if err != nil {
		return resp, err
	}
	batch, found, now := new(storage.Batch), false, s.env.Loop.Now().Unix()
	for _, x := range s.secretsOf(req.ID.Owner) {
		if x.id != req.ID || req.Version != 0 && x.version != req.Version {
			continue
		}
		if found = true; x.counts(now) {
			batch.Put(secretEndKey(x.key, now), nil)
		}
	}
	if !found {
		return resp, transport.New(transport.NotFound, op, "this auth knows of no such secret")
	}
	resp.Copies, err = s.commit(ctx, batch, from, "secret-revoked", project, describe(req.ID, req.Version))
	return resp, err
}

// dropSecrets adds to a batch that the secrets of an owner are forgotten, of some kinds.
func (s *Service) dropSecrets(batch *storage.Batch, owner string, of func(authapi.Kind) bool) {
	for _, x := range s.secretsOf(owner) {
		if of(x.id.Kind) {
			s.dropSecret(batch, x.key)
		}
	}
}

func (s *Service) dropSecret(batch *storage.Batch, k storage.Key) {
	batch.Delete(k)
	for _, e := range s.store.Entries(storage.K(append([]string{secretEndPart}, k.Parts()[1:]...)...)) {
		batch.Delete(e.Key)
	}
}

// allSecrets lists what is stored of all owners.
func (s *Service) allSecrets() []secret { return s.secretsBelow(storage.K(secretPart)) }

func (s *Service) staleSecrets() (n int) {
	for _, x := range s.allSecrets() {
		if s.keyring.ring.Stale(x.Sealed) {
			n++
		}
	}
	for _, c := range s.certificatesOf("") {
		if s.keyring.ring.Stale(c.Sealed) {
			n++
		}
	}
	return n
}

// sealAnew seals everything with the first key that is sealed with another one.
func (s *Service) sealAnew(ctx context.Context) error {
	for _, x := range s.allSecrets() {
		if !s.keyring.ring.Stale(x.Sealed) {
			continue
		}
		value, err := s.opened(ctx, x.place(), x.Sealed)
		if err != nil {
			return fmt.Errorf("%s: %w", describe(x.id, x.version), err)
		}
		if !s.has(x.key) {
			continue // forgotten meanwhile
		}
		if x.Sealed, err = s.keyring.ring.Seal(x.place(), value); err != nil {
			return err
		}
		if err := storage.Put(s.store, x.key, transport.Encode(x.sealedSecret)); err != nil {
			return err
		}
	}
	return s.sealCertificatesAnew(ctx)
}

// values are what counts now of a secret, newest first, in its bounds.
func (s *Service) values(ctx context.Context, id authapi.SecretID) (list [][]byte, err error) {
	now := s.env.Loop.Now().Unix()
	for _, x := range s.secretsOf(id.Owner) {
		if x.id != id || !x.counts(now) || len(list) == authapi.SecretVersionsMax {
			continue
		}
		value, err := s.opened(ctx, x.place(), x.Sealed)
		if err != nil {
			return nil, transport.New(transport.Refused, authapi.Service, "a secret could not be opened: "+err.Error())
		}
		list = append(list, value)
	}
	return list, nil
}
