package monkey

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

const (
	retryWait = time.Second
	// retryMax bounds how long one step of an attempt is tried again. Then the attempt has failed,
	// and another monkey may succeed.
	retryMax = time.Minute
	// refusedRetryMax is the bound for a step that is refused for lack of room.
	refusedRetryMax = 10 * time.Second
	// fetchTimeout bounds one attempt to fetch an empty tree; see fetchTime.
	fetchTimeout = 10 * time.Second
)

// outcome is the result of an attempt.
type outcome struct {
	artifact  cid.Cid
	log       cid.Cid
	logSize   int64
	published bool
	err       error
}

// succeeded makes the outcome a success: later errors do not undo a publication.
func (out outcome) succeeded() bool { return out.err == nil || out.published }

// work builds the job under the lock and reports the outcome. Every effect outside of this node
// follows a check of the lease in the same turn, and is fenced by the token in addition.
func (s *Service) work(ctx context.Context, l *lock) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workCtx, abort := context.WithCancel(ctx)
	defer abort()
	l.abort = abort
	s.env.Loop.Go("renew", func(loopCtx context.Context) { s.renewals(workCtx, l) })

	book := s.newLogbook(l)
	out := s.attempt(workCtx, l, book)
	if !out.succeeded() {
		out.err = book.masked(out.err)
		for line := range strings.SplitSeq("failed: "+out.err.Error(), "\n") {
			book.line(line)
		}
	}
	book.flush()
	out.log, out.logSize = book.store(ctx)
	s.report(ctx, l, out)
	s.letGo(l, out)
}

// attempt goes from the lock to the publication.
func (s *Service) attempt(ctx context.Context, l *lock, book *logbook) (out outcome) {
	if out.err = afterLock.Hit(ctx, s.env); out.err != nil {
		return out
	}
	if out.err = s.fence(ctx, l); out.err != nil {
		return out
	}
	built, err := s.build(ctx, l, book)
	if err != nil {
		out.err = err
		return out
	}
	if out.artifact, out.err = s.storeArtifact(ctx, l, built); out.err != nil {
		// A conflict: the job was published, its holder did not learn of that, and the branch has
		// moved on so far that tns has unpinned the artifact. That is a success.
		out.err = s.refused(ctx, l, out.err)
		return out
	}
	out.published, out.err = s.publish(ctx, l, built, out.artifact)
	return out
}

// Each step that needs another service is left out only in a cloud that is known to have none: while
// none is known yet, the client says so and the step is tried again.

// fence makes the token known to tns, so that no earlier holder can publish
// from now on.
func (s *Service) fence(ctx context.Context, l *lock) error {
	return s.retryWhileLeased(ctx, l, func(ctx context.Context) error {
		if s.env.Presence(tnsapi.Service) == transport.Nobody {
			return nil
		}
		return s.tns.Fence(ctx, l.job.Project, l.job.Branch, l.job.ID, l.token)
	})
}

// sourceOf is what was pushed, and the build secrets that go with it.
func (s *Service) sourceOf(ctx context.Context, l *lock, book *logbook) (g gathered, err error) {
	if l.job.Forge {
		return s.fetchCommit(ctx, l, book)
	}
	g.tree, err = s.fetchTree(ctx, l)
	return g, err
}

// build fetches the tree and hands it to the builder.
func (s *Service) build(ctx context.Context, l *lock, book *logbook) (Result, error) {
	source, err := s.sourceOf(ctx, l, book)
	if err != nil {
		return Result{}, err
	}
	l.phase = "build"
	s.env.Observe("build-started", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("holder", l.token.Holder))
	built, err := s.buildInTime(ctx, l, Request{
		Job: l.job, Attempt: l.token.Attempt, Tree: source.tree, Secrets: source.secrets, Places: source.places, Parts: source.commits, Log: book.line, Flush: book.flush,
	})
	s.env.Observe("build-ended", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("holder", l.token.Holder), node.F("success", err == nil))
	if err != nil {
		return built, err
	}
	return built, afterBuild.Hit(ctx, s.env)
}

// buildInTime ends a build that takes longer than patrick allows. That is an ordinary failure,
// which is reported: the lock is still held.
func (s *Service) buildInTime(ctx context.Context, l *lock, req Request) (Result, error) {
	limited, cancel := clock.WithTimeout(ctx, s.env.Loop, max(0, l.takenAt+l.buildMax-s.env.Loop.Elapsed()))
	defer cancel()
	built, err := s.make(limited, l, req)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		buildTooLong.Hit()
		return built, fmt.Errorf("the build took longer than %v", l.buildMax)
	}
	return built, err
}

// fetchTime bounds one attempt to fetch a tree of so many bytes, as patrick says.
func fetchTime(bytes int64) time.Duration {
	return fetchTimeout + transport.TransferTime(min(bytes, patrickapi.TreeLenMax))
}

