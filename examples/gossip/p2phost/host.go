// Package p2phost is a libp2p host over the wire of a service: what libraries send goes
// through the world, with its latencies, cuts and crashes. It has what gossipsub asks
// of a host; what else is asked for panics with a nil pointer.
//
// A library's goroutines meet the world in one way only: they put bytes and wishes
// where a task finds them, and wake the task. In which order goroutines do so makes
// no difference: tasks take what is there when all have come to rest, in an order of
// their own.
package p2phost

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

const (
	// greetInterval is how often a peer that is not connected is greeted.
	greetInterval = time.Second
	greetTimeout  = 3 * time.Second
)

// Host is a host.Host and a network.Network, each as far as gossipsub needs one.
type Host struct {
	host.Host
	env     node.Env
	service string
	speaks  []protocol.ID
	ctx     context.Context
	end     context.CancelFunc

	bus        event.Bus
	identified event.Emitter
	changed    event.Emitter
	peers      peerstore.Peerstore

	mu        sync.Mutex
	handlers  map[protocol.ID]network.StreamHandler
	connected map[peer.ID]*conn
	wanted    []*stream // opened by the library, and not by the world yet
	wake      func()
	streams   map[*stream]bool // that have not failed
	over      bool
}

type empty struct{}

// New returns the host of a service whose peers offer the same service, and speak
// the same protocols. It must be called by a task of the service's Start.
func New(env node.Env, service string, speaks ...protocol.ID) (*Host, error) {
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	h := &Host{env: env, service: service, speaks: speaks, bus: eventbus.NewBus(), peers: ps,
		handlers: map[protocol.ID]network.StreamHandler{}, connected: map[peer.ID]*conn{}, streams: map[*stream]bool{}}
	h.ctx, h.end = context.WithCancel(context.Background())
	if h.identified, err = h.bus.Emitter(&event.EvtPeerIdentificationCompleted{}); err != nil {
		return nil, err
	}
	h.changed, err = h.bus.Emitter(&event.EvtPeerConnectednessChanged{})
	return h, err
}

func (h *Host) greeting() transport.Method[empty, empty] {
	return transport.Method[empty, empty]{Name: h.service + "/greet", Rule: transport.Member}
}

// Context ends when the service stops or its node crashes: libraries are given it.
func (h *Host) Context() context.Context { return h.ctx }

// Serve begins to speak with the peers. It is called when the library has set its
// handlers.
func (h *Host) Serve() {
	wire := h.env.Wire
	h.greeting().Serve(wire, func(context.Context, transport.Peer, empty) (empty, error) { return empty{}, nil })
	for _, p := range h.speaks {
		wire.HandleStream(h.method(p), transport.Member, func(ctx context.Context, from transport.Peer, _ []byte, s *transport.Stream) {
			h.accept(ctx, from, p, s)
		})
	}
	h.env.Loop.Go("p2p opens", func(ctx context.Context) {
		defer h.close() // also when the node crashes: a crashed task runs what is deferred
		for h.open(ctx) == nil {
		}
	})
	peers, _ := wire.Directory().Lookup(h.service) // those that are known at the start
	for _, p := range peers {
		if p != wire.Self() {
			h.env.Loop.Go("p2p greets", func(ctx context.Context) { h.greet(ctx, p) })
		}
	}
}

// newStream is called with mu held.
func (h *Host) newStream(c *conn, p protocol.ID) *stream {
	s := &stream{conn: c, proto: p}
	s.arrived.L = &s.mu
	h.streams[s] = true
	return s
}

// drop ends all streams of a peer that is not reached any more.
func (h *Host) drop(c *conn) {
	for _, s := range h.streamsOf(c) {
		s.fail(errOver)
	}
}

func (h *Host) streamsOf(c *conn) (list []*stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		if s.conn == c {
			list = append(list, s)
		}
	}
	return list
}

// close ends what goroutines of the library wait for.
func (h *Host) close() {
	h.mu.Lock()
	h.over = true
	streams := h.streams
	h.wanted, h.connected, h.streams = nil, map[peer.ID]*conn{}, map[*stream]bool{}
	h.mu.Unlock()
	for s := range streams {
		s.fail(errOver)
	}
	h.end()
	go h.peers.Close() // which waits for a goroutine of its own
}

var errOver = errors.New("p2phost: not connected any more")

func (h *Host) method(p protocol.ID) string {
	return h.service + "/p2p" + strings.ReplaceAll(string(p), "/", "-")
}

// greet holds a peer for connected as long as it answers.
func (h *Host) greet(ctx context.Context, p transport.Peer) {
	id := peerID(p)
	for ctx.Err() == nil {
		c, cancel := clock.WithTimeout(ctx, h.env.Loop, greetTimeout)
		_, err := h.greeting().Call(c, h.env.Wire, p, empty{})
		cancel()
		h.reach(id, p, err == nil)
		if clock.Sleep(ctx, h.env.Loop, greetInterval) != nil {
			return
		}
	}
}

