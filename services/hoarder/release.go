package hoarder

import (
	"cmp"
	"context"
	"slices"
	"strings"
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
	// confirmTimeout bounds the answer of one holder, which reads all blocks.
	confirmTimeout = 5 * time.Second
	// confirmSpare is how many more holders than needed are asked.
	confirmSpare = 3
	// releasesMax bounds the releases that run at once.
	releasesMax = 4
	// roomAttemptsMax bounds the releases that are made for one reservation.
	roomAttemptsMax = 8
)

// yield schedules the release of a copy; policy is evaluated again when it runs.
func (s *Service) yield(root string) {
	if s.yielding[root] || s.toYield[root] {
		return
	}
	s.toYield[root] = true
	if s.releasing < releasesMax {
		s.releasing++
		s.env.Loop.Go("hoarder release", s.releaseAll)
	}
}

// releaseAll runs the scheduled releases, one after the other.
func (s *Service) releaseAll(ctx context.Context) {
	for len(s.toYield) > 0 && ctx.Err() == nil {
		root := sortedKeys(s.toYield)[0]
		delete(s.toYield, root)
		s.yielding[root] = true
		s.release(ctx, root, func(sit situation) action { return decide(sit, s.settings) })
		delete(s.yielding, root)
	}
	s.tidy(ctx)
	s.releasing--
}

// makeRoom releases copies until there is enough room or no copy may be released: first unwanted
// ones, then those most in surplus and least rare.
func (s *Service) makeRoom(ctx context.Context, bytes int64) {
	for range roomAttemptsMax {
		root := s.leastNeeded()
		yields.HitIf(root != "")
		if root == "" || s.holdings.free() >= bytes {
			return
		}
		s.yielding[root] = true
		ok := s.release(ctx, root, mayYield)
		delete(s.yielding, root)
		if !ok {
			return
		}
	}
}

func (s *Service) leastNeeded() string {
	type candidate struct {
		root    string
		wanted  bool
		surplus int
		demand  int64
	}
	var list []candidate
	for _, root := range s.holdings.roots() {
		it := s.index.get(root)
		sit := s.situation(it)
		if mayYield(sit) == rest || s.yielding[root] || !s.holdings.mayRelease(root, s.env.Loop.Elapsed()) {
			continue
		}
		list = append(list, candidate{root, sit.state == wanted, sit.copiesLive - sit.target, it.totalDemand()})
	}
	if len(list) == 0 {
		return ""
	}
	return slices.MinFunc(list, func(a, b candidate) int {
		switch {
		case a.wanted != b.wanted && a.wanted:
			return 1
		case a.wanted != b.wanted:
			return -1
		}
		return cmp.Or(cmp.Compare(b.surplus, a.surplus), cmp.Compare(a.demand, b.demand), cmp.Compare(a.root, b.root))
	}).root
}

// release drops a copy if policy says so before and after the other holders were asked, and enough
// of them confirm theirs. It reports whether the copy was dropped.
func (s *Service) release(ctx context.Context, root string, policy func(situation) action) bool {
	it := s.index.get(root)
	act := policy(s.situation(it))
	if act != release && act != discard && act != supersede || !s.holdings.beginRelease(root, s.env.Loop.Elapsed()) {
		return false
	}
	defer s.holdings.endRelease(root)
	what, need, others := s.guarantors(it, act)
	askedAt := s.env.Loop.Elapsed()
	confirmed := s.confirm(ctx, what, others, need)
	if err := beforeRelease.Hit(ctx, s.env); err != nil {
		return false
	}
	// Nothing else runs from here to the end: the checks still hold when the copy is dropped.
	again, needNow, _ := s.guarantors(it, act)
	if policy(s.situation(it)) != act || again != what || needNow > need ||
		!s.holdings.mayFinish(root, askedAt, confirmed, need, s.env.Loop.Elapsed()) {
		releaseCalledOff.Hit()
		return false
	}
	return s.letGo(it, act, confirmed, s.env.Loop.Elapsed()-askedAt)
}

