package patrick

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Finished jobs beyond keep-finished of a project are forgotten, oldest first, by the coordinator
// of their branch. An entry of the branch's memory replaces each, written in the batch that deletes
// its records. Records that arrive later, from the other side of a partition, are deleted when they
// are seen.

// retireInterval is the pause between two rounds of forgetting, while there are jobs to forget.
const retireInterval = time.Second

// forgotten is an entry of a branch's memory.
type forgotten struct {
	// Floor covers the ids that were dropped from the memory when this was written.
	Floor uint64
}

func pastKey() storage.Key { return storage.K("past") }
func forgottenKey(id string) storage.Key {
	return storage.K("past", patrickapi.BranchOf(id), id)
}

// recall updates the memory from the store after an entry has changed.
func (s *Service) recall(k storage.Key) {
	parts := k.Parts()
	if len(parts) != 3 || !patrickapi.IsJobID(parts[2]) {
		return
	}
	id := parts[2]
	raw, err := s.store.Get(k)
	var f forgotten
	switch {
	case err != nil:
		s.board.memoryOf(id).remove(id)
		return
	case transport.Decode(raw, &f) != nil:
		s.env.Log.Warn("left out what is remembered of a job", "job", id)
	}
	s.board.remember(id, f.Floor)
	s.refresh(id)
}

// startRetiring starts the task that forgets jobs if there is any to forget.
func (s *Service) startRetiring() {
	if s.retiring || !s.anythingToForget() {
		return
	}
	s.retiring = true
	s.env.Loop.Go("retire", func(ctx context.Context) {
		defer func() { s.retiring = false }()
		_ = clock.Every(ctx, s.env.Loop, retireInterval, func(ctx context.Context) bool {
			for _, id := range s.toForget() {
				if ctx.Err() != nil {
					return false
				}
				s.retire(ctx, id)
			}
			return s.anythingToForget()
		}) // ends when nothing is left, or with the loop
	})
}

func (s *Service) anythingToForget() bool {
	if len(s.leftovers) > 0 {
		return true
	}
	for _, n := range s.board.finished {
		if n > s.keepFinished() {
			return true
		}
	}
	return false
}

func (s *Service) keepFinished() int { return max(1, s.settings.KeepFinished) }

// toForget lists the jobs to be forgotten: leftovers, and those beyond keep-finished of each
// project.
func (s *Service) toForget() []string {
	ids := slices.Sorted(maps.Keys(s.leftovers))
	for _, project := range slices.Sorted(maps.Keys(s.board.finished)) {
		ids = append(ids, s.board.oldestFinished(project, s.keepFinished())...)
	}
	return ids
}

// retire forgets a job if this patrick is its coordinator, and if it is still final.
func (s *Service) retire(ctx context.Context, id string) {
	_, isCoordinator, err := s.peers.coordinator(ctx, patrickapi.BranchOf(id))
	if err != nil || !isCoordinator {
		return
	}
	line := s.board.briefs[id]
	if !line.status.Final() && !s.leftovers[id] {
		return
	}
	if err := s.forget(id, line.status); err != nil {
		s.env.Log.Warn("cannot forget a job", "job", id, "err", err)
	}
}

// forget replaces a job's records by an entry of the memory.
func (s *Service) forget(id string, status patrickapi.Status) error {
	b := new(storage.Batch)
	for _, e := range s.store.Entries(jobKey(id)) {
		b.Delete(e.Key)
	}
	if s.reported(id) != "" {
		b.Delete(statusKey(id))
	}
	m, again := s.board.memoryOf(id), s.leftovers[id]
	gone, floor := m.room(id, s.board.oldestActive(patrickapi.BranchOf(id)))
	if !m.knows(id) {
		for _, old := range gone {
			b.Delete(forgottenKey(old))
		}
		b.Put(forgottenKey(id), transport.Encode(forgotten{Floor: floor}))
	}
	if err := s.store.Apply(b); err != nil {
		return err
	}
	delete(s.leftovers, id)
	if !again {
		for _, old := range gone {
			m.remove(old)
		}
		s.board.remember(id, floor)
		s.board.forget(id)
		s.env.Observe("job-forgotten", node.F("job", id), node.F("status", status.String()))
	}
	return nil
}
