package credentials_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
	"github.com/taucloud/tau/transport/transporttest"
)

const cloud = "cloud.example.com"

var (
	cloudKey  = transport.NewIdentity([]byte("cloud"))
	laterKey  = transport.NewIdentity([]byte("later"))
	issuerKey = transport.NewIdentity([]byte("issuer"))
)

// world is some nodes without latency, in virtual time.
type world struct {
	*testing.T
	net    *transporttest.PipeNet
	serial uint64
}

// node is one end of a conn.
type node struct {
	*transport.Endpoint
	w         *world
	key       transport.Identity
	authority *credentials.Authority
	loop      *loop
	heard     int
}

// loop is a live loop whose Elapsed begins at 0 in the bubble.
type loop struct {
	*clock.Live
	began time.Time
}

func (l *loop) Elapsed() time.Duration { return time.Since(l.began) }

func run(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) { f(&world{T: t, net: transporttest.NewPipeNet()}) })
}

// node makes a node without a certificate.
func (w *world) node(name string) *node {
	n := &node{w: w, key: transport.NewIdentity([]byte(name)), loop: &loop{clock.NewLive(), time.Now()}}
	n.authority = credentials.New(n.loop, n.key.Peer(), membership.NewTrust(cloud, cloudKey.Peer()))
	e := transport.NewEngine(w.net.Host(n.key.Peer()), n.loop, transport.NewStaticDirectory(), transport.AuthorizeBy(n.authority))
	n.Endpoint = e.Endpoint(n.loop)
	count := func(context.Context, transport.Peer, []byte) ([]byte, error) {
		n.heard++
		return nil, nil
	}
	n.Handle("t/any", transport.Anyone, count)
	n.Handle("t/monkey", transport.Offers("monkey"), count)
	w.Cleanup(func() {
		require.NoError(w, e.Close())
		require.True(w, n.loop.Stop(time.Second))
	})
	return n
}

// with gives a node a certificate by a key, for an hour if nothing is changed.
func (n *node) with(by transport.Identity, change func(*membership.Certificate)) *node {
	require.NoError(n.w, n.authority.SetOwn(membership.Presented{Certificate: n.w.certificate(n.key.Peer(), by, change)}))
	return n
}

func (w *world) certificate(of transport.Peer, by transport.Identity, change func(*membership.Certificate)) membership.Signed {
	w.serial++
	c := membership.Certificate{
		Cloud: cloud, Serial: w.serial, Subject: of, Name: "n", Services: []string{"monkey"},
		NotBefore: time.Now().Unix(), NotAfter: time.Now().Add(time.Hour).Unix(),
	}
	if change != nil {
		change(&c)
	}
	s, err := membership.Issue(by, c)
	require.NoError(w, err)
	return s
}

// call asks another node for something.
func (n *node) call(to *node, method string) (err error) {
	require.NoError(n.w, clock.Do(context.Background(), n.loop, func(ctx context.Context) {
		_, err = n.Call(ctx, to.Self(), method, nil)
	}))
	return err
}

func refused(t *testing.T, err error, why string) {
	t.Helper()
	require.Equal(t, transport.NotAllowed, transport.KindOf(err), "%v", err)
	require.ErrorContains(t, err, why)
}

// TestWhoMayCall: members what they offer something for, others what is for anyone.
func TestWhoMayCall(t *testing.T) {
	run(t, func(w *world) {
		server := w.node("server").with(cloudKey, nil)
		monkey := w.node("monkey").with(cloudKey, nil)
		require.NoError(t, monkey.call(server, "t/monkey"))
		require.NoError(t, server.call(monkey, "t/any"))
		seer := w.node("seer").with(cloudKey, func(c *membership.Certificate) { c.Services = []string{"seer"} })
		refused(t, seer.call(server, "t/monkey"), "members that offer monkey")
		require.NoError(t, seer.call(server, "t/any"))

		expired := func(c *membership.Certificate) {
			c.NotBefore, c.NotAfter = c.NotBefore-7200, time.Now().Add(-6*time.Minute).Unix()
		}
		early := func(c *membership.Certificate) { c.NotBefore += 7 * 60 }
		slow := func(c *membership.Certificate) {
			c.NotAfter = time.Now().Add(-4 * time.Minute).Unix()
			c.NotBefore -= 3600
		}
		foreign := func(c *membership.Certificate) { c.Cloud = "other.example.com" }
		require.NoError(t, w.node("slow").with(cloudKey, slow).call(server, "t/monkey"), "its clock may be late")
		for why, n := range map[string]*node{
			"no certificate":   w.node("nobody"),
			"expired":          w.node("expired").with(cloudKey, expired),
			"not valid yet":    w.node("early").with(cloudKey, early),
			"of another cloud": w.node("foreign").with(cloudKey, foreign),
			"a key that may":   w.node("forged").with(transport.NewIdentity([]byte("forged")), nil),
		} {
			heard := server.heard
			refused(t, n.call(server, "t/monkey"), why)
			require.Equal(t, heard, server.heard)
			require.NoError(t, n.call(server, "t/any"), why)
			refused(t, server.call(n, "t/any"), why)
			require.Zero(t, n.heard, "members call no strangers")
		}
	})
}

