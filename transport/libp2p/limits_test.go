package libp2p

import (
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// addr is a TCP address beyond loopback, which libp2p's limits leave alone.
func addr(t *testing.T, host string, port int) multiaddr.Multiaddr {
	family := "ip4"
	if host[len(host)-1] == ':' {
		family, host = "ip6", host+"1"
	}
	a, err := multiaddr.NewMultiaddr(fmt.Sprintf("/%s/%s/tcp/%d", family, host, 1000+port))
	require.NoError(t, err)
	return a
}

func peerID(kind string, i int) peer.ID {
	return PeerID(transport.NewIdentity(fmt.Appendf(nil, "%s %d", kind, i)).Peer())
}

// newTestLimiter knows whose names begin with member, which they can prove.
func newTestLimiter(t *testing.T) *limiter {
	members := map[peer.ID]bool{}
	for i := range 1000 {
		members[peerID("member", i)] = true
	}
	return limiterThatKnows(t, func(p peer.ID) (is, provable bool) { return members[p], true })
}

// limiterThatKnows does not limit how often somebody comes.
func limiterThatKnows(t *testing.T, member func(peer.ID) (is, provable bool)) *limiter {
	limits := defaultLimits
	often := bucketSize{burst: math.Inf(1)}
	limits.rates, limits.membersRates, limits.announcedRates = rates{often, often}, rates{often, often}, rates{often, often}
	l, err := newLimiter(limits, member)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// open is one inbound connection, as libp2p accounts for it.
func open(l *limiter, from multiaddr.Multiaddr, p peer.ID) (*inboundScope, error) {
	scope, err := l.OpenConnection(network.DirInbound, true, from)
	if err != nil {
		return nil, err
	}
	if err := scope.SetPeer(p); err != nil {
		scope.Done()
		return nil, err
	}
	return scope.(*inboundScope), nil
}

// comes is a connection that gets in, and ends when it is sent away.
func comes(t *testing.T, l *limiter, from multiaddr.Multiaddr, p peer.ID) *inboundScope {
	t.Helper()
	s, err := open(l, from, p)
	require.NoError(t, err)
	s.closeBy(func() error { s.Done(); return nil })
	return s
}

func (s *inboundScope) isAway() bool {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	return s.away
}

// TestManyNodesBehindOneAddress: 200 members connect from one address; libp2p's
// own limits let in 8.
func TestManyNodesBehindOneAddress(t *testing.T) {
	for _, host := range []string{"203.0.113.7", "2001:db8:1:2::"} {
		l := newTestLimiter(t)
		for i := range 200 {
			_, err := open(l, addr(t, host, i), peerID("member", i))
			require.NoError(t, err, "%s: member %d", host, i)
		}
	}
}

// TestQuickRestarts: a node that restarts 100 times in no time is let in each
// time; libp2p's own limits refuse it after 16.
func TestQuickRestarts(t *testing.T) {
	l := newTestLimiter(t)
	for i := range 100 {
		scope, err := open(l, addr(t, "203.0.113.7", i), peerID("member", 0))
		require.NoError(t, err, "restart %d", i)
		scope.Done()
	}
}

// TestStrangersLeaveRoomForMembers: however many strangers there are, from
// however many addresses, members connect; the newest strangers are there, and none is counted when
// all have left.
func TestStrangersLeaveRoomForMembers(t *testing.T) {
	l := newTestLimiter(t)
	var strangers []*inboundScope
	for i := range 1000 {
		strangers = append(strangers, comes(t, l, addr(t, fmt.Sprintf("203.0.113.%d", i%50), i), peerID("stranger", i)))
	}
	for i, s := range strangers {
		require.Equal(t, i < 1000-strangersMax, s.isAway(), i)
	}
	for i := range 500 {
		s := comes(t, l, addr(t, fmt.Sprintf("198.51.100.%d", i%100), i), peerID("member", i))
		require.Nil(t, s.at, "member %d", i)
	}
	for _, s := range strangers {
		s.Done()
		s.Done()
	}
	require.Empty(t, l.strangers.inside)
	require.Empty(t, l.strangers.perAddress)
	require.Empty(t, l.handshakes.inside)
}

// TestStrangersOfOneAddress: one that comes from an address with too many takes the place of the oldest
// there, and strangers of other addresses keep theirs, whoever floods.
func TestStrangersOfOneAddress(t *testing.T) {
	for _, host := range []string{"203.0.113.7", "2001:db8:1:2::"} {
		l := newTestLimiter(t)
		alone := comes(t, l, addr(t, "198.51.100.1", 1), peerID("alone", 1))
		var crowd []*inboundScope
		for i := range 3 * strangersPerAddressMax {
			crowd = append(crowd, comes(t, l, addr(t, host, i), peerID("stranger", i)))
		}
		for i, s := range crowd {
			require.Equal(t, i < 2*strangersPerAddressMax, s.isAway(), "%s %d", host, i)
		}
		for i := range 10 * strangersMax {
			comes(t, l, addr(t, fmt.Sprintf("192.0.2.%d", i%5), i), peerID("more", i))
		}
		require.False(t, alone.isAway(), "its address has one place, others have many")
		require.Len(t, l.strangers.inside, strangersMax)
	}
}

// TestWhoProvesIsNoStranger: who has proven to be a member after its handshake makes room for others and
// is not sent away, neither for them nor in time; until its membership ends.
func TestWhoProvesIsNoStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		members := map[peer.ID]bool{}
		l := limiterThatKnows(t, func(p peer.ID) (is, provable bool) {
			mu.Lock()
			defer mu.Unlock()
			return members[p], true
		})
		is := func(p peer.ID, member bool) {
			mu.Lock()
			defer mu.Unlock()
			members[p] = member
		}
		var newcomers []*inboundScope
		for i := range 5 * strangersMax {
			p := peerID("newcomer", i)
			newcomers = append(newcomers, comes(t, l, addr(t, fmt.Sprintf("203.0.113.%d", i%5), i), p))
			is(p, true)
		}
		idle := comes(t, l, addr(t, "203.0.113.9", 1), peerID("idle", 1))
		time.Sleep(strangerTime - time.Second)
		synctest.Wait()
		require.False(t, idle.isAway())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.True(t, idle.isAway(), "it has proven nothing")
		require.True(t, idle.done)
		for i, s := range newcomers {
			require.False(t, s.isAway(), i)
			require.Nil(t, s.at, i)
		}
		is(peerID("newcomer", 7), false)
		time.Sleep(2 * strangerTime)
		synctest.Wait()
		for i, s := range newcomers {
			require.Equal(t, i == 7, s.isAway(), i)
			s.Done()
		}
	})
}

