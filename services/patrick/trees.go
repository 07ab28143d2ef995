package patrick

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// The tree of a job that may still be built, also anew, and the log of its last attempt are kept by
// the patricks that are ranked first for its branch, as many as there are to be copies. A patrick
// that learns of a job and lacks them - because it was down, or has lost its disk - fetches them.
// Content that no job needs any more, because the job has succeeded, was built again or is
// forgotten, is removed.

const (
	// repairInterval is the pause between two rounds of fetching what is missing.
	repairInterval = time.Second
	// repairTriesMax bounds the attempts to fetch a log or the tree of a job that has ended, between which
	// pauses double up to repairWaitMax: four minutes in all. Those for the tree of an active job, which
	// cannot be built without, are unbounded, and made in each round.
	repairTriesMax = 12
	repairWaitMax  = 30 * time.Second
	// repairsMax bounds the fetches at once. After the loss of a disk there are as many to be made as there
	// are jobs, and until they are made a further disk must not be lost.
	repairsMax = 8
	// deniedMax is in how many rounds, one after the other, all other patricks must have said that they do not have
	// the tree of a job until it is taken for lost.
	deniedMax = 5
	// sweepInterval is the pause between two sweeps for unneeded content. Only content that two
	// successive sweeps found unneeded is removed, so content that a push or a report under way is
	// about to name stays.
	sweepInterval = time.Minute
)

// want is content that this patrick should have and may lack.
type want struct {
	job, root string
	tries     int
	next      time.Duration // no attempt before
	denied    int           // in how many rounds, until now, nobody had it
}

// wantContent starts the repair of the content of a job that this patrick should have.
func (s *Service) wantContent(id string) {
	line := s.board.briefs[id]
	for _, root := range []string{line.source, line.log} {
		if root != "" && s.wants[root] == nil && s.keeps(id) && !s.HasSource(root) {
			s.wants[root] = &want{job: id, root: root}
		}
	}
	s.startRepair()
}

// startRepair starts the task that fetches what is missing, unless it runs.
func (s *Service) startRepair() {
	if len(s.wants) == 0 || s.repairing {
		return
	}
	s.repairing = true
	s.env.Loop.Go("repair-contents", func(ctx context.Context) {
		defer func() { s.repairing = false }()
		// The first round waits too: usually the content is already being sent, by Keep.
		_ = clock.Every(ctx, s.env.Loop, repairInterval, s.repairContents) // ends when nothing is missing, or with the loop
	})
}

// lacksTree reports whether a job cannot be built for want of its tree, which is then fetched. What a forge has is not
// fetched from patricks.
func (s *Service) lacksTree(j *active) bool {
	root := j.state.Spec.Source
	if j.state.Spec.Forge || s.HasSource(root) {
		return false
	}
	if s.wants[root] == nil {
		s.wants[root] = &want{job: j.id, root: root}
		s.startRepair()
	}
	return true
}

// repairContents tries once to fetch all missing content that is due. It reports whether any is still missing.
func (s *Service) repairContents(ctx context.Context) (missing bool) {
	if ctx.Err() != nil {
		return false
	}
	var due []*want
	for _, w := range s.wanted() {
		line := s.board.briefs[w.job]
		if w.root != line.source && w.root != line.log || w.tries >= repairTriesMax && s.board.active[w.job] == nil {
			delete(s.wants, w.root)
		} else if s.urgent(w) || s.env.Loop.Elapsed() >= w.next {
			due = append(due, w)
		}
	}
	for part := range slices.Chunk(due, repairsMax) {
		if ctx.Err() != nil {
			return false
		}
		_ = clock.First(ctx, s.env.Loop, len(part), len(part), func(ctx context.Context, i int) error {
			s.tryRepair(ctx, part[i])
			return nil // the others go on
		}) // it ends with the loop
	}
	return len(s.wants) > 0
}

// tryRepair is one attempt.
func (s *Service) tryRepair(ctx context.Context, w *want) {
	w.tries++
	err := s.repairContent(ctx, w)
	if err == nil {
		delete(s.wants, w.root)
		return
	}
	if w.tries == 1 {
		s.env.Log.Info("content of a job is missing", "job", w.job, "root", w.root, "err", err)
	}
	if s.urgent(w) && s.deniedByAll(ctx, w) {
		w.denied++
	} else {
		w.denied = 0
	}
	if w.denied >= deniedMax {
		s.giveTreeUp(w)
	}
	w.next = s.env.Loop.Elapsed() + min(repairInterval<<min(w.tries, 10), repairWaitMax)
}

