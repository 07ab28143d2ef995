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
	"github.com/taucloud/tau/transport/rendezvous"
)

const (
	// pinsMax bounds the pins that are served at once.
	pinsMax = 64
	// recordsMin is on how many hoarders a pin is durable before it is
	// acknowledged, if as many answer within replicateTimeout.
	recordsMin       = 2
	replicateTimeout = 3 * time.Second
	// A second copy is asked of up to passOnTriesMax hoarders in turn; each has
	// passOnTimeout and the time that the bytes take, see passOnTime.
	passOnTriesMax = 3
	passOnTimeout  = 2 * time.Second
	// answerSpare is left of a pin's time to answer with one copy if a second one
	// takes too long.
	answerSpare = replicateTimeout + time.Second
)

// passOnTime is how long one hoarder may take for the second copy: longer on a
// link on which the first copy took long. left is what is left of the pin's own
// time, if that is bounded.
func passOnTime(bytes int64, first, left time.Duration, bounded bool) time.Duration {
	d := passOnTimeout + 2*first + transport.TransferTime(bytes)
	if bounded {
		d = min(d, left-answerSpare)
	}
	return d
}

// pin obtains the content first, and acknowledges once pin and content are durable here, and on a
// second hoarder if one can be reached.
func (s *Service) pin(ctx context.Context, from transport.Peer, req hoarderapi.PinRequest) (resp hoarderapi.PinResponse, err error) {
	began := s.env.Loop.Elapsed()
	if err := s.keep(ctx, from, &req); err != nil {
		return resp, err
	}
	passed, err := s.passOn(ctx, from, req, s.env.Loop.Elapsed()-began)
	if err != nil {
		return resp, err
	}
	copies := 1 + passed
	if _, known := s.env.Wire.Directory().Lookup(hoarderapi.Service); copies < min(req.Target, 2) && !known {
		return resp, transport.New(transport.Refused, hoarderapi.Pin.Name, "it is not known yet who could have a second copy")
	}
	records, err := s.replicate(ctx)
	if err != nil {
		return resp, err
	}
	if err := beforeMarkAck.Hit(ctx, s.env); err != nil {
		return resp, err
	}
	if !s.holdings.holds(req.Root) || s.holdings.mending[req.Root] { // found corrupted meanwhile
		return resp, transport.New(transport.NotFound, hoarderapi.Pin.Name, "the copy did not last")
	}
	if s.index.get(req.Root).covered(ownerID(req.Owner, req.Name), req.Seq) {
		return resp, errWithdrawn // the withdrawal arrived meanwhile
	}
	bytes := s.holdings.held[req.Root]
	s.env.Observe("item-pinned", node.F("root", req.Root), node.F("owner", req.Owner), node.F("name", req.Name), node.F("seq", req.Seq),
		node.F("kind", string(req.Kind)), node.F("version", req.Version), node.F("for", req.For), node.F("target", req.Target), node.F("bytes", bytes),
		node.F("copies", copies), node.F("records", records))
	return hoarderapi.PinResponse{Holder: s.env.Self, Bytes: bytes, Copies: copies, Records: records}, nil
}

// pinCopy makes the second copy of an item that another hoarder was asked to pin.
func (s *Service) pinCopy(ctx context.Context, from transport.Peer, req hoarderapi.PinRequest) (resp hoarderapi.PinResponse, err error) {
	if g, known := s.env.Wire.Grants(from); !known || !g.Offers(hoarderapi.Service) {
		return resp, transport.New(transport.Refused, pinCopy.Name, "not a hoarder")
	}
	s.roster.know([]transport.Peer{from}) // it may be known to this one sooner than by the directory
	if err := s.keep(ctx, from, &req); err != nil {
		return resp, err
	}
	if err := s.sync(ctx); err != nil {
		return resp, err
	}
	c, err := cid.Decode(req.Root)
	if err != nil {
		return resp, err
	}
	proof, err := s.prove(ctx, c, req.Nonce)
	if err != nil {
		return resp, err
	}
	return hoarderapi.PinResponse{Holder: s.env.Self, Bytes: s.holdings.held[req.Root], Copies: 1, Records: 1, Proof: proof}, nil
}

// keep makes this hoarder a holder of the item to be pinned and writes the pin.
func (s *Service) keep(ctx context.Context, from transport.Peer, req *hoarderapi.PinRequest) error {
	if err := validatePin(req, s.settings); err != nil {
		return err
	}
	if s.pinning >= pinsMax {
		return transport.New(transport.Refused, hoarderapi.Pin.Name, "busy")
	}
	s.pinning++
	defer func() { s.pinning-- }()
	named := append([]transport.Peer{from}, req.Holders...)
	holders := named
	if it := s.index.items[req.Root]; it != nil {
		if it.covered(ownerID(req.Owner, req.Name), req.Seq) {
			return errWithdrawn
		}
		holders = slices.Concat(named, s.whoHas(it))
	}
	if err := s.makeSure(ctx, req, s.othersOf(holders)); err != nil {
		if transport.KindOf(err) == transport.Refused {
			s.env.Observe("item-refused", node.F("root", req.Root), node.F("bytes", req.Size))
		}
		return err
	}
	return s.writePin(s.index.get(req.Root), *req, s.othersOf(named))
}

