package patrick

import (
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
)

// This file is what checkers may inspect between two turns.

// Replica is the replicated store, nil before Start.
func (s *Service) Replica() storage.Replicated { return s.store }

// Jobs lists all jobs that this patrick knows of, by id.
func (s *Service) Jobs() []patrickapi.Job {
	var list []patrickapi.Job
	for _, id := range s.board.ids() {
		list = append(list, s.read(id).job(id))
	}
	return list
}

// JobIDs lists their ids alone, in order, which takes no reading.
func (s *Service) JobIDs() []string { return s.board.ids() }

// Job returns what this patrick knows of a job; the Status of a job that it does not know is
// Unknown.
func (s *Service) Job(id string) patrickapi.Job {
	return jobOrNone(id, s.read(id))
}

func jobOrNone(id string, state State) patrickapi.Job {
	if state.Status == patrickapi.Unknown {
		return patrickapi.Job{}
	}
	return state.job(id)
}

// OnDisk is what a patrick would know of a job if its node lost power at this
// moment and started from its disk alone.
func OnDisk(disk storage.Durable, id string) patrickapi.Job {
	return jobOrNone(id, stateOnDisk(disk, id))
}

// GrantOnDisk reports whether a grant would still be known then.
func GrantOnDisk(disk storage.Durable, id string, token fencing.Token) bool {
	return anyOnDisk(disk, id, func(r record) bool {
		g, is := r.(grant)
		return is && g.Token == token
	})
}

// ReportOnDisk reports whether the report of an attempt would still be known then.
func ReportOnDisk(disk storage.Durable, id string, attempt uint64) bool {
	return anyOnDisk(disk, id, func(r record) bool {
		report, is := r.(result)
		return is && report.Token.Attempt == attempt
	})
}

func anyOnDisk(disk storage.Durable, id string, f func(r record) bool) bool {
	return slices.ContainsFunc(recordsOnDisk(disk, id), f)
}

func stateOnDisk(disk storage.Durable, id string) State { return resolve(recordsOnDisk(disk, id)) }

func recordsOnDisk(disk storage.Durable, id string) (list []record) {
	for _, e := range replicated.OnDisk(disk, patrickapi.Service, "main", jobKey(id)) {
		if r, err := decoded.Of(e.Key, e.Value); err == nil {
			list = append(list, r)
		}
	}
	return list
}

// Status is the status of a job in this patrick's memory, without reading the store.
func (s *Service) Status(id string) patrickapi.Status { return s.board.briefs[id].status }

// Stored is how many trees and logs are on this node's disk for this patrick.
func (s *Service) Stored() int { return len(s.env.Blocks.Roots()) }

// Known is how many jobs this patrick knows of.
func (s *Service) Known() int { return len(s.board.briefs) }

// Forgot reports whether a job has ended and was forgotten, as far as this patrick knows.
func (s *Service) Forgot(id string) bool { return s.board.memoryOf(id).knows(id) }

// Overtaken reports whether a job is so old that this patrick would not accept
// its push any more.
func (s *Service) Overtaken(id string) bool { return s.board.memoryOf(id).covers(id) }

// IDs lists the jobs that this patrick knows of, in order.
func (s *Service) IDs() []string { return s.board.ids() }

// HasTree reports whether the pushed tree of an active job is wholly here.
func (s *Service) HasTree(id string) bool {
	j := s.board.active[id]
	return j != nil && s.HasSource(j.state.Spec.Source)
}

// Source is the CID of an active job's tree, "" for any other job.
func (s *Service) Source(id string) string {
	if j := s.board.active[id]; j != nil {
		return j.state.Spec.Source
	}
	return ""
}

// HasSource reports whether a tree or a log is wholly here and kept by this patrick, whatever is known of
// its job. What another service of this node has - a monkey its log - goes when that one is done.
func (s *Service) HasSource(source string) bool {
	root, err := cid.Decode(source)
	if err != nil {
		return false
	}
	has, err := s.env.Blocks.Owns(root)
	return err == nil && has
}

// Lease is for how long a grant holds without being renewed.
func (s *Service) Lease() time.Duration { return s.settings.Lease }