// urgent reports whether content is a tree that is still to be built.
func (s *Service) urgent(w *want) bool {
	return s.board.active[w.job] != nil && w.root == s.board.briefs[w.job].source
}

// wanted lists the missing content: first that which is urgent, and that of the oldest jobs first.
func (s *Service) wanted() []*want {
	list := make([]*want, 0, len(s.wants))
	for _, w := range s.wants {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *want) int {
		if first := s.urgent(a); first != s.urgent(b) {
			if first {
				return -1
			}
			return 1
		}
		if a.job == b.job {
			return strings.Compare(a.root, b.root)
		}
		return s.board.older(a.job, b.job)
	})
	return list
}

func (s *Service) repairContent(ctx context.Context, w *want) error {
	if s.HasSource(w.root) {
		return nil
	}
	root, err := cid.Decode(w.root)
	if err != nil {
		return err
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, keepTimeout)
	defer cancel()
	return s.fetch(ctx, root, s.answering(ctx, w.job), treeSizeMax)
}

// deniedByAll reports whether all other patricks that there are answer, and none of them has any more what is wanted. One
// that is down may have it, however long it is down: it is waited for until it is no member any more.
func (s *Service) deniedByAll(ctx context.Context, w *want) bool {
	root, err := cid.Decode(w.root)
	if err != nil || !s.peers.knowsOthers() {
		return false
	}
	others := s.peers.others(patrickapi.BranchOf(w.job))
	err = clock.First(ctx, s.env.Loop, len(others), len(others), func(ctx context.Context, i int) error {
		if up, err := s.peers.ask(ctx, others[i]); !up || err != nil {
			return transport.New(transport.Unreachable, "patrick/ping", "no answer")
		}
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, keepTimeout)
		defer cancel()
		switch err := s.env.Blocks.Fetch(ctx, root, others[i:i+1], treeSizeMax); {
		case errors.Is(err, storage.ErrNotFound):
			return nil
		case err != nil:
			return err
		}
		return errors.New("it has it")
	})
	return err == nil && ctx.Err() == nil
}

// giveTreeUp has the coordinator close a job whose tree nobody has.
func (s *Service) giveTreeUp(w *want) {
	j := s.board.active[w.job]
	if j == nil || j.treeLost || s.HasSource(w.root) {
		return
	}
	j.treeLost = true
	s.env.Observe("tree-lost", node.F("job", w.job))
	s.arm(j)
}

// answering lists the other patricks that answer, in the order in which they keep a job's content. One that hangs would
// use up the time in which another is to send it.
func (s *Service) answering(ctx context.Context, job string) (list []transport.Peer) {
	for _, p := range s.peers.others(patrickapi.BranchOf(job)) {
		if up, err := s.peers.ask(ctx, p); up && err == nil {
			list = append(list, p)
		}
	}
	return list
}

// keeps reports whether this patrick is one of those that keep a job's content.
func (s *Service) keeps(id string) bool {
	if !s.peers.knowsOthers() {
		return true // a copy too many goes with the job
	}
	ranked := patrickapi.Ranked(s.env.Wire.Directory(), patrickapi.BranchOf(id))
	return slices.Contains(ranked[:min(len(ranked), max(1, s.settings.Copies))], s.env.Self)
}

// sweeps is the task that removes unneeded content.
func (s *Service) sweeps(ctx context.Context) {
	idle := map[cid.Cid]bool{}
	_ = clock.Every(ctx, s.env.Loop, sweepInterval, func(context.Context) bool {
		idle = s.sweepContents(idle)
		s.peers.part()
		return true
	}) // ends with the loop
}

// sweepContents removes the content that is unneeded now and was at the last sweep, and returns the
// content that is unneeded now.
func (s *Service) sweepContents(before map[cid.Cid]bool) map[cid.Cid]bool {
	needed := map[string]bool{}
	for _, line := range s.board.briefs {
		needed[line.source], needed[line.log] = true, true
	}
	idle := map[cid.Cid]bool{}
	for _, root := range s.env.Blocks.Roots() {
		switch {
		case needed[root.String()]:
		case !before[root]:
			idle[root] = true
		default:
			if err := s.env.Blocks.Remove(root); err != nil {
				s.env.Log.Warn("cannot let go of content", "root", root, "err", err)
				idle[root] = true
			}
		}
	}
	return idle
}
