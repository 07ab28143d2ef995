package libp2p

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/taucloud/tau/transport"
)

// All limits of a real host. libp2p's own let 8 nodes connect from one address,
// refuse a node that has restarted 16 times, close conns at random beyond 192 and
// count strangers and members alike.
const (
	// connsMax bounds the connections of a node: to a thousand members, with room
	// for two at a time to each, as there are when both dial at once.
	connsMax = 2048
	// strangersMax bounds the connections opened by unknown peers (see Host.Learn and Members);
	// strangersPerAddressMax those from one address. The rest is for members, so strangers cannot
	// lock them out.
	strangersMax           = 128
	strangersPerAddressMax = 32
	// handshakesMax bounds connections whose peer is not authenticated yet. They end within 15 s.
	handshakesMax = 256
	// perAddressMax bounds connections from and to one address, or one IPv6 site
	// (/56): a whole cloud may be behind one.
	perAddressMax = 1024
	// perAddressRate and perAddressBurst bound how often one address may connect: a
	// handshake costs us about a millisecond.
	perAddressRate  = 32 // a second
	perAddressBurst = 256
	// peerConnsMax bounds the connections of one peer. Those of before a restart may
	// take a while to be noticed.
	peerConnsMax = 32
	// peerStreamsMax bounds the streams of one peer over all of them, and
	// peerTauMax those that are conns of ours: it needs one for each class.
	peerStreamsMax = 256
	peerTauMax     = 16
	// peerMemoryMax bounds the muxers' buffers for one peer, and memoryMax for all. They are upper
	// limits, usually not reached: a quarter of a MiB for each stream, and as much as a link needs
	// to be kept busy.
	peerMemoryMax = 64 << 20
	memoryMax     = 2 << 30
	// fileShare is the part of the process's files that may be sockets.
	fileShare = 0.75
)

// hostLimits are those that tests change.
type hostLimits struct{ strangers, strangersPerAddress int }

var defaultLimits = hostLimits{strangers: strangersMax, strangersPerAddress: strangersPerAddressMax}

var errStrangers = errors.New("too many connections of strangers")

// limiter is libp2p's resource manager with the limits above, and one of its own:
// it counts the connections of strangers.
type limiter struct {
	network.ResourceManager
	limits hostLimits
	member func(peer.ID) bool // may be called on any goroutine

	mu         sync.Mutex
	strangers  int
	perAddress map[string]int
}

func newLimiter(limits hostLimits, member func(peer.ID) bool) (*limiter, error) {
	files := filesMax()
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(concreteLimits(files)),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perAddressMax}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perAddressMax}}),
		rcmgr.WithConnRateLimiters(rateLimits()),
	)
	if err != nil {
		return nil, fmt.Errorf("libp2p: limits: %w", err)
	}
	return &limiter{ResourceManager: m, limits: limits, member: member, perAddress: map[string]int{}}, nil
}

// concreteLimits are for a process that may have so many files open.
func concreteLimits(files int) rcmgr.ConcreteLimitConfig {
	unlimited := rcmgr.ResourceLimits{
		Streams: rcmgr.Unlimited, StreamsInbound: rcmgr.Unlimited, StreamsOutbound: rcmgr.Unlimited,
		Conns: rcmgr.Unlimited, ConnsInbound: rcmgr.Unlimited, ConnsOutbound: rcmgr.Unlimited,
		FD: rcmgr.Unlimited, Memory: rcmgr.Unlimited64,
	}
	system := unlimited
	system.Conns, system.ConnsInbound, system.ConnsOutbound = connsMax, connsMax, connsMax
	system.FD, system.Memory = rcmgr.LimitVal(min(connsMax, files)), memoryMax
	transient := unlimited
	transient.ConnsInbound, transient.Conns = handshakesMax, 2*handshakesMax
	transient.Memory = memoryMax / 8
	onePeer := unlimited
	onePeer.Conns, onePeer.ConnsInbound, onePeer.ConnsOutbound = peerConnsMax, peerConnsMax, peerConnsMax
	onePeer.Streams, onePeer.StreamsInbound, onePeer.StreamsOutbound = peerStreamsMax, peerStreamsMax, peerStreamsMax
	onePeer.Memory = peerMemoryMax
	tau := unlimited
	tau.StreamsInbound = peerTauMax
	return rcmgr.PartialLimitConfig{
		System:    system,
		Transient: transient,
		// libp2p's own allowlist, which is by address, stays empty.
		AllowlistedSystem: unlimited, AllowlistedTransient: unlimited,
		ServiceDefault: unlimited, ServicePeerDefault: unlimited, ProtocolDefault: unlimited,
		ProtocolPeerDefault: unlimited,
		ProtocolPeer:        map[protocol.ID]rcmgr.ResourceLimits{Protocol: tau},
		PeerDefault:         onePeer,
		Conn:                unlimited, Stream: unlimited,
	}.Build(rcmgr.InfiniteLimits)
}

