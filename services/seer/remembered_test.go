package seer

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage/memdisk"
	"pgregory.net/rapid"
)

// present lists by name whom a seer takes for members, and whether it says that these are all.
func present(c *nodetest.Cloud, m *nodetest.Machine) (names []string, all bool) {
	turn(c, m, func(s *Service) {
		for _, a := range s.Present() {
			names = append(names, a.Name)
		}
		all = s.knowsAll(s.now())
	})
	return names, all
}

// All seers restart at once, one of them with an empty disk, and nobody else is there: each still answers who
// belongs to the cloud, what everybody offers and where it was.
func TestSeersThatAllRestartStillAnswer(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a := seerNode(c, "a").Start()
		b := seerNode(c, "b", a).Start()
		d := seerNode(c, "d", a).Start()
		w := plainNode(c, "w", "work", nil, a).Start()
		l := plainNode(c, "l", "play", nil, b).Start()
		nodetest.Sleep(15 * time.Second)
		agentOf(c, l, func(ctx context.Context, agent *discovery) { require.NoError(t, agent.Leave(ctx)) })
		nodetest.Sleep(5 * time.Second)
		for _, m := range []*nodetest.Machine{w, l, a, b, d} {
			m.Vanish()
		}
		b.Disk = memdisk.New()
		for _, m := range []*nodetest.Machine{a, b, d} {
			m.Start()
		}
		nodetest.Sleep(15 * time.Second)
		for _, m := range []*nodetest.Machine{a, b, d} {
			names, all := present(c, m)
			require.ElementsMatch(t, []string{"a", "b", "d", "w"}, names, m.Name)
			require.True(t, all)
			turn(c, m, func(s *Service) {
				e := s.register.book.Get(w.Peer())
				require.Equal(t, []string{"work"}, e.Services)
				require.Equal(t, []string{w.Address()}, e.Addresses)
				require.True(t, s.register.members[l.Peer()].left(), "a departure is remembered as well")
			})
		}
	})
}

// Two seers that never met, each with a node of its own, become one cloud when they reach each other: each then
// knows all, also what was said while they did not.
func TestSeersThatNeverMet(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		a, b := seerNode(c, "a"), seerNode(c, "b")
		a.Contacts = []*nodetest.Machine{b}
		a.Start() // what it is told of b is wrong soon, before anybody is there
		b.Move()
		b.Start()
		v := plainNode(c, "v", "work", nil, a).Start()
		w := plainNode(c, "w", "play", []string{"work"}, b).Start()
		nodetest.Sleep(20 * time.Second)
		names, all := present(c, b)
		require.ElementsMatch(t, []string{"b", "w"}, names)
		require.True(t, all, "for all that it could find out")
		names, all = knows(c, w, "work")
		require.Empty(t, names)
		require.True(t, all)

		a.Vanish()
		a.Start() // it is told the address of b, and b none of its own
		nodetest.Sleep(20 * time.Second)
		for _, m := range []*nodetest.Machine{a, b} {
			names, all := present(c, m)
			require.ElementsMatch(t, []string{"a", "b", "v", "w"}, names, m.Name)
			require.True(t, all)
			names, _ = knows(c, m, seerapi.Service)
			require.Equal(t, []string{"a", "b"}, names)
		}
		names, all = knows(c, w, "work")
		require.Equal(t, []string{"v"}, names)
		require.True(t, all)
		require.Equal(t, []string{v.Address()}, addressesOf(c, w, v))
	})
}

// Registers that have heard the same announcements, in whatever order and how often, from whomever, are the
// same: what a register has of a member is the greatest of a total order, so any exchange of them converges.
func TestRegistersJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type saying struct {
			member               int
			incarnation, counter uint64
		}
		draw := rapid.Custom(func(t *rapid.T) saying {
			return saying{rapid.IntRange(0, 3).Draw(t, "member"), rapid.Uint64Range(1, 4).Draw(t, "incarnation"), rapid.Uint64Range(0, 3).Draw(t, "counter")}
		})
		list := rapid.SliceOfN(draw, 1, 20).Draw(t, "sayings")
		one, other := newRegister(time.Hour, 10), newRegister(time.Hour, 10)
		tell := func(r *register, s saying) {
			left := (s.incarnation+s.counter)%5 == 0 // a member signs one announcement of a stamp
			require.NoError(t, r.learn(said(s.member, s.incarnation, s.counter, left, "a"), false))
		}
		for _, s := range list {
			tell(one, s)
		}
		for _, s := range rapid.Permutation(append(list, list[0])).Draw(t, "another order") {
			tell(other, s)
		}
		require.Equal(t, one.present(), other.present())
		for _, e := range one.book.Entries() {
			require.Equal(t, e.Signed, other.book.Get(e.Peer).Signed)
		}
	})
}
