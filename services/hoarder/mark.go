package hoarder

import (
	"context"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const (
	// marksMax bounds the marks that are served at once.
	marksMax = 64
	// recordsMin is on how many hoarders a mark is durable before it is
	// acknowledged, if as many answer within replicateTimeout.
	recordsMin       = 2
	replicateTimeout = 3 * time.Second
	// A second copy is asked of up to passOnTriesMax hoarders in turn; each has
	// passOnTimeout and the time that the bytes take.
	passOnTriesMax = 3
	passOnTimeout  = 2 * time.Second
)

// mark takes the content first and acknowledges only what survives: here, and on
// a second hoarder if one can be had.
func (s *Service) mark(ctx context.Context, from transport.Peer, req hoarderapi.MarkRequest) (resp hoarderapi.MarkResponse, err error) {
	if err := s.keep(ctx, from, &req); err != nil {
		return resp, err
	}
	copies := 1 + s.passOn(ctx, from, req)
	records, err := s.replicate(ctx)
	if err != nil {
		return resp, err
	}
	if err := beforeMarkAck.Hit(ctx, s.env); err != nil {
		return resp, err
	}
	if !s.ledger.holds(req.Root) || s.ledger.mending[req.Root] { // found corrupted meanwhile
		return resp, transport.New(transport.Conflict, hoarderapi.MarkMethod.Name, "the copy did not last")
	}
	bytes := s.ledger.held[req.Root]
	s.env.Observe("item-marked", node.F("root", req.Root), node.F("target", req.Target), node.F("bytes", bytes),
		node.F("copies", copies), node.F("records", records))
	return hoarderapi.MarkResponse{Holder: s.env.Self, Bytes: bytes, Copies: copies, Records: records}, nil
}

// take is the second copy of what another hoarder was asked to keep.
func (s *Service) take(ctx context.Context, from transport.Peer, req hoarderapi.MarkRequest) (resp hoarderapi.MarkResponse, err error) {
	if !slices.Contains(s.roster.all, from) {
		return resp, transport.New(transport.Refused, hoarderapi.TakeMethod.Name, "not a hoarder")
	}
	if err := s.keep(ctx, from, &req); err != nil {
		return resp, err
	}
	if err := s.sync(ctx); err != nil {
		return resp, err
	}
	return hoarderapi.MarkResponse{Holder: s.env.Self, Bytes: s.ledger.held[req.Root], Copies: 1, Records: 1}, nil
}

// keep makes this hoarder a holder of what is to be marked and writes the mark.
func (s *Service) keep(ctx context.Context, from transport.Peer, req *hoarderapi.MarkRequest) error {
	if err := validateMark(req, s.cfg); err != nil {
		return err
	}
	if s.marking >= marksMax {
		return transport.New(transport.Refused, hoarderapi.MarkMethod.Name, "busy")
	}
	s.marking++
	defer func() { s.marking-- }()
	named := append([]transport.Peer{from}, req.Holders...)
	holders := named
	if it := s.index.items[req.Root]; it != nil {
		holders = slices.Concat(named, s.whoHas(it))
	}
	if err := s.obtain(ctx, req.Root, s.othersOf(holders), req.Size); err != nil {
		if transport.KindOf(err) == transport.Refused {
			s.env.Observe("item-refused", node.F("root", req.Root), node.F("bytes", req.Size))
		}
		return err
	}
	return s.record(s.index.get(req.Root), *req, s.othersOf(named))
}

// passOn has another hoarder take the content too, the best of those with room,
// and returns how many others have it then.
func (s *Service) passOn(ctx context.Context, from transport.Peer, req hoarderapi.MarkRequest) int {
	it := s.index.get(req.Root)
	others := it.claimants(func(p transport.Peer) bool { return p != s.env.Self && s.roster.lives(p) })
	if req.Target < 2 || len(others) > 0 {
		return len(others)
	}
	req.Holders = append([]transport.Peer{from}, req.Holders...)
	req.Holders = req.Holders[:min(len(req.Holders), hoarderapi.HoldersMax)]
	tries := 0
	for _, p := range hoarderapi.Rank(req.Root, s.candidates(it)) {
		if p == s.env.Self {
			continue
		}
		if tries++; tries > passOnTriesMax {
			break
		}
		callCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, passOnTimeout+transferTimeout(req.Size)-transferTimeoutMin)
		_, err := hoarderapi.TakeMethod.Call(callCtx, s.env.Wire, p, req)
		cancel()
		if err == nil {
			return 1
		}
	}
	return 0
}

// othersOf is peers without this node and without repetition, bounded.
func (s *Service) othersOf(peers []transport.Peer) []transport.Peer {
	var list []transport.Peer
	for _, p := range peers {
		if p != s.env.Self && !slices.Contains(list, p) && len(list) < hoarderapi.HoldersMax {
			list = append(list, p)
		}
	}
	return list
}

