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

// Nodes that were told of one member find all whom they use, and nobody else.
func TestNodesFindEachOtherByOneContact(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		b := seerNode(c, "b", a).Start()
		w := plainNode(c, "w", "work", []string{"play", "sleep"}, b).Start()
		p := plainNode(c, "p", "play", []string{"work"}, w).Start() // its contact is no seer
		nodetest.Sleep(15 * time.Second)
		for _, m := range []*nodetest.Machine{a, b, w, p} {
			names, all := knows(c, m, seerapi.Service)
			require.Equal(t, []string{"a", "b"}, names, m.Name)
			require.True(t, all, m.Name)
		}
		names, all := knows(c, w, "play")
		require.Equal(t, []string{"p"}, names)
		require.True(t, all)
		names, all = knows(c, p, "work")
		require.Equal(t, []string{"w"}, names)
		require.True(t, all)
		names, all = knows(c, w, "sleep")
		require.Empty(t, names)
		require.True(t, all, "nobody is an answer as well")
		for _, m := range []*nodetest.Machine{a, b} {
			turn(c, m, func(s *Service) {
				require.Len(t, s.Present(), 4)
				require.True(t, s.KnowsAll())
			})
		}
		agentOf(c, w, func(_ context.Context, d *discovery) { require.Equal(t, []string{"play", "seer", "sleep"}, d.Wanted()) })
	})
}

// A node that leaves for ever tells a seer, which tells the others; nobody waits for it.
func TestALeaverIsForgotten(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		b := seerNode(c, "b", a).Start()
		w := plainNode(c, "w", "work", nil, a).Start()
		p := plainNode(c, "p", "play", []string{"work"}, a).Start()
		nodetest.Sleep(15 * time.Second)
		agentOf(c, w, func(ctx context.Context, d *discovery) { require.NoError(t, d.Leave(ctx)) })
		w.Stop()
		left := c.Facts("left")
		require.Len(t, left, 1)
		require.Positive(t, left[0].Fields["told"])
		nodetest.Sleep(8 * time.Second)
		names, all := knows(c, p, "work")
		require.Empty(t, names)
		require.True(t, all)
		for _, m := range []*nodetest.Machine{a, b} {
			turn(c, m, func(s *Service) { require.Len(t, s.Present(), 3) })
		}
	})
}

// Who leaves goes on until one seer has heard it, and says so if none does.
func TestLeavingIsToldToWhoeverHears(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		var seers []*standIn
		var list []addressbook.Signed
		for i := range 5 {
			s := newStandIn(c, fmt.Sprint("s", i))
			seers, list = append(seers, s), append(list, s.says(1, seerapi.Service))
		}
		for _, s := range seers {
			s.follows = func(followRequest) (followResponse, error) {
				return followResponse{Full: true, Known: true, Cursor: seerapi.Cursor{Run: 1, Version: 1}, Members: list}, nil
			}
		}
		w := plainNode(c, "w", "work", nil, seers[0].Machine).Start()
		nodetest.Sleep(10 * time.Second)
		agentOf(c, w, func(ctx context.Context, d *discovery) {
			order := d.seers()
			require.Len(t, order, 5)
			for _, s := range seers {
				if s.Peer() != order[4] {
					s.announces = func(addressbook.Announcement) (announceResponse, error) {
						return announceResponse{}, transport.New(transport.Refused, "test", "no")
					}
				}
			}
			require.NoError(t, d.Leave(ctx))
			for _, s := range seers {
				s.announces = func(addressbook.Announcement) (announceResponse, error) {
					return announceResponse{}, transport.New(transport.Refused, "test", "no")
				}
			}
			require.Error(t, d.Leave(ctx))
		})
		left := c.Facts("left")
		require.Len(t, left, 2)
		require.Equal(t, 1, left[0].Fields["told"])
		require.Equal(t, 0, left[1].Fields["told"])
		for _, s := range seers {
			last := s.announced[len(s.announced)-1]
			require.True(t, last.Left)
			require.Equal(t, []string{"work"}, last.Services)
		}
	})
}

