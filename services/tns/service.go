// Package tns is the registry of projects: which commit of a branch is live, and
// what it consists of. A version is published whole or not at all, under a
// fencing token, and kept for a while after the next one, for rollback.
//
// It is not responsible for what the entries mean, nor for who may publish:
// that is patrick's and monkey's business.
package tns

import (
	"context"
	"errors"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Spec is tns's entry in the catalogue.
func Spec() node.Spec {
	return node.Spec{
		Name:     tnsapi.Service,
		Doc:      "which commit of a branch is live, and what it consists of",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &Service{env: env, settings: *settings.(*Settings), patrick: patrickapi.NewClient(env.Wire)}, nil
		},
	}
}

// namespace is tns's namespace in the replicated store.
const namespace = "main"

// Service is one replica of tns.
type Service struct {
	env      node.Env
	settings Settings
	store    storage.Replicated // nil until Start
	registry registry
	watchers []*watcher
	// followers count with the watchers
	followers []*follower
	hoarder   *hoarderapi.Client
	patrick   *patrickapi.Client
	grants    grants
	// doing: the task that carries out chores is running
	doing bool
}

// Start implements node.Service.
func (s *Service) Start(ctx context.Context) error {
	store, err := s.env.OpenReplicated(ctx, namespace, s.settings.History)
	if err != nil {
		return err
	}
	s.store = store
	s.registry = registry{store: store, keep: s.settings.KeepVersions}
	s.hoarder = hoarderapi.NewClient(s.env.Wire)
	s.registry.keepArtifacts = s.settings.KeepArtifacts
	s.registry.hoarders = func() bool { return s.env.Presence(hoarderapi.Service) != transport.Nobody }
	s.env.OnDirectory(s.startChores)
	s.env.Observe("replica-opened", s.incarnation())
	store.Watch(storage.K(versions), s.changed)
	store.Watch(storage.K(chores), func(storage.Key) { s.startChores() })
	s.startChores()
	tnsapi.Fence.Serve(s.env.Wire, s.fence)
	tnsapi.Publish.Serve(s.env.Wire, s.publish)
	tnsapi.Rollback.Serve(s.env.Wire, s.rollback)
	tnsapi.Current.Serve(s.env.Wire, s.current)
	tnsapi.Lookup.Serve(s.env.Wire, s.lookup)
	tnsapi.History.Serve(s.env.Wire, s.history)
	tnsapi.Watch.Serve(s.env.Wire, s.watch)
	tnsapi.Follow.Serve(s.env.Wire, s.follow)
	return nil
}

// Stop implements node.Service.
func (s *Service) Stop(ctx context.Context) error {
	if s.store == nil {
		return nil
	}
	return errors.Join(s.store.Sync(ctx), s.store.Close())
}

// incarnation is part of the facts about accepted writes: a write that was not durable does not
// bind the next incarnation.
func (s *Service) incarnation() node.Field { return node.F("incarnation", s.env.Incarnation) }

// replicate makes all writes durable, here and on a second replica if one can be reached in time,
// and returns the number of copies.
func (s *Service) replicate(ctx context.Context) (copies int, err error) {
	return s.env.Replicate(ctx, s.store, 2, s.settings.ReplicateTimeout)
}
