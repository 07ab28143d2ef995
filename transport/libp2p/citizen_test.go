package libp2p_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

const cloudName = "cloud.example.com"

var (
	cloudKey   = transport.NewIdentity([]byte("the cloud"))
	laterKey   = transport.NewIdentity([]byte("the cloud, later"))
	foreignKey = transport.NewIdentity([]byte("another cloud"))
	serials    atomic.Uint64
)

// calendar is a live loop whose wall clock tests set, and on which looks at what has ended happen when
// tests say so: no test waits for an hour, nor for 30 s.
type calendar struct {
	*clock.Live
	mu    sync.Mutex
	ahead time.Duration
	looks []func()
}

// Now implements clock.Clock.
func (c *calendar) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// AfterFunc implements clock.Clock.
func (c *calendar) AfterFunc(d time.Duration, f func()) clock.Timer {
	if d != credentials.LookInterval {
		return c.Live.AfterFunc(d, f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks = append(c.looks, f)
	return c.Live.AfterFunc(time.Hour, func() {})
}

// set makes the clock wrong by so much, and has its owner look at what has ended.
func (c *calendar) set(ahead time.Duration) {
	c.mu.Lock()
	c.ahead = ahead
	looks := c.looks
	c.looks = nil
	c.mu.Unlock()
	for _, look := range looks {
		look()
	}
}

// citizen is an engine on a real host that knows members by certificates.
type citizen struct {
	*transport.Endpoint
	t         testing.TB
	key       transport.Identity
	host      *libp2p.Host
	calendar  *calendar
	authority *credentials.Authority
	heard     atomic.Int64 // calls of members that offer monkey
}

// newCitizen trusts the cloud's key, and has no certificate.
func newCitizen(t testing.TB, name, listen string, options ...libp2p.Option) *citizen {
	return citizenOf(t, membership.NewTrust(cloudName, cloudKey.Peer()), name, listen, options...)
}

func citizenOf(t testing.TB, trust *membership.Trust, name, listen string, options ...libp2p.Option) *citizen {
	key := transport.NewIdentity([]byte(name))
	h, err := libp2p.New(key, []string{listen}, nil, options...)
	require.NoError(t, err)
	c := &citizen{t: t, key: key, host: h, calendar: &calendar{Live: clock.NewLive()}}
	c.authority = credentials.New(c.calendar, key.Peer(), trust)
	e := transport.NewEngine(h, c.calendar, transport.NewStaticDirectory(), transport.AuthorizeBy(c.authority))
	c.Endpoint = e.Endpoint(c.calendar)
	c.Handle("t/any", transport.Anyone, func(_ context.Context, _ transport.Peer, r []byte) ([]byte, error) { return r, nil })
	c.Handle("t/monkey", transport.Offers("monkey"), func(_ context.Context, _ transport.Peer, r []byte) ([]byte, error) {
		c.heard.Add(1)
		return r, nil
	})
	t.Cleanup(func() {
		c.calendar.Stop(time.Second)
		require.NoError(t, e.Close())
	})
	return c
}

// certificate is one for an hour, to offer monkey.
func certificate(t testing.TB, of transport.Peer, by transport.Identity, change func(*membership.Certificate)) membership.Presented {
	c := membership.Certificate{
		Cloud: cloudName, Serial: serials.Add(1), Subject: of, Name: "n", Services: []string{"monkey"},
		NotBefore: time.Now().Unix(), NotAfter: time.Now().Add(time.Hour).Unix(),
	}
	if change != nil {
		change(&c)
	}
	s, err := membership.Issue(by, c)
	require.NoError(t, err)
	return membership.Presented{Certificate: s}
}

func (c *citizen) with(by transport.Identity, change func(*membership.Certificate)) *citizen {
	require.NoError(c.t, c.authority.SetOwn(certificate(c.t, c.key.Peer(), by, change)))
	return c
}

// do runs f as a task of its own and waits for it.
func (c *citizen) do(f func(ctx context.Context)) {
	require.NoError(c.t, clock.Do(context.Background(), c.calendar, func(ctx context.Context) {
		ctx, cancel := clock.WithTimeout(ctx, c.calendar, 20*time.Second)
		defer cancel()
		f(ctx)
	}))
}

func (c *citizen) call(to *citizen, method string) (err error) {
	c.host.SetAddresses(to.Self(), to.host.Addresses())
	c.do(func(ctx context.Context) { _, err = c.Call(ctx, to.Self(), method, []byte("x")) })
	return err
}

// refused demands that a call is refused for a reason. A conn that ends at this moment may take a call along.
func (c *citizen) refused(to *citizen, why string, about ...any) {
	c.t.Helper()
	var err error
	for range 100 {
		if err = c.call(to, "t/monkey"); transport.KindOf(err) != transport.Unreachable {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Equal(c.t, transport.NotAllowed, transport.KindOf(err), "%v %v", err, about)
	require.ErrorContains(c.t, err, why, about...)
}
