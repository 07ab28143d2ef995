package libp2p_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

// begin floods a node, and returns when as many have come as there are strangers.
func begin(t testing.TB, to *citizen, from []stranger, attack func(*flood, stranger) error) (f *flood, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	f, err := newFlood(ctx, to.host.Addrs()[0])
	require.NoError(t, err)
	f.begin(from, attack)
	require.Eventually(t, func() bool { return f.came.Load() >= int64(len(from)) }, 20*time.Second, time.Millisecond)
	return f, func() {
		cancel()
		for _, s := range from {
			_ = s.Network().ClosePeer(f.to.ID)
		}
		f.all.Wait()
	}
}

// strangers are some from any address.
func strangers(t testing.TB, n int) (all []stranger) {
	for range n {
		s, err := newStranger(nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		all = append(all, s)
	}
	return all
}

// office is a server that certifies who comes by an invitation.
func office(t testing.TB, name string, options ...libp2p.Option) (server *citizen, ticket membership.Ticket) {
	server = newCitizen(t, name, tcp, options...).with(cloudKey, func(c *membership.Certificate) { c.Issues = []string{"monkey"} })
	secret := make([]byte, 32)
	invitation, err := membership.Invite(server.key, membership.Invitation{
		Cloud: cloudName, ID: 1, Key: transport.NewIdentity(secret).Peer(), Services: []string{"monkey"},
		NotAfter: time.Now().Add(time.Hour).Unix(), Uses: 1000, AdmittedBy: server.Self(),
	})
	require.NoError(t, err)
	server.Handle("t/admit", transport.Anyone, func(_ context.Context, from transport.Peer, body []byte) ([]byte, error) {
		var request membership.Signed
		if err := transport.Decode(body, &request); err != nil {
			return nil, err
		}
		a, _, err := server.authority.CheckAdmission(request, from, func(uint64) []transport.Peer { return nil })
		if err != nil {
			return nil, err
		}
		p := certificate(t, a.Subject, server.key, nil)
		p.Issuer = server.authority.Issuer()
		return transport.Encode(p), nil
	})
	return server, membership.Ticket{Invitation: invitation, Secret: secret, CloudKey: cloudKey.Peer()}
}

// join comes by a ticket.
func (c *citizen) join(to *citizen, ticket membership.Ticket) (err error) {
	c.host.SetAddresses(to.Self(), to.host.Addresses())
	var p membership.Presented
	c.do(func(ctx context.Context) {
		var answer []byte
		request := membership.Admit(ticket, c.Self(), "newcomer", []string{"monkey"})
		if answer, err = c.Call(ctx, to.Self(), "t/admit", transport.Encode(request)); err == nil {
			err = transport.Decode(answer, &p)
		}
	})
	if err != nil {
		return err
	}
	return c.authority.SetOwn(p)
}

// TestNewcomersJoinDuringAFlood, from the address of the flood, by a certificate and by an invitation; members keep their
// conns.
func TestNewcomersJoinDuringAFlood(t *testing.T) {
	t.Parallel()
	const places = 16
	hosts := strangers(t, places+8)
	for name, attack := range floods {
		t.Run(name, func(t *testing.T) {
			server, ticket := office(t, "server", libp2p.Strangers(places, 30*time.Second))
			member := newCitizen(t, "member", tcp).with(cloudKey, nil)
			require.NoError(t, member.call(server, "t/monkey"))
			conns := streamsOf(server, member)
			f, end := begin(t, server, hosts, attack)
			defer end()
			for i := range 3 {
				// Whoever is not served tries again, as nodes do.
				certified := newCitizen(t, fmt.Sprintf("certified %d", i), tcp).with(cloudKey, nil)
				eventually(t, func() error { return certified.call(server, "t/monkey") })
				invited := newCitizen(t, fmt.Sprintf("invited %d", i), tcp)
				eventually(t, func() error { return invited.join(server, ticket) })
				eventually(t, func() error { return invited.call(server, "t/monkey") })
				require.LessOrEqual(t, server.host.StrangersNow(), places)
				require.NoError(t, member.call(server, "t/monkey"))
			}
			require.Equal(t, conns, streamsOf(server, member))
			t.Logf("strangers came %d times", f.came.Load())
		})
	}
}

// eventually tries for a while.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	require.NoError(t, err, "for 20 s")
}
