package auth

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// statement is a revocation of the guest that the cloud key, or another, has signed.
func statement(by transport.Identity, subject transport.Peer, before int64) *membership.Revoking {
	return &membership.Revoking{Revocation: membership.Revoke(by, membership.Revocation{Cloud: nodetest.CloudName, Subject: subject, Before: before})}
}

func TestWhatIsRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		statement func(now int64) *membership.Revoking
		kind      transport.Kind
	}{
		"by this auth":     {func(int64) *membership.Revoking { return nil }, 0},
		"by the cloud key": {func(now int64) *membership.Revoking { return statement(deskCloud, guest, now-5) }, 0},
		"by another key":   {func(now int64) *membership.Revoking { return statement(deskLater, guest, now) }, transport.Invalid},
		"one of somebody else": {func(now int64) *membership.Revoking {
			return statement(deskCloud, deskLater.Peer(), now)
		}, transport.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				now := time.Now().Unix()
				d.turn(func(ctx context.Context, s *Service) {
					resp, err := s.revoke(ctx, deskLater.Peer(), authapi.RevokeRequest{Subject: guest, Statement: c.statement(now)})
					require.Equal(t, c.kind, kindOf(err), "%v", err)
					require.Equal(t, c.kind == 0, s.env.Authority.Revoked(guest))
					require.False(t, s.env.Authority.Revoked(deskLater.Peer()))
					if c.kind != 0 {
						require.Empty(t, d.Facts("revoked"))
						require.Empty(t, d.Facts("revocation-known"))
						require.Empty(t, s.store.Entries(storage.K()))
						return
					}
					require.Equal(t, 1, resp.Copies)
					require.Equal(t, map[string]any{"subject": guest, "copies": 1, "by": deskLater.Peer()}, d.Facts("revoked")[0].Fields)
					require.Len(t, d.Facts("revocation-known"), 1)
					require.Equal(t, map[string]any{"subject": guest}, d.Facts("revocation-known")[0].Fields)
				})
				if c.kind != 0 {
					return
				}
				d.vanish()
				d.turn(func(_ context.Context, s *Service) {
					require.True(t, s.env.Authority.Revoked(guest), "that is on the disk")
					want := now
					if c.statement(now) != nil {
						want = now - 5
					}
					require.Equal(t, want, s.env.Authority.Revocations()[0].Date())
				})
			})
		})
	}
}

// What is not written, or not durable, is acknowledged to nobody.
func TestRevocationsThatAreNotWritten(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.revoke(over(ctx), guest, authapi.RevokeRequest{Subject: guest})
			require.Error(t, err, "it is not flushed")
		})
		d.refuseRecords()
		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.revoke(ctx, guest, authapi.RevokeRequest{Subject: deskLater.Peer()})
			require.Error(t, err, "it is not written")
		})
		require.Empty(t, d.Facts("revoked"))
		d.refuse("")
	})
}

// An auth takes back what it has signed since a revocation that it hears of, and nothing else.
func TestWhatIsTakenBackAgain(t *testing.T) {
	for name, c := range map[string]struct {
		issued int64 // when what this auth has signed begins, from the revocation on; 0: nothing
		own    bool
		again  bool
	}{
		"of before":           {issued: -1},
		"of the same second":  {issued: 0},
		"of since":            {issued: 1, again: true},
		"of since, by itself": {issued: 1, own: true},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				d.turn(func(_ context.Context, s *Service) {
					r := *statement(deskCloud, guest, time.Now().Unix()-100)
					if c.own {
						r = s.revocationOf(guest)
					}
					s.issued[guest] = r.Date() + c.issued
					s.learnRevocation(r)
					require.True(t, s.env.Authority.Revoked(guest))
					require.Len(t, d.Facts("revocation-known"), 1)
					written := s.store.Entries(storage.K(revokedPart))
					if !c.again {
						require.Empty(t, d.Facts("revoked-again"))
						require.Empty(t, written)
						return
					}
					require.Equal(t, map[string]any{"subject": guest}, d.Facts("revoked-again")[0].Fields)
					require.Len(t, written, 1)
					require.Equal(t, revokedKey(guest, s.env.Self), written[0].Key)
					s.learnRevocation(r)
					require.Len(t, d.Facts("revoked-again"), 1, "once in a second is enough")
				})
			})
		})
	}
	atDesk(t, func(d *desk) {
		d.refuseRecords()
		d.turn(func(_ context.Context, s *Service) {
			s.issued[guest] = time.Now().Unix()
			s.learnRevocation(*statement(deskCloud, guest, time.Now().Unix()-100))
			require.Empty(t, d.Facts("revoked-again"), "it is not written")
		})
		d.refuse("")
	})
}

