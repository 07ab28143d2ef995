package libp2p_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	golibp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

// floods are what strangers do to a node, each for as long as its connection lasts. Who is sent away comes
// back after a pause.
var floods = map[string]func(f *flood, h host.Host) error{
	"idle":       (*flood).idle,
	"half-open":  (*flood).halfOpen,
	"slow-hello": (*flood).slowHello,
	"garbage":    (*flood).garbage,
	"streams":    (*flood).streams,
}

const (
	floodPause = 50 * time.Millisecond
	// slowPause makes a hundred of them come as often as one address may beyond loopback, see perAddressRate.
	slowPause = 3 * time.Second
)

// flood is one under way.
type flood struct {
	ctx     context.Context
	to      peer.AddrInfo
	address string // of TCP
	came    atomic.Int64
	all     sync.WaitGroup
}

// begin has all hosts flood a node, and returns when each has come at least twice, or has come and not been sent away.
func begin(t testing.TB, to *citizen, hosts []host.Host, attack func(*flood, host.Host) error, pause time.Duration) (f *flood, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	info, err := peer.AddrInfoFromString(to.host.Addrs()[0])
	require.NoError(t, err)
	address, err := manet.ToNetAddr(info.Addrs[0])
	require.NoError(t, err)
	f = &flood{ctx: ctx, to: *info, address: address.String()}
	for _, h := range hosts {
		f.all.Go(func() {
			for ctx.Err() == nil {
				_ = attack(f, h)
				_ = h.Network().ClosePeer(f.to.ID)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	require.Eventually(t, func() bool { return f.came.Load() >= int64(len(hosts)) }, 20*time.Second, time.Millisecond)
	return f, func() {
		cancel()
		for _, h := range hosts {
			_ = h.Network().ClosePeer(f.to.ID)
		}
		f.all.Wait()
	}
}

// strangers are hosts with keys of their own.
func strangers(t testing.TB, n int) (hosts []host.Host) {
	for range n {
		h, err := golibp2p.New(golibp2p.NoListenAddrs, golibp2p.DisableMetrics(), golibp2p.ResourceManager(&network.NullResourceManager{}))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		hosts = append(hosts, h)
	}
	return hosts
}

func (f *flood) connect(h host.Host) error {
	err := h.Connect(f.ctx, f.to)
	f.came.Add(1)
	return err
}

func (f *flood) stream(h host.Host) (network.Stream, error) {
	if err := f.connect(h); err != nil {
		return nil, err
	}
	return h.NewStream(f.ctx, f.to.ID, libp2p.Protocol)
}

// idle connects and says nothing.
func (f *flood) idle(h host.Host) error {
	if err := f.connect(h); err != nil {
		return err
	}
	gone := make(chan struct{})
	var once sync.Once
	n := &network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) { once.Do(func() { close(gone) }) }}
	h.Network().Notify(n)
	defer h.Network().StopNotify(n)
	if h.Network().Connectedness(f.to.ID) != network.Connected {
		return nil
	}
	select {
	case <-gone:
	case <-f.ctx.Done():
	}
	return nil
}

// halfOpen opens some TCP connections, and does not even begin a handshake.
func (f *flood) halfOpen(host.Host) error {
	var open sync.WaitGroup
	for range 32 {
		c, err := net.Dial("tcp", f.address)
		f.came.Add(1)
		if err != nil {
			continue
		}
		stop := context.AfterFunc(f.ctx, func() { _ = c.Close() })
		open.Go(func() {
			_, _ = io.Copy(io.Discard, c)
			stop()
			_ = c.Close()
		})
	}
	open.Wait()
	return nil
}

// slowHello sends a byte of its first frame now and then.
func (f *flood) slowHello(h host.Host) error {
	s, err := f.stream(h)
	if err != nil {
		return err
	}
	for _, b := range binary.AppendUvarint(nil, transport.FrameLenMax) {
		if _, err := s.Write([]byte{b}); err != nil {
			return err
		}
	}
	for {
		if _, err := s.Write([]byte{0}); err != nil {
			return err
		}
		select {
		case <-f.ctx.Done():
			return nil
		case <-time.After(floodPause):
		}
	}
}

// garbage sends frames of random bytes, on a new stream when it has lost one.
func (f *flood) garbage(h host.Host) error {
	for f.ctx.Err() == nil {
		s, err := f.stream(h)
		if err != nil {
			return err
		}
		for err == nil && f.ctx.Err() == nil {
			frame := make([]byte, 1000)
			_, _ = rand.Read(frame)
			_, err = s.Write(append(binary.AppendUvarint(nil, uint64(len(frame))), frame...))
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// streams opens as many streams as it can.
func (f *flood) streams(h host.Host) error {
	for f.ctx.Err() == nil {
		s, err := f.stream(h)
		if err == nil {
			_, err = s.Write([]byte{1}) // otherwise libp2p does not even open it
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
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
			f, end := begin(t, server, hosts, attack, floodPause)
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

// BenchmarkFlood is what members get from a node while a hundred strangers flood it, as a part of what they get in peace, in the same
// run. Strangers and members share the machine, so what it costs to attack is in it: strangers come as often as the limits let
// them beyond loopback.
func BenchmarkFlood(b *testing.B) {
	hosts := strangers(b, 100)
	for name, attack := range floods {
		b.Run(name, func(b *testing.B) {
			server, _ := office(b, "server")
			member := newCitizen(b, "member", tcp).with(cloudKey, nil)
			require.NoError(b, member.call(server, "t/monkey"))
			var peace, flooded int64
			for b.Loop() {
				peace += goodput(member, server, time.Second)
				_, end := begin(b, server, hosts, attack, slowPause)
				flooded += goodput(member, server, time.Second)
				end()
			}
			b.ReportMetric(float64(peace)/float64(b.N), "calls/s-in-peace")
			b.ReportMetric(float64(flooded)/float64(peace), "of-that-in-a-flood")
		})
	}
}

// goodput is how many calls of 4 KiB are answered, of eight at a time.
func goodput(member, server *citizen, d time.Duration) int64 {
	var answered atomic.Int64
	var all sync.WaitGroup
	body, began := make([]byte, 4<<10), time.Now()
	for range 8 {
		all.Go(func() {
			member.do(func(ctx context.Context) {
				for time.Since(began) < d {
					if _, err := member.Call(ctx, server.Self(), "t/monkey", body); err == nil {
						answered.Add(1)
					}
				}
			})
		})
	}
	all.Wait()
	return answered.Load()
}
