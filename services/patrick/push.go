package patrick

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

const (
	replicateTimeout = 5 * time.Second
	// keepTimeout bounds the fetch of an empty tree or log; see keepTime.
	keepTimeout = 4 * time.Second
	// keepAskMax is how many patricks are asked to keep a tree.
	keepAskMax = 5
)

// keepTime bounds the fetch of a tree or a log of size bytes, as claimed by a peer.
func keepTime(bytes int64) time.Duration {
	return keepTimeout + transport.TransferTime(min(bytes, patrickapi.TreeLenMax))
}

// push accepts a push and acknowledges it once the job and its tree would survive the loss of this
// node, if another patrick can be reached.
func (s *Service) push(ctx context.Context, _ transport.Peer, req patrickapi.PushRequest) (patrickapi.PushResponse, error) {
	return s.take(ctx, req, "")
}

// take is push; with a series, the tree is an origin, and a patrick has made the event of what a forge has told it.
func (s *Service) take(ctx context.Context, req patrickapi.PushRequest, series string) (patrickapi.PushResponse, error) {
	var none patrickapi.PushResponse
	if text := whatIsWrong(req); text != "" {
		return none, transport.New(transport.Invalid, "patrick/push", text)
	}
	id := patrickapi.JobIDIn(cmp.Or(series, req.Repository), req.Repository, req.Branch, req.Commit, req.Event)
	if req.Event.Order > s.board.highest(patrickapi.BranchOf(id))+patrickapi.OrderStepMax {
		return none, transport.New(transport.Invalid, "patrick/push", "the event's order is absurd: no patrick has given it")
	}
	_, duplicate := s.board.briefs[id]
	if resp, err := s.isPast(id); resp.Forgotten || err != nil {
		return resp, err
	}
	if !duplicate {
		tree, err := s.storeTree(ctx, req.Tree)
		if err != nil {
			return none, err
		}
		if duplicate, err = s.accept(id, req, tree, series != ""); err != nil {
			return none, err
		}
	}
	if err := s.ensureTree(ctx, id, req.Tree); err != nil {
		return none, err
	}
	copies, err := s.secure(ctx, id)
	if err != nil {
		return none, err
	}
	if err := beforeAck.Hit(ctx, s.env); err != nil {
		return none, err
	}
	s.env.Observe("job-acked", node.F("job", id), node.F("duplicate", duplicate), node.F("copies", copies))
	s.env.Loop.Go("acked", func(ctx context.Context) {
		if err := afterAck.Hit(ctx, s.env); err != nil {
			return // it is offered by the next sweep
		}
		s.offerNow(id)
	})
	return patrickapi.PushResponse{Job: id, Duplicate: duplicate}, nil
}

func whatIsWrong(req patrickapi.PushRequest) string {
	err := areNames(req.Project, req.Repository, req.Branch)
	if err == nil {
		err = patrickapi.CheckName("commit", req.Commit)
	}
	if err != nil {
		return textOf(err)
	}
	if req.Event.ID == "" || len(req.Event.ID) > patrickapi.NameLenMax {
		return "the event's id must have 1 to 256 bytes"
	}
	if req.Event.Order == 0 || req.Event.Order > patrickapi.OrderMax {
		return "the event's order is not one that a patrick has given"
	}
	if len(req.Tree) > patrickapi.TreeLenMax {
		return fmt.Sprintf("the tree is larger than %d MiB", patrickapi.TreeLenMax>>20)
	}
	return ""
}

func areNames(project, repository, branch string) error {
	return cmp.Or(patrickapi.CheckProject(project), patrickapi.CheckName("repository", repository), patrickapi.CheckName("branch", branch))
}