// All that was revoked is told in pages, to who does not know it.
func TestPagesOfRevocations(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			ask := func(known []byte, after int) authapi.RevocationsResponse {
				resp, err := s.revocations(ctx, guest, authapi.RevocationsRequest{Known: known, After: after})
				require.NoError(t, err)
				require.Equal(t, s.env.Authority.Digest(), resp.Digest)
				return resp
			}
			require.Empty(t, ask(nil, 0).List)
			var all []membership.Revoking
			for n := range uint32(authapi.PageMax + 3) {
				var p transport.Peer
				binary.BigEndian.PutUint32(p[:], n+1)
				all = append(all, s.revocationOf(p))
			}
			_, err := s.env.Authority.Revoke(all[:authapi.PageMax]...)
			require.NoError(t, err)
			whole := ask(nil, 0)
			require.Equal(t, all[:authapi.PageMax], whole.List)
			require.False(t, whole.More, "that is one page")
			_, err = s.env.Authority.Revoke(all[authapi.PageMax:]...)
			require.NoError(t, err)
			for _, c := range []struct {
				known    []byte
				after    int
				from, to int
				more     bool
			}{
				{nil, 0, 0, authapi.PageMax, true},
				{whole.Digest, 0, 0, authapi.PageMax, true},
				{nil, -7, 0, authapi.PageMax, true},
				{nil, 2, 2, authapi.PageMax + 2, true},
				{nil, 3, 3, authapi.PageMax + 3, false},
				{nil, authapi.PageMax, authapi.PageMax, authapi.PageMax + 3, false},
				{nil, authapi.PageMax + 3, 0, 0, false},
				{nil, authapi.PageMax + 99, 0, 0, false},
				{s.env.Authority.Digest(), 0, 0, 0, false},
			} {
				got := ask(c.known, c.after)
				require.Equal(t, all[c.from:c.to], append([]membership.Revoking{}, got.List...), "after %d", c.after)
				require.Equal(t, c.more, got.More, "after %d", c.after)
			}
		})
	})
	nodetest.Run(t, func(c *nodetest.Cloud) {
		require.Equal(t, transport.Refused, kindOf((&Service{}).Ready()), "it has not started")
		_, err := (&Service{}).revocations(context.Background(), guest, authapi.RevocationsRequest{})
		require.Equal(t, transport.Refused, kindOf(err))
	})
}

// rotation has the cloud key replaced, and certificates of some by the new one.
func (d *desk) rotation(issuers ...membership.Signed) authapi.RotateRequest {
	to := membership.Rotation{Cloud: nodetest.CloudName, To: deskLater.Peer(), Until: time.Now().Add(time.Hour).Unix()}
	return authapi.RotateRequest{Rotation: membership.Rotate(deskCloud, to), Issuers: issuers}
}

func issuing(c *membership.Certificate) {
	c.Services, c.Issues = []string{authapi.Service}, []string{"part"}
	c.NotBefore++
}

