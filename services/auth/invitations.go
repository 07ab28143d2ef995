package auth

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// invitations are those that one auth honours. For those that no other does: that it is one, and that who has come is on its disk
// before they have a certificate, is why there never come more than an invitation is for. An auth
// that loses its disk honours none of before; one whose disk is put back to an earlier state may
// let as many come again as have come since.
type invitations struct {
	list []invited // in the order of their ids
}

// invited is an invitation and who has come by it.
type invited struct {
	membership.Invitation
	used []transport.Peer
	// tally is this auth's part of the count, if others honour the invitation, too.
	tally tally
}

// comeBy is who has come, as far as this auth knows.
func (i *invited) comeBy() []transport.Peer {
	if len(i.With) > 0 {
		return i.tally.Used
	}
	return i.used
}

func (l *invitations) load(local storage.Local) error {
	entries, err := local.List(storage.K(invitedPart))
	if err != nil {
		return err
	}
	for _, e := range entries {
		var signed membership.Signed
		if transport.Decode(e.Value, &signed) != nil {
			continue
		}
		if i, err := membership.OpenInvitation(signed); err == nil {
			l.add(i)
		}
	}
	if entries, err = local.List(storage.K(usedPart)); err != nil {
		return err
	}
	for _, e := range entries {
		parts := e.Key.Parts()
		if p, err := transport.ParsePeer(parts[len(parts)-1]); err == nil && len(parts) == 3 {
			id, _ := strconv.ParseUint(parts[1], 16, 64)
			l.use(id, p)
		}
	}
	if entries, err = local.List(storage.K(tallyPart)); err != nil {
		return err
	}
	for _, e := range entries {
		id, _ := strconv.ParseUint(e.Key.Parts()[1], 16, 64)
		at, found := l.find(id)
		var t tally
		switch {
		case !found:
		case transport.Decode(e.Value, &t) != nil:
			// What this auth has promised is not known: it has no part in it any more.
			l.list = slices.Delete(l.list, at, at+1)
		default:
			l.list[at].tally = t
		}
	}
	return nil
}

func (l *invitations) find(id uint64) (at int, found bool) {
	return slices.BinarySearchFunc(l.list, id, func(i invited, id uint64) int { return cmp.Compare(i.ID, id) })
}

// freeID draws an id that no invitation has.
func (l *invitations) freeID(r *rand.Rand) uint64 {
	for {
		if id := r.Uint64(); !l.has(id) {
			return id
		}
	}
}

func (l *invitations) has(id uint64) bool {
	_, found := l.find(id)
	return found
}

func (l *invitations) add(i membership.Invitation) {
	if at, found := l.find(i.ID); !found {
		l.list = slices.Insert(l.list, at, invited{Invitation: i})
	}
}

// use counts a peer, once.
func (l *invitations) use(id uint64, p transport.Peer) {
	if at, found := l.find(id); found && !slices.Contains(l.list[at].used, p) {
		l.list[at].used = append(l.list[at].used, p)
	}
}

func (l *invitations) usedBy(id uint64) []transport.Peer {
	at, found := l.find(id)
	if !found {
		return nil
	}
	return l.list[at].used
}

// drop forgets an invitation, and the batch deletes it.
func (l *invitations) drop(id uint64, b *storage.Batch) {
	at, found := l.find(id)
	if !found {
		return
	}
	b.Delete(invitedKey(id))
	if len(l.list[at].With) > 0 {
		b.Delete(tallyKey(id))
	}
	for _, p := range l.list[at].used {
		b.Delete(usedKey(id, p))
	}
	l.list = slices.Delete(l.list, at, at+1)
}

// dropEnded forgets those whose time is over.
func (l *invitations) dropEnded(now time.Time, b *storage.Batch) {
	for _, i := range slices.Clone(l.list) {
		if now.Unix() > i.NotAfter {
			l.drop(i.ID, b)
		}
	}
}

