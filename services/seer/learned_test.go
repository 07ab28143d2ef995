package seer

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// inCloud runs a test of nodes that learn of each other.
func inCloud(t *testing.T, f func(c *nodetest.Cloud)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		key := transport.NewIdentity([]byte("cloud"))
		c.Key, c.Learned = &key, true
		f(c)
	})
}

// seerNode adds a node with a seer.
func seerNode(c *nodetest.Cloud, name string, contacts ...*nodetest.Machine) *nodetest.Machine {
	return withContacts(c.Add(name, node.Configured{Spec: DiscoverySpec()}, node.Configured{Spec: Spec()}, node.Configured{Spec: BeaconSpec()}), contacts)
}

// plainNode adds a node that offers one service, which only looks up others.
func plainNode(c *nodetest.Cloud, name, service string, looksUp []string, contacts ...*nodetest.Machine) *nodetest.Machine {
	part := nodetest.Part(service, func(env node.Env) {
		for _, s := range looksUp {
			env.Wire.Directory().Lookup(s)
		}
	})
	return withContacts(c.Add(name, node.Configured{Spec: DiscoverySpec()}, node.Configured{Spec: part}, node.Configured{Spec: BeaconSpec()}), contacts)
}

func withContacts(m *nodetest.Machine, contacts []*nodetest.Machine) *nodetest.Machine {
	m.Contacts = contacts
	return m
}

// agentOf runs f in a turn of a node's discovery agent.
func agentOf(c *nodetest.Cloud, m *nodetest.Machine, f func(ctx context.Context, d *discovery)) {
	d := m.Service(DiscoveryName).(*discovery)
	require.NoError(c, clock.Do(context.Background(), d.env.Loop, func(ctx context.Context) { f(ctx, d) }))
}

// knows lists by name whom a node knows to offer a service, and whether these are all.
func knows(c *nodetest.Cloud, m *nodetest.Machine, service string) (names []string, all bool) {
	agentOf(c, m, func(_ context.Context, d *discovery) {
		var peers []transport.Peer
		peers, all = d.Lookup(service)
		for _, p := range peers {
			names = append(names, d.members.Known(p).Name)
		}
	})
	slices.Sort(names)
	return names, all
}

// standIn is a node that answers like a seer, with what a test wants.
type standIn struct {
	*nodetest.Machine
	env node.Env

	introduces func() (introduceResponse, error)
	announces  func(addressbook.Announcement) (announceResponse, error)
	follows    func(followRequest) (followResponse, error)

	introduced int
	announced  []heardAnnouncement
	followed   []heardFollow
}

type heardAnnouncement struct {
	at time.Duration // since the bubble began
	addressbook.Announcement
}

type heardFollow struct {
	at time.Duration
	followRequest
}

// newStandIn adds a stand-in that knows of nobody but itself, and starts it.
func newStandIn(c *nodetest.Cloud, name string) *standIn {
	began := time.Now()
	s := &standIn{}
	s.introduces = func() (introduceResponse, error) {
		return introduceResponse{Seers: []addressbook.Signed{s.says(1, seerapi.Service)}}, nil
	}
	s.announces = func(addressbook.Announcement) (announceResponse, error) { return announceResponse{}, nil }
	s.follows = func(followRequest) (followResponse, error) {
		return followResponse{Full: true, Known: true, Cursor: seerapi.Cursor{Run: 1, Version: 1}, Members: []addressbook.Signed{s.says(1, seerapi.Service)}}, nil
	}
	s.Machine = c.Add(name, node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
		s.env = env
		introduce.Serve(env.Wire, func(context.Context, transport.Peer, introduceRequest) (introduceResponse, error) {
			s.introduced++
			return s.introduces()
		})
		announceAt.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req announceRequest) (announceResponse, error) {
			a, err := req.Said.Open()
			require.NoError(c, err)
			s.announced = append(s.announced, heardAnnouncement{time.Since(began), *a})
			return s.announces(*a)
		})
		follow.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req followRequest) (followResponse, error) {
			s.followed = append(s.followed, heardFollow{time.Since(began), req})
			return s.follows(req)
		})
	})})
	s.Start()
	return s
}

// says signs an announcement of the stand-in's own.
func (s *standIn) says(incarnation uint64, services ...string) addressbook.Signed {
	return saysOf(s.Machine, incarnation, services...)
}

func saysOf(m *nodetest.Machine, incarnation uint64, services ...string) addressbook.Signed {
	signed, err := addressbook.Sign(m.Identity, addressbook.Announcement{Name: m.Name, Cloud: nodetest.CloudName, Incarnation: incarnation, Services: services, Addresses: []string{m.Address()}})
	if err != nil {
		panic(err)
	}
	return signed
}

// other is an announcement of a node that is not there.
func other(name string, services ...string) addressbook.Signed {
	signed, err := addressbook.Sign(transport.NewIdentity([]byte(name)), addressbook.Announcement{Name: name, Cloud: nodetest.CloudName, Incarnation: 1, Services: services})
	if err != nil {
		panic(err)
	}
	return signed
}

func peerOf(name string) transport.Peer { return transport.NewIdentity([]byte(name)).Peer() }
