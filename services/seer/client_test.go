package seer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// lookUp asks the seers of the directory for the names of live members.
func lookUp(c *nodetest.Caller, client *seerapi.Client, service string) (names []string, err error) {
	c.Do(func(ctx context.Context) {
		var members []seerapi.Member
		members, err = client.Lookup(ctx, service)
		for _, m := range members {
			names = append(names, m.Name)
		}
	})
	return names, err
}

func TestClientAsksOneSeerAfterTheOther(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		caller := c.Caller("caller")
		client := seerapi.NewClient(caller.Env.Wire)
		_, err := lookUp(caller, client, "")
		require.Equal(t, transport.Unreachable, transport.KindOf(err), "there is none")
		all := seers(c, 3)
		_, err = lookUp(caller, client, "")
		require.Equal(t, transport.Refused, transport.KindOf(err), "they have just started")
		nodetest.Sleep(3 * time.Second)
		for _, m := range all {
			turn(c, m, func(s *Service) { s.table.pageMax = 2 })
		}
		names, err := lookUp(caller, client, "")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"seer-1", "seer-2", "seer-3"}, names, "all pages")
		names, err = lookUp(caller, client, "tns")
		require.NoError(t, err)
		require.Empty(t, names)
		all[0].Vanish()
		all[1].Vanish()
		nodetest.Sleep(6 * time.Second)
		for range 3 {
			names, err = lookUp(caller, client, seerapi.Service)
			require.NoError(t, err)
			require.Equal(t, []string{"seer-3"}, names)
		}
		all[2].Vanish()
		_, err = lookUp(caller, client, "")
		require.Equal(t, transport.Unreachable, transport.KindOf(err))
	})
}

// TestClientRemembersWhoAnswered: a seer that is slow is waited for once.
func TestClientRemembersWhoAnswered(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		asked, slow := map[transport.Peer]int{}, map[transport.Peer]bool{}
		for i := range 3 {
			c.Add(fmt.Sprint("s", i), node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
				seerapi.Lookup.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ seerapi.LookupRequest) (resp seerapi.LookupResponse, err error) {
					asked[env.Self]++
					if slow[env.Self] {
						err = clock.Sleep(ctx, env.Loop, time.Minute)
					}
					return resp, err
				})
			})}).Start()
		}
		caller := c.Caller("caller")
		self := caller.Peer()
		order := rendezvous.Rank(string(self[:]), c.Directory.Peers(seerapi.Service))
		slow[order[0]], slow[order[1]] = true, true
		client := seerapi.NewClient(caller.Env.Wire)
		began := time.Now()
		_, err := lookUp(caller, client, "")
		require.NoError(t, err)
		require.Equal(t, 2*seerapi.TryTimeout, time.Since(began))
		require.Equal(t, map[transport.Peer]int{order[0]: 1, order[1]: 1, order[2]: 1}, asked)
		began = time.Now()
		for range 5 {
			_, err := lookUp(caller, client, "")
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(began))
		require.Equal(t, map[transport.Peer]int{order[0]: 1, order[1]: 1, order[2]: 6}, asked)
	})
}

// TestASlowSeerIsAskedOnceAtATime.
func TestASlowSeerIsAskedOnceAtATime(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		running, most := 0, 0
		c.Add("slow", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			digest.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ digestRequest) (resp digestResponse, err error) {
				running++
				defer func() { running-- }()
				most = max(most, running)
				return resp, clock.Sleep(ctx, env.Loop, 3500*time.Millisecond)
			})
		})}).Start()
		seers(c, 1)
		nodetest.Sleep(20 * time.Second)
		require.Equal(t, 1, most)
	})
}

func TestTimesOfASeer(t *testing.T) {
	s := &Service{settings: Settings{GoneAfter: 10 * time.Second}}
	require.Equal(t, 2*time.Second, s.tick(), "the silent are found that late at most")
	require.Equal(t, 5*time.Second, s.stall())
}

func TestReturnIsSeenAtOnce(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.expire(seconds(20), time.Minute)
	require.Equal(t, []string{"up", whySilent}, tab.whys())
	tab.merge(seconds(21), sighting{Peer: alice, Life: 7, Revision: 1, Age: seconds(1)})
	require.Equal(t, []string{"up"}, tab.whys(), "by hearsay")
}

func TestTheGoneAreRememberedForAWhile(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.expire(seconds(19.9), 0)
	require.Len(t, tab.members, 1, "twice as long as others may speak of her")
	tab.expire(seconds(20), 0)
	require.Empty(t, tab.members)
}

func TestPaceOfOneThatWasNotHeard(t *testing.T) {
	var p pace
	p.answered(seconds(10), seconds(1), seconds(1))
	require.Equal(t, pace{}, p, "the message itself comes next")
}

// A look-up ends where there are more members than anybody keeps.
func TestALookupIsBounded(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		n := 0
		c.Add("s", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			seerapi.Lookup.Serve(env.Wire, func(context.Context, transport.Peer, seerapi.LookupRequest) (resp seerapi.LookupResponse, err error) {
				for range seerapi.PageLenMax {
					n++
					resp.Members = append(resp.Members, seerapi.Member{Peer: transport.Peer{byte(n >> 16), byte(n >> 8), byte(n)}})
				}
				resp.More = n < 1<<17
				return resp, nil
			})
		})}).Start()
		caller := c.Caller("caller")
		var err error
		caller.Do(func(ctx context.Context) { _, err = seerapi.NewClient(caller.Env.Wire).Lookup(ctx, "") })
		require.ErrorContains(t, err, "more members than anybody keeps")
		require.Equal(t, 65*seerapi.PageLenMax, n)
	})
}
