package libp2p_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

// TestCertificates over real libp2p: who is served, by the certificate that it shows or does not, and by the
// clock of who looks at it.
func TestCertificates(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]string{"tcp": tcp, "quic": quic, "ws": ws} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCertificates(t, listen)
		})
	}
}

func testCertificates(t *testing.T, listen string) {
	server := newCitizen(t, "server", listen).with(cloudKey, nil)
	good := newCitizen(t, "good", listen).with(cloudKey, nil)
	require.NoError(t, good.call(server, "t/monkey"))
	require.NoError(t, server.call(good, "t/any"))

	hour := int64(time.Hour / time.Second)
	for why, c := range map[string]struct {
		by     transport.Identity
		change func(*membership.Certificate)
		ahead  time.Duration // the server's clock
		served bool
	}{
		"of another cloud":                    {by: cloudKey, change: func(c *membership.Certificate) { c.Cloud = "other.example.com" }},
		"a key that may":                      {by: foreignKey},
		"expired":                             {by: cloudKey, change: func(c *membership.Certificate) { c.NotBefore, c.NotAfter = c.NotBefore-2*hour, c.NotAfter-2*hour }},
		"expired, by the server's clock":      {by: cloudKey, ahead: time.Hour + 6*time.Minute},
		"it ends within the skew of clocks":   {by: cloudKey, ahead: time.Hour + 4*time.Minute, served: true},
		"not valid yet":                       {by: cloudKey, change: func(c *membership.Certificate) { c.NotBefore += 6 * 60 }},
		"not valid yet, by the server's":      {by: cloudKey, ahead: -6 * time.Minute},
		"it begins within the skew of clocks": {by: cloudKey, ahead: -4 * time.Minute, served: true},
		"members that offer monkey":           {by: cloudKey, change: func(c *membership.Certificate) { c.Services = []string{"seer"} }},
	} {
		t.Run(why, func(t *testing.T) {
			s := newCitizen(t, "server of "+why, listen).with(cloudKey, func(c *membership.Certificate) {
				c.NotBefore, c.NotAfter = c.NotBefore-2*hour, c.NotAfter+2*hour
			})
			s.calendar.set(c.ahead)
			n := newCitizen(t, why, listen).with(c.by, c.change)
			if c.served {
				require.NoError(t, n.call(s, "t/monkey"))
				require.EqualValues(t, 1, s.heard.Load())
				return
			}
			text, _, _ := strings.Cut(why, ", by the server's")
			n.refused(s, text)
			require.Zero(t, s.heard.Load())
			require.NoError(t, n.call(s, "t/any"), "what is for anyone")
		})
	}
	t.Run("none", func(t *testing.T) {
		n, before := newCitizen(t, "nobody", listen), server.heard.Load()
		n.refused(server, "no certificate")
		require.Equal(t, transport.NotAllowed, transport.KindOf(server.call(n, "t/any")), "members call no strangers")
		require.Equal(t, before, server.heard.Load())
	})
}

// TestMembershipEndsOverRealConns: by a revocation, and by its time unless it was renewed; renewal is on the conn that
// there is.
func TestMembershipEndsOverRealConns(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]string{"tcp": tcp, "quic": quic, "ws": ws} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newCitizen(t, "server", listen).with(cloudKey, func(c *membership.Certificate) { c.NotAfter += 4 * 3600 })
			testRevoked(t, server, newCitizen(t, "revoked", listen).with(cloudKey, nil))
			testRenewed(t, server, newCitizen(t, "renewed", listen).with(cloudKey, nil), newCitizen(t, "ended", listen).with(cloudKey, nil))
		})
	}
}

// testRevoked: in the middle of a call, which ends at both ends.
func testRevoked(t *testing.T, server, revoked *citizen) {
	began, ended := make(chan struct{}), make(chan error, 1)
	server.Handle("t/long", transport.Member, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		close(began)
		err := clock.Sleep(ctx, server.calendar, time.Minute)
		ended <- err
		return nil, err
	})
	answered := make(chan error, 1)
	go func() { answered <- revoked.call(server, "t/long") }()
	<-began
	r := membership.Revoking{Revocation: membership.Revoke(cloudKey, membership.Revocation{Cloud: cloudName, Subject: revoked.Self(), Before: time.Now().Unix()})}
	_, err := server.authority.Revoke(r)
	require.NoError(t, err)
	require.Error(t, <-ended, "its handler is cancelled")
	require.Error(t, <-answered)
	revoked.refused(server, "revoked")
	require.Zero(t, server.heard.Load())
	require.NoError(t, revoked.with(cloudKey, func(c *membership.Certificate) { c.NotBefore++ }).call(server, "t/monkey"), "one that was signed since counts")
}

