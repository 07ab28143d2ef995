package libp2p

import (
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// All limits of a real host. libp2p's own let 8 nodes connect from one address,
// refuse a node that has restarted 16 times, close conns at random beyond 192 and
// count strangers and members alike.
const (
	// connsMax bounds the connections of a node: to a thousand members, with room
	// for two at a time to each, as there are when both dial at once.
	connsMax = 2048
	// handshakesMax bounds inbound TCP connections whose peer is not authenticated yet, which end
	// within 15 s, and handshakesPerAddressMax those from one address. For a further one the oldest
	// gives way: who is honest needs a few round trips only. Those of QUIC end within 5 s and cannot
	// be closed by us, so a further one is refused; when quicVerifyMin are under way, addresses are
	// verified first, which costs who lies about them all that it has. A peer that cannot come by
	// QUIC comes by TCP.
	handshakesMax               = 512
	handshakesPerAddressMax     = 256
	quicHandshakesMax           = 256
	quicHandshakesPerAddressMax = 64
	quicVerifyMin               = 32
	// strangersMax bounds the connections opened by peers that have not proven to be members (where
	// nobody can, that are not known: see Host.Learn), and strangersPerAddressMax those from one
	// address. For a further one the oldest gives way. The rest is for members, so strangers cannot lock
	// them out, nor each other: who comes to join has its turn also in a crowd.
	strangersMax           = 256
	strangersPerAddressMax = 64
	// strangerTime is how long such a connection lasts. So is one of a member for as long, and at
	// most once more, after its membership has ended.
	strangerTime = 30 * time.Second
	// strangerStreamsMax is how many streams a stranger may open on such a connection in all:
	// identify needs two, and a conn one. When its last conn ends, so does the connection.
	strangerStreamsMax = 8
	// perAddressMax bounds connections from and to one address, or one IPv6 site
	// (/56): a whole cloud may be behind one.
	perAddressMax = 1024
	// perAddressRate and perAddressBurst bound how often one address may connect, and allRate and allBurst how
	// often all together, before anything but the TCP handshake is spent on them. A connection that does its worst before
	// it is sent away costs 2 to 4 ms of a processor, so strangers have a fifth of one, steadily (BenchmarkFlood), a quarter with newcomersRate.
	perAddressRate  = 16 // a second
	perAddressBurst = 64
	allRate         = 64 // a second
	allBurst        = 256
	// membersPerAddressRate and those below it are the same for addresses of members (see visits.go): a whole cloud
	// may be behind one, and come back at once.
	membersPerAddressRate  = 32 // a second
	membersPerAddressBurst = 256
	membersRate            = 512 // a second
	membersBurst           = 1024
	// announcedRate is membersRate of addresses from which no member has come: one bad member may announce any.
	announcedRate = 128 // a second
	// newcomersRate and newcomersBurst are for addresses that come for the first time, as far as is remembered, when
	// others take all of allRate.
	newcomersRate  = 16 // a second
	newcomersBurst = 64
	// visitorsMax bounds the addresses of each kind that are remembered for that, at some 200 bytes.
	visitorsMax = 4096
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
type hostLimits struct {
	strangers, strangersPerAddress int
	strangerTime                   time.Duration
	rates                          rates
	membersRates, announcedRates   rates
	newcomers                      bucketSize
	// loopback: it may not come more often than others.
	loopback bool
}

var defaultLimits = hostLimits{
	strangers: strangersMax, strangersPerAddress: strangersPerAddressMax, strangerTime: strangerTime,
	rates: rates{
		perAddress: bucketSize{perAddressRate, perAddressBurst}, all: bucketSize{allRate, allBurst},
	},
	membersRates: rates{
		perAddress: bucketSize{membersPerAddressRate, membersPerAddressBurst}, all: bucketSize{membersRate, membersBurst},
	},
	announcedRates: rates{
		perAddress: bucketSize{membersPerAddressRate, membersPerAddressBurst}, all: bucketSize{announcedRate, membersBurst},
	},
	newcomers: bucketSize{newcomersRate, newcomersBurst},
}

func newManager(files int) (network.ResourceManager, error) {
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(concreteLimits(files)),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perAddressMax}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perAddressMax}}),
		// libp2p's would count the connections that we open, too, so that a flood kept us from dialing.
		rcmgr.WithConnRateLimiters(&rate.Limiter{}),
	)
	if err != nil {
		return nil, fmt.Errorf("libp2p: limits: %w", err)
	}
	return m, nil
}

