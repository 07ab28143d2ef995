package auth

import (
	"context"
	"encoding/binary"
	"strings"
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

// Who has come by an invitation gets what it asks for, from now on, and what it is called.
func TestWhoIsAdmitted(t *testing.T) {
	atDesk(t, func(d *desk) {
		signed, i := d.mustInvite(1)
		other := transport.NewIdentity([]byte("other")).Peer()
		for _, c := range []struct {
			name     string
			who      transport.Peer
			services []string
			change   func(r *authapi.AdmitRequest)
			kind     transport.Kind
		}{
			{"nonsense", guest, nil, func(r *authapi.AdmitRequest) { r.Request.Body = []byte("nonsense") }, transport.Invalid},
			{"a forged one", guest, nil, func(r *authapi.AdmitRequest) { r.Request.Signature[0]++ }, transport.Invalid},
			{"for more than it is for", guest, []string{"monkey"}, nil, transport.Conflict},
			{"another's", other, nil, func(r *authapi.AdmitRequest) { *r = request(signed, guest) }, transport.Conflict},
			{"the first", guest, []string{"part"}, nil, 0},
			{"the first once more, for less", guest, nil, nil, 0},
			{"a second", other, nil, nil, transport.Conflict},
		} {
			req := request(signed, c.who, c.services...)
			if c.change != nil {
				c.change(&req)
			}
			var resp authapi.CertificateResponse
			before := len(d.Facts("admitted"))
			d.turn(func(ctx context.Context, s *Service) {
				var err error
				resp, err = s.admit(ctx, c.who, req)
				require.Equal(t, c.kind, kindOf(err), c.name)
			})
			if c.kind != 0 {
				require.Len(t, d.Facts("admitted"), before)
				continue
			}
			got, now := d.says(resp.Certificate), time.Now()
			require.Equal(t, membership.Certificate{
				Cloud: nodetest.CloudName, Serial: got.Serial, Subject: guest, Name: "a-guest", Services: got.Services,
				NotBefore: now.Add(-membership.SkewMax).Unix(), NotAfter: now.Add(2 * time.Hour).Unix(),
			}, got)
			require.ElementsMatch(t, c.services, got.Services)
			require.Equal(t, map[string]any{"subject": guest, "name": "a-guest", "invitation": paddedID(i.ID), "uses": 1}, d.Facts("admitted")[before].Fields)
		}
	})
}

// No two certificates have one serial, also of two lives of an auth.
func TestSerials(t *testing.T) {
	atDesk(t, func(d *desk) {
		signed, _ := d.mustInvite(1)
		seen := map[uint64]bool{}
		for range 2 {
			for range 2 {
				d.turn(func(ctx context.Context, s *Service) {
					resp, err := s.admit(ctx, guest, request(signed, guest))
					require.NoError(t, err)
					c, err := resp.Certificate.Says()
					require.NoError(t, err)
					require.False(t, seen[c.Serial])
					seen[c.Serial] = true
					require.Equal(t, s.env.Incarnation, c.Serial>>32)
				})
			}
			d.vanish()
		}
	})
}

// certified is one attempt to sign a certificate of the guest.
func certified(ctx context.Context, s *Service, services ...string) error {
	_, err := s.certify(ctx, "test", guest, "n", services)
	return err
}

func TestWhatIsNotSigned(t *testing.T) {
	for name, c := range map[string]struct {
		given func(d *desk)
		act   func(ctx context.Context, s *Service) error
		kind  transport.Kind
	}{
		"of a revoked key": {func(d *desk) {
			d.turn(func(_ context.Context, s *Service) { require.NoError(d, s.know(s.revocationOf(guest))) })
		}, func(ctx context.Context, s *Service) error { return certified(ctx, s) }, transport.Conflict},
		"of a name that is too long": {nil, func(ctx context.Context, s *Service) error {
			_, err := s.certify(ctx, "test", guest, strings.Repeat("n", 65), nil)
			return err
		}, transport.Invalid},
		"for what it may not grant": {nil, func(ctx context.Context, s *Service) error { return certified(ctx, s, "other") }, transport.Refused},
		"what is not written":       {func(d *desk) { d.refuse(localBelow) }, func(ctx context.Context, s *Service) error { return certified(ctx, s) }, transport.Internal},
		"what is not flushed":       {nil, func(ctx context.Context, s *Service) error { return certified(over(ctx), s) }, transport.Stopped},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				if c.given != nil {
					c.given(d)
				}
				d.turn(func(ctx context.Context, s *Service) { require.Equal(t, c.kind, kindOf(c.act(ctx, s))) })
				d.refuse("")
			})
		})
	}
	atDeskOf(t, "nobody", func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			require.Equal(t, transport.Refused, kindOf(certified(ctx, s)), "it is no issuer")
		})
	})
}

