package tns

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// fence makes a token known.
func (s *Service) fence(ctx context.Context, from transport.Peer, req tnsapi.FenceRequest) (tnsapi.FenceResponse, error) {
	if err := checkNames(req.Project, req.Branch, req.Job); err != nil {
		return tnsapi.FenceResponse{}, err
	}
	if !s.mayClose(from, req.Token) {
		if err := s.mayClaim(ctx, from, claim{job: req.Job, project: req.Project, branch: req.Branch, token: req.Token}); err != nil {
			return tnsapi.FenceResponse{}, s.refused(req.Job, req.Token, err)
		}
	}
	if err := s.registry.fence(req); err != nil {
		return tnsapi.FenceResponse{}, s.refused(req.Job, req.Token, err)
	}
	s.env.Observe("fenced", node.F("job", req.Job), node.F("attempt", req.Token.Attempt), node.F("holder", req.Token.Holder), s.incarnation())
	copies, err := s.replicate(ctx)
	if err != nil {
		return tnsapi.FenceResponse{}, err
	}
	s.env.Observe("fence-durable", node.F("project", req.Project), node.F("branch", req.Branch), node.F("copies", copies), node.F("job", req.Job), node.F("attempt", req.Token.Attempt), node.F("holder", req.Token.Holder), s.incarnation())
	return tnsapi.FenceResponse{Copies: copies}, nil
}

// publish makes a version visible.
func (s *Service) publish(ctx context.Context, from transport.Peer, req tnsapi.PublishRequest) (tnsapi.PublishResponse, error) {
	list := slices.Clone(req.Entries)
	sortEntries(list)
	if err := checkPublish(req, list); err != nil {
		return tnsapi.PublishResponse{}, err
	}
	c := claim{job: req.Job, project: req.Project, branch: req.Branch, commit: req.Commit, order: req.Order, token: req.Token}
	if err := s.mayClaim(ctx, from, c); err != nil {
		return tnsapi.PublishResponse{}, s.refused(req.Job, req.Token, err)
	}
	if err := beforeApply.Hit(ctx, s.env); err != nil {
		return tnsapi.PublishResponse{}, err
	}
	return s.apply(ctx, tnsapi.Version{
		Project: req.Project, Branch: req.Branch, Commit: req.Commit, Job: req.Job,
		Order: req.Order, Token: req.Token, Artifact: req.Artifact,
		Count: len(list), Digest: digest(list),
	}, list)
}

// rollback publishes the entries of a kept commit once more, right after the current version. The
// request's ID is the job, so that a repetition changes nothing. What is current already stays as it
// is: a version for each such wish would push older ones out of the history.
func (s *Service) rollback(ctx context.Context, from transport.Peer, req tnsapi.RollbackRequest) (tnsapi.PublishResponse, error) {
	if err := checkNames(req.Project, req.Branch, req.Commit, req.ID); err != nil {
		return tnsapi.PublishResponse{}, err
	}
	kept, err := s.registry.history(req.Project, req.Branch)
	if err != nil {
		return tnsapi.PublishResponse{}, err
	}
	job := "rollback-" + req.ID
	if done := slices.IndexFunc(kept, func(v tnsapi.Version) bool { return v.Job == job }); done >= 0 {
		rolledTwice.Hit()
		return s.again(ctx, kept[done])
	}
	if len(kept) > 0 && kept[0].Commit == req.Commit {
		rolledToLive.Hit()
		return s.again(ctx, kept[0])
	}
	i := slices.IndexFunc(kept, func(v tnsapi.Version) bool { return v.Commit == req.Commit })
	if i < 0 {
		return tnsapi.PublishResponse{}, transport.New(transport.NotFound, tnsapi.Rollback.Name, "the history has no commit "+req.Commit)
	}
	v := kept[i]
	list, err := s.registry.entries(v)
	if err != nil {
		return tnsapi.PublishResponse{}, err
	}
	v.Job, v.Token = job, fencing.Token{Attempt: 1, Holder: from}
	if v.Artifact != "" && s.env.Presence(hoarderapi.Service) != transport.Nobody { // an unknown one can't be told, which is an error
		if err := s.pin(ctx, tnsapi.ArtifactOwner(job), v.Artifact); err != nil {
			return tnsapi.PublishResponse{}, transport.New(transport.KindOf(err), tnsapi.Rollback.Name, "keep the artifact: "+err.Error())
		}
	}
	if err := beforeApply.Hit(ctx, s.env); err != nil {
		return tnsapi.PublishResponse{}, err
	}
	// The current version may have changed meanwhile.
	now, err := s.registry.current(req.Project, req.Branch)
	if err != nil {
		return tnsapi.PublishResponse{}, err
	}
	v.Order, v.Rollback = now.Order, now.Rollback+1
	return s.apply(ctx, v, list)
}

