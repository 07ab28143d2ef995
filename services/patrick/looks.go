package patrick

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/patrick/refs"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// What is built is decided by where the forge says that branches are, and by nothing else. A webhook is a reason to look there, and
// so is a timer. Who looks at a repository is one patrick, its coordinator; what it has seen is kept, and a branch that is elsewhere
// than it was has moved, which is a job. A webhook that was acknowledged is a note on two patricks, which stays until somebody has looked.

const (
	// forgeTimeout bounds one question to a forge.
	forgeTimeout = 30 * time.Second
	// looksMax is how many forges a patrick asks at once.
	looksMax = 4
	// movesMax bounds the moves that one look makes jobs of; the next one goes on.
	movesMax = 100
	// lookAgainMin and Max are the pauses after a look that has failed; they double.
	lookAgainMin, lookAgainMax = 2 * time.Second, 5 * time.Minute
	// otherLooks is when a patrick that is not the coordinator sees whether a note is still there.
	otherLooks = 10 * time.Second
	// unlistedMax is in how many lists of repositories one is missing before what was seen of it is forgotten.
	unlistedMax = 3
)

// lookNote is that somebody has to look at a repository.
type lookNote struct {
	At int64 // nanoseconds since 1970
}

func looksKey() storage.Key                           { return storage.K("look") }
func lookKey(r string, by transport.Peer) storage.Key { return storage.K("look", r, by.String()) }
func seenKey(r string) storage.Key                    { return storage.K("ref", r) }
func refKey(r, ref string, by transport.Peer) storage.Key {
	return storage.K("ref", r, ref, by.String())
}

// looks is what a patrick knows of the repositories that are followed.
type looks struct {
	forge Forge
	auth  *authapi.Client
	of    map[string]*lookState
	busy  int
	// readings are the webhooks that are being taken.
	readings readings
	// unknown are webhooks that auths did not know, until when that is believed, in Elapsed.
	unknown map[string]time.Duration
}

// lookState is that of one repository.
type lookState struct {
	timer    clock.Timer
	due      time.Duration // of the timer, in Elapsed
	running  bool
	again    bool
	fails    int
	unlisted int
}

func newLooks(env node.Env, make func(node.Env) Forge) *looks {
	l := &looks{auth: authapi.NewClient(env.Wire), of: map[string]*lookState{}, unknown: map[string]time.Duration{}, readings: newReadings()}
	if make != nil {
		l.forge = make(env) // nil, if this node is not to reach any
	}
	return l
}

// followForges starts to look at repositories, if this patrick can.
func (s *Service) followForges() {
	if s.looks.forge == nil {
		return
	}
	s.store.Watch(looksKey(), func(k storage.Key) {
		if parts := k.Parts(); len(parts) == 3 && s.noted(parts[1]) {
			s.lookSoon(parts[1], 0)
		}
	})
	for _, e := range s.store.Entries(looksKey()) {
		if parts := e.Key.Parts(); len(parts) == 3 { // a patrick that is no good may have written another one
			s.lookSoon(parts[1], 0)
		}
	}
	s.env.Loop.Go("follow repositories", func(ctx context.Context) {
		for clock.Sleep(ctx, s.env.Loop, clock.Jittered(s.env.Rand, s.settings.PollEvery)) == nil {
			if s.env.Presence(authapi.Service) == transport.Somebody {
				s.listRepositories(ctx)
			}
		}
	})
}

// listRepositories looks at all repositories that auth lists.
func (s *Service) listRepositories(ctx context.Context) {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, forgeTimeout)
	defer cancel()
	list, err := s.looks.auth.Repositories(ctx, "")
	if err != nil {
		s.env.Log.Info("auth does not say which repositories there are", "err", err)
		return
	}
	listed := map[string]bool{}
	for i, r := range list {
		listed[r.Name] = true
		// not all at once
		s.lookSoon(r.Name, s.settings.PollEvery/4*time.Duration(i)/time.Duration(len(list)))
	}
	for _, r := range s.followed() {
		if st := s.lookState(r); listed[r] {
			st.unlisted = 0
		} else if st.unlisted++; st.unlisted >= unlistedMax {
			s.unfollow(r)
		}
	}
}

// followed lists the repositories of which anything was seen.
func (s *Service) followed() (list []string) {
	for _, e := range s.store.Entries(storage.K("ref")) {
		parts := e.Key.Parts()
		if len(parts) == 4 && (len(list) == 0 || list[len(list)-1] != parts[1]) {
			list = append(list, parts[1])
		}
	}
	return list
}

// unfollow forgets what was seen of a repository that there is none any more.
func (s *Service) unfollow(r string) {
	b := new(storage.Batch)
	for _, prefix := range []storage.Key{seenKey(r), storage.K("look", r), deliveriesKey(r)} {
		for _, e := range s.store.Entries(prefix) {
			b.Delete(e.Key)
		}
	}
	if err := s.store.Apply(b); err != nil {
		s.env.Log.Warn("cannot forget a repository", "repository", r, "err", err)
	}
	delete(s.looks.of, r)
}

func (s *Service) lookState(r string) *lookState {
	st := s.looks.of[r]
	if st == nil {
		st = &lookState{}
		s.looks.of[r] = st
	}
	return st
}

// noted reports whether somebody has to look at a repository.
func (s *Service) noted(r string) bool { return len(s.store.Entries(storage.K("look", r))) > 0 }