// makeSure fetches and verifies the content: it is read before the acknowledgement even if it was
// here before.
func (s *Service) makeSure(ctx context.Context, req *hoarderapi.PinRequest, holders []transport.Peer) error {
	if s.holdings.holds(req.Root) && !s.holdings.mending[req.Root] {
		s.scrub(ctx, req.Root)
	}
	return s.obtain(ctx, req.Root, holders, req.Size)
}

// passOn asks another hoarder for a second copy, one that claims the item or else the best-ranked
// with room, and returns the number of further copies. A claim alone does not count: only a hoarder
// that confirms, knowing the pin, and proves its copy is counted. It returns an error if one of them knows that the
// owner has withdrawn the pin. first is how long the first copy took.
func (s *Service) passOn(ctx context.Context, from transport.Peer, req hoarderapi.PinRequest, first time.Duration) (copies int, err error) {
	if req.Target < 2 {
		return 0, nil
	}
	it := s.index.get(req.Root)
	req.Holders = append([]transport.Peer{from}, req.Holders...)
	req.Holders = req.Holders[:min(len(req.Holders), hoarderapi.HoldersMax)]
	to := s.passOnTo(it)
	if len(to) == 0 {
		return 0, nil
	}
	ch, err := s.challenge(ctx, req.Root)
	if err != nil || ch.digest == nil {
		return 0, nil // the copy here is bad or gone: the answer will say so
	}
	req.Nonce = ch.nonce
	for _, p := range to {
		left, bounded := clock.Remaining(ctx)
		limit := passOnTime(s.holdings.held[req.Root], first, left, bounded)
		if limit <= 0 {
			break
		}
		callCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, limit)
		resp, err := pinCopy.Call(callCtx, s.env.Wire, p, req)
		cancel()
		switch {
		case err == nil && s.proved(ch, req.Root, p, resp.Proof):
			return 1, nil
		case transport.KindOf(err) == transport.Conflict:
			return 0, err
		}
	}
	return 0, nil
}