// When a replaced cloud key counts no more, a thief of it dates back what it signs. Only what an auth of
// today has signed itself is renewed then.
func TestWhatAReplacedKeyHasSignedIsNotRenewed(t *testing.T) {
	atDesk(t, func(d *desk) {
		var old, own membership.Presented
		old.Certificate = d.issue(deskCloud, guest, nil)
		d.turn(func(ctx context.Context, s *Service) {
			p, err := s.certify(ctx, "test", guest, "n", []string{"part"})
			require.NoError(t, err)
			own = p
			_, err = s.rotate(ctx, guest, d.rotation(d.issue(deskLater, d.auth.Peer(), issuing)))
			require.NoError(t, err)
		})
		thief := transport.NewIdentity([]byte("thief"))
		issuer := d.issue(deskCloud, thief.Peer(), issuing)
		forged := membership.Presented{Certificate: d.issue(thief, guest, nil), Issuer: &issuer}
		renew := func(p membership.Presented) (kind transport.Kind) {
			d.turn(func(ctx context.Context, s *Service) {
				_, err := s.renew(ctx, guest, authapi.RenewRequest{Shown: p})
				kind = kindOf(err)
			})
			return kind
		}
		for _, p := range []membership.Presented{old, own, forged} {
			require.Zero(t, renew(p), "the replaced key still counts")
		}
		nodetest.Sleep(time.Hour + membership.SkewMax + 2*time.Second)
		require.Equal(t, transport.Conflict, renew(old))
		require.Equal(t, transport.Conflict, renew(forged))
		require.Zero(t, renew(own), "who was away for as long")
	})
}

func TestWhatIsRotated(t *testing.T) {
	for name, c := range map[string]struct {
		request func(d *desk) authapi.RotateRequest
		kind    transport.Kind
	}{
		"with a certificate for this auth": {func(d *desk) authapi.RotateRequest { return d.rotation(d.issue(deskLater, d.auth.Peer(), issuing)) }, 0},
		"with as many as there may be": {func(d *desk) authapi.RotateRequest {
			return d.rotation(slices.Repeat([]membership.Signed{d.issue(deskLater, d.auth.Peer(), issuing)}, authapi.IssuersMax)...)
		}, 0},
		"with more": {func(d *desk) authapi.RotateRequest {
			return d.rotation(slices.Repeat([]membership.Signed{d.issue(deskLater, d.auth.Peer(), issuing)}, authapi.IssuersMax+1)...)
		}, transport.Invalid},
		"by a key that is not the cloud's": {func(d *desk) authapi.RotateRequest {
			r := d.rotation()
			r.Rotation = membership.Rotate(guestKey, membership.Rotation{Cloud: nodetest.CloudName, To: deskLater.Peer(), Until: time.Now().Unix() + 60})
			return r
		}, transport.Invalid},
		"with nonsense":                {func(d *desk) authapi.RotateRequest { return d.rotation(membership.Signed{Body: []byte("nonsense")}) }, transport.Invalid},
		"with a certificate by nobody": {func(d *desk) authapi.RotateRequest { return d.rotation(d.issue(guestKey, d.auth.Peer(), issuing)) }, transport.Invalid},
		"with one of yesterday": {func(d *desk) authapi.RotateRequest {
			return d.rotation(d.issue(deskLater, d.auth.Peer(), func(c *membership.Certificate) { c.NotBefore -= 7200; c.NotAfter = c.NotBefore + 60 }))
		}, transport.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				req := c.request(d)
				d.turn(func(ctx context.Context, s *Service) {
					resp, err := s.rotate(ctx, guest, req)
					require.Equal(t, c.kind, kindOf(err), "%v", err)
					if c.kind != 0 {
						require.Empty(t, d.Facts("rotated"))
						require.Empty(t, s.store.Entries(storage.K()))
						return
					}
					require.Equal(t, 1, resp.Copies)
					require.Equal(t, map[string]any{"copies": 1, "by": guest}, d.Facts("rotated")[0].Fields)
					require.Len(t, s.env.Authority.Rotations(), 1)
				})
				if c.kind != 0 {
					return
				}
				d.vanish()
				d.turn(func(_ context.Context, s *Service) {
					require.Len(t, s.env.Authority.Rotations(), 1, "that is on the disk")
					own, _ := s.env.Authority.Own()
					require.Equal(t, deskLater.Peer(), own.Certificate.By, "and so is its certificate")
				})
			})
		})
	}
	atDesk(t, func(d *desk) {
		req := d.rotation()
		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.rotate(over(ctx), guest, req)
			require.Error(t, err, "it is not flushed")
		})
		d.refuseRecords()
		d.turn(func(ctx context.Context, s *Service) {
			_, err := s.rotate(ctx, guest, req)
			require.Error(t, err, "it is not written")
		})
		require.Empty(t, d.Facts("rotated"))
		d.refuse("")
	})
}