// lookSoon looks at a repository after a while, or before if that is planned.
func (s *Service) lookSoon(r string, after time.Duration) {
	st, now := s.lookState(r), s.env.Loop.Elapsed()
	if st.running {
		st.again = st.again || after == 0
		return
	}
	if st.timer != nil {
		if st.due <= now+after {
			return
		}
		st.timer.Stop()
	}
	st.due = now + after
	st.timer = s.env.Loop.AfterFunc(after, func() {
		st.timer = nil
		if s.looks.busy >= looksMax {
			s.lookSoon(r, time.Second)
			return
		}
		st.running = true
		s.looks.busy++
		s.env.Loop.Go("look at a repository", func(ctx context.Context) { s.looked(ctx, r, st) })
	})
}

// looked looks, and plans the next look if there is a reason.
func (s *Service) looked(ctx context.Context, r string, st *lookState) {
	more, err := s.lookAt(ctx, r)
	st.running = false
	s.looks.busy--
	if ctx.Err() != nil {
		return
	}
	again := st.again
	st.again = false
	switch {
	case err != nil:
		st.fails++
		s.env.Log.Info("a repository could not be looked at", "repository", r, "err", err)
		s.env.Observe("forge-silent", node.F("repository", r), node.F("fails", st.fails), node.F("kind", transport.KindOf(err).String()))
		if s.noted(r) { // otherwise the next list does
			s.lookSoon(r, min(lookAgainMax, lookAgainMin<<min(st.fails-1, 8)))
		}
	case more || again:
		st.fails = 0
		s.lookSoon(r, 0)
	case s.noted(r): // somebody else looks
		s.lookSoon(r, otherLooks)
	default:
		st.fails = 0
	}
}

// lookAt asks the forge where the branches of a repository are, and makes a job of each that has moved. more: there are further moves.
func (s *Service) lookAt(ctx context.Context, r string) (more bool, err error) {
	if _, mine, err := s.peers.coordinator(ctx, "forge/"+r); err != nil || !mine {
		return false, err
	}
	if err := s.storeReady(); err != nil {
		return false, err
	}
	notes := s.store.Entries(storage.K("look", r)) // what comes later is a reason to look again
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, 2*forgeTimeout)
	defer cancel()
	f, err := s.looks.auth.Forge(ctx, r)
	if err != nil {
		return false, err
	}
	all, err := s.refsOf(ctx, f)
	if err != nil {
		return false, err
	}
	follow, err := follower(f.Repository)
	if err != nil {
		return false, err
	}
	if odd := unnamed(f.Repository, all); len(odd) > 0 && len(notes) > 0 { // somebody has pushed, to them perhaps
		s.env.Log.Warn("branches are not built for their names", "repository", r, "why", strings.Join(odd, "; "))
	}
	moves := refs.Moves(s.seen(r), all, follow)
	more = len(moves) > movesMax
	for _, m := range moves[:min(len(moves), movesMax)] {
		if err := s.makeMove(ctx, f.Repository, m); err != nil {
			return false, err
		}
	}
	if more {
		return true, nil
	}
	return false, s.unnote(notes)
}

func (s *Service) storeReady() error {
	if s.store == nil || s.store.State() != storage.ReplicaReady {
		return transport.New(transport.Refused, patrickapi.Service, "the replica has not caught up")
	}
	return nil
}

func (s *Service) refsOf(ctx context.Context, f authapi.ForgeResponse) ([]refs.Seen, error) {
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, forgeTimeout)
	defer cancel()
	return s.looks.forge.Refs(ctx, remote(f))
}

// seen is what is known of the branches of a repository, by all patricks.
func (s *Service) seen(r string) (list []refs.Known) {
	for _, e := range s.store.Entries(seenKey(r)) {
		var k refs.Known
		if transport.Decode(e.Value, &k) == nil {
			list = append(list, k)
		}
	}
	return list
}

// makeMove makes the job of a move, then keeps that it was seen. In the other order a crash would lose it.
func (s *Service) makeMove(ctx context.Context, r authapi.Repository, m refs.Move) error {
	branch := strings.TrimPrefix(m.Ref, "refs/heads/")
	req := moveRequest{
		Project: r.Project, Repository: r.Name, Branch: branch, Commit: m.After, Event: m.EventID(r.Name), Number: m.Number, NewestWins: r.NewestWins,
	}
	if m.After == "" {
		req.Commit, req.NewestWins = patrickapi.NoCommit, true
	}
	resp, err := atCoordinator(s, moved, func(q moveRequest) string { return patrickapi.BranchID(seriesOf(q.Project), q.Branch) }, s.moved)(ctx, s.env.Self, req)
	switch transport.KindOf(err) {
	case 0:
	case transport.Invalid, transport.Conflict: // it will never be a job
		s.env.Log.Info("a branch moved and is not built", "repository", r.Name, "err", err)
	default:
		return err
	}
	if err := storage.Put(s.store, refKey(r.Name, m.Ref, s.env.Self), transport.Encode(m.Known())); err != nil {
		return err
	}
	s.env.Observe("ref-moved", node.F("repository", r.Name), node.F("ref", m.Ref), node.F("before", m.Before), node.F("after", m.After), node.F("number", m.Number), node.F("job", resp.Job))
	_, err = s.replicate(ctx, replicateTimeout)
	return err
}

// unnote removes notes, but for those that were written anew since.
func (s *Service) unnote(notes []storage.Entry) error {
	b, any := new(storage.Batch), false
	for _, n := range notes {
		if now, err := s.store.Get(n.Key); err == nil && slices.Equal(now, n.Value) {
			b.Delete(n.Key)
			any = true
		}
	}
	if !any {
		return nil
	}
	return s.store.Apply(b)
}
