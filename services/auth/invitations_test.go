package auth

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
	"pgregory.net/rapid"
)

// a signed invitation of an id, which ends at a second.
func invitationOf(t require.TestingT, id uint64, notAfter int64) (membership.Signed, membership.Invitation) {
	signed, err := membership.Invite(deskCloud, membership.Invitation{Cloud: "c", ID: id, Key: guest, NotAfter: notAfter, Uses: 3, AdmittedBy: guest})
	require.NoError(t, err)
	i, err := membership.OpenInvitation(signed)
	require.NoError(t, err)
	return signed, i
}

// What is in memory is what the disk has, whatever was added, used, dropped and has ended.
func TestInvitationsAreWhatTheDiskHas(t *testing.T) {
	people := []transport.Peer{guest, deskCloud.Peer(), deskLater.Peer()}
	rapid.Check(t, func(t *rapid.T) {
		loop := clock.NewLive()
		defer loop.Stop(0)
		local, err := localkv.Open(loop, memdisk.New(), storage.K("x"))
		require.NoError(t, err)
		var list invitations
		model := map[uint64][]transport.Peer{} // who has used those that there are
		ends := map[uint64]int64{}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			id := rapid.Uint64Range(0, 4).Draw(t, "id") << 60
			var b storage.Batch
			_, there := model[id]
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				signed, i := invitationOf(t, id, rapid.Int64Range(1, 9).Draw(t, "end"))
				list.add(i)
				if !there {
					model[id], ends[id] = nil, i.NotAfter
					b.Put(invitedKey(id), transport.Encode(signed))
				}
			case 1:
				p := rapid.SampledFrom(people).Draw(t, "who")
				list.use(id, p)
				if there && !slices.Contains(model[id], p) {
					model[id] = append(model[id], p)
					b.Put(usedKey(id, p), nil)
				}
			case 2:
				list.drop(id, &b)
				delete(model, id)
			case 3:
				now := rapid.Int64Range(0, 10).Draw(t, "now")
				list.dropEnded(time.Unix(now, 0), &b)
				for id := range model {
					if ends[id] < now {
						delete(model, id)
					}
				}
			}
			require.NoError(t, local.Apply(&b))
			var read invitations
			require.NoError(t, read.load(local))
			require.Len(t, list.list, len(model))
			require.Len(t, read.list, len(model))
			for id, used := range model {
				require.True(t, list.has(id) && read.has(id))
				require.Equal(t, used, list.usedBy(id))
				require.ElementsMatch(t, used, read.usedBy(id))
				at, _ := read.find(id)
				require.Equal(t, ends[id], read.list[at].NotAfter)
			}
			all, err := local.List(storage.K())
			require.NoError(t, err)
			entries := len(model)
			for _, used := range model {
				entries += len(used)
			}
			require.Len(t, all, entries, "what was dropped is not on the disk either")
		}
	})
}

// What is on the disk and nonsense is left out, and hides nothing.
func TestInvitationsThatCannotBeRead(t *testing.T) {
	loop := clock.NewLive()
	defer loop.Stop(0)
	local, err := localkv.Open(loop, memdisk.New(), storage.K("x"))
	require.NoError(t, err)
	good, _ := invitationOf(t, 0xa5, 1)
	forged := good
	forged.Signature = slices.Clone(good.Signature)
	forged.Signature[0]++
	_, other := invitationOf(t, 7, 1)
	b := new(storage.Batch).Put(invitedKey(1), []byte("nonsense")).Put(invitedKey(2), transport.Encode(forged)).Put(invitedKey(0xa5), transport.Encode(good))
	b.Put(usedKey(0xa5, guest), nil).Put(usedKey(other.ID, guest), nil)
	b.Put(storage.K(usedPart, paddedID(0xa5), "nobody"), nil).Put(storage.K(usedPart, paddedID(0xa5)), nil)
	b.Put(storage.K(usedPart, deskLater.Peer().String()), nil)
	b.Put(storage.K(usedPart, paddedID(0xa5), "more", deskLater.Peer().String()), nil)
	require.NoError(t, local.Apply(b))
	var list invitations
	require.NoError(t, list.load(local))
	require.Len(t, list.list, 1)
	require.Equal(t, []transport.Peer{guest}, list.usedBy(0xa5))
	require.Nil(t, list.usedBy(other.ID))
}

