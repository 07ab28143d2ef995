package auth

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// Who has come by an invitation that several auths honour is one value that any of them changes: it adds who
// comes, when more than half of them have accepted that. Two changes never pass each other by, since any two majorities
// share an auth: it is Paxos with a change in place of a value (D. Rystsov, CASPaxos: Replicated
// State Machines without logs, 2018). So there never come more than an invitation is for, also across a partition, and they
// come as long as a majority is up that has its disks.

// tally is one auth's part: an acceptor of Paxos.
type tally struct {
	Promised authapi.Ballot   `cbor:"1,keyasint"` // it takes none before this
	Accepted authapi.Ballot   `cbor:"2,keyasint"` // the last one that it has taken
	Used     []transport.Peer `cbor:"3,keyasint"` // who had come by that
}

func compareBallots(a, b authapi.Ballot) int {
	return cmp.Or(cmp.Compare(a.N, b.N), bytes.Compare(a.By[:], b.By[:]))
}

// promise takes no ballot before b from now on, unless it has promised so already.
func (t *tally) promise(b authapi.Ballot) (granted bool) {
	if compareBallots(b, t.Promised) <= 0 {
		return false
	}
	t.Promised = b
	return true
}

// accept takes the value of a ballot, unless it has promised not to.
func (t *tally) accept(b authapi.Ballot, used []transport.Peer) (granted bool) {
	if compareBallots(b, t.Promised) < 0 {
		return false
	}
	t.Promised, t.Accepted, t.Used = b, b, used
	return true
}

// newest is the value that counts, of those that a majority has accepted last.
func newest(of []authapi.TallyResponse) (used []transport.Peer) {
	if len(of) == 0 {
		return nil
	}
	return slices.MaxFunc(of, func(a, b authapi.TallyResponse) int { return compareBallots(a.Accepted, b.Accepted) }).Used
}

const (
	// tallyTimeout bounds another auth's part in it, which waits for its disk.
	tallyTimeout = time.Second
	// tallyRounds is how often it is tried again when somebody else counts at the same time.
	tallyRounds = 4
	// tallyPause is up to how long it waits before that.
	tallyPause = 200 * time.Millisecond
	// honourTimeout bounds another auth's answer to an invitation that it is to honour, and shareRounds how many
	// pairs of them are tried, before the invitation is this auth's alone.
	honourTimeout = time.Second
	shareRounds   = 3
	// sharedWith is how many others honour an invitation: one of the three may be gone.
	sharedWith = 2
)

// shareInvitation has two other auths honour an invitation: so it counts also when one of the three is gone. Where there are
// no two, or they do not answer, it stays this auth's: of two, both would be needed.
func (s *Service) shareInvitation(ctx context.Context, i membership.Invitation) (_ membership.Invitation, signed membership.Signed, ok bool) {
	auths, _ := s.env.Wire.Directory().Lookup(authapi.Service)
	auths = slices.DeleteFunc(slices.Clone(auths), func(p transport.Peer) bool { return p == s.env.Self })
	s.env.Rand.Shuffle(len(auths), func(a, b int) { auths[a], auths[b] = auths[b], auths[a] })
	for round := 0; round < shareRounds && len(auths) >= sharedWith; round++ {
		i.ID, i.With = s.invited.freeID(s.env.Rand), slices.Clone(auths[:sharedWith])
		slices.SortFunc(i.With, func(a, b transport.Peer) int { return bytes.Compare(a[:], b[:]) })
		var err error
		if signed, err = membership.Invite(s.env.Identity, i); err != nil {
			return i, signed, false
		}
		silent := map[transport.Peer]bool{}
		if err = clock.First(ctx, s.env.Loop, sharedWith, sharedWith, func(ctx context.Context, n int) error {
			ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, honourTimeout)
			defer cancel()
			_, err := authapi.Honour.Call(ctx, s.env.Wire, i.With[n], authapi.HonourRequest{Invitation: signed})
			silent[i.With[n]] = err != nil && ctx.Err() != context.Canceled
			return err
		}); err == nil {
			return i, signed, true
		}
		auths = slices.DeleteFunc(auths, func(p transport.Peer) bool { return silent[p] })
	}
	return i, signed, false
}