// again makes sure that a version which was published before is durable.
func (s *Service) again(ctx context.Context, v tnsapi.Version) (tnsapi.PublishResponse, error) {
	copies, err := s.replicate(ctx)
	return tnsapi.PublishResponse{Version: v, Copies: copies, Duplicate: true}, err
}

// apply writes a version, in the turn in which it is judged, and makes it durable
// before it returns.
func (s *Service) apply(ctx context.Context, v tnsapi.Version, list []tnsapi.Entry) (tnsapi.PublishResponse, error) {
	stored, duplicate, err := s.registry.publish(v, list)
	if err != nil {
		return tnsapi.PublishResponse{}, s.refused(v.Job, v.Token, err)
	}
	if !duplicate {
		s.env.Observe("published", s.described(stored)...)
	}
	if err := afterApply.Hit(ctx, s.env); err != nil && !errors.Is(err, fail.ErrDrop) {
		return tnsapi.PublishResponse{}, err
	}
	copies, err := s.replicate(ctx)
	if err != nil {
		return tnsapi.PublishResponse{}, err
	}
	s.env.Observe("publish-durable", append(s.described(stored), node.F("copies", copies))...)
	if err := beforeReply.Hit(ctx, s.env); err != nil {
		return tnsapi.PublishResponse{}, err
	}
	return tnsapi.PublishResponse{Version: stored, Copies: copies, Duplicate: duplicate}, nil
}

func (s *Service) described(v tnsapi.Version) []node.Field {
	return []node.Field{
		node.F("project", v.Project), node.F("branch", v.Branch), node.F("commit", v.Commit), node.F("job", v.Job),
		node.F("order", v.Order), node.F("rollback", int64(v.Rollback)), node.F("attempt", v.Token.Attempt), node.F("holder", v.Token.Holder), s.incarnation(),
	}
}

// refused reports a refusal as a fact and gives the store's errors a Kind.
func (s *Service) refused(job string, t fencing.Token, err error) error {
	if errors.Is(err, storage.ErrTooLarge) {
		err = transport.New(transport.Invalid, tnsapi.Service, err.Error())
	}
	s.env.Observe("publish-refused", node.F("job", job), node.F("attempt", t.Attempt), node.F("holder", t.Holder),
		node.F("why", transport.KindOf(err).String()))
	return err
}

// checkNames checks the bounds of names that become parts of keys; what a project is known by has a rule of its own.
func checkNames(known string, names ...string) error {
	if err := project.CheckIdentifier(known); err != nil {
		return transport.New(transport.Invalid, tnsapi.Service, err.Error())
	}
	for _, name := range names {
		if name == "" || len(name) > tnsapi.NameLenMax {
			return transport.New(transport.Invalid, tnsapi.Service, fmt.Sprintf("a name must have 1 to %d bytes: %.40q", tnsapi.NameLenMax, name))
		}
	}
	return nil
}

// checkPublish checks the bounds of a version. list is in path order.
func checkPublish(req tnsapi.PublishRequest, list []tnsapi.Entry) error {
	if err := checkNames(req.Project, req.Branch, req.Commit, req.Job); err != nil {
		return err
	}
	invalid := func(text string) error { return transport.New(transport.Invalid, tnsapi.Publish.Name, text) }
	size := 0
	for i, e := range list {
		size += len(e.Path) + len(e.Value)
		switch {
		case e.Path == "" || len(e.Path) > tnsapi.PathLenMax:
			return invalid(fmt.Sprintf("a path must have 1 to %d bytes: %.40q", tnsapi.PathLenMax, e.Path))
		case i > 0 && e.Path == list[i-1].Path:
			return invalid(fmt.Sprintf("path %q occurs twice", e.Path))
		}
	}
	switch {
	case req.Order == 0:
		return invalid("order must be positive")
	case len(list) > tnsapi.EntriesMax:
		return invalid(fmt.Sprintf("%d entries, at most %d are allowed", len(list), tnsapi.EntriesMax))
	case size > tnsapi.VersionLenMax:
		return invalid(fmt.Sprintf("%d bytes, at most %d are allowed", size, tnsapi.VersionLenMax))
	case len(req.Artifact) > tnsapi.NameLenMax:
		return invalid("the artifact's name is too long")
	}
	return nil
}
