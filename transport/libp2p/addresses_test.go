package libp2p_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

type silent struct{}

func (silent) Accepted(transport.Conn)      {}
func (silent) Frame(transport.Conn, []byte) {}
func (silent) Closed(transport.Conn, error) {}

// A peer is reached where it is said to be, and not where it was said to be before.
func TestAPeerIsReachedWhereItIsSaidToBe(t *testing.T) {
	host := func(name string) *libp2p.Host {
		h, err := libp2p.New(transport.NewIdentity([]byte(name)), nil, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		h.Handle(silent{})
		return h
	}
	a, b := host("a"), host("b")
	require.NotEmpty(t, b.Addresses())
	dial := func() error {
		done := make(chan error, 1)
		a.Open(b.ID(), transport.Control, func(c transport.Conn, err error) {
			if err == nil {
				c.Close()
			}
			done <- err
		})
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return transport.New(transport.Timeout, "dial", "no report")
		}
	}
	require.Error(t, dial(), "nobody has said where it is")
	a.SetAddresses(b.ID(), []string{"/ip4/127.0.0.1/tcp/1"})
	require.Error(t, dial())
	a.SetAddresses(b.ID(), append([]string{"nonsense"}, b.Addresses()...))
	require.NoError(t, dial())
	a.SetAddresses(b.ID(), []string{"nonsense"})
	require.Subset(t, addressesOf(a, b), b.Addresses())
	a.SetAddresses(b.ID(), []string{"/dnsaddr/cloud.example.invalid"})
	require.Contains(t, addressesOf(a, b), "/dnsaddr/cloud.example.invalid")
}

func addressesOf(at, of *libp2p.Host) (list []string) {
	for _, a := range at.LibP2P().Peerstore().Addrs(libp2p.PeerID(of.ID())) {
		list = append(list, a.String())
	}
	return list
}
