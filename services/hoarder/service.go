// Package hoarder is the service that keeps content alive: it holds copies of what others have
// pinned, competes for what is rare, repairs lost copies and releases surplus ones, but never a
// last copy. It does not decide which content is worth keeping; the owners of pins do.
package hoarder

import (
	"context"
	"errors"
	"fmt"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Spec is hoarder's entry in the catalogue.
func Spec() node.Spec {
	return node.Spec{
		Name:     hoarderapi.Service,
		Doc:      "keeps copies of what was pinned and repairs what was lost",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return New(env, *settings.(*Settings)), nil
		},
	}
}

// Service is one hoarder.
type Service struct {
	env      node.Env
	settings Settings
	seer     *seerapi.Client
	// seed makes this hoarder's random draws differ from those of others.
	seed uint64

	store    storage.Replicated
	unwatch  func()
	index    *index
	holdings *holdings
	roster   *roster

	acquisitions map[string]*acquisition
	fetching     int // acquisitions that run
	acquiring    map[string]bool
	toYield      map[string]bool   // releases that are planned
	yielding     map[string]bool   // and those that run
	releasing    int               // tasks that do the planned ones
	pinning      int               // pins that are being served
	interest     map[string]int    // demand reported and not yet written
	recordedPins map[string][]*pin // of what is held, the pins that its record names
	remains      map[string]bool   // roots without a copy, of which some blocks may still be here
	untidy       bool              // something was removed from the disk and not synced since

	cursor  int      // of the sweep, in index.list
	probed  int      // of the probe, in roster.all
	toScrub []string // the rest of this round
}

// New returns a hoarder that does nothing before Start.
func New(env node.Env, settings Settings) *Service {
	roster := newRoster(env.Self, settings.RepairGrace)
	return &Service{
		env:          env,
		settings:     settings,
		index:        newIndex(roster),
		roster:       roster,
		acquisitions: map[string]*acquisition{},
		acquiring:    map[string]bool{},
		toYield:      map[string]bool{},
		yielding:     map[string]bool{},
		interest:     map[string]int{},
		recordedPins: map[string][]*pin{},
		remains:      map[string]bool{},
	}
}

// Start implements node.Service.
func (s *Service) Start(ctx context.Context) error {
	s.seer = seerapi.NewClient(s.env.Wire)
	s.seed = s.env.Rand.Uint64()
	s.holdings = newHoldings(s.settings.Capacity, s.settings.PromiseLease, s.env.Loop.Elapsed())
	hoarders, _ := s.env.Wire.Directory().Lookup(hoarderapi.Service) // liveness follows it
	s.roster.know(append([]transport.Peer{s.env.Self}, hoarders...))
	var err error
	if s.store, err = s.env.OpenReplicated(ctx, "main", s.settings.History); err != nil {
		return fmt.Errorf("hoarder: %w", err)
	}
	s.load()
	if err := s.takeInventory(); err != nil {
		return err
	}
	s.unwatch = s.store.Watch("", s.changed)
	s.serve()
	s.env.Loop.Go("hoarder liveness", s.followLiveness)
	s.env.Loop.Go("hoarder sweep", s.sweepForever)
	s.env.Loop.Go("hoarder scrub", s.scrubForever)
	return nil
}

// Stop implements node.Service, also after a Start that failed half way.
func (s *Service) Stop(ctx context.Context) error {
	if s.store == nil {
		return nil
	}
	if s.unwatch != nil {
		s.unwatch()
	}
	for _, root := range sortedKeys(s.acquisitions) {
		s.acquisitions[root].cancel()
	}
	s.writeInterest()
	return errors.Join(s.store.Sync(ctx), s.store.Close())
}

func (s *Service) serve() {
	ep := s.env.Wire
	hoarderapi.Pin.Serve(ep, s.pin)
	pinCopy.Serve(ep, s.pinCopy)
	hoarderapi.Unpin.Serve(ep, s.unpin)
	hoarderapi.Owners.Serve(ep, s.owners)
	hoarderapi.ListOwned.Serve(ep, s.owned)
	hoarderapi.Demand.Serve(ep, s.demand)
	hoarderapi.Locate.Serve(ep, s.locate)
	hoarderapi.NewestSnapshot.Serve(ep, s.database)
	hoarderapi.Have.Serve(ep, s.have)
	hoarderapi.Status.Serve(ep, s.status)
}

// load reads the index from the replica.
func (s *Service) load() {
	for _, e := range s.store.Entries("") {
		s.apply(e.Key, e.Value)
	}
}

// apply applies an entry to the index. Undecodable entries of other hoarders are left out: a later
// release may have written them.
func (s *Service) apply(k storage.Key, value []byte) string {
	root, err := s.index.apply(k, value, s.env.Loop.Elapsed())
	if err != nil {
		s.env.Log.Warn("unreadable entry", "key", string(k), "err", err)
	}
	return root
}

// changed is told of every entry that was written or deleted, here or elsewhere.
func (s *Service) changed(k storage.Key) {
	value, _ := s.store.Get(k) // nil if it was deleted
	if root := s.apply(k, value); root != "" {
		s.evaluate(root)
	}
}

// write applies a batch to the replica and to the index, in the same turn.
func (s *Service) write(writes ...storage.Entry) error {
	var b storage.Batch
	for _, w := range writes {
		if w.Value == nil {
			b.Delete(w.Key)
		} else {
			b.Put(w.Key, w.Value)
		}
	}
	if err := s.store.Apply(&b); err != nil {
		return fmt.Errorf("hoarder: %w", err)
	}
	for _, w := range writes {
		s.apply(w.Key, w.Value)
	}
	return nil
}

// announce publishes, through seer, how much room there is.
func (s *Service) announce() {
	s.env.SetGauge(gaugeMax, s.settings.Capacity)
	s.env.SetGauge(gaugeUsed, s.holdings.used+s.holdings.reserved)
}

// The gauges, as seer shows them.
const (
	gaugeMax  = "hoarder.bytes-max"
	gaugeUsed = "hoarder.bytes-used"
)
