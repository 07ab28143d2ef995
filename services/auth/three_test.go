package auth

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// three are auths that honour each other's invitations.
type three struct {
	*nodetest.Cloud
	auths []*nodetest.Machine
}

func atThree(t *testing.T, f func(d *three)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Key, c.Issuer, c.Grantable = &deskCloud, authapi.Service, []string{"monkey", "part"}
		d := &three{Cloud: c}
		for _, name := range []string{"one", "two", "three"} {
			d.auths = append(d.auths, c.Add(name, node.Configured{Spec: Spec(Ends{}), Settings: DefaultSettings()}).Start())
		}
		nodetest.Sleep(5 * time.Second)
		f(d)
	})
}

func (d *three) at(n int, f func(ctx context.Context, s *Service)) {
	s := d.auths[n].Service(authapi.Service).(*Service)
	require.NoError(d, clock.Do(context.Background(), s.env.Loop, func(ctx context.Context) { f(ctx, s) }))
}

func (d *three) invite(n int, uses uint32) (signed membership.Signed, i membership.Invitation) {
	d.at(n, func(ctx context.Context, s *Service) {
		req := anInvite()
		req.Uses = uses
		resp, err := s.invite(ctx, guest, req)
		require.NoError(d, err)
		signed = resp.Invitation
		i, err = membership.OpenInvitation(signed)
		require.NoError(d, err)
		require.Len(d, i.With, 2)
	})
	return signed, i
}

func (d *three) admit(n int, signed membership.Signed, who transport.Peer) (err error) {
	d.at(n, func(ctx context.Context, s *Service) { _, err = s.admit(ctx, who, request(signed, who, "part")) })
	return err
}

// Whoever is sent away for good is so because as many have come: one that an auth has begun to count, which then
// came to nothing, is none that others do not know of.
func TestNobodyIsSentAwayForOneWhoWasNotCounted(t *testing.T) {
	atThree(t, func(d *three) {
		signed, i := d.invite(0, 1)
		lost := deskLater.Peer()
		d.at(0, func(ctx context.Context, s *Service) {
			resp, err := s.takePart(ctx, s.env.Self, authapi.TallyRequest{ID: i.ID, Ballot: authapi.Ballot{N: 1, By: s.env.Self}, Accept: true, Used: []transport.Peer{lost}})
			require.NoError(t, err)
			require.True(t, resp.Granted)
		})
		require.Equal(t, transport.Conflict, kindOf(d.admit(0, signed, guest)))
		d.auths[0].Vanish()
		require.Equal(t, transport.Conflict, kindOf(d.admit(1, signed, deskCloud.Peer())), "another one has the place of whom the first auth has sent away")
		require.NoError(t, d.admit(1, signed, lost), "it is the place of the one that was counted")
	})
}

// An auth that has lost what it knew does not count, but makes nobody who comes give up while the third is only away.
func TestWhoIsAwayMayYetCount(t *testing.T) {
	atThree(t, func(d *three) {
		signed, i := d.invite(0, 1)
		forget := func(n int) {
			d.at(n, func(_ context.Context, s *Service) {
				b := &storage.Batch{}
				s.invited.drop(i.ID, b)
				require.NoError(t, s.env.Local.Apply(b))
			})
		}
		forget(1)
		d.auths[2].Vanish()
		require.Equal(t, transport.Refused, kindOf(d.admit(0, signed, guest)))
		d.auths[2].Start()
		nodetest.Sleep(5 * time.Second)
		require.NoError(t, d.admit(0, signed, guest))
		_, j := d.invite(0, 1)
		i = j
		forget(1)
		forget(2)
		d.at(0, func(ctx context.Context, s *Service) {
			require.Equal(t, transport.NotFound, kindOf(s.count(ctx, "x", j, guest)), "one of three never counts again")
		})
	})
}

// An auth lets nobody in for another one that could not itself, and makes no invitation that it could not keep.
func TestAnInvitationIsForWhatItsMakerMayGrant(t *testing.T) {
	atThree(t, func(d *three) {
		d.at(0, func(ctx context.Context, s *Service) {
			req := anInvite()
			req.Services = []string{"hoarder"}
			_, err := s.invite(ctx, guest, req)
			require.Equal(t, transport.Refused, kindOf(err))
			require.ErrorContains(t, err, "monkey, part")

			i := membership.Invitation{
				Cloud: nodetest.CloudName, ID: 7, Key: guest, NotAfter: time.Now().Add(time.Minute).Unix(), Uses: 1,
				AdmittedBy: guest, With: []transport.Peer{s.env.Self}, Services: []string{"part"},
			}
			signed, err := membership.Invite(guestKey, i)
			require.NoError(t, err)
			_, err = s.honour(ctx, guest, authapi.HonourRequest{Invitation: signed})
			require.Equal(t, transport.Refused, kindOf(err), "who has made it is no issuer")
			require.False(t, s.invited.has(7))
		})
	})
}