// rateLimits are for addresses beyond loopback.
func rateLimits() *rate.Limiter {
	limit := rate.Limit{RPS: perAddressRate, Burst: perAddressBurst}
	return &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: limit}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: limit}},
			GracePeriod:      time.Minute,
		},
	}
}

// filesMax is how many sockets the process may have.
func filesMax() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return connsMax
	}
	return int(fileShare * float64(limit.Cur))
}

// OpenConnection implements network.ResourceManager.
func (l *limiter) OpenConnection(dir network.Direction, usefd bool, remote multiaddr.Multiaddr) (network.ConnManagementScope, error) {
	scope, err := l.ResourceManager.OpenConnection(dir, usefd, remote)
	if err != nil || dir == network.DirOutbound {
		return scope, err
	}
	return &inboundScope{ConnManagementScope: scope, limiter: l, address: addressOf(remote)}, nil
}

// addressOf is the address without its port, or its site with IPv6.
func addressOf(a multiaddr.Multiaddr) string {
	ip, err := manet.ToIP(a)
	if err != nil {
		return a.String()
	}
	if ip.To4() == nil {
		return ip.Mask(net.CIDRMask(56, 128)).String()
	}
	return ip.String()
}

// admit counts a stranger, unless there are too many.
func (l *limiter) admit(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.strangers >= l.limits.strangers || l.perAddress[address] >= l.limits.strangersPerAddress {
		return false
	}
	l.strangers++
	l.perAddress[address]++
	return true
}

func (l *limiter) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strangers--
	if l.perAddress[address]--; l.perAddress[address] == 0 {
		delete(l.perAddress, address)
	}
}

// inboundScope is the resource scope of a connection that a peer opened. The peer is known after
// the handshake only.
type inboundScope struct {
	network.ConnManagementScope
	limiter *limiter
	address string

	mu       sync.Mutex
	stranger bool // it is counted
	done     bool
}

// SetPeer implements network.ConnManagementScope.
func (s *inboundScope) SetPeer(p peer.ID) error {
	if !s.limiter.member(p) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.done || !s.limiter.admit(s.address) {
			return errStrangers
		}
		s.stranger = true
	}
	return s.ConnManagementScope.SetPeer(p)
}

// Done implements network.ResourceScopeSpan.
func (s *inboundScope) Done() {
	s.mu.Lock()
	if s.stranger && !s.done {
		s.limiter.leave(s.address)
	}
	s.done = true
	s.mu.Unlock()
	s.ConnManagementScope.Done()
}

// Members makes a host treat further peers than those of Learn as members: is is called on any
// goroutine and must not wait.
func Members(is func(transport.Peer) bool) Option {
	return func(h *Host) { h.isMember = is }
}

// member reports whether a peer is a member.
func (h *Host) member(id peer.ID) bool {
	h.mu.Lock()
	learned := h.learned[id]
	h.mu.Unlock()
	if learned || h.isMember == nil {
		return learned
	}
	p, err := FromPeerID(id)
	return err == nil && h.isMember(p)
}
