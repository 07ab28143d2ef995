package seer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// Seers that all move at one moment find each other again by a member that has not, whoever that is, and whether it
// uses them or they use it.
func TestAllHaveMovedButOne(t *testing.T) {
	for _, stays := range []string{"a", "b", "c", "w", "p"} {
		t.Run(stays, func(t *testing.T) {
			inCloud(t, func(c *nodetest.Cloud) {
				a := seerNode(c, "a").Start()
				all := []*nodetest.Machine{a, seerNode(c, "b", a).Start(), seerNode(c, "c", a).Start(), plainNode(c, "w", "work", nil, a).Start(), plainNode(c, "p", "play", nil, a).Start()}
				nodetest.Sleep(20 * time.Second)
				for _, m := range all {
					m.Vanish()
				}
				for _, m := range all {
					if m.Name != stays {
						m.Move()
					}
					m.Contacts = nil
					m.Start()
				}
				nodetest.Sleep(30 * time.Second)
				for _, m := range all {
					names, known := knows(c, m, seerapi.Service)
					require.Equal(t, []string{"a", "b", "c"}, names, m.Name)
					require.True(t, known, m.Name)
					for _, of := range all {
						require.Equal(t, []string{of.Address()}, addressesOf(c, m, of), "%s of %s", m.Name, of.Name)
					}
				}
			})
		})
	}
}

// addressesOf are those under which a node knows another.
func addressesOf(c *nodetest.Cloud, m, of *nodetest.Machine) (at []string) {
	agentOf(c, m, func(_ context.Context, d *discovery) {
		if a := d.members.Known(of.Peer()); a != nil {
			at = a.Addresses
		}
	})
	return at
}

// The only seer of a cloud has moved: it tells a member where it is, and all find it.
func TestTheOnlySeerMoves(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		w := plainNode(c, "w", "work", nil, a).Start()
		p := plainNode(c, "p", "play", nil, a).Start()
		nodetest.Sleep(15 * time.Second)
		a.Move()
		w.Move()
		nodetest.Sleep(20 * time.Second)
		for _, m := range []*nodetest.Machine{w, p} {
			require.Equal(t, []string{a.Address()}, addressesOf(c, m, a))
		}
		require.Equal(t, []string{w.Address()}, addressesOf(c, a, w))
	})
}

// introducer is a member that offers "play" and is asked who the seers are.
type introducer struct {
	*nodetest.Machine
	asked []introduceRequest
	names func() ([]addressbook.Signed, error)
}

func newIntroducer(c *nodetest.Cloud, name string) *introducer {
	x := &introducer{names: func() ([]addressbook.Signed, error) { return nil, nil }}
	x.Machine = c.Add(name, node.Configured{Spec: nodetest.Part("play", func(env node.Env) {
		introduce.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req introduceRequest) (introduceResponse, error) {
			x.asked = append(x.asked, req)
			list, err := x.names()
			return introduceResponse{Seers: list}, err
		})
	})}).Start()
	return x
}

// Whoever reaches no seer asks the members that it knows, and nobody does as long as one answers.
func TestWhoReachesNoSeerAsksOthers(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s, next, x := newStandIn(c, "s"), newStandIn(c, "next"), newIntroducer(c, "x")
		x.names = func() ([]addressbook.Signed, error) { return []addressbook.Signed{next.says(1, seerapi.Service)}, nil }
		s.follows = func(followRequest) (followResponse, error) {
			return followResponse{Full: true, Known: true, Cursor: seerapi.Cursor{Run: 1, Version: 1}, Members: []addressbook.Signed{s.says(1, seerapi.Service), saysOf(x.Machine, 1, "play")}}, nil
		}
		follower(c, s).Start()
		nodetest.Sleep(30 * time.Second)
		require.Empty(t, x.asked)
		require.Empty(t, next.followed)
		s.Stop()
		nodetest.Sleep(10 * time.Second)
		require.NotEmpty(t, x.asked)
		require.NotEmpty(t, next.followed)
		require.NotEmpty(t, next.announced)
		n := len(x.asked)
		nodetest.Sleep(30 * time.Second)
		require.Len(t, x.asked, n, "now one answers")
	})
}

// Four members are asked at a time, each in its turn, also those that do not answer.
func TestIntroducersTakeTurns(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		var all []*introducer
		var contacts []*nodetest.Machine
		for i := range 10 {
			x := newIntroducer(c, fmt.Sprint("x", i))
			all, contacts = append(all, x), append(contacts, x.Machine)
		}
		w := plainNode(c, "w", "work", nil, contacts...).Start()
		nodetest.Sleep(50 * time.Millisecond)
		count := func() (n int) {
			for _, x := range all {
				n += len(x.asked)
			}
			return n
		}
		require.Equal(t, 4, count())
		nodetest.Sleep(10 * time.Second)
		n := count()
		require.InDelta(t, 160, n, 20, "four times a second")
		for _, x := range all {
			require.InDelta(t, n/10, len(x.asked), 2)
			a, err := x.asked[0].Said.Open()
			require.NoError(t, err)
			require.Equal(t, w.Peer(), a.Peer)
		}
		all[3].names = func() ([]addressbook.Signed, error) {
			var list []addressbook.Signed
			for i := range introducedMax + 1 {
				list = append(list, other(fmt.Sprint("s", i), seerapi.Service))
			}
			return list, nil
		}
		nodetest.Sleep(3 * time.Second)
		names, _ := knows(c, w, seerapi.Service)
		require.Empty(t, names, "more than anybody names")
		all[4].names = func() ([]addressbook.Signed, error) {
			list, _ := all[3].names()
			return list[:introducedMax], nil
		}
		nodetest.Sleep(3 * time.Second)
		names, _ = knows(c, w, seerapi.Service)
		require.Len(t, names, introducedMax)
	})
}

