package libp2p

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// gossips are the hosts of some peers on a simulated network in virtual time, each with its Gossip.
func gossips(t *testing.T, names []string, f func(dir *transport.StaticDirectory, all []*Gossip)) {
	synctest.Test(t, func(t *testing.T) {
		net, dir := mocknet.New(), transport.NewStaticDirectory()
		var all []*Gossip
		for i, name := range names {
			lh, err := net.AddPeer(PrivateKey(transport.NewIdentity([]byte(name))), multiaddr.StringCast(fmt.Sprintf("/ip4/10.0.0.%d/tcp/1", i+1)))
			require.NoError(t, err)
			h, err := Over(lh)
			require.NoError(t, err)
			g, err := NewGossip(h, dir)
			require.NoError(t, err)
			dir.Add(h.ID(), "s")
			all = append(all, g)
		}
		require.NoError(t, net.LinkAll())
		f(dir, all)
		for _, g := range all {
			g.Close()
		}
		require.NoError(t, net.Close())
		time.Sleep(time.Minute) // until all goroutines of libp2p have noticed
		synctest.Wait()
	})
}

// heardOf subscribes, and collects what is delivered.
func heardOf(g *Gossip, topic string) (list *[]string, cancel func()) {
	list = new([]string)
	return list, g.Subscribe(topic, func(from transport.Peer, message []byte) { *list = append(*list, from.String()+" "+string(message)) })
}

// A publication waits until its audience is connected, for a while, and not each time.
func TestWhomAPublicationWaitsFor(t *testing.T) {
	gossips(t, []string{"a", "b"}, func(dir *transport.StaticDirectory, all []*Gossip) {
		a, b := all[0], all[1]
		topic, err := a.join("s/news")
		require.NoError(t, err)
		again, err := a.join("s/news")
		require.NoError(t, err)
		require.Same(t, topic, again)
		require.Equal(t, []transport.Peer{b.host.ID()}, a.missing("s/news", topic), "all but itself")
		require.Empty(t, a.missing("other/news", topic), "nobody offers that")
		settle := func() time.Duration {
			began := time.Now()
			a.settle("s/news", topic)
			return time.Since(began)
		}
		_, _ = heardOf(b, "s/news")
		require.LessOrEqual(t, settle(), time.Second)
		require.Empty(t, a.missing("s/news", topic))
		require.Zero(t, settle(), "all are there")
		dead := transport.NewIdentity([]byte("dead")).Peer()
		dir.Add(dead, "s")
		require.Equal(t, []transport.Peer{dead}, a.missing("s/news", topic))
		require.Zero(t, settle(), "it has waited lately")
		time.Sleep(settleInterval)
		synctest.Wait()
		require.Equal(t, settleTimeout, settle(), "and no longer")
		require.Zero(t, settle())
	})
}

// What is published is delivered to the others as from its publisher, until they want no more; one's own is not.
func TestWhatGossipDelivers(t *testing.T) {
	gossips(t, []string{"a", "b", "c"}, func(_ *transport.StaticDirectory, all []*Gossip) {
		own, _ := heardOf(all[0], "s/news")
		first, stop := heardOf(all[1], "s/news")
		second, _ := heardOf(all[2], "s/news")
		message := []byte("1")
		all[0].Publish("s/news", message)
		message[0] = 'x'
		time.Sleep(5 * time.Second)
		synctest.Wait()
		stop()
		all[0].Publish("s/news", []byte("2"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		of := all[0].host.ID().String()
		require.Empty(t, *own)
		require.Equal(t, []string{of + " 1"}, *first)
		require.Equal(t, []string{of + " 1", of + " 2"}, *second)
		all[2].Close()
		nothing, cancel := heardOf(all[2], "s/other")
		cancel()
		require.Empty(t, *nothing)
	})
}

// Who has cancelled a subscription hears nothing more, whatever has come already.
func TestWhoCancelsHearsNoMore(t *testing.T) {
	gossips(t, []string{"a", "b"}, func(_ *transport.StaticDirectory, all []*Gossip) {
		for n := range 16 { // what is ready first is chance
			topic, heard := fmt.Sprintf("s/%d", n), 0
			var cancel func()
			cancel = all[1].Subscribe(topic, func(transport.Peer, []byte) {
				heard++
				time.Sleep(time.Second) // while others come
				cancel()
			})
			all[0].Publish(topic, []byte("1"))
			all[0].Publish(topic, []byte("2"))
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Equal(t, 1, heard)
		}
	})
}

// Who publishes does not wait: beyond a bound, publications are lost.
func TestPublishNeverWaits(t *testing.T) {
	g := &Gossip{queue: make(chan publication, 2)}
	for n := range byte(5) {
		g.Publish("s/news", []byte{n})
	}
	require.Len(t, g.queue, 2)
	require.Equal(t, publication{"s/news", []byte{0}}, <-g.queue)
}

// Where a peer is, is what was said last and can be read.
func TestAddressesOfPeers(t *testing.T) {
	gossips(t, []string{"a"}, func(_ *transport.StaticDirectory, all []*Gossip) {
		h, p := all[0].host, transport.NewIdentity([]byte("other")).Peer()
		for _, c := range []struct{ said, known []string }{
			{[]string{"nonsense"}, nil},
			{[]string{"/ip4/10.0.0.8/tcp/1", "nonsense", "/ip4/10.0.0.9/tcp/1"}, []string{"/ip4/10.0.0.8/tcp/1", "/ip4/10.0.0.9/tcp/1"}},
			{[]string{"/dnsaddr/cloud.example"}, []string{"/dnsaddr/cloud.example"}},
			{[]string{"nonsense"}, []string{"/dnsaddr/cloud.example"}},
			{nil, []string{"/dnsaddr/cloud.example"}},
		} {
			h.SetAddresses(p, c.said)
			var known []string
			for _, a := range h.LibP2P().Peerstore().Addrs(PeerID(p)) {
				known = append(known, a.String())
			}
			require.ElementsMatch(t, c.known, known, "%v", c.said)
		}
		require.Equal(t, []string{"/ip4/10.0.0.1/tcp/1"}, h.Addresses())
		require.Equal(t, []string{"/ip4/10.0.0.1/tcp/1/p2p/" + h.LibP2P().ID().String()}, h.Addrs())
		require.ErrorContains(t, h.Learn("nonsense"), `address "nonsense"`)
		require.NoError(t, h.Learn("/ip4/10.0.0.7/tcp/1/p2p/"+PeerID(p).String()))
		is, provable := h.member(PeerID(p))
		require.True(t, is && !provable)
		h.Forget(p)
		is, provable = h.member(PeerID(p))
		require.False(t, is || provable)
		require.Empty(t, h.LibP2P().Peerstore().Addrs(PeerID(p)))
		h.SetMembers(func(other transport.Peer) bool { return other == p })
		is, provable = h.member(PeerID(p))
		require.True(t, is && provable)
		is, provable = h.member(PeerID(h.ID()))
		require.True(t, !is && provable)
	})
}