func (s *Service) fetchTree(ctx context.Context, l *lock) (patrickapi.Tree, error) {
	root, err := cid.Decode(l.job.Source)
	if err != nil {
		return patrickapi.Tree{}, UserError("the job has no tree: " + err.Error())
	}
	holders := patrickapi.Ranked(s.env.Wire.Directory(), patrickapi.BranchOf(l.job.ID))
	err = s.retryWhileLeased(ctx, l, func(ctx context.Context) error {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, fetchTime(l.job.TreeSize))
		defer cancel()
		return s.env.Blocks.Fetch(ctx, root, holders, patrickapi.TreeLenMax*2)
	})
	s.use(l, root)
	if err != nil {
		return patrickapi.Tree{}, err
	}
	data, err := s.env.Blocks.Read(ctx, root, patrickapi.TreeLenMax)
	if err != nil {
		return patrickapi.Tree{}, err
	}
	tree, err := patrickapi.DecodeTree(data)
	if err != nil {
		return tree, UserError(err.Error())
	}
	return tree, nil
}

// storeArtifact stores the artifact as blocks and has a hoarder keep it.
func (s *Service) storeArtifact(ctx context.Context, l *lock, built Result) (cid.Cid, error) {
	l.phase = "pin"
	root, err := s.add(ctx, l, built.Artifact)
	if err != nil {
		return root, err
	}
	s.env.Observe("build-done", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("artifact", root.String()))
	return root, s.retryWhileLeased(ctx, l, func(ctx context.Context) error {
		if s.env.Presence(hoarderapi.Service) == transport.Nobody {
			return nil
		}
		kept, err := s.hoarder.Pin(ctx, hoarderapi.PinRequest{
			Root: root.String(), Kind: hoarderapi.Asset, Size: int64(len(built.Artifact)),
			Holders: []transport.Peer{s.env.Self}, Owner: tnsapi.ArtifactOwner(l.job.ID), Seq: l.token.Attempt, For: s.pinFor(),
		})
		if err == nil {
			s.env.Observe("artifact-kept", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("artifact", root.String()), node.F("copies", kept.Copies))
		}
		return err
	})
}

// pinFor is how long the pin lasts if nobody publishes. In a cloud without tns nobody publishes or
// unpins.
func (s *Service) pinFor() time.Duration {
	if s.env.Presence(tnsapi.Service) == transport.Nobody {
		return 0
	}
	return tnsapi.PinFor
}

// publish makes the version visible under the token.
func (s *Service) publish(ctx context.Context, l *lock, built Result, root cid.Cid) (published bool, err error) {
	if s.env.Presence(tnsapi.Service) == transport.Nobody {
		return false, nil
	}
	l.phase = "publish"
	if err := s.check(l); err != nil {
		return false, err
	}
	if err := beforePublish.Hit(ctx, s.env); err != nil {
		return false, err
	}
	req := tnsapi.PublishRequest{
		Project: l.job.Project, Branch: l.job.Branch, Commit: l.job.Commit, Job: l.job.ID, Order: l.job.Order,
		Token: l.token, Artifact: root.String(),
	}
	for _, path := range slices.Sorted(maps.Keys(built.Entries)) {
		req.Entries = append(req.Entries, tnsapi.Entry{Path: path, Value: []byte(built.Entries[path])})
	}
	nobody := false
	if err := s.retryWhileLeased(ctx, l, func(ctx context.Context) error {
		if nobody = s.env.Presence(tnsapi.Service) == transport.Nobody; nobody {
			return nil
		}
		_, err := s.tns.Publish(ctx, req)
		return err
	}); err != nil || nobody {
		return false, s.refused(ctx, l, err)
	}
	s.env.Observe("published", node.F("job", l.job.ID), node.F("project", l.job.Project), node.F("branch", l.job.Branch),
		node.F("commit", l.job.Commit), node.F("attempt", l.token.Attempt), node.F("holder", l.token.Holder), node.F("artifact", root.String()))
	return true, afterPublish.Hit(ctx, s.env)
}

// refused returns the outcome of a publication that failed. A conflict means that tns knows a newer
// attempt, which patrick confirms; or that the branch has moved on so far that this version would
// not be kept: then the job has succeeded without being published.
func (s *Service) refused(ctx context.Context, l *lock, err error) error {
	if transport.KindOf(err) != transport.Conflict || l.lost != "" {
		return err
	}
	s.env.Observe("publish-refused", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("holder", l.token.Holder))
	before := l.renewedAt
	s.renew(ctx, l)
	if l.valid(s.env.Loop.Elapsed()) && l.renewedAt > before {
		return nil
	}
	return err
}

// retryWhileLeased repeats a step after errors that may be transient, while the lock is held and
// for a bounded time. It checks the lease before each try.
func (s *Service) retryWhileLeased(ctx context.Context, l *lock, f func(ctx context.Context) error) error {
	began := s.env.Loop.Elapsed()
	for until := began + retryMax; ; {
		if err := s.check(l); err != nil {
			return err
		}
		err := f(ctx)
		switch transport.KindOf(err) {
		case 0, transport.Conflict, transport.Invalid:
			return err
		case transport.Refused: // no room; it may become free, but other jobs wait for this slot
			until = min(until, began+refusedRetryMax)
		}
		if s.env.Loop.Elapsed() >= until || clock.Sleep(ctx, s.env.Loop, retryWait) != nil {
			return err
		}
	}
}

func text(c cid.Cid) string {
	if !c.Defined() {
		return ""
	}
	return c.String()
}