// A seer asks those of its configuration that it has not met until they have answered, and then nobody.
func TestASeerMeetsItsContacts(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		x := newIntroducer(c, "x")
		refuse := true
		x.names = func() ([]addressbook.Signed, error) {
			if refuse {
				return nil, transport.New(transport.Refused, "test", "no")
			}
			return nil, nil
		}
		a := seerNode(c, "a", x.Machine).Start()
		nodetest.Sleep(12 * time.Second)
		n := len(x.asked)
		require.InDelta(t, 40, n, 8, "it may be that there are others")
		nodetest.Sleep(60 * time.Second)
		n = len(x.asked) - n
		require.InDelta(t, 12, n, 3, "a seer that has decided that it is alone can wait")
		refuse = false
		nodetest.Sleep(12 * time.Second)
		n = len(x.asked)
		b := seerNode(c, "b", x.Machine) // they know the same member only, and it names who asks
		x.names = func() ([]addressbook.Signed, error) { return []addressbook.Signed{saysOf(a, 1, seerapi.Service)}, nil }
		b.Start()
		nodetest.Sleep(10 * time.Second)
		for _, m := range []*nodetest.Machine{a, b} {
			names, known := knows(c, m, seerapi.Service)
			require.Equal(t, []string{"a", "b"}, names)
			require.True(t, known)
		}
		require.Greater(t, len(x.asked), n)
	})
}

// Who introduces itself is remembered if it is a seer, or known; and believed of itself only.
func TestWhoIntroducesItself(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		w := plainNode(c, "w", "work", nil).Start()
		seer := c.Caller("seer", seerapi.Service)
		plain := c.Caller("plain")
		call := func(from *nodetest.Caller, said addressbook.Signed) (resp introduceResponse, err error) {
			from.Do(func(ctx context.Context) {
				from.Env.Wire.Directory().Lookup(seerapi.Service)
				from.Env.Members().Learn(node.Told{Members: []addressbook.Signed{saysOf(w, 1, "work")}})
				resp, err = introduce.Call(ctx, from.Env.Wire, w.Peer(), introduceRequest{Said: said})
			})
			return resp, err
		}
		_, err := call(plain, saysOf(seer.Machine, 1))
		require.Equal(t, transport.NotAllowed, transport.KindOf(err), "of another")
		_, err = call(plain, saysOf(plain.Machine, 1, seerapi.Service))
		require.Equal(t, transport.NotAllowed, transport.KindOf(err), "of what it may not offer")
		_, err = call(plain, addressbook.Signed{})
		require.Equal(t, transport.Invalid, transport.KindOf(err))
		resp, err := call(plain, saysOf(plain.Machine, 1))
		require.NoError(t, err)
		require.Empty(t, resp.Seers)
		require.Empty(t, addressesOf(c, w, plain.Machine), "a stranger that is no seer")
		resp, err = call(seer, saysOf(seer.Machine, 1, seerapi.Service))
		require.NoError(t, err)
		require.Len(t, resp.Seers, 1, "it is one itself")
		require.Equal(t, []string{seer.Address()}, addressesOf(c, w, seer.Machine))
		resp, err = call(plain, saysOf(plain.Machine, 1))
		require.NoError(t, err)
		require.Equal(t, []addressbook.Signed{saysOf(seer.Machine, 1, seerapi.Service)}, resp.Seers)
	})
}

// Who reaches a seer has no need of an introduction; a seer asks those whom it was told of and has not met. One that
// has no other is known by all there are.
func TestWhoAsksToBeIntroduced(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		x := newIntroducer(c, "x")
		x.names = func() ([]addressbook.Signed, error) { return nil, transport.New(transport.Refused, "test", "no") }
		alone := seerNode(c, "alone").Start()
		a := seerNode(c, "a", alone, x.Machine).Start()
		p := plainNode(c, "p", "work", nil, a, x.Machine).Start()
		asks := func(m *nodetest.Machine) (list []transport.Peer, lonely int) {
			turn(c, a, func(*Service) {
				d := m.Service(DiscoveryName).(*discovery)
				list, lonely = d.introducers(), d.alone
			})
			return list, lonely
		}
		nodetest.Sleep(30 * time.Second)
		list, _ := asks(p)
		require.Empty(t, list)
		list, _ = asks(a)
		require.Equal(t, []transport.Peer{x.Peer()}, list)
		single := seerNode(c, "single").Start()
		nodetest.Sleep(30 * time.Second)
		_, lonely := asks(single)
		require.Zero(t, lonely)
	})
}

func TestHowManyAreToldAtATime(t *testing.T) {
	d := &discovery{announced: map[transport.Peer]bool{{1}: true}}
	list := make([]transport.Peer, 70)
	for i := range list {
		list[i] = transport.Peer{byte(i)}
	}
	require.Len(t, d.untold(list), 64)
	require.NotContains(t, d.untold(list), transport.Peer{1})
	require.Len(t, d.untold(list[:3]), 2)
}
