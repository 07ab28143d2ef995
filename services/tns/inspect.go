package tns

import (
	"fmt"
	"slices"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
)

// Replica is the replicated store, nil before Start. It is for checkers.
func (s *Service) Replica() storage.Replicated { return s.store }

// KeepVersions is how many versions of a branch are kept.
func (s *Service) KeepVersions() int { return s.settings.KeepVersions }

// Branches lists the branches that anything was published on, in key order.
func (s *Service) Branches() ([]tnsapi.BranchRequest, error) {
	stored, err := s.store.List(storage.K(versions))
	if err != nil {
		return nil, err
	}
	var list []tnsapi.BranchRequest
	for _, e := range stored {
		if b, ok := branchOf(e.Key); ok && (len(list) == 0 || list[len(list)-1] != b) {
			list = append(list, b)
		}
	}
	return list, nil
}

// Current is the version that readers of this replica see, NotFound if there is
// none.
func (s *Service) Current(project, branch string) (tnsapi.Version, error) {
	return s.registry.current(project, branch)
}

// History lists the versions of a branch, current first.
func (s *Service) History(project, branch string) ([]tnsapi.Version, error) {
	return s.registry.history(project, branch)
}

// OnDisk reports whether a replica would have a version of a job, whole, if its
// node lost power at this moment and started from its disk alone.
func OnDisk(disk storage.Durable, project, branch, job string, token fencing.Token) bool {
	stored := decodeVersions(replicated.OnDisk(disk, tnsapi.Service, namespace, storage.K(versions, project, branch)))
	return slices.ContainsFunc(stored, func(v tnsapi.Version) bool {
		return v.Job == job && v.Token == token && whole(v, entriesOf(replicated.OnDisk(disk, tnsapi.Service, namespace, entriesKey(v))))
	})
}

// FencedOnDisk is the same for a token: it, or a greater one, would be known.
func FencedOnDisk(disk storage.Durable, project, branch, job string, token fencing.Token) bool {
	for _, e := range replicated.OnDisk(disk, tnsapi.Service, namespace, storage.K(fences, project, branch, job)) {
		if t, err := parseFence(e.Key); err == nil && t.Compare(token) >= 0 {
			return true
		}
	}
	return false
}

// Torn lists incomplete versions: those that lack an entry, and entries without a version. It must
// always be empty.
func (s *Service) Torn() ([]string, error) { return s.registry.torn() }

// torn implements Service.Torn.
func (r registry) torn() ([]string, error) {
	stored, err := r.store.List(storage.K(versions))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, v := range decodeVersions(stored) {
		ok, err := r.whole(v)
		if err != nil {
			return nil, err
		}
		if !ok {
			list = append(list, fmt.Sprintf("%s/%s commit %s lacks entries", v.Project, v.Branch, v.Commit))
		}
	}
	stray, err := r.strays(stored)
	return append(list, stray...), err
}

// strays lists the versions of which only entries are there. An undecodable header counts as a
// header.
func (r registry) strays(headers []storage.Entry) ([]string, error) {
	parts, err := r.store.List(storage.K(entries))
	if err != nil {
		return nil, err
	}
	var list []string
	at := map[storage.Key]bool{}
	for _, e := range headers {
		at[e.Key] = true
	}
	for _, e := range parts {
		p := e.Key.Parts()
		if len(p) == 5 && !at[storage.K(versions, p[1], p[2], p[3])] {
			list = append(list, string(storage.K(p[:4]...))+" has entries and no header")
		}
	}
	return slices.Compact(list), nil
}
