package libp2p_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	golibp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptcp "github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// floods are what strangers do to a node, each for as long as its connection lasts. Who is sent away comes
// back after a pause.
var floods = map[string]func(f *flood, h stranger) error{
	"idle":       (*flood).idle,
	"half-open":  (*flood).halfOpen,
	"slow-hello": (*flood).slowHello,
	"garbage":    (*flood).garbage,
	"streams":    (*flood).streams,
}

const floodPause = 50 * time.Millisecond

// flood is one under way.
type flood struct {
	ctx  context.Context
	to   peer.AddrInfo
	at   string       // its address of TCP
	came atomic.Int64 // how often somebody did, let in or not
	all  sync.WaitGroup
}

// stranger is a host with a key of its own, and the address from which it dials; nil: any.
type stranger struct {
	host.Host
	from net.IP
}

func newStranger(from net.IP) (stranger, error) {
	s := stranger{from: from}
	dialer := func(multiaddr.Multiaddr) (libp2ptcp.ContextDialer, error) { return s.dialer(), nil }
	var err error
	s.Host, err = golibp2p.New(golibp2p.NoListenAddrs, golibp2p.DisableMetrics(), golibp2p.ResourceManager(&network.NullResourceManager{}),
		golibp2p.Transport(libp2ptcp.NewTCPTransport, libp2ptcp.DisableReuseport(), libp2ptcp.WithDialerForAddr(dialer)))
	return s, err
}

func (s stranger) dialer() *net.Dialer { return &net.Dialer{LocalAddr: &net.TCPAddr{IP: s.from}} }

func newFlood(ctx context.Context, to string) (*flood, error) {
	info, err := peer.AddrInfoFromString(to)
	if err != nil {
		return nil, err
	}
	address, err := manet.ToNetAddr(info.Addrs[0])
	if err != nil {
		return nil, err
	}
	return &flood{ctx: ctx, to: *info, at: address.String()}, nil
}

// begin has strangers come again and again, until the flood's context ends; then all.Wait ends.
func (f *flood) begin(strangers []stranger, attack func(*flood, stranger) error) {
	for _, s := range strangers {
		f.all.Go(func() {
			for f.ctx.Err() == nil {
				_ = attack(f, s)
				_ = s.Network().ClosePeer(f.to.ID)
				select {
				case <-f.ctx.Done():
				case <-time.After(floodPause):
				}
			}
		})
	}
}

func (f *flood) connect(s stranger) error {
	err := s.Connect(network.WithForceDirectDial(f.ctx, "no back-off"), f.to)
	f.came.Add(1)
	return err
}

func (f *flood) stream(s stranger) (network.Stream, error) {
	if err := f.connect(s); err != nil {
		return nil, err
	}
	return s.NewStream(f.ctx, f.to.ID, libp2p.Protocol)
}

// idle connects and says nothing.
func (f *flood) idle(s stranger) error {
	if err := f.connect(s); err != nil {
		return err
	}
	gone := make(chan struct{})
	var once sync.Once
	n := &network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) { once.Do(func() { close(gone) }) }}
	s.Network().Notify(n)
	defer s.Network().StopNotify(n)
	if s.Network().Connectedness(f.to.ID) != network.Connected {
		return nil
	}
	select {
	case <-gone:
	case <-f.ctx.Done():
	}
	return nil
}

// halfOpen opens some TCP connections, and does not even begin a handshake.
func (f *flood) halfOpen(s stranger) error {
	var open sync.WaitGroup
	for range 32 {
		c, err := s.dialer().DialContext(f.ctx, "tcp", f.at)
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
func (f *flood) slowHello(s stranger) error {
	out, err := f.stream(s)
	if err != nil {
		return err
	}
	for _, b := range binary.AppendUvarint(nil, transport.FrameLenMax) {
		if _, err := out.Write([]byte{b}); err != nil {
			return err
		}
	}
	for {
		if _, err := out.Write([]byte{0}); err != nil {
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
func (f *flood) garbage(s stranger) error {
	for f.ctx.Err() == nil {
		out, err := f.stream(s)
		if err != nil {
			return err
		}
		for err == nil && f.ctx.Err() == nil {
			frame := make([]byte, 1000)
			_, _ = rand.Read(frame)
			_, err = out.Write(append(binary.AppendUvarint(nil, uint64(len(frame))), frame...))
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// streams opens as many streams as it can.
func (f *flood) streams(s stranger) error {
	for f.ctx.Err() == nil {
		out, err := f.stream(s)
		if err == nil {
			_, err = out.Write([]byte{1}) // otherwise libp2p does not even open it
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}