// textOf is what an error of the api says.
func textOf(err error) string {
	var e *transport.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

// isPast answers a push whose job has ended and is forgotten. It returns a Conflict if that is
// undecidable because the event is older than all remembered ones.
func (s *Service) isPast(id string) (patrickapi.PushResponse, error) {
	_, known := s.board.briefs[id]
	switch m := s.board.memoryOf(id); {
	case m.knows(id):
		return patrickapi.PushResponse{Job: id, Duplicate: true, Forgotten: true}, nil
	case !known && m.covers(id):
		return patrickapi.PushResponse{}, transport.New(transport.Conflict, "patrick/push", "the event is older than all that is remembered of its branch")
	}
	return patrickapi.PushResponse{}, nil
}

// storeTree makes the tree durable here.
func (s *Service) storeTree(ctx context.Context, tree []byte) (cid.Cid, error) {
	root, err := s.env.Blocks.Add(ctx, tree)
	if err != nil {
		return root, fault("patrick/push", "store the tree", err)
	}
	if err := s.env.Blocks.Sync(ctx); err != nil {
		return root, fault("patrick/push", "sync the tree", err)
	}
	return root, nil
}

// ensureTree makes the tree of an active job durable here, for a push that another patrick accepted
// before: a patrick may know a job without having its tree.
func (s *Service) ensureTree(ctx context.Context, id string, tree []byte) error {
	job := s.board.active[id]
	if job == nil || s.HasTree(id) {
		return nil
	}
	root, err := s.storeTree(ctx, tree)
	if err != nil || root.String() == job.state.Spec.Source {
		return err
	}
	want, err := cid.Decode(job.state.Spec.Source) // pushed once more with other content: the first counts
	if err != nil {
		return transport.New(transport.Internal, "patrick/push", err.Error())
	}
	return s.fetch(ctx, want, s.peers.others(patrickapi.BranchOf(id)), treeSizeMax)
}

// accept writes the job unless it is there already.
func (s *Service) accept(id string, req patrickapi.PushRequest, tree cid.Cid, forge bool) (duplicate bool, err error) {
	if _, known := s.board.briefs[id]; known {
		return true, nil
	}
	if past, err := s.isPast(id); past.Forgotten || err != nil {
		return true, err
	}
	job := spec{
		Project: req.Project, Repository: req.Repository, Branch: req.Branch, Commit: req.Commit,
		Source: tree.String(), Forge: forge, TreeSize: int64(len(req.Tree)), NewestWins: req.NewestWins,
		Event: req.Event.ID, Order: req.Event.Order, At: s.env.Loop.Now().UnixNano(), By: s.env.Self,
	}
	if err := s.addRecords(id, job); err != nil {
		return false, err
	}
	fields := []node.Field{node.F("job", id), node.F("project", req.Project), node.F("branch", req.Branch),
		node.F("commit", req.Commit), node.F("event", req.Event.ID), node.F("order", job.Order), node.F("bytes", job.TreeSize)}
	if forge {
		fields = append(fields, node.F("forge", req.Repository))
	}
	s.env.Observe("job-accepted", fields...)
	for _, older := range s.board.ofBranch(patrickapi.BranchOf(id)) {
		s.supersede(older)
	}
	return false, nil
}

// secure makes a job and its tree durable on enough patricks, and returns the number of copies. It
// returns an error if there are too few although another patrick can be reached.
func (s *Service) secure(ctx context.Context, id string) (copies int, err error) {
	job := s.board.active[id]
	if job != nil && job.secured {
		return s.copies(), nil
	}
	records, trees := 1, s.copies()
	err = clock.First(ctx, s.env.Loop, 2, 2, func(ctx context.Context, i int) (err error) {
		switch {
		case i == 0:
			records, err = s.replicate(ctx, replicateTimeout)
		case job != nil: // a final job does not need its tree
			trees = 1 + s.spread(ctx, job, s.copies()-1)
		}
		return err
	})
	if err != nil {
		return 0, fault("patrick/push", "make the job durable", err)
	}
	copies = min(records, trees, s.copies())
	if copies < s.copies() && (!s.peers.knowsOthers() || s.notAlone(ctx, id) || ctx.Err() != nil) {
		return 0, transport.New(transport.Timeout, "patrick/push", "not durable on a second patrick yet")
	}
	if job != nil {
		job.secured = copies == s.copies()
	}
	return copies, nil
}

// replicate makes the store durable here and on enough other patricks. The
// number of copies may be smaller; only a failure here is an error.
func (s *Service) replicate(ctx context.Context, limit time.Duration) (int, error) {
	return s.env.Replicate(ctx, s.store, s.copies(), limit)
}

// spread asks other patricks to keep the job's tree until want have agreed, and
// returns how many have.
func (s *Service) spread(ctx context.Context, job *active, want int) int {
	return s.spreadRoot(ctx, job.id, keepRequest{Root: job.state.Spec.Source, Size: job.state.Spec.TreeSize}, want)
}

// spreadRoot asks other patricks to keep a job's tree or log until want have
// agreed, and returns how many have.
func (s *Service) spreadRoot(ctx context.Context, id string, req keepRequest, want int) int {
	kept := 0
	for i, p := range s.peers.others(patrickapi.BranchOf(id)) {
		if kept >= want || i >= keepAskMax || ctx.Err() != nil {
			break
		}
		if up, _ := s.peers.ask(ctx, p); !up {
			continue
		}
		callCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, keepTime(req.Size))
		_, err := keep.Call(callCtx, s.env.Wire, p, req)
		cancel()
		if err == nil {
			kept++
		}
	}
	return kept
}

// notAlone reports whether any other patrick answers right now.
func (s *Service) notAlone(ctx context.Context, id string) bool {
	others := s.peers.others(patrickapi.BranchOf(id))
	for _, p := range others {
		s.peers.forget(p)
	}
	err := clock.First(ctx, s.env.Loop, len(others), 1, func(ctx context.Context, i int) error {
		if up, err := s.peers.ask(ctx, others[i]); !up || err != nil {
			return transport.New(transport.Unreachable, "patrick/ping", "no answer")
		}
		return nil
	})
	return err == nil && len(others) > 0
}

// keep fetches a tree or a log from the patrick that asks, and syncs it.
func (s *Service) keep(ctx context.Context, from transport.Peer, req keepRequest) (keepResponse, error) {
	root, err := cid.Decode(req.Root)
	if err != nil || req.Size > patrickapi.TreeLenMax {
		return keepResponse{}, transport.New(transport.Invalid, "patrick/keep", "no content, or one that is too large")
	}
	if err := beforeKeep.Hit(ctx, s.env); err != nil {
		return keepResponse{}, err
	}
	if err := s.fetch(ctx, root, []transport.Peer{from}, treeSizeMax); err != nil {
		return keepResponse{}, err
	}
	s.env.Observe("content-kept", node.F("root", req.Root), node.F("from", from))
	return keepResponse{}, nil
}

// treeSizeMax bounds what is fetched for a tree: its bytes and the DAG's own.
const treeSizeMax = patrickapi.TreeLenMax + patrickapi.TreeLenMax/8

// fetch makes a DAG durable here.
func (s *Service) fetch(ctx context.Context, root cid.Cid, holders []transport.Peer, sizeMax int64) error {
	if err := s.env.Blocks.Fetch(ctx, root, holders, sizeMax); err != nil {
		return fault("patrick/keep", "fetch", err)
	}
	if err := s.env.Blocks.Sync(ctx); err != nil {
		return fault("patrick/keep", "sync", err)
	}
	return nil
}

// fault gives an error of another package a Kind and names the attempted operation.
func fault(op, what string, err error) error {
	return transport.New(transport.KindOf(err), op, what+": "+err.Error())
}