// What another auth has written is taken over if it is what its key says, and nothing else.
func TestWhatIsLearned(t *testing.T) {
	nonsense := []byte("nonsense")
	for name, c := range map[string]struct {
		key     func(d *desk) storage.Key
		value   func(d *desk) []byte
		revoked bool
		rotated bool
		issuer  bool
	}{
		"a revocation": {func(*desk) storage.Key { return revokedKey(guest, deskCloud.Peer()) }, func(*desk) []byte {
			return transport.Encode(*statement(deskCloud, guest, time.Now().Unix()))
		}, true, false, false},
		"a revocation in a strange place": {func(*desk) storage.Key { return storage.K(revokedPart, guest.String()) }, func(*desk) []byte {
			return transport.Encode(*statement(deskCloud, guest, time.Now().Unix()))
		}, false, false, false},
		"a revocation of a strange kind": {func(*desk) storage.Key { return storage.K("strange", guest.String(), "x") }, func(*desk) []byte {
			return transport.Encode(*statement(deskCloud, guest, time.Now().Unix()))
		}, false, false, false},
		"no revocation": {func(*desk) storage.Key { return revokedKey(guest, deskCloud.Peer()) }, func(*desk) []byte { return nonsense }, false, false, false},
		"a rotation": {func(*desk) storage.Key { return storage.K(rotationPart, deskCloud.Peer().String()) }, func(d *desk) []byte {
			return transport.Encode(d.rotation().Rotation)
		}, false, true, false},
		"a rotation in a strange place": {func(*desk) storage.Key { return storage.K(rotationPart, deskCloud.Peer().String(), "x") }, func(d *desk) []byte {
			return transport.Encode(d.rotation().Rotation)
		}, false, false, false},
		"a rotation of a strange kind": {func(*desk) storage.Key { return storage.K("strange", rotationPart) }, func(d *desk) []byte {
			return transport.Encode(d.rotation().Rotation)
		}, false, false, false},
		"no rotation": {func(*desk) storage.Key { return storage.K(rotationPart, deskCloud.Peer().String()) }, func(*desk) []byte { return nonsense }, false, false, false},
		"a certificate": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String()) }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskCloud, d.auth.Peer(), issuing))
		}, false, false, true},
		"an earlier certificate": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String()) }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskCloud, d.auth.Peer(), func(c *membership.Certificate) { c.NotBefore-- }))
		}, false, false, false},
		"a certificate of the same second": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String()) }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskCloud, d.auth.Peer(), nil))
		}, false, false, true},
		"a certificate that nobody takes": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String()) }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskLater, d.auth.Peer(), issuing))
		}, false, false, false},
		"another's certificate": {func(*desk) storage.Key { return storage.K(issuerPart, guest.String()) }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskCloud, d.auth.Peer(), issuing))
		}, false, false, false},
		"a certificate in a strange place": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String(), "x") }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskCloud, d.auth.Peer(), issuing))
		}, false, false, false},
		"a certificate of a strange kind": {func(d *desk) storage.Key { return storage.K("strange", d.auth.Peer().String()) }, func(d *desk) []byte {
			return transport.Encode(d.issue(deskCloud, d.auth.Peer(), issuing))
		}, false, false, false},
		"no certificate": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String()) }, func(*desk) []byte { return nonsense }, false, false, false},
		"a forged certificate": {func(d *desk) storage.Key { return storage.K(issuerPart, d.auth.Peer().String()) }, func(d *desk) []byte {
			signed := d.issue(deskCloud, d.auth.Peer(), issuing)
			signed.Signature[0]++
			return transport.Encode(signed)
		}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				d.turn(func(ctx context.Context, s *Service) {
					require.NoError(t, storage.Put(s.store, c.key(d), c.value(d)))
					require.NoError(t, s.store.Sync(ctx))
				})
				for _, found := range []string{"when it is heard", "at a start"} {
					if found == "at a start" {
						d.vanish()
					}
					nodetest.Sleep(time.Millisecond)
					d.turn(func(_ context.Context, s *Service) {
						require.Equal(t, c.revoked, s.env.Authority.Revoked(guest), found)
						require.Equal(t, c.rotated, len(s.env.Authority.Rotations()) > 0, found)
						_, own := s.env.Authority.Own()
						require.Equal(t, c.issuer, own.Serial == 77, found)
						s.learn(storage.K("not", "there"))
					})
				}
			})
		})
	}
}

