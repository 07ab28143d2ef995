package tns

import (
	"context"
	"errors"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// watcher is a client that watches a branch.
type watcher struct {
	branch  tnsapi.BranchRequest
	changed *clock.Queue[struct{}] // at most one: how often does not matter
}

// watch serves a client: it sends the current version now, after each change, and every
// WatchKeepAlive, so that both ends notice when the other is gone.
func (s *Service) watch(ctx context.Context, _ transport.Peer, hello []byte, stream *transport.Stream) {
	w := &watcher{changed: clock.NewQueue[struct{}](s.env.Loop, 1)}
	if transport.Decode(hello, &w.branch) != nil || s.watched() >= s.settings.WatchersMax {
		return
	}
	s.watchers = append(s.watchers, w)
	defer func() {
		s.watchers = slices.DeleteFunc(slices.Clone(s.watchers), func(o *watcher) bool { return o == w })
	}()
	for s.tell(ctx, w, stream) == nil {
		if err := s.await(ctx, w.changed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// watched is how many streams there are that tell of changes.
func (s *Service) watched() int { return len(s.watchers) + len(s.followers) }

// tell sends the current version, or an empty one if there is none.
func (s *Service) tell(ctx context.Context, w *watcher, stream *transport.Stream) error {
	v, err := s.registry.current(w.branch.Project, w.branch.Branch)
	if err != nil && transport.KindOf(err) != transport.NotFound {
		return err
	}
	if err != nil {
		v = tnsapi.Version{}
	}
	return s.send(ctx, v, stream)
}

// send tells a client something, in WatchKeepAlive or not at all.
func (s *Service) send(ctx context.Context, message any, stream *transport.Stream) error {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, tnsapi.WatchKeepAlive)
	defer cancel()
	return stream.Send(ctx, transport.Encode(message))
}

// await waits for a change, at most WatchKeepAlive.
func (s *Service) await(ctx context.Context, changed *clock.Queue[struct{}]) error {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, tnsapi.WatchKeepAlive)
	defer cancel()
	_, err := changed.Pop(ctx)
	return err
}

// changed is called, in a turn of its own, after a version was added or deleted, here or at another
// replica.
func (s *Service) changed(k storage.Key) {
	b, ok := branchOf(k)
	if !ok {
		return // a replica that is no good has written it
	}
	s.assertWhole(k)
	for _, w := range s.watchers {
		if w.branch == b {
			_ = w.changed.TryPush(struct{}{}) // full: the watcher will read the newest version anyway
		}
	}
	for _, f := range s.followers {
		if f.follows(b.Branch) {
			f.note(b)
		}
	}
}

// assertWhole warns of a version that became visible in part. That cannot happen as long as a
// version is one batch and a batch is one delta everywhere: some tns is no good, or of a release that is.
func (s *Service) assertWhole(k storage.Key) {
	raw, err := s.store.Get(k)
	if err != nil {
		return // dropped, or not readable now
	}
	var v tnsapi.Version
	if transport.Decode(raw, &v) != nil {
		return
	}
	if ok, err := s.registry.whole(v); err == nil && !ok {
		s.env.Observe("version-torn", s.described(v)...)
		s.env.Log.Warn("a version is not whole", "project", v.Project, "branch", v.Branch, "commit", v.Commit)
	}
}