// testRenewed: two members whose certificates end at the same time, of which one is renewed before.
func testRenewed(t *testing.T, server, renewed, ended *citizen) {
	require.NoError(t, renewed.call(server, "t/monkey"))
	require.NoError(t, ended.call(server, "t/monkey"))
	streams := streamsOf(server, renewed)
	require.Len(t, streams, 1)
	renewed.with(cloudKey, func(c *membership.Certificate) { c.NotAfter += 3600 })
	_, is := renewed.authority.Own()
	require.Eventually(t, func() bool {
		m, known := server.authority.Member(renewed.Self())
		return known && m.Serial == is.Serial
	}, 10*time.Second, time.Millisecond)
	server.calendar.set(time.Hour + 6*time.Minute)
	require.NoError(t, renewed.call(server, "t/monkey"))
	require.Equal(t, streams, streamsOf(server, renewed), "on the same conn")
	ended.refused(server, "expired")
	server.calendar.set(2*time.Hour + 6*time.Minute)
	renewed.refused(server, "expired")
}

// streamsOf are the names of the conns that a peer has opened.
func streamsOf(server, peer *citizen) (ids []string) {
	for _, c := range server.host.LibP2P().Network().ConnsToPeer(libp2p.PeerID(peer.Self())) {
		for _, s := range c.GetStreams() {
			if s.Protocol() == libp2p.Protocol {
				ids = append(ids, s.ID())
			}
		}
	}
	return ids
}

// TestTheCloudKeyIsReplaced: members by the old key are served until it ends; those by the new one are served by who
// has only heard of it from them.
func TestTheCloudKeyIsReplaced(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]string{"tcp": tcp, "quic": quic, "ws": ws} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			long := func(c *membership.Certificate) { c.NotAfter += 4 * 3600 }
			server, old := newCitizen(t, "server", listen), newCitizen(t, "old", listen).with(cloudKey, long)
			rotation := membership.Rotate(cloudKey, membership.Rotation{Cloud: cloudName, To: laterKey.Peer(), Until: time.Now().Add(time.Hour).Unix()})
			renewed := newCitizen(t, "new", listen)
			_, err := renewed.authority.Rotate(rotation)
			require.NoError(t, err)
			renewed.with(laterKey, long)
			server.with(cloudKey, long)
			newCitizen(t, "early", listen).with(laterKey, long).refused(server, "a key that may", "who does not show the rotation")
			require.NoError(t, renewed.call(server, "t/monkey"))
			require.Len(t, server.authority.Rotations(), 1, "it has learned of it")
			require.NoError(t, old.call(server, "t/monkey"))
			server.with(laterKey, long)
			require.Eventually(t, func() bool { return len(old.authority.Rotations()) == 1 }, 10*time.Second, time.Millisecond, "it is shown on the conns that there are")
			server.calendar.set(time.Hour + 6*time.Minute)
			old.refused(server, "expired")
			require.NoError(t, renewed.call(server, "t/monkey"))
		})
	}
}

// TestTwoCloudsDoNotMix: a node of another cloud is a stranger here, and we are there.
func TestTwoCloudsDoNotMix(t *testing.T) {
	t.Parallel()
	server := newCitizen(t, "server", tcp).with(cloudKey, nil)
	other := "other.example.com"
	foreign := citizenOf(t, membership.NewTrust(other, foreignKey.Peer()), "foreign", tcp)
	foreign.with(foreignKey, func(c *membership.Certificate) { c.Cloud = other })
	require.Equal(t, transport.NotAllowed, transport.KindOf(foreign.call(server, "t/any")), "it calls no strangers")
	var kind transport.Kind
	require.Eventually(t, func() bool { // on the connection of before, which is about to be closed, it may find nobody
		kind = transport.KindOf(server.call(foreign, "t/any"))
		return kind != transport.Unreachable
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, transport.NotAllowed, kind)
	require.Zero(t, foreign.heard.Load()+server.heard.Load())
}