// concreteLimits are for a process that may have so many files open. What is not named has no limit; libp2p's own
// allowlist, which is by address, stays empty.
func concreteLimits(files int) rcmgr.ConcreteLimitConfig {
	var system, transient, onePeer, tau rcmgr.ResourceLimits
	system.Conns, system.ConnsInbound, system.ConnsOutbound = connsMax, connsMax, connsMax
	system.FD, system.Memory = rcmgr.LimitVal(min(connsMax, files)), memoryMax
	// The doors are narrower (see door.go): who was sent away there needs a moment to be gone.
	transient.ConnsInbound, transient.Conns = 2*handshakesMax, 4*handshakesMax
	transient.Memory = memoryMax / 8
	onePeer.Conns, onePeer.ConnsInbound, onePeer.ConnsOutbound = peerConnsMax, peerConnsMax, peerConnsMax
	onePeer.Streams, onePeer.StreamsInbound, onePeer.StreamsOutbound = peerStreamsMax, peerStreamsMax, peerStreamsMax
	onePeer.Memory = peerMemoryMax
	tau.StreamsInbound = peerTauMax
	return rcmgr.PartialLimitConfig{
		System: system, Transient: transient, PeerDefault: onePeer,
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{Protocol: tau},
	}.Build(rcmgr.InfiniteLimits)
}

// filesMax is how many sockets the process may have.
func filesMax() int {
	limit := syscall.Rlimit{Cur: math.MaxUint64}
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return socketsOf(limit.Cur)
}

// socketsOf is how many of so many files may be sockets.
func socketsOf(files uint64) int {
	if files > math.MaxInt32 {
		return connsMax // it is no limit
	}
	return int(fileShare * float64(files))
}

// Limit is one that a real host keeps, in words.
type Limit struct{ Of, Is string }

// Limits are all that a real host keeps in this process, for whoever runs it.
func Limits() []Limit {
	rate := func(perSecond, burst float64) string {
		return fmt.Sprintf("%.0f a second, %.0f at once", perSecond, burst)
	}
	return []Limit{
		{"connections", fmt.Sprintf("%d in all, %d from and to one address, %d of one peer", min(connsMax, filesMax()), perAddressMax, peerConnsMax)},
		{"connections of strangers", fmt.Sprintf("%d, %d of one address, each for %s and %d streams", strangersMax, strangersPerAddressMax, strangerTime, strangerStreamsMax)},
		{"handshakes under way", fmt.Sprintf("TCP %d, %d of one address; QUIC %d, %d of one address, addresses are verified from %d on",
			handshakesMax, handshakesPerAddressMax, quicHandshakesMax, quicHandshakesPerAddressMax, quicVerifyMin)},
		{"who comes", fmt.Sprintf("one address %s; all %s; newcomers have %s of their own", rate(perAddressRate, perAddressBurst), rate(allRate, allBurst), rate(newcomersRate, newcomersBurst))},
		{"members who come", fmt.Sprintf("one address %s; all %s; from where none came yet %d a second", rate(membersPerAddressRate, membersPerAddressBurst), rate(membersRate, membersBurst), announcedRate)},
		{"addresses remembered for that", fmt.Sprintf("%d of each kind", visitorsMax)},
		{"streams", fmt.Sprintf("%d of one peer, %d of them conns", peerStreamsMax, peerTauMax)},
		{"buffers of connections", fmt.Sprintf("%d MiB, %d MiB of one peer", memoryMax>>20, peerMemoryMax>>20)},
		{"sockets", fmt.Sprintf("%d of the files that this process may open (%.0f %%)", filesMax(), 100*fileShare)},
	}
}
