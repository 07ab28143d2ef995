package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

var (
	deskCloud = transport.NewIdentity([]byte("cloud"))
	deskLater = transport.NewIdentity([]byte("later"))
	guestKey  = transport.NewIdentity([]byte("guest"))
	guest     = guestKey.Peer()
)

// desk is one auth, whose handlers a test calls as a task of its loop.
type desk struct {
	*nodetest.Cloud
	auth *nodetest.Machine
}

func atDesk(t *testing.T, f func(d *desk)) { atDeskOf(t, authapi.Service, f) }

// atDeskOf has an auth that is an issuer only if issuers are.
func atDeskOf(t *testing.T, issuers string, f func(d *desk)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Key, c.Issuer, c.Grantable = &deskCloud, issuers, []string{"monkey", "part"}
		settings := DefaultSettings()
		settings.Lifetime, settings.RenewGrace, settings.InvitationMax = 2*time.Hour, 4*time.Hour, time.Hour
		d := &desk{Cloud: c, auth: c.Add("auth", node.Configured{Spec: Spec(Ends{}), Settings: settings})}
		d.auth.Start()
		f(d)
	})
}

func (d *desk) turn(f func(ctx context.Context, s *Service)) {
	s := d.auth.Service(authapi.Service).(*Service)
	require.NoError(d, clock.Do(context.Background(), s.env.Loop, func(ctx context.Context) { f(ctx, s) }))
}

// vanish is a power cut, and the start after it.
func (d *desk) vanish() {
	d.auth.Vanish()
	d.auth.Start()
}

// refuse has the disk refuse to write below a place, or again write all: "".
func (d *desk) refuse(below string) {
	d.auth.Disk.SetFaults(memdisk.Faults{Fail: func(o memdisk.Op, key string) error {
		if below != "" && o == memdisk.OpWrite && strings.HasPrefix(key, below) {
			return errors.New("the disk refuses")
		}
		return nil
	}})
}

// Where the stores of an auth are on its disk.
const localBelow, replicaBelow = "/local/auth", "/kv"

// refuseRecords has the replica take nothing any more: there is something already that it could not write.
func (d *desk) refuseRecords() {
	d.refuse(replicaBelow)
	d.turn(func(ctx context.Context, s *Service) {
		_ = storage.Put(s.store, storage.K("of", "another", "kind"), nil)
		require.Error(d, s.store.Sync(ctx))
	})
}

// over is a context that has ended: whatever waits fails.
func over(ctx context.Context) context.Context {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	return ended
}

func kindOf(err error) transport.Kind {
	if err == nil {
		return 0
	}
	return transport.KindOf(err)
}

// an invitation that fits, for one hour.
func anInvite() authapi.InviteRequest {
	return authapi.InviteRequest{Key: transport.NewIdentity([]byte("secret")).Peer(), Services: []string{"part"}, For: time.Hour, Uses: 1}
}

// request is an admission by an invitation.
func request(signed membership.Signed, who transport.Peer, services ...string) authapi.AdmitRequest {
	ticket := membership.Ticket{Invitation: signed, Secret: []byte("secret")}
	return authapi.AdmitRequest{Request: membership.Admit(ticket, who, "a-guest", services)}
}

// mustInvite makes an invitation that fits.
func (d *desk) mustInvite(uses uint32) (signed membership.Signed, i membership.Invitation) {
	d.turn(func(ctx context.Context, s *Service) {
		req := anInvite()
		req.Uses = uses
		resp, err := s.invite(ctx, guest, req)
		require.NoError(d, err)
		signed = resp.Invitation
		i, err = membership.OpenInvitation(signed)
		require.NoError(d, err)
	})
	return signed, i
}

// issue signs a certificate by the cloud key, or another one, which begins now.
func (d *desk) issue(by transport.Identity, subject transport.Peer, change func(c *membership.Certificate)) membership.Signed {
	now := time.Now()
	c := membership.Certificate{
		Cloud: nodetest.CloudName, Serial: 77, Subject: subject, Name: "n", Services: []string{"part"},
		NotBefore: now.Unix(), NotAfter: now.Add(10 * time.Hour).Unix(),
	}
	if change != nil {
		change(&c)
	}
	signed, err := membership.Issue(by, c)
	require.NoError(d, err)
	return signed
}

// says opens a certificate, which must be one that others take.
func (d *desk) says(p membership.Presented) (c membership.Certificate) {
	d.turn(func(_ context.Context, s *Service) {
		var err error
		c, err = p.Says()
		require.NoError(d, err)
		_, err = s.env.Authority.Check(p, c.Subject, time.Now())
		require.NoError(d, err)
	})
	return c
}
