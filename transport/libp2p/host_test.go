package libp2p_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/transporttest"
)

// loopback are real hosts that know each other, also after one has been started
// again on another port.
type loopback struct {
	t      *testing.T
	ids    []transport.Identity
	listen string
	hosts  []*libp2p.Host
}

func newLoopback(t *testing.T, ids []transport.Identity, listen string) *loopback {
	return &loopback{t: t, ids: ids, listen: listen, hosts: make([]*libp2p.Host, len(ids))}
}

func (l *loopback) start(i int) *libp2p.Host {
	h, err := libp2p.New(l.ids[i], []string{l.listen}, nil)
	require.NoError(l.t, err)
	l.hosts[i] = h
	for j, other := range l.hosts {
		if other == nil || j == i {
			continue
		}
		other.Forget(h.ID())
		for _, a := range h.Addrs() {
			require.NoError(l.t, other.Learn(a))
		}
		for _, a := range other.Addrs() {
			require.NoError(l.t, h.Learn(a))
		}
	}
	return h
}

const (
	tcp  = "/ip4/127.0.0.1/tcp/0"
	quic = "/ip4/127.0.0.1/udp/0/quic-v1"
	ws   = "/ip4/127.0.0.1/tcp/0/ws"
)

func run(t *testing.T, listen string) {
	t.Parallel() // mostly waits
	transporttest.Run(t, transporttest.Live(func(t *testing.T, ids []transport.Identity, _ transport.Directory) transporttest.Start {
		l := newLoopback(t, ids, listen)
		return func(i int) (transport.Host, []transport.Option) { return l.start(i), nil }
	}))
}

func TestTCP(t *testing.T)  { run(t, tcp) }
func TestQUIC(t *testing.T) { run(t, quic) }
func TestWS(t *testing.T)   { run(t, ws) }

// gossiping is a host whose publications travel by gossip.
type gossiping struct {
	*libp2p.Host
	gossip *libp2p.Gossip
}

func (g gossiping) Close() error {
	g.gossip.Close()
	return g.Host.Close()
}

func TestGossip(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, transporttest.Live(func(t *testing.T, ids []transport.Identity, dir transport.Directory) transporttest.Start {
		l := newLoopback(t, ids, tcp)
		return func(i int) (transport.Host, []transport.Option) {
			h := l.start(i)
			g, err := libp2p.NewGossip(h, dir)
			require.NoError(t, err)
			return gossiping{h, g}, []transport.Option{transport.PublishWith(g)}
		}
	}))
}
