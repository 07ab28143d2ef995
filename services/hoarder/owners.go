package hoarder

import (
	"context"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// ownedScanMax bounds the items that one answer to Owned looks at.
const ownedScanMax = 4096

// owners lists the owners of an item's standing pins.
func (s *Service) owners(_ context.Context, _ transport.Peer, req hoarderapi.OwnersRequest) (resp hoarderapi.OwnersResponse, err error) {
	it := s.index.items[req.Root]
	if it == nil {
		return resp, transport.New(transport.NotFound, hoarderapi.Owners.Name, "no such item")
	}
	for _, m := range it.standing() {
		if compareOwners(m.Owner, m.Name, req.AfterOwner, req.AfterName) > 0 {
			resp.Owners = append(resp.Owners, owned(it, m))
		}
	}
	slices.SortFunc(resp.Owners, func(a, b hoarderapi.Owned) int { return compareOwners(a.Owner, a.Name, b.Owner, b.Name) })
	if len(resp.Owners) > hoarderapi.OwnedPage {
		resp.Owners, resp.More = resp.Owners[:hoarderapi.OwnedPage], true
	}
	return resp, nil
}

// owned lists a page of the items pinned by owners with a prefix. All pins of one root are on one
// page.
func (s *Service) owned(_ context.Context, _ transport.Peer, req hoarderapi.OwnedRequest) (resp hoarderapi.OwnedResponse, err error) {
	items := s.index.inOrder()
	at, found := slices.BinarySearchFunc(items, req.After, func(it *item, after string) int { return strings.Compare(it.root, after) })
	if found {
		at++
	}
	for n, it := range items[at:] {
		if n == ownedScanMax || len(resp.Pins) >= hoarderapi.OwnedPage {
			resp.Next = items[at+n-1].root
			return resp, nil
		}
		for _, m := range it.standing() {
			if strings.HasPrefix(m.Owner, req.Prefix) {
				resp.Pins = append(resp.Pins, owned(it, m))
			}
		}
	}
	return resp, nil
}

func owned(it *item, m *pin) hoarderapi.Owned {
	return hoarderapi.Owned{
		Root: it.root, Owner: m.Owner, Name: m.Name, Kind: m.Kind,
		Seq: m.Seq, Version: m.Version, Target: m.Target, For: m.For,
	}
}

func compareOwners(owner, name, owner2, name2 string) int {
	if c := strings.Compare(owner, owner2); c != 0 {
		return c
	}
	return strings.Compare(name, name2)
}
