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
	"github.com/taucloud/tau/transport/addressbook"
)

// Seers that know each other look for nobody, and ask as often as all.
func TestSeersThatHaveMetLookForNobody(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		x := newIntroducer(c, "x")
		a := seerNode(c, "a").Start()
		b := seerNode(c, "b", a).Start()
		nodetest.Sleep(5 * time.Second)
		for _, m := range []*nodetest.Machine{a, b} {
			agentOf(c, m, func(_ context.Context, d *discovery) {
				d.members.Learn(node.Told{Members: []addressbook.Signed{saysOf(x.Machine, 1, "play")}})
			})
		}
		nodetest.Sleep(time.Minute)
		require.Empty(t, x.asked)
		for _, m := range []*nodetest.Machine{a, b} {
			agentOf(c, m, func(_ context.Context, d *discovery) {
				require.Zero(t, d.alone)
				require.Equal(t, d.settings.Interval, d.wait(true))
			})
		}
	})
}

// A seer that no other one hears asks less and less often.
func TestHowLongARoundIsWaitedFor(t *testing.T) {
	d := &discovery{settings: *DefaultDiscoverySettings()}
	require.Equal(t, 250*time.Millisecond, d.wait(false))
	require.Equal(t, 5*time.Second, d.wait(true))
	for alone, want := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 4: 4 * time.Second, 5: 5 * time.Second, 1000: 5 * time.Second} {
		d.alone = alone
		require.Equal(t, want, d.wait(true), alone)
		require.Equal(t, 250*time.Millisecond, d.wait(false))
	}
}

// A member names at most sixteen seers.
func TestHowManySeersAreNamed(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		w := plainNode(c, "w", "work", nil).Start()
		var list []addressbook.Signed
		for i := range 20 {
			list = append(list, other(fmt.Sprint("s", i), seerapi.Service))
		}
		agentOf(c, w, func(ctx context.Context, d *discovery) {
			d.members.Learn(node.Told{Members: list})
			said, _ := d.members.Own()
			resp, err := d.introduce(ctx, d.env.Self, introduceRequest{Said: said})
			require.NoError(t, err)
			require.Len(t, resp.Seers, 16)
		})
	})
}

// A seer that has not told what it knows is asked once at a time.
func TestASlowColleagueIsAskedOnceAtATime(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		running, most := 0, 0
		slow := c.Add("slow", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			follow.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ followRequest) (resp followResponse, err error) {
				running++
				defer func() { running-- }()
				most = max(most, running)
				return resp, clock.Sleep(ctx, env.Loop, 1500*time.Millisecond)
			})
		})}).Start()
		s := c.Add("s", node.Configured{Spec: DiscoverySpec()}, node.Configured{Spec: Spec()})
		s.Contacts = []*nodetest.Machine{slow}
		s.Start()
		nodetest.Sleep(1200 * time.Millisecond)
		require.LessOrEqual(t, most, 2, "by the seer, and by the agent")
	})
}

// Whoever sends a beacon that is not understood is asked, and its answer counts as said when it was.
func TestASeerAsksWhomItDoesNotKnow(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := seers(c, 1)[0]
		caller := c.Caller("caller")
		var asked []askMessage
		ask.Serve(caller.Env.Wire, func(_ context.Context, _ transport.Peer, m askMessage) { asked = append(asked, m) })
		nodetest.Sleep(3 * time.Second)
		caller.Do(func(context.Context) {
			require.NoError(t, beaconNote.Tell(caller.Env.Wire, s.Peer(), short(7, 5).encode()))
		})
		nodetest.Sleep(10 * time.Millisecond)
		require.Len(t, asked, 1)
		turn(c, s, func(s *Service) {
			require.Equal(t, s.life, asked[0].Seer)
			s.answer(context.Background(), caller.Peer(), answerMessage{Ask: asked[0], Life: 7, At: seconds(6), Revision: 1, Announcement: full(7, 6, 1).Announcement})
			require.Equal(t, seconds(6), s.table.members[caller.Peer()].saidAt)
		})
	})
}

// What others heard less than a second ago counts, and the revision of what they tell is passed on.
func TestFreshHearsay(t *testing.T) {
	tab := newTable(testGone, 10)
	require.True(t, tab.merge(seconds(10), sighting{Peer: alice, Life: 7, Revision: 1, Age: seconds(0.5)}))
	tab.learn(seconds(10), record{Peer: alice, Life: 7, Revision: 3, Announcement: *full(7, 0, 1).Announcement})
	members, _ := tab.lookup(seconds(10), "", transport.Peer{})
	require.Len(t, members, 1)
	require.Equal(t, seconds(0.5), members[0].Age)
	list, _ := tab.digest(seconds(10), transport.Peer{})
	require.Equal(t, []sighting{{Peer: alice, Life: 7, Revision: 3, Age: seconds(0.5)}}, list)
}