// passOnTo lists the hoarders to ask for a second copy: live claimants, then live ones that may
// have room, each group in its order, and last one that is believed missing, since that belief may
// be outdated and does not justify a pin with one copy.
func (s *Service) passOnTo(it *item) (list []transport.Peer) {
	list = append(rendezvous.Rank(it.root, it.claimants((*member).keeps)), rendezvous.Rank(it.root, s.candidates(it))...)
	var missing []transport.Peer
	for _, m := range s.roster.all {
		if !m.lives() && !m.liar {
			missing = append(missing, m.peer)
		}
	}
	list = slices.DeleteFunc(list, func(p transport.Peer) bool { return p == s.env.Self })
	list = list[:min(len(list), passOnTriesMax)]
	if len(missing) > 0 && len(list) < passOnTriesMax {
		list = append(list, rendezvous.Rank(it.root, missing)[0])
	}
	return list
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

func validatePin(req *hoarderapi.PinRequest, settings Settings) error {
	invalid := func(text string) error { return transport.New(transport.Invalid, hoarderapi.Pin.Name, text) }
	if req.Target == 0 {
		req.Target = hoarderapi.TargetDefault
	}
	if err := validateOwner(hoarderapi.Pin.Name, req.Root, req.Owner, req.Name); err != nil {
		return err
	}
	switch {
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
	case req.For < 0 || req.For > hoarderapi.ForMax:
		return invalid("for out of bounds")
	case req.Size < 0 || req.Size > settings.ItemSizeMax:
		return invalid("size out of bounds")
	case !validNonce(req.Nonce):
		return invalid("a nonce has 32 bytes")
	}
	req.Demand = max(1, req.Demand)
	return nil
}

// validateOwner checks the name of a pin's owner.
func validateOwner(op, root, owner, name string) error {
	c, err := cid.Decode(root)
	switch {
	case len(root) > hoarderapi.TextLenMax || err != nil || c.String() != root || c.Version() != 1:
		return transport.New(transport.Invalid, op, "root is not a CIDv1 in its usual form")
	case owner == "":
		return transport.New(transport.Invalid, op, "owner is empty: who wants it?")
	case len(owner) > hoarderapi.TextLenMax || len(name) > hoarderapi.TextLenMax:
		return transport.New(transport.Invalid, op, "owner or name too long")
	}
	return nil
}

// writePin writes the pin, unless it is there already, here and beside the copy. Pins that the new
// one supersedes are deleted in the same delta.
func (s *Service) writePin(it *item, req hoarderapi.PinRequest, sources []transport.Peer) error {
	m := newPin(pinRecord{
		Kind: req.Kind, Target: req.Target, Seq: req.Seq, For: req.For, Size: s.holdings.held[it.root],
		Demand: req.Demand, Sources: sources, Owner: req.Owner, Name: req.Name, Version: req.Version,
	})
	if err := s.admits(it, m); err != nil {
		return err
	}
	if said := it.says(m.owner); said != nil && !m.after(said) {
		return s.writeHeld(it.root, s.holdings.held[it.root])
	}
	writes := []storage.Entry{{Key: m.key(it.root), Value: transport.Encode(m.pinRecord)}}
	for _, old := range it.pins {
		if old.owner == m.owner {
			writes = append(writes, storage.Entry{Key: old.key(it.root)})
		}
	}
	if err := s.write(writes...); err != nil {
		return err
	}
	s.env.Observe("pin-written", node.F("root", it.root), node.F("kind", string(m.Kind)), node.F("target", m.Target),
		node.F("owner", m.Owner), node.F("name", m.Name), node.F("seq", m.Seq), node.F("version", m.Version), node.F("for", m.For))
	return s.writeHeld(it.root, s.holdings.held[it.root])
}

var errWithdrawn = transport.New(transport.Conflict, hoarderapi.Pin.Name, "the owner has withdrawn it: pinning again needs a higher seq")

// admits reports whether a pin may be written: its owner has not withdrawn it,
// and the item has not too many owners.
func (s *Service) admits(it *item, m *pin) error {
	if it.covered(m.owner, m.Seq) {
		return errWithdrawn
	}
	if it.says(m.owner) == nil && len(it.pins)+len(it.withdrawn) >= hoarderapi.OwnersMax {
		return transport.New(transport.Refused, hoarderapi.Pin.Name, "the item has too many owners")
	}
	return nil
}

// replicate makes all writes durable here and, if another hoarder is reachable, there too.
func (s *Service) replicate(ctx context.Context) (records int, err error) {
	if err := s.sync(ctx); err != nil {
		return 0, err
	}
	records, err = s.env.Replicate(ctx, s.store, recordsMin, replicateTimeout)
	if err != nil && transport.KindOf(err) == transport.Stopped {
		return records, err
	}
	return max(1, records), nil // nobody else answers: durable here alone
}

// sync makes all writes durable on this disk.
func (s *Service) sync(ctx context.Context) error {
	if err := s.store.Sync(ctx); err != nil {
		return err
	}
	return s.env.Local.Sync(ctx)
}

// unpin records the owner's withdrawal, even if no pin is known here: it may still arrive. The
// covered pins are deleted in the same delta.
func (s *Service) unpin(ctx context.Context, _ transport.Peer, req hoarderapi.UnpinRequest) (hoarderapi.Done, error) {
	var done hoarderapi.Done
	if err := validateOwner(hoarderapi.Unpin.Name, req.Root, req.Owner, req.Name); err != nil {
		return done, err
	}
	it, owner := s.index.get(req.Root), ownerID(req.Owner, req.Name)
	if it.covered(owner, req.Seq) {
		_, err := s.replicate(ctx)
		return done, err
	}
	if it.withdrawnOf(owner) == nil && it.says(owner) == nil && len(it.pins)+len(it.withdrawn) >= hoarderapi.OwnersMax {
		return done, transport.New(transport.Refused, hoarderapi.Unpin.Name, "the item has too many owners")
	}
	if err := s.withdraw(it, owner, req.Seq); err != nil {
		return done, err
	}
	s.env.Observe("pin-withdrawn", node.F("root", req.Root), node.F("owner", req.Owner), node.F("name", req.Name),
		node.F("seq", req.Seq), node.F("why", "unpinned"))
	_, err := s.replicate(ctx)
	return done, err
}

// withdraw writes an owner's withdrawal of its pins up to seq.
func (s *Service) withdraw(it *item, owner string, seq uint64) error {
	writes := []storage.Entry{{Key: withdrawnKey(it.root, owner, seq), Value: withdrawal}}
	if w := it.withdrawnOf(owner); w != nil {
		writes = append(writes, storage.Entry{Key: withdrawnKey(it.root, owner, w.seq)})
	}
	for _, m := range it.pins {
		if m.owner == owner && m.Seq <= seq {
			writes = append(writes, storage.Entry{Key: m.key(it.root)})
		}
	}
	return s.write(writes...)
}

// demand is counted in memory and written with the next sweep.
func (s *Service) demand(_ context.Context, _ transport.Peer, req hoarderapi.DemandRequest) (hoarderapi.Done, error) {
	var done hoarderapi.Done
	switch it := s.index.items[req.Root]; {
	case it == nil:
		return done, transport.New(transport.NotFound, hoarderapi.Demand.Name, "no such item")
	case req.N < 1 || req.N > hoarderapi.DemandMax:
		return done, transport.New(transport.Invalid, hoarderapi.Demand.Name, "n out of bounds")
	}
	s.interest[req.Root] = min(s.interest[req.Root]+req.N, hoarderapi.DemandMax)
	return done, nil
}

// writeInterest writes the demand that was reported since the last sweep.
func (s *Service) writeInterest() {
	var writes []storage.Entry
	for _, root := range sortedKeys(s.interest) {
		it := s.index.items[root]
		if it == nil {
			continue
		}
		total := it.demandBy(s.env.Self) + uint64(s.interest[root])
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