// blind is a store of which some places cannot be read.
type blind struct {
	storage.Local
	place string
}

func (b blind) List(k storage.Key) ([]storage.Entry, error) {
	if k == storage.K(b.place) {
		return nil, storage.ErrCorrupt
	}
	return b.Local.List(k)
}

func TestAPlaceThatCannotBeReadIsNoEmptyOne(t *testing.T) {
	for _, place := range []string{invitedPart, usedPart, tallyPart, issuedPart} {
		t.Run(place, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				d.turn(func(ctx context.Context, s *Service) {
					env := s.env
					env.Local = blind{env.Local, place}
					require.ErrorIs(t, (&Service{env: env, settings: s.settings}).Start(ctx), storage.ErrCorrupt)
				})
			})
		})
	}
}

func TestAnIDIsFree(t *testing.T) {
	first := rand.New(rand.NewPCG(1, 2)).Uint64()
	var list invitations
	draw := func() uint64 { return list.freeID(rand.New(rand.NewPCG(1, 2))) }
	require.Equal(t, first, draw())
	_, i := invitationOf(t, first, 1)
	list.add(i)
	require.NotEqual(t, first, draw())
}

func TestWhatAnInvitationMayBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *authapi.InviteRequest)
		kind   transport.Kind
	}{
		"as it should be":  {func(*authapi.InviteRequest) {}, 0},
		"for a nanosecond": {func(r *authapi.InviteRequest) { r.For = 1 }, 0},
		"for no time":      {func(r *authapi.InviteRequest) { r.For = 0 }, transport.Invalid},
		"for less":         {func(r *authapi.InviteRequest) { r.For = -1 }, transport.Invalid},
		"for too long":     {func(r *authapi.InviteRequest) { r.For = time.Hour + 1 }, transport.Invalid},
		"for nobody":       {func(r *authapi.InviteRequest) { r.Uses = 0 }, transport.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				req := anInvite()
				c.change(&req)
				d.turn(func(ctx context.Context, s *Service) {
					resp, err := s.invite(ctx, guest, req)
					require.Equal(t, c.kind, kindOf(err))
					list, _ := s.invitations(ctx, guest, authapi.InvitationsRequest{})
					if c.kind != 0 {
						require.Empty(t, list.List)
						require.Empty(t, d.Facts("invited"))
						return
					}
					i, err := membership.OpenInvitation(resp.Invitation)
					require.NoError(t, err)
					require.Equal(t, membership.Invitation{
						Cloud: s.env.Authority.Cloud(), ID: i.ID, Key: req.Key, Services: req.Services, NotAfter: time.Now().Add(req.For).Unix(), Uses: 1, AdmittedBy: s.env.Self,
					}, i)
					require.Equal(t, s.env.Self, resp.Invitation.By)
					require.Equal(t, []authapi.Invited{{ID: i.ID, Services: req.Services, NotAfter: i.NotAfter, Uses: 1}}, list.List)
					require.Equal(t, map[string]any{"invitation": paddedID(i.ID), "uses": 1, "honoured-by": 1, "by": guest}, d.Facts("invited")[0].Fields)
				})
			})
		})
	}
	atDeskOf(t, "nobody", func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.invite(ctx, guest, anInvite())
			require.Equal(t, transport.Refused, kindOf(err), "it is no issuer")
		})
	})
}