// honour takes an invitation of another auth over.
func (s *Service) honour(ctx context.Context, from transport.Peer, req authapi.HonourRequest) (resp authapi.HonourResponse, err error) {
	op := authapi.Honour.Name
	i, err := membership.OpenInvitation(req.Invitation)
	now, batch := s.env.Loop.Now(), &storage.Batch{}
	if err := s.forgetEnded(now); err != nil {
		return resp, err
	}
	switch maker, _ := s.env.Authority.Member(from); {
	case err != nil:
		return resp, transport.New(transport.Invalid, op, err.Error())
	case i.AdmittedBy != from || req.Invitation.By != from || i.Cloud != s.env.Authority.Cloud() || !slices.Contains(i.With, s.env.Self):
		return resp, transport.New(transport.Invalid, op, "an auth speaks of what it has made itself, and who is to honour it")
	case s.env.Authority.Issuer() == nil:
		return resp, transport.New(transport.Refused, op, "this auth has no certificate that lets it sign others")
	case !maker.MayGrant(i.Services): // this auth would sign what the other one may not
		return resp, transport.New(transport.Refused, op, "the certificate of the auth that has made it does not let it grant that")
	case i.NotAfter > now.Add(s.settings.InvitationMax+membership.SkewMax).Unix():
		return resp, transport.New(transport.Invalid, op, "an invitation is for up to "+s.settings.InvitationMax.String())
	case len(s.invited.list) >= authapi.InvitationsMax:
		return resp, transport.New(transport.Refused, op, "too many invitations are open")
	case s.invited.has(i.ID):
		return resp, transport.New(transport.Conflict, op, "there is one of this number")
	}
	s.invited.add(i)
	batch.Put(invitedKey(i.ID), transport.Encode(req.Invitation))
	if err := s.env.Local.Apply(batch); err != nil {
		return resp, err
	}
	if err := s.env.Local.Sync(ctx); err != nil {
		return resp, err
	}
	s.env.Observe("honours", node.F("invitation", paddedID(i.ID)), node.F("by", from))
	return resp, nil
}

// tally is this auth's part in a count of another one.
func (s *Service) tally(ctx context.Context, from transport.Peer, req authapi.TallyRequest) (authapi.TallyResponse, error) {
	if req.Ballot.By != from {
		return authapi.TallyResponse{}, transport.New(transport.Invalid, authapi.Tally.Name, "it is another auth's ballot")
	}
	return s.takePart(ctx, from, req)
}

// takePart answers when what it promises or accepts is on the disk.
func (s *Service) takePart(ctx context.Context, from transport.Peer, req authapi.TallyRequest) (resp authapi.TallyResponse, err error) {
	at, found := s.invited.find(req.ID)
	if !found {
		return resp, transport.New(transport.NotFound, authapi.Tally.Name, "the invitation was withdrawn or is over, or this auth has lost its disk since")
	}
	i := &s.invited.list[at]
	if !slices.Contains(i.HonouredBy(), from) || len(i.With) == 0 || len(req.Used) > int(i.Uses) {
		return resp, transport.New(transport.Invalid, authapi.Tally.Name, "the invitation is for others to honour, or for fewer")
	}
	t := &i.tally
	resp.Accepted, resp.Used = t.Accepted, t.Used
	if req.Accept {
		resp.Granted = t.accept(req.Ballot, req.Used)
	} else {
		resp.Granted = t.promise(req.Ballot)
	}
	if resp.Promised = t.Promised; !resp.Granted {
		return resp, nil
	}
	if err := storage.Put(s.env.Local, tallyKey(req.ID), transport.Encode(*t)); err != nil {
		return resp, err
	}
	return resp, s.env.Local.Sync(ctx)
}

// count counts who comes by an invitation, before he has a certificate. Conflict: as many have come as it is for.
func (s *Service) count(ctx context.Context, op string, i membership.Invitation, who transport.Peer) error {
	switch {
	case !s.invited.has(i.ID) && len(i.With) == 0:
		return transport.New(transport.Conflict, op, "the invitation was withdrawn, or this auth has lost its disk since")
	case !s.invited.has(i.ID):
		return transport.New(transport.NotFound, op, "the invitation was withdrawn, or this auth has lost its disk since")
	case len(i.With) == 0:
		s.invited.use(i.ID, who)
		return storage.Put(s.env.Local, usedKey(i.ID, who), nil)
	case s.env.Authority.Revoked(i.AdmittedBy):
		return transport.New(transport.Conflict, op, "the certificates of the auth that has made it were taken back, and so was the invitation")
	}
	var least uint64
	for range tallyRounds {
		done, seen, err := s.countOnce(ctx, op, i, who, least)
		if done || err != nil {
			return err
		}
		least = seen
		if err := clock.Sleep(ctx, s.env.Loop, time.Duration(s.env.Rand.Int64N(int64(tallyPause)))); err != nil {
			return err
		}
	}
	return transport.New(transport.Refused, op, "others come at the same time, ask again")
}