// TestWhoMayAnswer: what a member answers for a service that it may not offer is not believed.
func TestWhoMayAnswer(t *testing.T) {
	run(t, func(w *world) {
		method := transport.Method[string, string]{Name: "monkey/greet", Rule: transport.Member}
		caller, monkey := w.node("caller").with(cloudKey, nil), w.node("monkey").with(cloudKey, nil)
		seer := w.node("seer").with(cloudKey, func(c *membership.Certificate) { c.Services = []string{"seer"} })
		for _, n := range []*node{caller, monkey, seer} {
			method.Serve(n.Endpoint, func(context.Context, transport.Peer, string) (string, error) { return "hello", nil })
		}
		greet := func(to *node) (err error) {
			require.NoError(t, clock.Do(context.Background(), caller.loop, func(ctx context.Context) {
				_, err = method.Call(ctx, caller.Endpoint, to.Self(), "")
			}))
			return err
		}
		require.NoError(t, greet(monkey))
		require.NoError(t, greet(caller))
		refused(t, greet(seer), "may not offer that service")
	})
}

// thief shows the certificate of another node.
type thief struct {
	*credentials.Authority
	stolen []byte
}

func (t thief) Present() []byte { return t.stolen }

func TestAStolenCertificateIsNoUse(t *testing.T) {
	run(t, func(w *world) {
		server, monkey := w.node("server").with(cloudKey, nil), w.node("monkey").with(cloudKey, nil)
		n := w.node("thief")
		e := transport.NewEngine(w.net.Host(n.key.Peer()), n.loop, transport.NewStaticDirectory(), transport.AuthorizeBy(thief{n.authority, monkey.authority.Present()}))
		defer e.Close()
		n.Endpoint = e.Endpoint(n.loop)
		refused(t, n.call(server, "t/monkey"), "certificate of another node")
		require.NoError(t, monkey.call(server, "t/monkey"))
		refused(t, n.call(server, "t/monkey"), "certificate of another node")
	})
}

// TestRevokedInTheMiddle: the conn ends with what goes on there, and no other is one of a member.
func TestRevokedInTheMiddle(t *testing.T) {
	run(t, func(w *world) {
		server, monkey, other := w.node("server").with(cloudKey, nil), w.node("monkey").with(cloudKey, nil), w.node("other").with(cloudKey, nil)
		cancelled := false
		server.Handle("t/long", transport.Member, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
			cancelled = clock.Sleep(ctx, server.loop, time.Hour) != nil
			return []byte("secret"), nil
		})
		ended := make(chan error, 1)
		monkey.loop.Go("long", func(ctx context.Context) {
			_, err := monkey.Call(transport.Patient(ctx, 2*time.Hour), server.Self(), "t/long", nil)
			ended <- err
		})
		require.NoError(t, other.call(server, "t/any"))
		time.Sleep(time.Second)
		revoke := membership.Revoking{Revocation: membership.Revoke(cloudKey, membership.Revocation{Cloud: cloud, Subject: monkey.Self(), Before: time.Now().Unix()})}
		news, err := server.authority.Revoke(revoke, revoke)
		require.NoError(t, err)
		require.Len(t, news, 1)
		require.Error(t, <-ended)
		synctest.Wait()
		require.True(t, cancelled)
		refused(t, monkey.call(server, "t/monkey"), "revoked")
		require.NoError(t, other.call(server, "t/monkey"))
		time.Sleep(2 * time.Second)
		monkey.with(cloudKey, nil)
		require.NoError(t, monkey.call(server, "t/monkey"), "a later certificate counts, and no conn is needed for it")
	})
}