// TestNobodyProvesAnything: where members are those that are known, strangers stay while there is room.
func TestNobodyProvesAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiterThatKnows(t, func(peer.ID) (is, provable bool) { return false, false })
		s := comes(t, l, addr(t, "203.0.113.7", 1), peerID("unknown", 1))
		time.Sleep(10 * strangerTime)
		for range 10 * strangerStreamsMax {
			stream, err := l.OpenStream(s.peer, network.DirInbound)
			require.NoError(t, err)
			stream.Done()
		}
		require.False(t, s.isAway())
		s.Done()
	})
}

// TestStreamsOfStrangersAreCounted: who opens too many loses its connection, a member does not.
func TestStreamsOfStrangersAreCounted(t *testing.T) {
	l := newTestLimiter(t)
	stranger, other := peerID("stranger", 1), peerID("stranger", 2)
	s := comes(t, l, addr(t, "203.0.113.7", 1), stranger)
	comes(t, l, addr(t, "203.0.113.7", 2), other)
	member := comes(t, l, addr(t, "203.0.113.7", 3), peerID("member", 1))
	for i := range strangerStreamsMax + 1 {
		for _, p := range []peer.ID{stranger, peerID("member", 1)} {
			stream, err := l.OpenStream(p, network.DirInbound)
			if i == strangerStreamsMax && p == stranger {
				require.ErrorIs(t, err, errStreams)
				continue
			}
			require.NoError(t, err)
			stream.Done()
		}
	}
	require.True(t, s.isAway())
	require.False(t, member.isAway())
	_, err := l.OpenStream(other, network.DirInbound)
	require.NoError(t, err)
	_, err = l.OpenStream(peerID("stranger", 3), network.DirOutbound)
	require.NoError(t, err, "what we open ourselves")
}

// TestStreamsOfAStrangerThatCameTwice: each of its connections may have as many, whichever they are opened on.
func TestStreamsOfAStrangerThatCameTwice(t *testing.T) {
	l := newTestLimiter(t)
	stranger := peerID("stranger", 1)
	both := []*inboundScope{comes(t, l, addr(t, "203.0.113.7", 1), stranger), comes(t, l, addr(t, "203.0.113.7", 2), stranger)}
	for range 2 * strangerStreamsMax {
		stream, err := l.OpenStream(stranger, network.DirInbound)
		require.NoError(t, err)
		stream.Done()
	}
	require.False(t, both[0].isAway() || both[1].isAway())
	_, err := l.OpenStream(stranger, network.DirInbound)
	require.ErrorIs(t, err, errStreams)
	require.NotEqual(t, both[0].isAway(), both[1].isAway(), "one of them goes")
}

// come is how many of n connections from addresses are let in.
func come(t *testing.T, l *limiter, kind, address string, n int) (in int) {
	for i := range n {
		at := address
		if strings.Contains(at, "%") {
			at = fmt.Sprintf(address, i%200)
		}
		if s, err := open(l, addr(t, at, i%1000), peerID(kind, i%1000)); err == nil {
			s.Done()
			in++
		}
	}
	return in
}

