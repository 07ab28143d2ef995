package tns

import (
	"context"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// pageLenMax bounds one answer, in bytes of paths and values, well below what a
// frame can hold; a page has at least one entry.
const pageLenMax = 256 << 10

// current answers with the version that readers see.
func (s *Service) current(_ context.Context, _ transport.Peer, req tnsapi.BranchRequest) (tnsapi.Version, error) {
	return s.registry.current(req.Project, req.Branch)
}

// history answers with the versions that are kept.
func (s *Service) history(_ context.Context, _ transport.Peer, req tnsapi.BranchRequest) (tnsapi.HistoryResponse, error) {
	list, err := s.registry.history(req.Project, req.Branch)
	if err == nil && len(list) == 0 {
		err = transport.New(transport.NotFound, tnsapi.History.Name, "nothing is published on "+req.Project+"/"+req.Branch)
	}
	return tnsapi.HistoryResponse{Versions: list}, err
}

// lookup answers with the entries of one version.
func (s *Service) lookup(_ context.Context, _ transport.Peer, req tnsapi.LookupRequest) (tnsapi.LookupResponse, error) {
	v, err := s.pinned(req)
	if err != nil {
		return tnsapi.LookupResponse{}, err
	}
	list, err := s.registry.entries(v)
	if err != nil {
		return tnsapi.LookupResponse{}, err
	}
	list = slices.DeleteFunc(list, func(e tnsapi.Entry) bool { return !below(e.Path, req.Prefix) })
	page, more := page(list, req.After)
	return tnsapi.LookupResponse{Version: v, Pin: versionID(v), Entries: page, More: more}, nil
}

// pinned is the version that a look-up is about.
func (s *Service) pinned(req tnsapi.LookupRequest) (tnsapi.Version, error) {
	if req.Pin == "" {
		return s.registry.current(req.Project, req.Branch)
	}
	kept, err := s.registry.history(req.Project, req.Branch)
	if err != nil {
		return tnsapi.Version{}, err
	}
	i := slices.IndexFunc(kept, func(v tnsapi.Version) bool { return versionID(v) == req.Pin })
	if i < 0 {
		return tnsapi.Version{}, transport.New(transport.NotFound, tnsapi.Lookup.Name, "the version is not kept any more")
	}
	return kept[i], nil
}

// page is the part of list, which is in path order, that fits into an answer.
func page(list []tnsapi.Entry, after string) (part []tnsapi.Entry, more bool) {
	start, found := slices.BinarySearchFunc(list, after, func(e tnsapi.Entry, path string) int { return strings.Compare(e.Path, path) })
	if found {
		start++
	}
	size := 0
	for i, e := range list[start:] {
		size += len(e.Path) + len(e.Value)
		if i > 0 && size > pageLenMax {
			return list[start : start+i], true
		}
	}
	return list[start:], false
}