// TestExpiryAndRenewal without another conn.
func TestExpiryAndRenewal(t *testing.T) {
	run(t, func(w *world) {
		server, monkey := w.node("server").with(cloudKey, func(c *membership.Certificate) { c.NotAfter += 86400 }), w.node("monkey").with(cloudKey, nil)
		require.NoError(t, monkey.call(server, "t/monkey"))
		time.Sleep(time.Hour + membership.SkewMax - time.Second)
		require.NoError(t, monkey.call(server, "t/monkey"))
		time.Sleep(time.Second + credentials.LookInterval + time.Second)
		refused(t, monkey.call(server, "t/monkey"), "expired")
		require.ErrorIs(t, monkey.authority.OwnCounts(), membership.ErrExpired)
		monkey.with(cloudKey, nil)
		require.NoError(t, monkey.authority.OwnCounts())
		require.NoError(t, monkey.call(server, "t/monkey"))
		m, known := server.authority.Member(monkey.Self())
		require.True(t, known)
		require.EqualValues(t, w.serial, m.Serial)
	})
}

// TestRotation: what the old key has signed ends with it, what the new one signs counts.
func TestRotation(t *testing.T) {
	run(t, func(w *world) {
		server, monkey := w.node("server").with(cloudKey, nil), w.node("monkey").with(cloudKey, nil)
		renewed := w.node("renewed").with(laterKey, nil)
		require.NoError(t, monkey.call(server, "t/monkey"))
		refused(t, renewed.call(server, "t/monkey"), "a key that may not")
		ends := time.Now().Add(10 * time.Minute).Unix()
		rotation := membership.Rotate(cloudKey, membership.Rotation{Cloud: cloud, To: laterKey.Peer(), Until: ends})
		again := membership.Rotate(laterKey, membership.Rotation{Cloud: cloud, To: issuerKey.Peer(), Until: ends * 2})
		for _, n := range []*node{server, renewed, monkey} {
			_, err := n.authority.Rotate(again, rotation) // it may have heard of it from the server
			require.NoError(t, err)
			require.Len(t, n.authority.Rotations(), 2)
		}
		server.with(laterKey, nil)
		time.Sleep(31 * time.Second)
		require.NoError(t, renewed.call(server, "t/monkey"))
		require.NoError(t, monkey.call(server, "t/monkey"))
		time.Sleep(10*time.Minute + membership.SkewMax + credentials.LookInterval)
		refused(t, monkey.call(server, "t/monkey"), "expired")
		require.NoError(t, renewed.call(server, "t/monkey"))
	})
}

// TestAnIssuerFalls with all that it has signed.
func TestAnIssuerFalls(t *testing.T) {
	run(t, func(w *world) {
		server, monkey := w.node("server").with(cloudKey, nil), w.node("monkey")
		issuer := w.certificate(issuerKey.Peer(), cloudKey, func(c *membership.Certificate) { c.Issues = []string{"monkey"} })
		require.NoError(t, monkey.authority.SetOwn(membership.Presented{Certificate: w.certificate(monkey.Self(), issuerKey, nil), Issuer: &issuer}))
		require.NoError(t, monkey.call(server, "t/monkey"))
		news, err := server.authority.Revoke(membership.Revoking{Revocation: membership.Revoke(cloudKey, membership.Revocation{Cloud: cloud, Subject: issuerKey.Peer(), Before: time.Now().Unix()})})
		require.NoError(t, err)
		require.Len(t, news, 1)
		require.Len(t, server.authority.Revocations(), 1)
		refused(t, monkey.call(server, "t/monkey"), "revoked")
		require.ErrorIs(t, monkey.authority.SetOwn(membership.Presented{Certificate: issuer}), membership.ErrSubject)
	})
}

// A stranger may show rotations, too: of many it is only so many that are looked at, and none
// by a key that no rotation has brought has its signature looked at.
func TestRotationsThatCountForNothing(t *testing.T) {
	run(t, func(w *world) {
		n := w.node("n")
		rotation := membership.Rotate(cloudKey, membership.Rotation{Cloud: cloud, To: laterKey.Peer(), Until: math.MaxInt64})
		forged := rotation
		forged.By = laterKey.Peer()
		require.ErrorIs(t, membership.NewTrust(cloud, cloudKey.Peer()).Apply(forged), membership.ErrNotTrusted, "not for its signature")
		list := slices.Repeat([]membership.Signed{forged}, membership.RotationsMax)
		news, err := n.authority.Rotate(append(list, rotation)...)
		require.ErrorIs(t, err, membership.ErrNotTrusted)
		require.False(t, news, "beyond the bound")
		news, err = n.authority.Rotate(append(list[1:], rotation)...)
		require.Error(t, err)
		require.True(t, news)
	})
}
