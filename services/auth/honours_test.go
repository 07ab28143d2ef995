package auth

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// What another auth asks to honour, or to count by, is looked at before anything is kept.
func TestWhatIsHonoured(t *testing.T) {
	atThree(t, func(d *three) {
		var maker transport.Identity
		var self transport.Peer
		d.at(0, func(_ context.Context, s *Service) { maker = s.env.Identity })
		d.at(1, func(ctx context.Context, s *Service) {
			self = s.env.Self
			good := func() membership.Invitation {
				return membership.Invitation{
					Cloud: nodetest.CloudName, ID: 7, Key: guest, NotAfter: time.Now().Add(s.settings.InvitationMax + membership.SkewMax).Unix(), Uses: 1,
					AdmittedBy: maker.Peer(), With: []transport.Peer{self}, Services: []string{"part"},
				}
			}
			honour := func(by transport.Identity, change func(i *membership.Invitation)) error {
				i := good()
				change(&i)
				signed, err := membership.Invite(by, i)
				require.NoError(t, err)
				_, err = s.honour(ctx, maker.Peer(), authapi.HonourRequest{Invitation: signed})
				return err
			}
			ended := good()
			ended.ID, ended.NotAfter = 6, time.Now().Unix()-1
			s.invited.add(ended)
			for what, c := range map[string]struct {
				kind   transport.Kind
				by     transport.Identity
				change func(i *membership.Invitation)
			}{
				"of somebody else":        {transport.Invalid, guestKey, func(i *membership.Invitation) { i.AdmittedBy = guest }},
				"that names another auth": {transport.Invalid, maker, func(i *membership.Invitation) { i.With = []transport.Peer{guest} }},
				"of another cloud":        {transport.Invalid, maker, func(i *membership.Invitation) { i.Cloud = "x" }},
				"for too long":            {transport.Invalid, maker, func(i *membership.Invitation) { i.NotAfter++ }},
				"for more than its own":   {transport.Refused, maker, func(i *membership.Invitation) { i.Services = []string{"hoarder"} }},
			} {
				require.Equal(t, c.kind, kindOf(honour(c.by, c.change)), what)
				require.Empty(t, s.invited.list, "what has ended is forgotten, and %s is not kept", what)
			}
			_, err := s.honour(ctx, maker.Peer(), authapi.HonourRequest{})
			require.Equal(t, transport.Invalid, kindOf(err))
			require.Empty(t, d.Facts("honours"))
			require.NoError(t, honour(maker, func(*membership.Invitation) {}))
			require.Len(t, d.Facts("honours"), 1)
			require.Equal(t, maker.Peer(), d.Facts("honours")[0].Fields["by"])
			require.Equal(t, transport.Conflict, kindOf(honour(maker, func(*membership.Invitation) {})))
			for id := range uint64(authapi.InvitationsMax - 1) {
				s.invited.add(membership.Invitation{ID: 100 + id, NotAfter: time.Now().Unix()})
			}
			require.Equal(t, transport.Refused, kindOf(honour(maker, func(i *membership.Invitation) { i.ID = 8 })))

			part := func(from, by transport.Peer, used int) error {
				_, err := s.tally(ctx, from, authapi.TallyRequest{ID: 7, Ballot: authapi.Ballot{N: 1, By: by}, Used: make([]transport.Peer, used)})
				return err
			}
			require.Equal(t, transport.Invalid, kindOf(part(maker.Peer(), guest, 0)), "another one's ballot")
			require.Equal(t, transport.Invalid, kindOf(part(guest, guest, 0)), "nobody who honours it")
			require.Equal(t, transport.Invalid, kindOf(part(maker.Peer(), maker.Peer(), 2)), "for fewer")
			require.NoError(t, part(maker.Peer(), maker.Peer(), 1))
			_, err = s.tally(ctx, maker.Peer(), authapi.TallyRequest{ID: 9, Ballot: authapi.Ballot{N: 1, By: maker.Peer()}})
			require.Equal(t, transport.NotFound, kindOf(err))
		})
		d.auths[1].Vanish()
		d.auths[1].Start()
		d.at(1, func(ctx context.Context, s *Service) {
			require.Len(t, s.invited.list, 1, "it was on the disk")
			at, _ := s.invited.find(7)
			require.Equal(t, authapi.Ballot{N: 1, By: maker.Peer()}, s.invited.list[at].tally.Promised)
			require.NoError(t, storage.Put(s.env.Local, tallyKey(7), []byte("x")))
			require.NoError(t, s.env.Local.Sync(ctx))
		})
		d.auths[1].Vanish()
		d.auths[1].Start()
		d.at(1, func(_ context.Context, s *Service) {
			require.Empty(t, s.invited.list, "what it has promised is not known")
		})
	})
}