// TestOftenIsBounded: how often one address, and how often all together may connect; members' addresses apart from others,
// and what we open ourselves not at all.
func TestOftenIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes but where it says so
		l, err := newLimiter(defaultLimits, newTestLimiter(t).member)
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		require.Equal(t, perAddressBurst, come(t, l, "stranger", "203.0.113.7", 3*perAddressBurst))
		time.Sleep(time.Second)
		require.Equal(t, perAddressRate, come(t, l, "stranger", "203.0.113.7", 3*perAddressBurst))
		require.Equal(t, allBurst-perAddressRate, come(t, l, "stranger", "203.0.113.%d", 3*allBurst), "who is refused takes nothing from others")
		require.Equal(t, 1, come(t, l, "stranger", "198.51.100.9", 9), "a newcomer has something of its own, once")

		l.areMembers([]multiaddr.Multiaddr{addr(t, "198.51.100.1", 1), multiaddr.StringCast("/dnsaddr/example.com")})
		require.Equal(t, 1+membersPerAddressBurst, come(t, l, "member", "198.51.100.1", 2*membersPerAddressBurst), "one to the address that is announced, and then a member has come from there")
		time.Sleep(time.Second)
		require.Equal(t, perAddressRate, come(t, l, "member", "203.0.113.8", 1)+come(t, l, "stranger", "203.0.113.7", 2*perAddressRate)-1)
		require.Equal(t, membersPerAddressRate, come(t, l, "member", "203.0.113.8", membersPerAddressRate), "a member has come from there")
		for i := range visitorsMax + 1 {
			l.areMembers([]multiaddr.Multiaddr{addr(t, fmt.Sprintf("10.0.%d.%d", i/256, i%256), 1)})
		}
		require.True(t, l.visits.members.knows("203.0.113.8"), "who announces many addresses displaces nobody who has come")
		_, err = l.OpenConnection(network.DirOutbound, true, addr(t, "203.0.113.7", 1))
		require.NoError(t, err)
		require.Equal(t, 1000, come(t, l, "stranger", "127.0.0.1", 1000))
	})
}

// TestVisitorsAreBounded: whoever has come lately is remembered.
func TestVisitorsAreBounded(t *testing.T) {
	v, now := newVisits(defaultLimits.membersRates, defaultLimits.announcedRates, defaultLimits.rates, defaultLimits.newcomers), time.Unix(1, 0)
	for i := range 3 * visitorsMax {
		v.allow("often", now)
		v.allow(fmt.Sprint(i), now)
		v.ofMember(fmt.Sprint("member", i), now)
		v.isAnnounced(fmt.Sprint("announced", i), now)
	}
	for _, c := range []crowd{v.members, v.announced, v.others} {
		require.Len(t, c.addresses, visitorsMax)
		require.Equal(t, visitorsMax, c.recent.Len())
	}
	require.False(t, v.allow("often", now))
	require.False(t, v.allow("often", now.Add(-time.Hour)), "a clock that is set back gives nothing")
}

// TestNewcomersFindRoom: who comes as often as it can from a hundred addresses keeps nobody out who comes for the first
// time, and who announces addresses displaces nobody who has come.
func TestNewcomersFindRoom(t *testing.T) {
	v, now := newVisits(defaultLimits.membersRates, defaultLimits.announcedRates, defaultLimits.rates, defaultLimits.newcomers), time.Unix(1, 0)
	v.ofMember("home", now)
	for i := range 2 * visitorsMax {
		v.isAnnounced(fmt.Sprint("elsewhere", i), now)
	}
	let := 0
	for second := range 30 {
		for tenth := range 10 {
			at := now.Add(time.Duration(second)*time.Second + time.Duration(tenth)*100*time.Millisecond)
			for i := range 100 {
				if v.allow(fmt.Sprint("attacker", i), at) {
					let++
				}
			}
			if second > 0 && tenth == 5 {
				require.True(t, v.allow(fmt.Sprint("newcomer", second), at), "second %d", second)
				require.True(t, v.allow("home", at), "second %d", second)
			}
		}
	}
	require.InDelta(t, allBurst+newcomersBurst+30*allRate, let, allRate+newcomersBurst)
}

// TestOnePeerIsBounded: in connections, and in streams of our protocol.
func TestOnePeerIsBounded(t *testing.T) {
	l := newTestLimiter(t)
	conns := 0
	for i := range 100 {
		if _, err := open(l, addr(t, "203.0.113.7", i), peerID("member", 0)); err == nil {
			conns++
		}
	}
	require.Equal(t, peerConnsMax, conns)
	streams := 0
	for range 100 {
		s, err := l.OpenStream(peerID("member", 0), network.DirInbound)
		require.NoError(t, err)
		if s.SetProtocol(Protocol) == nil {
			streams++
		}
	}
	require.Equal(t, peerTauMax, streams)
}