// namesOf is how facts name several peers.
func namesOf(peers []transport.Peer) string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.Short()
	}
	return strings.Join(names, " ")
}

// guarantors returns which item others must hold before a copy may be released, how many of them,
// and the holders to ask. For surplus only holders that rank before this hoarder count: the order
// is total and the same for all, so no two holders can rely on each other and both release.
func (s *Service) guarantors(it *item, act action) (what string, need int, others []transport.Peer) {
	what = it.root
	switch act {
	case discard:
		return what, 0, nil
	case supersede:
		_, newest := s.index.state(it)
		if newest == nil {
			return what, 1, nil // not superseded any more
		}
		what, need = newest.root, s.supersededAt(newest)
	case release:
		need = it.target
	}
	for _, p := range rendezvous.Rank(what, s.index.get(what).claimants((*member).keeps)) {
		if p != s.env.Self && (act == supersede || rendezvous.Of(what).Better(p, s.env.Self)) && len(others) < need+confirmSpare {
			others = append(others, p)
		}
	}
	if act == supersede && s.holdings.holds(what) {
		need--
	}
	return what, need, others
}

// supersededAt is how many copies of the newest snapshot allow an older one to be dropped: its
// target, if there are so many hoarders. A hoarder that lacks the newest and has no room for it
// needs only one: the older snapshot may be what takes up the room.
func (s *Service) supersededAt(newest *item) int {
	if !s.holdings.holds(newest.root) && s.holdings.free() < newest.size() {
		return 1
	}
	return min(newest.target, s.roster.liveCount())
}

// confirm asks holders whether they really hold an item and promise to keep it;
// it returns how many did and proved it, as soon as that is enough.
func (s *Service) confirm(ctx context.Context, root string, others []transport.Peer, need int) int {
	if need <= 0 || len(others) < need {
		return 0
	}
	ch, err := s.challenge(ctx, root)
	if err != nil {
		return 0
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, confirmTimeout)
	defer cancel()
	confirmed := 0
	_ = clock.First(ctx, s.env.Loop, len(others), need, func(ctx context.Context, i int) error {
		resp, err := hoarderapi.Have.Call(ctx, s.env.Wire, others[i], hoarderapi.HaveRequest{Root: root, Promise: true, Nonce: ch.nonce})
		if err != nil {
			return err
		}
		if !resp.Has || resp.Promise < s.settings.PromiseLease {
			return transport.New(transport.NotFound, hoarderapi.Have.Name, "not held, or not for long")
		}
		if !s.proved(ch, root, others[i], resp.Proof) {
			return transport.New(transport.NotFound, hoarderapi.Have.Name, "not proved")
		}
		confirmed++
		return nil
	})
	s.env.Observe("release-asked", node.F("root", root), node.F("whom", namesOf(others)), node.F("need", need), node.F("confirmed", confirmed))
	return min(confirmed, need) // one more may have answered before the others were told to stop
}

// letGo is the release itself, in one turn: the claim is withdrawn first, so that nobody counts on
// a copy that is about to be removed. asked is how long ago the others were asked.
func (s *Service) letGo(it *item, act action, confirmed int, asked time.Duration) bool {
	if err := s.write(storage.Entry{Key: claimKey(it.root, s.env.Self)}); err != nil {
		s.env.Log.Warn("not released", "root", it.root, "err", err)
		return false
	}
	if err := s.giveUp(it.root); err != nil {
		s.env.Log.Warn("not released", "root", it.root, "err", err)
		return false // it is still here, and will be claimed again
	}
	bytes := s.holdings.held[it.root]
	s.drop(it.root)
	s.env.Observe("item-released", node.F("root", it.root), node.F("why", act.String()),
		node.F("copies", confirmed), node.F("asked", asked), node.F("bytes", bytes))
	c, err := cid.Decode(it.root)
	if err != nil {
		panic("hoarder: held root is not a CID: " + it.root)
	}
	s.forget(it.root, c)
	s.announce()
	s.roomCame()
	return true
}
