package hoarder

import (
	"context"
	"maps"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// locate lists the live claimants of an item.
func (s *Service) locate(_ context.Context, _ transport.Peer, req hoarderapi.RootRequest) (resp hoarderapi.LocateResponse, err error) {
	if it := s.index.items[req.Root]; it != nil {
		resp.Holders = rendezvous.Rank(req.Root, it.claimants((*member).keeps))
	}
	if len(resp.Holders) == 0 {
		err = transport.New(transport.NotFound, hoarderapi.Locate.Name, "nobody claims it")
	}
	return resp, err
}

func (s *Service) database(_ context.Context, _ transport.Peer, req hoarderapi.DatabaseRequest) (resp hoarderapi.DatabaseResponse, err error) {
	it, version := s.index.newest(database{req.Owner, req.Name})
	if it == nil {
		return resp, transport.New(transport.NotFound, hoarderapi.NewestSnapshot.Name, "no such database")
	}
	resp.Root, resp.Version = it.root, version
	resp.Holders = rendezvous.Rank(it.root, it.claimants((*member).keeps))
	return resp, nil
}

// have confirms and proves a copy after reading it, and promises to keep it. The promise is made before the
// copy is read, so that it covers the reading, and to hoarders only.
func (s *Service) have(ctx context.Context, from transport.Peer, req hoarderapi.HaveRequest) (resp hoarderapi.HaveResponse, err error) {
	c, err := cid.Decode(req.Root)
	if err != nil {
		return resp, transport.New(transport.Invalid, hoarderapi.Have.Name, "root is not a CID")
	}
	if !validNonce(req.Nonce) {
		return resp, transport.New(transport.Invalid, hoarderapi.Have.Name, "a nonce has 32 bytes")
	}
	if !s.holdings.holds(req.Root) || s.holdings.mending[req.Root] {
		return resp, nil
	}
	promised := req.Promise && s.roster.listed(from) && s.holdings.promise(req.Root, s.env.Loop.Elapsed())
	proof, err := s.prove(ctx, c, req.Nonce)
	if err != nil {
		if ctx.Err() == nil {
			s.mendSoon(req.Root)
		}
		return resp, nil
	}
	resp.Has = s.holdings.holds(req.Root)
	if resp.Has {
		resp.Proof = proof
	}
	if promised && resp.Has {
		resp.Promise = s.holdings.lease
	}
	return resp, nil
}

func (s *Service) status(context.Context, transport.Peer, hoarderapi.Done) (hoarderapi.StatusResponse, error) {
	return hoarderapi.StatusResponse{
		Items:      len(s.index.items),
		Held:       len(s.holdings.held),
		BytesUsed:  s.holdings.used,
		BytesMax:   s.settings.Capacity,
		Acquiring:  len(s.acquiring),
		Corrupted:  len(s.holdings.mending),
		LiveOthers: s.roster.liveCount() - 1,
	}, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
