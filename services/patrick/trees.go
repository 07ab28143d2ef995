package patrick

import (
	"context"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// A pushed tree is kept by the patricks that are ranked first for its branch,
// as many as there are to be copies. One that learns of a job and has not got
// its tree - because it was down, or has lost its disk - fetches it.

// repairInterval is the pause between two rounds of fetching what is missing.
const repairInterval = time.Second

// wantTree starts the repair of trees if this patrick should have the job's.
func (s *Service) wantTree(j *active) {
	if j.treeHere || s.repairing || !s.keeps(j) {
		return
	}
	s.repairing = true
	s.env.Loop.Go("repair-trees", func(ctx context.Context) {
		defer func() { s.repairing = false }()
		// The first round waits too: mostly the tree is on its way, by Keep.
		_ = clock.Every(ctx, s.env.Loop, repairInterval, s.repairTrees) // ends when nothing is missing, or with the loop
	})
}

// repairTrees tries to fetch each missing tree once. It reports whether any is
// still missing.
func (s *Service) repairTrees(ctx context.Context) (missing bool) {
	for _, j := range s.board.sorted() {
		if ctx.Err() != nil || s.board.active[j.id] != j || j.treeHere || !s.keeps(j) {
			continue
		}
		if j.treeHere = s.HasTree(j.id); j.treeHere {
			continue
		}
		if err := s.repairTree(ctx, j); err != nil {
			missing = true
			s.env.Log.Info("a tree is missing", "job", j.id, "err", err)
			continue
		}
		j.treeHere = true
	}
	return missing
}

func (s *Service) repairTree(ctx context.Context, j *active) error {
	root, err := cid.Decode(j.state.Spec.Source)
	if err != nil {
		return err
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, keepTimeout)
	defer cancel()
	return s.fetch(ctx, root, s.peers.others(patrickapi.BranchOf(j.id)), treeSizeMax)
}

// keeps reports whether this patrick is one of those that keep a job's tree.
func (s *Service) keeps(j *active) bool {
	ranked := patrickapi.Rank(patrickapi.BranchOf(j.id), s.env.Wire.Directory().Peers("patrick"))
	return slices.Contains(ranked[:min(len(ranked), max(1, s.set.Copies))], s.env.Self)
}
