// Package patrick takes pushes and sees each of them through: it makes one job
// of a commit, keeps it on several patricks, grants it to one monkey at a time
// under a lease, tries again what fails, and ends every job.
//
// It does not build, and it does not decide what is live: that is monkey's and
// tns's business.
package patrick

import (
	"context"
	"fmt"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Spec is patrick's entry in the catalogue. ends are how it reaches out of the cloud.
func Spec(ends Ends) node.Spec {
	return node.Spec{
		Name:     patrickapi.Service,
		Doc:      "takes pushes, keeps jobs, grants them to monkeys",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			given := settings.(*Settings)
			return &Service{env: env, settings: *given, ends: ends, looks: newLooks(env, ends.Forge), api: patrickapi.NewClient(env.Wire), reports: map[string]*reporting{}, board: newBoard(), peers: newReach(env), logs: newLogs(), tns: tnsapi.NewClient(env.Wire), audits: map[string]*audit{}, wants: map[string]*want{}, leftovers: map[string]bool{}}, nil
		},
	}
}

// Service is a running patrick.
type Service struct {
	env      node.Env
	settings Settings
	store    storage.Replicated
	board    *board
	peers    *reach
	logs     *logs
	tns      *tnsapi.Client
	ends     Ends
	looks    *looks
	streams  streams
	// api asks patricks as users do
	api *patrickapi.Client
	// reports are the jobs of which forges have to be told, reporting: a task does
	reports   map[string]*reporting
	reporting bool
	// stopFront ends what is served to those outside, nil if nothing is
	stopFront func()
	// audits are the branches about which tns is to be asked, by BranchID
	audits map[string]*audit
	// tnsSilentUntil is until when tns is not asked for what is live
	tnsSilentUntil time.Duration
	// wants is the content that this patrick should have, by root
	wants map[string]*want
	// leftovers are forgotten jobs of which records have come since
	leftovers map[string]bool
	// sweeping, repairing, retiring: the task that offers open jobs again, that
	// fetches missing trees and logs, or that forgets jobs is running
	sweeping, repairing, retiring bool
}

// Start implements node.Service.
func (s *Service) Start(ctx context.Context) error {
	store, err := s.env.OpenReplicated(ctx, "main", s.settings.History)
	if err != nil {
		return fmt.Errorf("patrick: open: %w", err)
	}
	s.store = store
	s.load()
	store.Watch(jobsKey(), func(k storage.Key) {
		if id, ok := jobOf(k); ok {
			s.refresh(id)
		}
	})
	store.Watch(pastKey(), s.recall)
	s.serve()
	s.followForges()
	s.env.Loop.Go("sweeps", s.sweeps)
	return s.openFront()
}

// Stop implements node.Service: what was written becomes durable here and, if
// somebody answers, elsewhere.
func (s *Service) Stop(ctx context.Context) error {
	if s.store == nil { // Start failed before it was opened
		return nil
	}
	if s.stopFront != nil {
		if err := clock.Offload(ctx, s.env.Loop, s.stopFront); err != nil {
			return err
		}
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, stopTimeout)
	defer cancel()
	if _, err := s.store.Replicate(ctx, s.copies()); err != nil {
		s.env.Log.Warn("stopping without a copy elsewhere", "err", err)
	}
	return s.store.Close()
}

const stopTimeout = 5 * time.Second

// serve registers the handlers. Those that decide are routed to the coordinator of
// the job's branch.
func (s *Service) serve() {
	ep := s.env.Wire
	serveAtCoordinator(s, patrickapi.Push, func(r patrickapi.PushRequest) string {
		return patrickapi.BranchID(r.Repository, r.Branch)
	}, s.push)
	serveAtCoordinator(s, patrickapi.NewEvent, func(r patrickapi.EventRequest) string {
		return patrickapi.BranchID(r.Repository, r.Branch)
	}, s.newEvent)
	serveAtCoordinator(s, moved, func(r moveRequest) string { return patrickapi.BranchID(r.Repository, r.Branch) }, s.moved)
	serveAtCoordinator(s, patrickapi.Rebuild, func(r patrickapi.RebuildRequest) string { return patrickapi.BranchOf(r.Job) }, s.rebuild)
	serveForHolder(s, patrickapi.Claim, func(r patrickapi.ClaimRequest) (string, transport.Peer) { return r.Job, r.Holder }, s.claim)
	serveForHolder(s, patrickapi.Renew, func(r patrickapi.RenewRequest) (string, transport.Peer) { return r.Job, r.Token.Holder }, s.renew)
	serveForHolder(s, patrickapi.Finish, func(r patrickapi.FinishRequest) (string, transport.Peer) { return r.Job, r.Token.Holder }, s.finish)
	serveAtCoordinator(s, patrickapi.Cancel, func(r patrickapi.CancelRequest) string { return patrickapi.BranchOf(r.Job) }, s.cancel)
	patrickapi.Granted.Serve(ep, s.granted)
	serveAtCoordinator(s, patrickapi.Held, func(r patrickapi.HeldRequest) string { return patrickapi.BranchOf(r.Job) }, s.held)
	patrickapi.OpenJobs.Serve(ep, s.openJobs)
	patrickapi.GetJob.Serve(ep, s.getJob)
	patrickapi.List.Serve(ep, s.list)
	patrickapi.Logs.Serve(ep, s.readLogs)
	patrickapi.Log.Serve(ep, s.receiveLog)
	keep.Serve(ep, s.keep)
	ping.Serve(ep, func(context.Context, transport.Peer, pingRequest) (pingResponse, error) {
		return pingResponse{}, nil
	})
}

// copies is the number of copies to make: the setting, or all patricks if there are known to be fewer.
func (s *Service) copies() int {
	patricks, known := s.env.Wire.Directory().Lookup(patrickapi.Service)
	if !known {
		return s.settings.Copies
	}
	return max(1, min(s.settings.Copies, len(patricks)))
}