// TestHandshakesAreBounded: connections whose peer is not known are few, those that come have the places
// of the oldest, and dials of our own do not wait for them.
func TestHandshakesAreBounded(t *testing.T) {
	l := newTestLimiter(t)
	begin := func(host string, i int) (*inboundScope, error) {
		scope, err := l.OpenConnection(network.DirInbound, true, addr(t, host, i))
		if err != nil {
			return nil, err
		}
		s := scope.(*inboundScope)
		s.closeBy(func() error { s.Done(); return nil })
		return s, nil
	}
	first, err := begin("198.51.100.2", 1)
	require.NoError(t, err)
	for i := range 10 * handshakesMax {
		if _, err := begin(fmt.Sprintf("203.0.113.%d", i%100), i); err != nil {
			continue // those that were sent away are not gone yet
		}
	}
	require.Len(t, l.handshakes.inside, handshakesMax)
	require.False(t, first.isAway(), "nobody else is at its address")
	require.NoError(t, first.SetPeer(peerID("stranger", 1)))
	require.Len(t, l.handshakes.inside, handshakesMax-1)
	late := l.handshakes.inside[0]
	for i := range handshakesPerAddressMax + 1 {
		require.Eventually(t, func() bool { _, err := begin(late.address, i); return err == nil }, time.Minute, time.Millisecond)
	}
	require.LessOrEqual(t, l.handshakes.perAddress[late.address], handshakesPerAddressMax)
	require.ErrorIs(t, late.SetPeer(peerID("stranger", 2)), errSentAway)
	_, err = l.OpenConnection(network.DirOutbound, true, addr(t, "198.51.100.1", 1))
	require.NoError(t, err)
}

// TestHandshakesOfQUIC: they cannot be ended, so further ones are refused; addresses are verified before
// that, and TCP is not concerned.
func TestHandshakesOfQUIC(t *testing.T) {
	l := newTestLimiter(t)
	udp := &net.UDPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 1}
	begun := 0
	for i := range 10 * quicHandshakesMax {
		require.Equal(t, i >= quicVerifyMin, l.VerifySourceAddress(udp), i)
		if _, err := l.OpenConnection(network.DirInbound, false, addr(t, fmt.Sprintf("203.0.113.%d", i%100), i)); err == nil {
			begun++
		}
	}
	require.Equal(t, quicHandshakesMax, begun)
	_, err := open(l, addr(t, "203.0.113.7", 1), peerID("stranger", 1))
	require.NoError(t, err)
}

// TestCloseIsToldLate: a connection that was sent away before it was known how to close it.
func TestCloseIsToldLate(t *testing.T) {
	l := newTestLimiter(t)
	first, err := open(l, addr(t, "203.0.113.7", 1), peerID("stranger", 0))
	require.NoError(t, err)
	for i := range strangersPerAddressMax {
		comes(t, l, addr(t, "203.0.113.7", 1), peerID("stranger", 1+i))
	}
	require.True(t, first.isAway())
	closed := make(chan struct{})
	first.closeBy(func() error { close(closed); return nil })
	<-closed
}

// TestRace: all addresses of a peer are dialed at once, TCP a moment later.
func TestRace(t *testing.T) {
	quic, err := multiaddr.NewMultiaddr("/ip4/203.0.113.7/udp/1/quic-v1")
	require.NoError(t, err)
	tcp := addr(t, "203.0.113.7", 1)
	require.Equal(t, []network.AddrDelay{{Addr: tcp, Delay: tcpDelay}, {Addr: quic}}, rank([]multiaddr.Multiaddr{tcp, quic}))
	require.Equal(t, []network.AddrDelay{{Addr: tcp}, {Addr: tcp}}, rank([]multiaddr.Multiaddr{tcp, tcp}))
}

// TestRefusedDials: a dial is over when its last TCP address has failed.
func TestRefusedDials(t *testing.T) {
	d := &dials{open: map[peer.ID]*dial{}}
	a, b := peerID("a", 0), peerID("b", 0)
	isRefused := func(began *dial) bool {
		select {
		case <-began.refused:
			return true
		default:
			return false
		}
	}
	first, quicOnly := d.begin(a, 2), d.begin(b, 0)
	d.failed(a)
	require.False(t, isRefused(first))
	d.failed(a)
	require.True(t, isRefused(first))
	d.failed(a)
	d.failed(b)
	require.False(t, isRefused(quicOnly))
	again := d.begin(a, 1)
	d.end(a, first)
	d.failed(a)
	require.True(t, isRefused(again))
	d.end(a, again)
	d.end(b, quicOnly)
	d.failed(a)
	require.Empty(t, d.open)
}