// Who has made an invitation may be gone, but not sent away: what it has made ends with its certificates.
func TestAnInvitationEndsWithItsMaker(t *testing.T) {
	atThree(t, func(d *three) {
		signed, i := d.invite(0, 2)
		d.at(1, func(_ context.Context, s *Service) {
			require.NoError(t, s.know(*statement(deskCloud, i.AdmittedBy, time.Now().Unix())))
		})
		require.Equal(t, transport.Conflict, kindOf(d.admit(1, signed, guest)))
		require.NoError(t, d.admit(2, signed, guest), "who has not heard of it")
	})
}

// An agent comes in by the node's ticket, keeps what it gets, and asks again until it is told something for good.
func TestAnAgentComesByItsTicket(t *testing.T) {
	atDesk(t, func(d *desk) {
		signed, _ := d.mustInvite(1)
		ticket := membership.Ticket{Invitation: signed, Secret: []byte("secret"), CloudKey: deskCloud.Peer()}
		come := func(name string) *nodetest.Machine {
			m := d.Add(name, node.Configured{Spec: AgentSpec(), Settings: DefaultAgentSettings()}, node.Configured{Spec: nodetest.Part("part", func(node.Env) {})})
			m.Membership = &node.Membership{Cloud: nodetest.CloudName, Key: deskCloud.Peer(), Ticket: &ticket}
			return m
		}
		one := come("one")
		d.auth.Stop()
		started := make(chan error, 1)
		go func() { started <- one.TryStart() }()
		nodetest.Sleep(30 * time.Second)
		d.auth.Start()
		require.NoError(t, <-started, "it asks until somebody answers")
		require.Len(t, d.Facts(node.JoinedFact), 1)
		a := one.Service(node.MembershipService).(*agent)
		require.NotZero(t, a.Until())
		require.Equal(t, a.Until(), d.Facts(node.JoinedFact)[0].Fields["until"])
		require.Zero(t, a.Turned())
		require.False(t, a.Knows(deskLater.Peer()))
		until := a.Until()
		one.Vanish()
		one.Start()
		require.Len(t, d.Facts(node.JoinedFact), 1, "it is on the disk")
		require.Equal(t, until, one.Service(node.MembershipService).(*agent).Until())
		require.Equal(t, transport.Conflict, kindOf(come("two").TryStart()), "as many have come")

		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.revoke(ctx, guest, authapi.RevokeRequest{Subject: deskLater.Peer()})
			require.NoError(t, err)
			require.True(t, RevokedOnDisk(d.auth.Disk, deskLater.Peer()))
			require.False(t, RevokedOnDisk(d.auth.Disk, guest))
		})
		nodetest.Sleep(5 * time.Second)
		require.True(t, one.Service(node.MembershipService).(*agent).Knows(deskLater.Peer()))
	})
	require.True(t, (&agent{}).Knows(guest), "without members that prove something nobody is known to count")
	require.NoError(t, (&agent{env: node.Env{}}).Start(t.Context()))
}
