package seer

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// listener stands in for a seer and keeps what it is told.
type listener struct {
	machine *nodetest.Machine
	env     node.Env
	beacons []heardBeacon
	left    []uint64
	answers []answerMessage
}

type heardBeacon struct {
	at time.Duration // since the bubble began
	beaconMessage
}

func listen(c *nodetest.Cloud, name string) *listener {
	l, began := &listener{}, time.Now()
	l.machine = c.Add(name, node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
		l.env = env
		beaconNote.Serve(env.Wire, func(_ context.Context, _ transport.Peer, raw []byte) {
			m, err := decodeBeacon(raw)
			require.NoError(c, err)
			l.beacons = append(l.beacons, heardBeacon{time.Since(began), m})
		})
		leave.Serve(env.Wire, func(_ context.Context, _ transport.Peer, m leaveMessage) { l.left = append(l.left, m.Life) })
		answer.Serve(env.Wire, func(_ context.Context, _ transport.Peer, m answerMessage) { l.answers = append(l.answers, m) })
	})})
	l.machine.Start()
	return l
}

func TestBeaconsOfALife(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		l := listen(c, "seer")
		var work node.Env
		worker := nodetest.Part("work", func(env node.Env) {
			work = env
			env.SetGauge("jobs", 1)
		})
		n := c.Add("n", node.Configured{Spec: worker}, node.Configured{Spec: BeaconSpec()})
		n.Start()
		nodetest.Sleep(60 * time.Second)
		require.InDelta(t, 61, len(l.beacons), 1, "one a second")
		require.Zero(t, l.beacons[0].at, "the first at once")
		require.Less(t, l.beacons[1].at, time.Second, "the second out of step")
		require.Positive(t, l.beacons[1].at)
		var announced []int
		for i, b := range l.beacons {
			require.Equal(t, l.beacons[0].Life, b.Life)
			require.Equal(t, uint64(1), b.Revision)
			require.Equal(t, b.at, b.At, "its own clock begins with its life")
			if i > 1 {
				require.Equal(t, time.Second, b.at-l.beacons[i-1].at)
			}
			if b.Announcement != nil {
				announced = append(announced, i)
			}
		}
		require.Equal(t, []int{0, 31}, announced, "all of it again after 30 that are short")
		want := announcement{Name: "n", Incarnation: 1, Services: []string{"work"}, Usage: map[string]int64{"jobs": 1}}
		require.Equal(t, &want, l.beacons[31].Announcement)

		work.SetGauge("jobs", 2)
		l.beacons = nil
		nodetest.Sleep(2 * time.Second)
		require.Equal(t, uint64(2), l.beacons[0].Revision)
		require.Equal(t, map[string]int64{"jobs": 2}, l.beacons[0].Announcement.Usage)
		require.Nil(t, l.beacons[1].Announcement, "told once")

		question := askMessage{Seer: 5, At: 6}
		caller := c.Caller("caller")
		caller.Do(func(context.Context) { require.NoError(t, ask.Tell(l.env.Wire, n.Peer(), question)) })
		nodetest.Sleep(time.Millisecond)
		require.Len(t, l.answers, 1)
		a := l.answers[0]
		require.Equal(t, question, a.Ask)
		require.Equal(t, l.beacons[0].Life, a.Life)
		require.Equal(t, uint64(2), a.Revision)
		require.GreaterOrEqual(t, a.At, 61*time.Second)
		require.Equal(t, "n", a.Announcement.Name)

		n.Stop()
		nodetest.Sleep(time.Millisecond)
		require.Equal(t, []uint64{l.beacons[0].Life}, l.left)
		life := l.beacons[0].Life
		l.beacons = nil
		n.Start()
		nodetest.Sleep(time.Millisecond)
		require.NotEqual(t, life, l.beacons[0].Life, "another life")
		require.Equal(t, uint64(2), l.beacons[0].Announcement.Incarnation)
	})
}

func TestNewLifeIsNotZero(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		caller := c.Caller("caller")
		seen := map[uint64]bool{}
		for range 100 {
			life := newLife(caller.Env)
			require.Equal(t, uint64(1), life&1)
			require.False(t, seen[life])
			seen[life] = true
		}
	})
}

// TestWhoHearsABeacon: two or three seers hear every one, and of more the others
// in turn.
func TestWhoHearsABeacon(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 7} {
		nodetest.Run(t, func(c *nodetest.Cloud) {
			var all []*listener
			for i := range n {
				all = append(all, listen(c, fmt.Sprintf("seer-%d", i)))
			}
			c.Add("n", node.Configured{Spec: BeaconSpec()}).Start()
			nodetest.Sleep(20 * time.Second)
			var always, sometimes, sum int
			most := 0
			for _, l := range all {
				most = max(most, len(l.beacons))
			}
			for _, l := range all {
				sum += len(l.beacons)
				if len(l.beacons) == most {
					always++
				} else {
					sometimes++
					require.InDelta(t, float64(most)/float64(n-2), len(l.beacons), 1)
				}
			}
			require.Equal(t, min(n, 3)*most, sum, "%d seers", n)
			if n <= 3 {
				require.Equal(t, n, always)
			} else {
				require.Equal(t, 2, always)
				require.Equal(t, n-2, sometimes)
			}
		})
	}
}

func TestASeerHearsItsOwnNode(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		for i := range 6 {
			c.Directory.Add(transport.Peer{byte(i + 1)}, seerapi.Service)
		}
		caller := c.Caller("caller")
		a := &agent{env: caller.Env}
		regular, others := a.chosen()
		require.Len(t, regular, 2)
		require.Len(t, others, 4)
		c.Directory.Add(caller.Peer(), seerapi.Service)
		regular, others = a.chosen()
		require.Equal(t, caller.Peer(), regular[0])
		require.Len(t, regular, 3)
		require.Len(t, others, 4)
	})
}

func TestRendezvous(t *testing.T) {
	var all []transport.Peer
	for i := range 9 {
		all = append(all, transport.Peer{byte(i + 1)})
	}
	first := map[transport.Peer]int{}
	for i := range 200 {
		self := transport.Peer{0xff, byte(i)}
		list := ranked(self, all)
		require.ElementsMatch(t, all, list)
		turned := slices.Clone(all)
		slices.Reverse(turned)
		require.Equal(t, list, ranked(self, turned), "whatever the order")
		require.Equal(t, slices.DeleteFunc(slices.Clone(list), func(p transport.Peer) bool { return p == all[4] }),
			ranked(self, slices.Concat(all[:4], all[5:])), "one less moves nobody else")
		first[list[0]]++
	}
	for _, p := range all {
		require.InDelta(t, 200/9, first[p], 15, "the load is even")
	}
	require.Equal(t, all[6], ranked(all[6], all)[0], "self comes first")
}