// Rotations are learned in whatever order they come, and this auth's certificate before that of which it is, too.
func TestRotationsInAnyOrder(t *testing.T) {
	last := transport.NewIdentity([]byte("last"))
	writes := func(d *desk) []storage.Write {
		second := membership.Rotate(deskLater, membership.Rotation{Cloud: nodetest.CloudName, To: last.Peer(), Until: time.Now().Add(time.Hour).Unix()})
		b := new(storage.Batch).Put(issuerKey(d.auth.Peer()), transport.Encode(d.issue(last, d.auth.Peer(), issuing)))
		b.Put(rotationKey(deskLater.Peer()), transport.Encode(second))
		b.Put(rotationKey(deskCloud.Peer()), transport.Encode(d.rotation().Rotation))
		b.Put(rotationKey(guest), []byte("nonsense"))
		return b.Writes()
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 2, 3}, {2, 0, 3, 1}} {
		atDesk(t, func(d *desk) {
			all := writes(d)
			for _, n := range order {
				d.turn(func(ctx context.Context, s *Service) {
					require.NoError(t, storage.Put(s.store, all[n].Key, all[n].Value))
					require.NoError(t, s.store.Sync(ctx))
				})
				nodetest.Sleep(time.Millisecond)
			}
			for _, found := range []string{"when they are heard", "at a start"} {
				if found == "at a start" {
					d.vanish()
				}
				d.turn(func(_ context.Context, s *Service) {
					require.Len(t, s.env.Authority.Rotations(), 2, found)
					own, _ := s.env.Authority.Own()
					require.Equal(t, last.Peer(), own.Certificate.By, found)
				})
			}
		})
	}
}

// Stopping flushes what there is, and lets go of the store.
func TestAStop(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) { require.Error(t, s.Stop(over(ctx)), "there is no time") })
	})
	atDesk(t, func(d *desk) {
		flushes := 0
		d.auth.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
			if op == memdisk.OpFlush {
				flushes++
			}
			return nil
		}})
		d.turn(func(ctx context.Context, s *Service) {
			require.NoError(t, storage.Put(s.store, storage.K("k"), nil))
			require.NoError(t, s.Stop(ctx))
			require.GreaterOrEqual(t, flushes, 2)
			require.Error(t, storage.Put(s.store, storage.K("k"), nil), "it is closed")
		})
	})
}

// A node without a cloud cannot say who belongs to it.
func TestAStartWithoutACloud(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		m := c.Add("auth", node.Configured{Spec: Spec(Ends{}), Settings: DefaultSettings()})
		require.ErrorContains(t, m.TryStart(), "set up without a cloud")
		require.NoError(t, (&Service{}).Stop(context.Background()), "what has not started can be stopped")
	})
}

// The settings are what the README says.
func TestDefaults(t *testing.T) {
	require.Equal(t, &Settings{
		Lifetime: 720 * time.Hour, RenewGrace: 720 * time.Hour, InvitationMax: 168 * time.Hour, ReplicateTimeout: 3 * time.Second, History: storage.DefaultHistory(),
	}, DefaultSettings())
	require.Equal(t, &AgentSettings{CheckEvery: 2 * time.Second}, DefaultAgentSettings())
	require.Empty(t, DefaultSettings().Conflicts())
	young := &Settings{Lifetime: time.Hour, RenewGrace: membership.ValidityMax - 4*membership.SkewMax - time.Hour}
	require.Empty(t, young.Conflicts())
	young.RenewGrace++
	require.Equal(t, "renew-grace", young.Conflicts()[0].Key)
	require.Equal(t, authapi.Service, Spec(Ends{}).Name)
	require.False(t, Spec(Ends{}).Everywhere)
	require.True(t, AgentSpec().Everywhere)
	require.Equal(t, node.MembershipService, AgentSpec().Name)
}