func (h *Host) reach(id peer.ID, p transport.Peer, now bool) {
	h.mu.Lock()
	was := h.connected[id]
	if now && was == nil {
		h.connected[id] = &conn{host: h, remote: id, peer: p}
	} else if !now {
		delete(h.connected, id)
	}
	h.mu.Unlock()
	switch {
	case now && was == nil:
		_ = h.changed.Emit(event.EvtPeerConnectednessChanged{Peer: id, Connectedness: network.Connected})
		_ = h.identified.Emit(event.EvtPeerIdentificationCompleted{Peer: id, Protocols: h.speaks})
	case !now && was != nil:
		h.drop(was)
		_ = h.changed.Emit(event.EvtPeerConnectednessChanged{Peer: id, Connectedness: network.NotConnected})
	}
}

// open waits for streams that the library wants, and opens them in an order that does
// not depend on who was first.
func (h *Host) open(ctx context.Context) error {
	err := h.env.Loop.Park(ctx, func(wake func()) {
		h.mu.Lock()
		h.wake = wake
		some := len(h.wanted) > 0
		h.mu.Unlock()
		if some {
			wake()
		}
	})
	if err != nil {
		return err
	}
	h.mu.Lock()
	list := h.wanted
	h.wanted = nil
	h.mu.Unlock()
	slices.SortStableFunc(list, func(a, b *stream) int {
		return strings.Compare(string(a.conn.remote)+string(a.proto), string(b.conn.remote)+string(b.proto))
	})
	for _, s := range list {
		h.env.Loop.Go("p2p stream", func(ctx context.Context) {
			wire, err := h.env.Wire.OpenStream(ctx, s.conn.peer, h.method(s.proto), nil)
			if err != nil {
				s.fail(err)
				return
			}
			s.carry(ctx, h.env.Loop, wire)
		})
	}
	return nil
}

// accept is a stream that a peer has opened.
func (h *Host) accept(ctx context.Context, from transport.Peer, p protocol.ID, wire *transport.Stream) {
	id := peerID(from)
	h.reach(id, from, true)
	h.mu.Lock()
	handler, c := h.handlers[p], h.connected[id]
	if handler == nil || c == nil || h.over {
		h.mu.Unlock()
		wire.Reset()
		return
	}
	s := h.newStream(c, p)
	h.mu.Unlock()
	go handler(s)
	s.carry(ctx, h.env.Loop, wire)
}

// ID implements host.Host.
func (h *Host) ID() peer.ID { return peerID(h.env.Self) }

// Peerstore implements host.Host. It has no key: services have none.
func (h *Host) Peerstore() peerstore.Peerstore { return h.peers }

// Network implements host.Host.
func (h *Host) Network() network.Network { return hostNetwork{h: h} }

// ConnManager implements host.Host.
func (h *Host) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// EventBus implements host.Host.
func (h *Host) EventBus() event.Bus { return h.bus }

// Connect implements host.Host: it waits for nobody.
func (h *Host) Connect(_ context.Context, to peer.AddrInfo) error {
	if h.Network().Connectedness(to.ID) != network.Connected {
		return errors.New("p2phost: not connected")
	}
	return nil
}

// SetStreamHandler implements host.Host.
func (h *Host) SetStreamHandler(p protocol.ID, handler network.StreamHandler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handlers[p] = handler
}

// SetStreamHandlerMatch implements host.Host: a protocol matches itself.
func (h *Host) SetStreamHandlerMatch(p protocol.ID, _ func(protocol.ID) bool, handler network.StreamHandler) {
	h.SetStreamHandler(p, handler)
}

// NewStream returns at once; that the peer cannot be reached is an error of a Read or
// Write.
func (h *Host) NewStream(_ context.Context, id peer.ID, protos ...protocol.ID) (network.Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.connected[id]
	i := slices.IndexFunc(protos, func(p protocol.ID) bool { return slices.Contains(h.speaks, p) })
	if c == nil || i < 0 || h.over {
		return nil, errors.New("p2phost: not connected")
	}
	s := h.newStream(c, protos[i])
	h.wanted = append(h.wanted, s)
	if h.wake != nil {
		h.wake()
	}
	return s, nil
}

type hostNetwork struct {
	network.Network
	h *Host
}

func (n hostNetwork) Peers() (list []peer.ID) {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	for id := range n.h.connected {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

func (n hostNetwork) Connectedness(id peer.ID) network.Connectedness {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	if n.h.connected[id] == nil {
		return network.NotConnected
	}
	return network.Connected
}

func (n hostNetwork) ConnsToPeer(id peer.ID) []network.Conn {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	if c := n.h.connected[id]; c != nil {
		return []network.Conn{c}
	}
	return nil
}

// peerID is how libp2p calls a peer.
func peerID(p transport.Peer) peer.ID {
	key, err := crypto.UnmarshalEd25519PublicKey(p[:])
	if err != nil {
		panic("p2phost: a peer that is no key: " + err.Error())
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		panic("p2phost: " + err.Error())
	}
	return id
}
