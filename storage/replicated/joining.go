package replicated

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A replica that has nothing - a new one, or one that lost its disk or found it damaged - neither
// serves nor writes before it has caught up with a ready one, or all reachable ones have said that
// there is nothing. Otherwise its writes would not supersede what the others hold.
const (
	// openGrace is how long members that refuse or cannot be reached are tried again: they may be
	// starting too.
	openGrace = 2 * time.Second
	// silentGrace is how long a member may leave a question unanswered before it counts as
	// unreachable. It equals the transport's keepalive.
	silentGrace = 10 * time.Second
	// stallMax bounds how long opening waits without progress while some member has contents. Then
	// it fails, and the node's supervisor tries again.
	stallMax = 5 * time.Minute
	// askPause is between two questions to one member, togetherPause where all members of a cloud are known, as they are started together.
	askPause      = 250 * time.Millisecond
	togetherPause = 50 * time.Millisecond
	// askedLen is how many members are asked at first; as many more follow when these have nothing.
	askedLen = 16
	// catchUpPeersMax is how many peers a replica with contents of its own tries.
	catchUpPeersMax = 6
)

// standing is a replica's readiness, as it tells others.
type standing int

const (
	standingReady   standing = iota // it serves and writes
	standingNothing                 // it has nothing and looks for a member with contents
	standingFound                   // it is taking over what somebody has
)

// joins reports whether the replica is not ready yet.
func (s standing) joins() bool { return s != standingReady }

// State is how far opening has come; Open returns ready replicas. Each change is also a fact,
// "replica-state".
func (r *Store) State() storage.ReplicaState { return r.state }

func (r *Store) standing() standing {
	switch r.state {
	case storage.ReplicaEmpty:
		return standingNothing
	case storage.ReplicaCatchingUp:
		return standingFound
	}
	return standingReady
}

func (r *Store) setState(s storage.ReplicaState) {
	if r.state == s {
		return
	}
	r.state = s
	r.observe("replica-state", "state", string(s), "deltas", r.replica.index.tail.len, "entries", r.replica.index.elements.Len())
}

// catchUp makes the replica ready.
func (r *Store) catchUp(ctx context.Context) error {
	if !r.replica.isEmpty() {
		// Its contents are intact, if old: it makes one attempt to catch up, and serves.
		ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, r.openGrace())
		defer cancel()
		r.tryCatchUp(ctx, r.shuffledOthers(), catchUpPeersMax)
	} else if err := r.findOthers(ctx); err != nil {
		return err
	}
	if len(r.replica.recovered) > 0 {
		// The other reachable members may have caught up with the member that had it.
		r.pullAll(ctx)
		r.observe("replica-rescued", "keys", len(r.replica.recovered))
		if err := r.replica.restore(r.pause); err != nil {
			return err
		}
	}
	r.setState(storage.ReplicaReady)
	return nil
}

func (r *Store) openGrace() time.Duration { return min(openGrace, r.cfg.AntiEntropyInterval) }

// tryCatchUp pulls from the first of some peers that serves.
func (r *Store) tryCatchUp(ctx context.Context, peers []transport.Peer, most int) {
	for _, peer := range peers[:min(len(peers), most)] {
		if r.pull(ctx, peer) == nil || ctx.Err() != nil {
			return
		}
	}
}

// pullAll pulls from each of a few members that can be reached.
func (r *Store) pullAll(ctx context.Context) {
	ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, silentGrace)
	defer cancel()
	peers := r.shuffledOthers()
	for _, peer := range peers[:min(len(peers), askedLen)] {
		_ = r.pull(ctx, peer)
	}
}

// findOthers asks the members until this replica has caught up with one, or all say that there is
// nothing.
func (r *Store) findOthers(ctx context.Context) error {
	s := &survey{asked: map[transport.Peer]answer{}, self: r.cfg.Endpoint.Self()}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	news := clock.NewQueue[struct{}](r.cfg.Loop, 1)
	start := r.cfg.Loop.Elapsed()
	r.progress = start
	for {
		s.include(r.others(), r.knowsOthers())
		for _, p := range s.extend() {
			r.cfg.Loop.Go("ask", func(context.Context) { r.keepAsking(ctx, p, s, news) })
		}
		now := r.cfg.Loop.Elapsed()
		switch v := s.verdict(now-max(start, s.heard), r.openGrace()); {
		case v == verdictReady:
			return nil
		case v == verdictPull:
			r.setState(storage.ReplicaCatchingUp)
			if r.catchUpWith(ctx, s) {
				return nil
			}
		case v == verdictWaitForOther:
			r.setState(storage.ReplicaCatchingUp)
			r.progress = max(r.progress, s.heard) // that is bounded there
		}
		if now-r.progress > stallMax {
			return fmt.Errorf("storage: open replica: nothing has come for %v: %w", stallMax, context.DeadlineExceeded)
		}
		wait, cancel := clock.WithTimeout(ctx, r.cfg.Loop, askPause)
		_, _ = news.Pop(wait)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// catchUpWith pulls from the members with contents, in an order particular to this node.
func (r *Store) catchUpWith(ctx context.Context, s *survey) bool {
	peers := s.whoHave()
	r.cfg.Rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	if i := slices.Index(peers, r.sinkFrom); i > 0 { // it has begun to send
		peers[0], peers[i] = peers[i], peers[0]
	}
	for _, p := range peers {
		err := r.pull(ctx, p)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if kind := transport.KindOf(err); kind == transport.Unreachable || kind == transport.Timeout {
			s.note(p, answerOf(err), r.cfg.Loop.Elapsed())
		} // otherwise it has contents but cannot serve now
	}
	return false
}

// keepAsking asks one member for its standing repeatedly, several times per grace, after which a
// silent member counts as gone.
func (r *Store) keepAsking(ctx context.Context, p transport.Peer, s *survey, news *clock.Queue[struct{}]) {
	first, longest := askPause, max(askPause, r.openGrace()/2)
	if d, is := r.cfg.Endpoint.Directory().(interface{ AllContacts() bool }); is && d.AllContacts() {
		first, longest = togetherPause, askPause
	}
	for pause := first; ctx.Err() == nil && r.ctx.Err() == nil; pause = min(2*pause, longest) {
		bounded, cancel := clock.WithTimeout(ctx, r.cfg.Loop, silentGrace)
		response, err := r.exchange.fetch.Call(bounded, r.cfg.Endpoint, p, fetchRequest{})
		cancel()
		if ctx.Err() != nil {
			return
		}
		a := answerOf(err)
		if err == nil {
			a = response.answer()
		}
		s.note(p, a, r.cfg.Loop.Elapsed())
		_ = news.TryPush(struct{}{})
		if clock.Sleep(ctx, r.cfg.Loop, pause) != nil {
			return
		}
	}
}

func (p *fetchResponse) answer() answer {
	switch {
	case p.Standing == standingNothing:
		return answerNothing
	case p.Standing == standingFound:
		return answerFound
	case p.More:
		return answerHas
	}
	return answerReady
}