// An auth remembers whom it has certified, as many as there is room for: those it may certify again.
func TestHowManyAreCertified(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			require.NoError(t, certified(ctx, s))
			require.Equal(t, map[transport.Peer]int64{guest: time.Now().Add(-membership.SkewMax).Unix()}, s.issued)
		})
		d.vanish()
		d.turn(func(ctx context.Context, s *Service) {
			require.Equal(t, map[transport.Peer]int64{guest: time.Now().Add(-membership.SkewMax).Unix()}, s.issued, "that is on the disk")
			for n := range uint64(issuedMax - 2) {
				var p transport.Peer
				binary.BigEndian.PutUint64(p[:], n)
				s.issued[p] = 1
			}
			_, err := s.certify(ctx, "test", deskLater.Peer(), "n", nil)
			require.NoError(t, err, "the last that there is room for")
			_, err = s.certify(ctx, "test", deskCloud.Peer(), "n", nil)
			require.Equal(t, transport.Refused, kindOf(err))
			require.NoError(t, certified(ctx, s), "it is remembered already")
		})
	})
}

func TestNumbers(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 1 << 40, -1 << 63} {
		require.Equal(t, n, parseNumber(number(n)))
	}
	for _, raw := range [][]byte{nil, {1}, make([]byte, 7), append(make([]byte, 8), 1)} {
		require.Zero(t, parseNumber(raw))
	}
	d := memdisk.New()
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Key, c.Issuer, c.Grantable = &deskCloud, authapi.Service, nil
		m := c.Add("auth", node.Configured{Spec: Spec(Ends{}), Settings: DefaultSettings()})
		m.Disk = d
		m.Start()
		desk := &desk{c, m}
		desk.turn(func(ctx context.Context, s *Service) {
			require.NoError(t, storage.Put(s.env.Local, storage.K(issuedPart, "nobody"), number(9)))
			require.NoError(t, s.env.Local.Sync(ctx))
		})
		desk.vanish()
		desk.turn(func(_ context.Context, s *Service) { require.Empty(t, s.issued, "what cannot be read is left out") })
	})
}

// A certificate is renewed as of its last moment, for as long as the grace goes.
func TestWhatIsRenewed(t *testing.T) {
	none := func(*membership.Certificate) {}
	until := func(left time.Duration) func(c *membership.Certificate) { // it ends so long from now
		return func(c *membership.Certificate) {
			c.NotAfter = time.Now().Add(left).Unix()
			c.NotBefore = c.NotAfter - 60
		}
	}
	grace := 4 * time.Hour
	for name, c := range map[string]struct {
		change func(c *membership.Certificate)
		by     transport.Identity
		who    transport.Peer
		forge  bool
		kind   transport.Kind
	}{
		"that of today":              {change: none, by: deskCloud, who: guest},
		"one that has just ended":    {change: until(-time.Second), by: deskCloud, who: guest},
		"at the end of the grace":    {change: until(-grace), by: deskCloud, who: guest},
		"after the grace":            {change: until(-grace - time.Second), by: deskCloud, who: guest, kind: transport.Conflict},
		"another's":                  {change: none, by: deskCloud, who: deskLater.Peer(), kind: transport.Conflict},
		"by another cloud's key":     {change: none, by: deskLater, who: guest, kind: transport.Conflict},
		"forged":                     {change: none, by: deskCloud, who: guest, forge: true, kind: transport.Invalid},
		"an issuer's":                {change: func(c *membership.Certificate) { c.Issues = []string{"part"} }, by: deskCloud, who: guest, kind: transport.Conflict},
		"for what it may not grant":  {change: func(c *membership.Certificate) { c.Services = []string{"other"} }, by: deskCloud, who: guest, kind: transport.Refused},
		"of a time that is to come":  {change: func(c *membership.Certificate) { c.NotBefore += 3600; c.NotAfter += 3600 }, by: deskCloud, who: guest, kind: transport.Conflict},
		"of somebody with no grants": {change: func(c *membership.Certificate) { c.Services = nil }, by: deskCloud, who: guest},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				shown := membership.Presented{Certificate: d.issue(c.by, guest, c.change)}
				was, err := shown.Says()
				require.NoError(t, err)
				if c.forge {
					shown.Certificate.Signature[0]++
				}
				var resp authapi.CertificateResponse
				d.turn(func(ctx context.Context, s *Service) {
					resp, err = s.renew(ctx, c.who, authapi.RenewRequest{Shown: shown})
				})
				require.Equal(t, c.kind, kindOf(err), "%v", err)
				if c.kind != 0 {
					require.Empty(t, resp.Certificate.Certificate.Signature)
					require.Empty(t, d.Facts("renewed"))
					return
				}
				got := d.says(resp.Certificate)
				require.Equal(t, was.Services, got.Services)
				require.Equal(t, "n", got.Name)
				require.Equal(t, guest, got.Subject)
				require.Equal(t, map[string]any{"subject": guest, "name": "n"}, d.Facts("renewed")[0].Fields)
			})
		})
	}
}