func validateMark(req *hoarderapi.MarkRequest, cfg Settings) error {
	invalid := func(text string) error { return transport.New(transport.Invalid, hoarderapi.MarkMethod.Name, text) }
	if req.Target == 0 {
		req.Target = hoarderapi.TargetDefault
	}
	c, err := cid.Decode(req.Root)
	switch {
	case len(req.Root) > hoarderapi.TextLenMax || err != nil || c.String() != req.Root || c.Version() != 1:
		return invalid("root is not a CIDv1 in its usual form")
	case req.Kind != hoarderapi.Asset && req.Kind != hoarderapi.Database:
		return invalid("kind is neither asset nor database")
	case req.Kind == hoarderapi.Database && req.Name == "":
		return invalid("a database needs a name")
	case req.Kind == hoarderapi.Asset && (req.Name != "" || req.Version != 0):
		return invalid("an asset has no name and no version")
	case req.Target < 0 || req.Target > hoarderapi.TargetMax:
		return invalid("target out of bounds")
	case req.Demand < 0 || req.Demand > hoarderapi.DemandMax:
		return invalid("demand out of bounds")
	case len(req.Holders) > hoarderapi.HoldersMax:
		return invalid("too many holders")
	case len(req.Owner) > hoarderapi.TextLenMax || len(req.Name) > hoarderapi.TextLenMax:
		return invalid("owner or name too long")
	case req.Size < 0 || req.Size > cfg.ItemSizeMax:
		return invalid("size out of bounds")
	}
	return nil
}

// record writes the mark, unless it is there already, here and beside the copy.
func (s *Service) record(it *item, req hoarderapi.MarkRequest, sources []transport.Peer) error {
	m := markRecord{Kind: req.Kind, Target: req.Target, Owner: req.Owner, Name: req.Name, Version: req.Version}
	id := markID(m)
	if _, marked := it.liveMark(id); marked {
		return s.writeHeld(it.root, s.ledger.held[it.root])
	}
	m.Size, m.Sources = s.ledger.held[it.root], sources
	k := markKey{id: id, epoch: it.nextEpoch(id)}
	demand := demandRecord{Total: it.demand[s.env.Self] + uint64(max(1, req.Demand))}
	err := s.write(
		storage.Entry{Key: k.under(marksPart, it.root), Value: transport.Encode(m)},
		storage.Entry{Key: demandKey(it.root, s.env.Self), Value: transport.Encode(demand)},
	)
	if err != nil {
		return err
	}
	s.env.Observe("mark-written", node.F("root", it.root), node.F("kind", string(m.Kind)), node.F("target", m.Target),
		node.F("owner", m.Owner), node.F("name", m.Name), node.F("version", m.Version))
	return s.writeHeld(it.root, s.ledger.held[it.root])
}

// replicate makes what was written durable here and, if another hoarder is
// reachable, there too.
func (s *Service) replicate(ctx context.Context) (records int, err error) {
	if err := s.sync(ctx); err != nil {
		return 0, err
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, replicateTimeout)
	defer cancel()
	records, err = s.store.Replicate(ctx, recordsMin)
	if err != nil && transport.KindOf(err) == transport.Stopped {
		return records, err
	}
	return max(1, records), nil // nobody else answers: durable here alone
}

// sync makes all that was written survive a crash.
func (s *Service) sync(ctx context.Context) error {
	if err := s.store.Sync(ctx); err != nil {
		return err
	}
	return s.env.Local.Sync(ctx)
}

func (s *Service) unmark(ctx context.Context, _ transport.Peer, req hoarderapi.UnmarkRequest) (hoarderapi.Done, error) {
	var done hoarderapi.Done
	it := s.index.items[req.Root]
	if it == nil {
		return done, transport.New(transport.NotFound, hoarderapi.UnmarkMethod.Name, "no such item")
	}
	var writes []storage.Entry
	for _, k := range it.liveMarks() {
		if it.marks[k].Owner == req.Owner {
			writes = append(writes, storage.Entry{Key: k.under(withdrawnPart, req.Root), Value: withdrawal})
		}
	}
	if len(writes) > 0 {
		if err := s.write(writes...); err != nil {
			return done, err
		}
		s.env.Observe("mark-withdrawn", node.F("root", req.Root))
	}
	_, err := s.replicate(ctx)
	return done, err
}

// demand is counted in memory and written with the next sweep.
func (s *Service) demand(_ context.Context, _ transport.Peer, req hoarderapi.DemandRequest) (hoarderapi.Done, error) {
	var done hoarderapi.Done
	switch it := s.index.items[req.Root]; {
	case it == nil:
		return done, transport.New(transport.NotFound, hoarderapi.DemandMethod.Name, "no such item")
	case req.N < 1 || req.N > hoarderapi.DemandMax:
		return done, transport.New(transport.Invalid, hoarderapi.DemandMethod.Name, "n out of bounds")
	}
	s.interest[req.Root] = min(s.interest[req.Root]+req.N, hoarderapi.DemandMax)
	return done, nil
}

// writeInterest writes the demand that was reported since the last time.
func (s *Service) writeInterest() {
	var writes []storage.Entry
	for _, root := range sortedKeys(s.interest) {
		total := s.index.get(root).demand[s.env.Self] + uint64(s.interest[root])
		writes = append(writes, storage.Entry{Key: demandKey(root, s.env.Self), Value: transport.Encode(demandRecord{Total: total})})
	}
	if len(writes) == 0 {
		return
	}
	if err := s.write(writes...); err != nil {
		s.env.Log.Debug("demand not written", "err", err)
		return
	}
	clear(s.interest)
}
