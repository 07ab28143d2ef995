package libp2p_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"testing"
	"time"

	golibp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// recorder passes what a host reports to the test.
type recorder struct {
	accepted chan transport.Conn
	frames   chan []byte
	closed   chan error
}

func newRecorder(h transport.Host) *recorder {
	r := &recorder{make(chan transport.Conn, 10), make(chan []byte, 100), make(chan error, 10)}
	h.Handle(r)
	return r
}

func (r *recorder) Accepted(c transport.Conn)            { r.accepted <- c }
func (r *recorder) Frame(_ transport.Conn, frame []byte) { r.frames <- frame }
func (r *recorder) Closed(_ transport.Conn, err error)   { r.closed <- err }

func newHost(t *testing.T, name string, known ...string) *libp2p.Host {
	h, err := libp2p.New(transport.NewIdentity([]byte(name)), nil, known)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// foreign is a libp2p host that does not use the adapter.
func foreign(t *testing.T, keyType int, to *libp2p.Host) host.Host {
	key, _, err := crypto.GenerateKeyPairWithReader(keyType, 2048, rand.Reader)
	require.NoError(t, err)
	h, err := golibp2p.New(golibp2p.Identity(key), golibp2p.NoListenAddrs, golibp2p.DisableMetrics())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	info, err := peer.AddrInfoFromString(to.Addrs()[0])
	require.NoError(t, err)
	require.NoError(t, h.Connect(context.Background(), *info))
	return h
}

func TestPeerIDs(t *testing.T) {
	p := transport.NewIdentity([]byte("x")).Peer()
	id := libp2p.PeerID(p)
	require.Equal(t, p.String(), id.String())
	back, err := libp2p.FromPeerID(id)
	require.NoError(t, err)
	require.Equal(t, p, back)
	derived, err := peer.IDFromPrivateKey(libp2p.PrivateKey(transport.NewIdentity([]byte("x"))))
	require.NoError(t, err)
	require.Equal(t, id, derived)
	_, err = libp2p.FromPeerID("nonsense")
	require.Error(t, err)
}

func TestOnlyEd25519IsLetIn(t *testing.T) {
	h := newHost(t, "a")
	r := newRecorder(h)
	for _, keyType := range []int{crypto.RSA, crypto.Secp256k1} {
		s, err := foreign(t, keyType, h).NewStream(context.Background(), h.LibP2P().ID(), libp2p.Protocol)
		require.NoError(t, err)
		_, _ = s.Write([]byte{1, 'x'})
		_, err = s.Read(make([]byte, 1))
		require.Error(t, err)
	}
	require.Empty(t, r.accepted)
}

func TestBadLengthCostsTheConn(t *testing.T) {
	h := newHost(t, "a")
	r := newRecorder(h)
	for name, data := range map[string][]byte{
		"zero":       {0},
		"too long":   binary.AppendUvarint(nil, transport.FrameLenMax+1),
		"no uvarint": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		s, err := foreign(t, crypto.Ed25519, h).NewStream(context.Background(), h.LibP2P().ID(), libp2p.Protocol)
		require.NoError(t, err)
		_, err = s.Write([]byte{2, 'o', 'k'})
		require.NoError(t, err)
		require.Equal(t, "ok", string(<-r.frames), name)
		_, err = s.Write(data)
		require.NoError(t, err)
		_, err = io.ReadAll(s)
		require.Error(t, err, name)
		require.Error(t, <-r.closed, name)
	}
}

// TestHalfAFrameCostsTheConn: who begins a frame has to end it in time; who is
// silent between two has not.
func TestHalfAFrameCostsTheConn(t *testing.T) {
	h := newHost(t, "a")
	h.SetFrameTimeout(300 * time.Millisecond)
	r := newRecorder(h)
	for name, data := range map[string][]byte{
		"half a length": {0x80},
		"a length":      {200, 1},
		"half a frame":  append([]byte{200, 1}, make([]byte, 100)...),
	} {
		s, err := foreign(t, crypto.Ed25519, h).NewStream(context.Background(), h.LibP2P().ID(), libp2p.Protocol)
		require.NoError(t, err)
		_, err = s.Write([]byte{2, 'o', 'k'})
		require.NoError(t, err)
		require.Equal(t, "ok", string(<-r.frames), name)
		time.Sleep(500 * time.Millisecond)
		require.Empty(t, r.closed, "silence is allowed")
		_, err = s.Write(data)
		require.NoError(t, err)
		require.ErrorContains(t, <-r.closed, "deadline", name)
	}
}

func TestFullQueueIsAnError(t *testing.T) {
	b := newHost(t, "b")
	release := make(chan struct{})
	b.Handle(&stuck{release: release})
	defer close(release)
	a := newHost(t, "a", b.Addrs()...)
	newRecorder(a)
	opened := make(chan transport.Conn, 1)
	a.Open(b.ID(), transport.Control, func(c transport.Conn, err error) {
		require.NoError(t, err)
		opened <- c
	})
	c := <-opened
	var err error
	for n := 0; n < 1280 && err == nil; n++ { // 80 MiB at most
		err = c.Send(make([]byte, transport.FrameLenMax))
	}
	require.Error(t, err)
	c.Close()
	require.Error(t, c.Send([]byte("x")))
}

// stuck never returns from Frame.
type stuck struct{ release chan struct{} }

func (s *stuck) Accepted(transport.Conn)      {}
func (s *stuck) Frame(transport.Conn, []byte) { <-s.release }
func (s *stuck) Closed(transport.Conn, error) {}

func TestNothingIsReportedAfterClose(t *testing.T) {
	b := newHost(t, "b")
	rb := newRecorder(b)
	a := newHost(t, "a", b.Addrs()...)
	ra := newRecorder(a)
	opened := make(chan transport.Conn, 1)
	a.Open(b.ID(), transport.Control, func(c transport.Conn, err error) { opened <- c })
	require.NoError(t, (<-opened).Send([]byte("hi")))
	require.Equal(t, "hi", string(<-rb.frames))
	require.NoError(t, a.Close())
	require.Error(t, <-rb.closed, "the peer hears of it")
	a.Open(b.ID(), transport.Control, func(transport.Conn, error) { t.Error("reported") })
	require.Empty(t, ra.closed)
}

func TestOpenNobody(t *testing.T) {
	a := newHost(t, "a")
	newRecorder(a)
	opened := make(chan error, 1)
	began := time.Now()
	a.Open(transport.NewIdentity([]byte("nobody")).Peer(), transport.Control, func(_ transport.Conn, err error) { opened <- err })
	require.Equal(t, transport.Unreachable, transport.KindOf(<-opened))
	require.Less(t, time.Since(began), libp2p.OpenTimeout)
}
