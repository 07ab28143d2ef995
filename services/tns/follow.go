package tns

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// followLenMax bounds one message to a follower, in bytes of names, roughly.
const followLenMax = 32 << 10

// follower is a client that follows a branch of all projects.
type follower struct {
	branch  string
	pending map[string]bool        // projects of which there is news
	changed *clock.Queue[struct{}] // at most one: how often does not matter
}

func (f *follower) note(project string) {
	f.pending[project] = true
	_ = f.changed.TryPush(struct{}{}) // full: the follower is told of all that is pending
}

// follow serves a client: all current versions, then those that change. A replica that has not caught up tells nothing.
func (s *Service) follow(ctx context.Context, _ transport.Peer, hello []byte, stream *transport.Stream) {
	var req tnsapi.FollowRequest
	if transport.Decode(hello, &req) != nil || req.Branch == "" || len(req.Branch) > tnsapi.NameLenMax || s.watched() >= s.settings.WatchersMax || s.Ready() != nil {
		return
	}
	f := &follower{branch: req.Branch, pending: map[string]bool{}, changed: clock.NewQueue[struct{}](s.env.Loop, 1)}
	s.followers = append(s.followers, f)
	defer func() {
		s.followers = slices.DeleteFunc(slices.Clone(s.followers), func(o *follower) bool { return o == f })
	}()
	if s.allPending(f) != nil {
		return
	}
	for s.tellAll(ctx, f, stream) == nil {
		if err := s.await(ctx, f.changed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// allPending notes each project that has the branch.
func (s *Service) allPending(f *follower) error {
	stored, err := s.store.List(storage.K(versions))
	for _, e := range stored {
		if parts := e.Key.Parts(); parts[2] == f.branch {
			f.pending[parts[1]] = true
		}
	}
	return err
}

// tellAll sends what is pending, in parts; the last one says that it was all.
func (s *Service) tellAll(ctx context.Context, f *follower, stream *transport.Stream) error {
	for {
		part, size := tnsapi.FollowResponse{}, 0
		for _, project := range slices.Sorted(maps.Keys(f.pending)) {
			if size > followLenMax {
				break
			}
			delete(f.pending, project)
			v, err := s.registry.current(project, f.branch)
			if transport.KindOf(err) == transport.NotFound {
				continue
			}
			if err != nil {
				return err
			}
			part.Versions = append(part.Versions, v)
			size += 512 + len(v.Project) + len(v.Branch) + len(v.Commit) + len(v.Job)
		}
		part.Whole = len(f.pending) == 0
		if err := s.send(ctx, part, stream); err != nil || part.Whole {
			return err
		}
	}
}