// countOnce is one ballot, later than least. If it came to nothing, since another one was later, it says which was.
func (s *Service) countOnce(ctx context.Context, op string, i membership.Invitation, who transport.Peer, least uint64) (done bool, seen uint64, err error) {
	at, found := s.invited.find(i.ID)
	if !found {
		return false, 0, transport.New(transport.NotFound, op, "the invitation was withdrawn")
	}
	b := authapi.Ballot{N: max(least, s.invited.list[at].tally.Promised.N) + 1, By: s.env.Self}
	promised, seen, err := s.ballot(ctx, op, i, authapi.TallyRequest{ID: i.ID, Ballot: b})
	if promised == nil || err != nil {
		return false, seen, err
	}
	used := slices.Clone(newest(promised))
	full := !slices.Contains(used, who) && len(used) >= int(i.Uses)
	if !full && !slices.Contains(used, who) {
		used = append(used, who)
	}
	// Also if it is full: what only one auth has accepted may come to nothing, and nobody is sent away for that.
	accepted, seen, err := s.ballot(ctx, op, i, authapi.TallyRequest{ID: i.ID, Ballot: b, Accept: true, Used: used})
	if accepted != nil && full {
		err = transport.New(transport.Conflict, op, membership.ErrUsedUp.Error())
	}
	return accepted != nil, seen, err
}

// ballot asks all who honour an invitation, this auth first, and returns what a majority has answered that has granted
// it; nil: a later ballot was in the way, seen.
func (s *Service) ballot(ctx context.Context, op string, i membership.Invitation, req authapi.TallyRequest) (granted []authapi.TallyResponse, seen uint64, err error) {
	own, err := s.takePart(ctx, s.env.Self, req)
	if err != nil || !own.Granted {
		return nil, own.Promised.N, err
	}
	granted = append(granted, own)
	others := slices.DeleteFunc(i.HonouredBy(), func(p transport.Peer) bool { return p == s.env.Self })
	need := (len(others)+1)/2 + 1 - len(granted)
	later, unknown := false, 0
	err = clock.First(ctx, s.env.Loop, len(others), need, func(ctx context.Context, n int) error {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, tallyTimeout)
		defer cancel()
		resp, err := authapi.Tally.Call(ctx, s.env.Wire, others[n], req)
		switch {
		case transport.KindOf(err) == transport.NotFound:
			unknown++
			return err
		case err != nil:
			return err
		case !resp.Granted:
			later, seen = true, max(seen, resp.Promised.N)
			return transport.New(transport.Refused, op, "another one counts")
		}
		granted = append(granted, resp)
		return nil
	})
	if err == nil {
		return slices.Clone(granted), seen, nil
	}
	if later {
		return nil, seen, nil
	}
	// For good only if those that know of it can never be enough: whoever is away may.
	kind := transport.Refused
	if unknown > len(others)-need {
		kind = transport.NotFound
	}
	return nil, seen, transport.New(kind, op, "too few of those answer who honour the invitation: "+err.Error())
}

// withdrawElsewhere has so many others forget an invitation that this auth with the rest are too few for it.
func (s *Service) withdrawElsewhere(ctx context.Context, i membership.Invitation) error {
	others := slices.DeleteFunc(i.HonouredBy(), func(p transport.Peer) bool { return p == s.env.Self })
	return clock.First(ctx, s.env.Loop, len(others), len(others)/2, func(ctx context.Context, n int) error {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, tallyTimeout)
		defer cancel()
		_, err := authapi.Withdraw.Call(ctx, s.env.Wire, others[n], authapi.WithdrawRequest{ID: i.ID, Alone: true})
		if transport.KindOf(err) == transport.NotFound {
			return nil
		}
		return err
	})
}
