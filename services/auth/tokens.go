package auth

import (
	"bytes"
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// tokenKept is how long a token's record is kept after its end: people see for a day what has ended.
const tokenKept = 24 * time.Hour

// createToken stores what proves a token. Asked for the same twice it does nothing more.
func (s *Service) createToken(ctx context.Context, from transport.Peer, req authapi.TokenCreateRequest) (resp authapi.TokenCreateResponse, err error) {
	op, r, value := authapi.TokenCreate.Name, req.Record, transport.Encode(req.Record)
	if err := s.Ready(); err != nil {
		return resp, err
	}
	if err := r.Check(s.env.Loop.Now(), membership.SkewMax); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	batch := &storage.Batch{}
	kept := s.dropEndedTokens(batch)
	switch known, err := s.store.Get(tokenKey(r.ID)); {
	case err == nil && !bytes.Equal(known, value):
		return resp, transport.New(transport.Conflict, op, "there is another token of this ID")
	case err != nil && kept >= authapi.TokensMax:
		return resp, transport.New(transport.Conflict, op, "there are too many tokens: some have to end first")
	}
	batch.Put(tokenKey(r.ID), value)
	if err := s.store.Apply(batch); err != nil {
		return resp, err
	}
	if resp.Copies, err = s.replicate(ctx); err != nil {
		return resp, err
	}
	s.env.Observe("token-created", node.F("token", r.ID), node.F("copies", resp.Copies), node.F("by", from))
	return resp, nil
}

// dropEndedTokens adds to a batch that those are forgotten that have ended, taken back or not: should a record come back by a replica
// that was away, it has ended all the same. kept counts the others.
func (s *Service) dropEndedTokens(batch *storage.Batch) (kept int) {
	before := s.env.Loop.Now().Add(-tokenKept).Unix()
	for _, e := range s.store.Entries(storage.K(tokenPart)) {
		if r, ok := tokenOf(e.Value); ok && r.NotAfter >= before {
			kept++
		} else {
			batch.Delete(e.Key)
		}
	}
	for _, e := range s.store.Entries(storage.K(tokenRevokedPart)) {
		if parseNumber(e.Value) < before {
			batch.Delete(e.Key)
		}
	}
	return kept
}

func tokenOf(raw []byte) (r token.Record, ok bool) { return r, transport.Decode(raw, &r) == nil }

// findToken finds what is stored of a token, and whether it was taken back. NotFound: this auth knows of none.
func (s *Service) findToken(op, id string) (r token.Record, revoked bool, err error) {
	if err := s.Ready(); err != nil {
		return r, false, err
	}
	raw, err := s.store.Get(tokenKey(id))
	if err != nil {
		return r, false, transport.New(transport.NotFound, op, "this auth knows of no such token")
	}
	if err := transport.Decode(raw, &r); err != nil {
		return r, false, err
	}
	return r, s.tokenRevoked(id), nil
}

func (s *Service) tokenRevoked(id string) bool {
	_, err := s.store.Get(tokenRevokedKey(id))
	return err == nil
}

// revokeToken takes a token back, for ever: nothing takes the mark away before the token has ended.
func (s *Service) revokeToken(ctx context.Context, from transport.Peer, req authapi.TokenRevokeRequest) (resp authapi.TokenRevokeResponse, err error) {
	r, _, err := s.findToken(authapi.TokenRevoke.Name, req.ID)
	if err != nil {
		return resp, err
	}
	if err := storage.Put(s.store, tokenRevokedKey(r.ID), number(r.NotAfter)); err != nil {
		return resp, err
	}
	if resp.Copies, err = s.replicate(ctx); err != nil {
		return resp, err
	}
	s.env.Observe("token-revoked", node.F("token", r.ID), node.F("copies", resp.Copies), node.F("by", from))
	return resp, nil
}

// listTokens tells what is known of tokens, in pages.
func (s *Service) listTokens(_ context.Context, _ transport.Peer, req authapi.TokenListRequest) (resp authapi.TokenListResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	for _, e := range s.store.Entries(storage.K(tokenPart)) {
		r, ok := tokenOf(e.Value)
		if !ok || r.ID <= req.After {
			continue
		}
		if len(resp.List) == authapi.TokenPageMax {
			resp.More = true
			break
		}
		resp.List = append(resp.List, authapi.TokenState{ID: r.ID, Projects: r.Projects, Scopes: r.Scopes, NotAfter: r.NotAfter, Revoked: s.tokenRevoked(r.ID)})
	}
	return resp, nil
}

// checkToken proves a token. Conflict: it does not allow that, and no other auth says otherwise; why, nobody is told.
func (s *Service) checkToken(_ context.Context, _ transport.Peer, req authapi.TokenCheckRequest) (resp authapi.TokenCheckResponse, err error) {
	op := authapi.TokenCheck.Name
	id, ok := token.ID(req.Text)
	if !ok || len(req.Project) > authapi.TokenProjectLenMax {
		return resp, transport.New(transport.Invalid, op, "this is no token")
	}
	r, revoked, err := s.findToken(op, id)
	if err != nil {
		return resp, err
	}
	if revoked || r.Allows(req.Text, req.Project, req.Scope, s.env.Loop.Now()) != nil {
		return resp, transport.New(transport.Conflict, op, token.ErrRefused.Error())
	}
	resp.ID = r.ID
	return resp, nil
}