// forgetEnded forgets those whose time is over, here and on the disk.
func (s *Service) forgetEnded(now time.Time) error {
	batch := &storage.Batch{}
	if s.invited.dropEnded(now, batch); batch.Len() == 0 {
		return nil
	}
	return s.env.Local.Apply(batch)
}

// invite makes an invitation that this auth honours.
func (s *Service) invite(ctx context.Context, from transport.Peer, req authapi.InviteRequest) (resp authapi.InviteResponse, err error) {
	op := authapi.Invite.Name
	now := s.env.Loop.Now()
	batch := &storage.Batch{}
	if err := s.forgetEnded(now); err != nil {
		return resp, err
	}
	_, own := s.env.Authority.Own()
	switch {
	case s.env.Authority.Issuer() == nil:
		return resp, transport.New(transport.Refused, op, "this auth has no certificate that lets it sign others")
	case req.For <= 0 || req.For > s.settings.InvitationMax:
		return resp, transport.New(transport.Invalid, op, "an invitation is for up to "+s.settings.InvitationMax.String())
	case len(s.invited.list) >= authapi.InvitationsMax:
		return resp, transport.New(transport.Refused, op, "too many invitations are open")
	}
	i := membership.Invitation{
		Cloud: s.env.Authority.Cloud(), ID: s.invited.freeID(s.env.Rand), Key: req.Key, Services: req.Services,
		NotAfter: now.Add(req.For).Unix(), Uses: req.Uses, AdmittedBy: s.env.Self,
	}
	if resp.Invitation, err = membership.Invite(s.env.Identity, i); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	if !(membership.Member{Issues: own.Issues}).MayGrant(i.Services) {
		return resp, transport.New(transport.Refused, op, "this auth's certificate lets it grant "+strings.Join(own.Issues, ", ")+" only")
	}
	if shared, signed, ok := s.shareInvitation(ctx, i); ok {
		i, resp.Invitation = shared, signed
	}
	s.invited.add(i)
	batch.Put(invitedKey(i.ID), transport.Encode(resp.Invitation))
	if err := s.env.Local.Apply(batch); err != nil {
		return resp, err
	}
	if err := s.env.Local.Sync(ctx); err != nil {
		return resp, err
	}
	s.env.Observe("invited", node.F("invitation", paddedID(i.ID)), node.F("uses", int(i.Uses)), node.F("honoured-by", 1+len(i.With)), node.F("by", from))
	return resp, nil
}

func (s *Service) invitations(context.Context, transport.Peer, authapi.InvitationsRequest) (resp authapi.InvitationsResponse, err error) {
	now := s.env.Loop.Now()
	for _, i := range s.invited.list {
		if now.Unix() <= i.NotAfter {
			resp.List = append(resp.List, authapi.Invited{ID: i.ID, Services: i.Services, NotAfter: i.NotAfter, Uses: i.Uses, Used: i.comeBy()})
		}
	}
	return resp, nil
}

// withdraw ends an invitation: on so many of those who honour it that the others are too few, or
// on this auth alone, as one of them.
func (s *Service) withdraw(ctx context.Context, from transport.Peer, req authapi.WithdrawRequest) (resp authapi.WithdrawResponse, err error) {
	at, found := s.invited.find(req.ID)
	if !found {
		return resp, transport.New(transport.NotFound, authapi.Withdraw.Name, "this auth honours no such invitation")
	}
	if i := s.invited.list[at].Invitation; !req.Alone || !slices.Contains(i.HonouredBy(), from) {
		if err := s.withdrawElsewhere(ctx, i); err != nil {
			return resp, err
		}
	}
	batch := &storage.Batch{}
	s.invited.drop(req.ID, batch)
	if err := s.env.Local.Apply(batch); err != nil {
		return resp, err
	}
	s.env.Observe("withdrawn", node.F("invitation", paddedID(req.ID)))
	return resp, s.env.Local.Sync(ctx)
}