// What an agent was told is there after a restart, though nobody whom it was told of by hand is.
func TestAnAddressBookFindsTheCloudAgain(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		b := seerNode(c, "b", a).Start()
		w := plainNode(c, "w", "work", []string{"play"}, a).Start()
		plainNode(c, "p", "play", nil, b).Start()
		nodetest.Sleep(15 * time.Second)
		w.Vanish()
		a.Vanish()
		w.Start()
		nodetest.Sleep(100 * time.Millisecond)
		names, all := knows(c, w, "play")
		require.Equal(t, []string{"p"}, names, "from its disk")
		require.True(t, all)
		nodetest.Sleep(10 * time.Second)
		turn(c, b, func(s *Service) {
			for _, m := range s.Present() {
				require.Equal(t, map[string]uint64{"a": 1, "b": 1, "p": 1, "w": 2}[m.Name], m.Incarnation, m.Name)
			}
		})
	})
}

// A node that lost its disk is told what it said before, and says something newer.
func TestALostDiskIsNoObstacle(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		w := plainNode(c, "w", "work", nil, a).Start()
		nodetest.Sleep(12 * time.Second)
		for range 3 {
			w.Stop()
			w.Start()
		}
		nodetest.Sleep(5 * time.Second)
		w.Stop()
		w.Disk = nodetestDisk()
		w.Start()
		nodetest.Sleep(5 * time.Second)
		turn(c, a, func(s *Service) {
			e := s.register.book.Get(w.Peer())
			require.Greater(t, e.Incarnation, uint64(4))
		})
	})
}

// Each node moves, one after the other, and is found at its new address by those that use it.
func TestMoversAreFound(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		b := seerNode(c, "b", a).Start()
		w := plainNode(c, "w", "work", []string{"play"}, a).Start()
		p := plainNode(c, "p", "play", []string{"work"}, b).Start()
		nodetest.Sleep(15 * time.Second)
		all := []*nodetest.Machine{a, b, w, p}
		for _, m := range all {
			m.Move()
			nodetest.Sleep(20 * time.Second)
			for _, other := range all {
				agentOf(c, other, func(_ context.Context, d *discovery) {
					if known := d.members.Known(m.Peer()); known != nil {
						require.Equal(t, []string{m.Address()}, known.Addresses, "%s of %s", other.Name, m.Name)
					}
				})
			}
			turn(c, b, func(s *Service) { require.Equal(t, []string{m.Address()}, s.register.book.Get(m.Peer()).Addresses) })
		}
	})
}

// Agents of a cloud whose members are told of each other only answer, that they know nothing.
func TestNothingIsLearnedWhereAllAreTold(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		m := c.Add("m", node.Configured{Spec: DiscoverySpec()}).Start()
		s := seers(c, 1)[0]
		caller := c.Caller("caller")
		caller.Do(func(ctx context.Context) {
			resp, err := introduce.Call(ctx, caller.Env.Wire, m.Peer(), introduceRequest{})
			require.NoError(t, err)
			require.Empty(t, resp.Seers)
			_, err = follow.Call(ctx, caller.Env.Wire, s.Peer(), followRequest{Services: []string{"a"}})
			require.Equal(t, transport.Refused, transport.KindOf(err))
		})
		agentOf(c, m, func(ctx context.Context, d *discovery) {
			require.NoError(t, d.Leave(ctx))
			require.Nil(t, d.Book())
		})
		require.Empty(t, c.Facts("left"))
	})
}

func TestTheSpecOfDiscovery(t *testing.T) {
	s := DiscoverySpec()
	require.Equal(t, "discovery", s.Name)
	require.True(t, s.Everywhere)
	require.True(t, s.Early, "all other services ask the directory")
	require.NotEmpty(t, s.Doc)
	require.Equal(t, DefaultDiscoverySettings(), s.Settings())
}