// As many are open as are kept, and those that are over make room for others.
func TestHowManyInvitationsAreOpen(t *testing.T) {
	atDesk(t, func(d *desk) {
		_, i := d.mustInvite(1)
		d.turn(func(ctx context.Context, s *Service) {
			_, again := invitationOf(t, 0, i.NotAfter)
			for len(s.invited.list) < authapi.InvitationsMax-1 {
				again.ID++
				s.invited.add(again)
			}
			_, err := s.invite(ctx, guest, anInvite())
			require.NoError(t, err)
			_, err = s.invite(ctx, guest, anInvite())
			require.Equal(t, transport.Refused, kindOf(err))
		})
		nodetest.Sleep(time.Until(time.Unix(i.NotAfter, 0)))
		open := func() (n int) {
			d.turn(func(ctx context.Context, s *Service) {
				resp, err := s.invitations(ctx, guest, authapi.InvitationsRequest{})
				require.NoError(t, err)
				n = len(resp.List)
			})
			return n
		}
		require.Equal(t, authapi.InvitationsMax, open(), "it is its last second")
		nodetest.Sleep(time.Second)
		require.Zero(t, open())
		fresh, _ := d.mustInvite(1)
		d.vanish()
		d.turn(func(_ context.Context, s *Service) {
			require.Len(t, s.invited.list, 1, "those that are over are not on the disk any more")
			require.Equal(t, fresh.By, s.env.Self)
		})
	})
}

// An invitation that was acknowledged, used or withdrawn is so after a power cut; of what cannot be
// written nobody is told.
func TestInvitationsAreDurable(t *testing.T) {
	atDesk(t, func(d *desk) {
		signed, i := d.mustInvite(2)
		d.vanish()
		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.admit(ctx, guest, request(signed, guest, "part"))
			require.NoError(t, err)
		})
		d.vanish()
		d.turn(func(ctx context.Context, s *Service) {
			require.Equal(t, []transport.Peer{guest}, s.invited.usedBy(i.ID))
			_, err := s.withdraw(ctx, guest, authapi.WithdrawRequest{ID: i.ID})
			require.NoError(t, err)
			require.Equal(t, map[string]any{"invitation": paddedID(i.ID)}, d.Facts("withdrawn")[0].Fields)
		})
		d.vanish()
		d.turn(func(ctx context.Context, s *Service) {
			require.False(t, s.invited.has(i.ID))
			_, err := s.withdraw(ctx, guest, authapi.WithdrawRequest{ID: i.ID})
			require.Equal(t, transport.NotFound, kindOf(err))
			_, err = s.admit(ctx, guest, request(signed, guest, "part"))
			require.Equal(t, transport.Conflict, kindOf(err))
		})
	})
	for name, act := range map[string]func(ctx context.Context, s *Service, signed membership.Signed, id uint64) error{
		"invite": func(ctx context.Context, s *Service, _ membership.Signed, _ uint64) error {
			resp, err := s.invite(ctx, guest, anInvite())
			require.NotEmpty(t, resp.Invitation.Signature) // it was made
			return err
		},
		"withdraw": func(ctx context.Context, s *Service, _ membership.Signed, id uint64) error {
			_, err := s.withdraw(ctx, guest, authapi.WithdrawRequest{ID: id})
			return err
		},
		"admit": func(ctx context.Context, s *Service, signed membership.Signed, _ uint64) error {
			resp, err := s.admit(ctx, guest, request(signed, guest, "part"))
			require.Empty(t, resp.Certificate.Certificate.Signature)
			return err
		},
	} {
		facts := map[string]string{"invite": "invited", "withdraw": "withdrawn", "admit": "admitted"}
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				signed, i := d.mustInvite(2)
				before := len(d.Facts(facts[name]))
				d.turn(func(ctx context.Context, s *Service) {
					d.refuse(localBelow)
					require.Error(t, act(ctx, s, signed, i.ID), "it is not written")
					d.refuse("")
				})
				require.Len(t, d.Facts(facts[name]), before)
			})
			atDesk(t, func(d *desk) {
				signed, i := d.mustInvite(2)
				d.turn(func(ctx context.Context, s *Service) {
					require.Error(t, act(over(ctx), s, signed, i.ID), "it is not flushed")
				})
			})
		})
	}
}
