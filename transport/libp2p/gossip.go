package libp2p

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taucloud/tau/transport"
)

const (
	// gossipQueueLenMax bounds the publications that wait to be sent.
	gossipQueueLenMax = 1024
	// gossipHeaderLenMax bounds what gossipsub adds to a message.
	gossipHeaderLenMax = 64 << 10
	// settleTimeout bounds how long a publication waits for peers of its audience that are not
	// connected yet; settleInterval is the least pause between two such waits.
	settleTimeout  = 2 * time.Second
	settleInterval = 10 * time.Second
	settlePoll     = 10 * time.Millisecond
)

// Gossip is a transport.Publisher over gossipsub, for clouds in which not every publisher reaches
// every node: a publisher sends to all connected peers, and receivers forward. That costs more
// traffic than the engine's fan-out. Messages are signed by their publisher. Those of one publisher
// mostly arrive in order, but need not.
type Gossip struct {
	host   *Host
	dir    transport.Directory
	pubsub *pubsub.PubSub
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	queue  chan publication

	mu     sync.Mutex
	topics map[string]*gossipTopic
}

type publication struct {
	topic   string
	message []byte
}

type gossipTopic struct {
	*pubsub.Topic
	settleAgain time.Time // used by the sender alone
}

// NewGossip starts gossipsub on a host. dir gives the audience of a topic: gossip only travels
// between connected nodes, so a publisher connects to its audience. Close it before the host.
func NewGossip(h *Host, dir transport.Directory) (*Gossip, error) {
	g := &Gossip{
		host: h, dir: dir,
		queue:  make(chan publication, gossipQueueLenMax),
		topics: map[string]*gossipTopic{},
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	var err error
	g.pubsub, err = pubsub.NewGossipSub(g.ctx, h.LibP2P(),
		// A mesh has no links before its first heartbeat, and would lose publications until then.
		pubsub.WithFloodPublish(true),
		pubsub.WithMaxMessageSize(transport.MessageLenMax+gossipHeaderLenMax),
		pubsub.WithValidateWorkers(1), // more would reorder
		pubsub.WithValidateQueueSize(gossipQueueLenMax),
		pubsub.WithPeerOutboundQueueSize(gossipQueueLenMax),
	)
	if err != nil {
		g.cancel()
		return nil, fmt.Errorf("libp2p: gossipsub: %w", err)
	}
	g.tasks.Go(g.send)
	return g, nil
}

// Close ends all subscriptions. Nothing is delivered after it returned.
func (g *Gossip) Close() {
	g.cancel()
	g.tasks.Wait()
}

// Publish implements transport.Publisher. It drops the message when too many
// wait.
func (g *Gossip) Publish(topic string, message []byte) {
	select {
	case g.queue <- publication{topic, slices.Clone(message)}:
	default:
	}
}

// send publishes what is queued.
func (g *Gossip) send() {
	for {
		select {
		case p := <-g.queue:
			if t, err := g.join(p.topic); err == nil {
				g.settle(p.topic, t)
				_ = t.Publish(g.ctx, p.message) // best effort
			}
		case <-g.ctx.Done():
			return
		}
	}
}

// join returns the topic, which can be joined only once.
func (g *Gossip) join(name string) (*gossipTopic, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.topics[name]; t != nil {
		return t, nil
	}
	t, err := g.pubsub.Join(name)
	if err != nil {
		return nil, fmt.Errorf("libp2p: join %q: %w", name, err)
	}
	g.topics[name] = &gossipTopic{Topic: t}
	return g.topics[name], nil
}

// settle connects to the topic's audience, at most once in settleInterval, and waits a little for
// their subscriptions.
func (g *Gossip) settle(name string, t *gossipTopic) {
	missing := g.missing(name, t)
	if len(missing) == 0 || time.Now().Before(t.settleAgain) {
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, settleTimeout)
	defer cancel()
	for _, p := range missing {
		g.tasks.Go(func() {
			_ = g.host.LibP2P().Connect(ctx, peer.AddrInfo{ID: PeerID(p)})
		})
	}
	tick := time.NewTicker(settlePoll)
	defer tick.Stop()
	for len(missing) > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
			missing = g.missing(name, t)
		case <-ctx.Done():
		}
	}
	t.settleAgain = time.Now().Add(settleInterval)
}

// missing are the peers of the audience whose subscription is not known.
func (g *Gossip) missing(name string, t *gossipTopic) (missing []transport.Peer) {
	subscribed := t.ListPeers()
	audience, _ := g.dir.Lookup(transport.ServiceOf(name)) // looked up again soon
	for _, p := range audience {
		if p != g.host.ID() && !slices.Contains(subscribed, PeerID(p)) {
			missing = append(missing, p)
		}
	}
	return missing
}

// Subscribe implements transport.Publisher.
func (g *Gossip) Subscribe(topic string, deliver func(from transport.Peer, message []byte)) (cancel func()) {
	t, err := g.join(topic)
	if err != nil {
		return func() {} // gossipsub is closed
	}
	sub, err := t.Subscribe(pubsub.WithBufferSize(gossipQueueLenMax))
	if err != nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(g.ctx)
	g.tasks.Go(func() {
		defer sub.Cancel()
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				return
			}
			from, err := FromPeerID(m.GetFrom())
			if err == nil && from != g.host.ID() && ctx.Err() == nil {
				deliver(from, slices.Clone(m.GetData()))
			}
		}
	})
	return cancel
}
