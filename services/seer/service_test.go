package seer

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// seers adds n seers with beacons, and starts them.
func seers(c *nodetest.Cloud, n int) (list []*nodetest.Machine) {
	for i := range n {
		list = append(list, c.Add(fmt.Sprintf("seer-%d", i+1), node.Configured{Spec: Spec()}, node.Configured{Spec: BeaconSpec()}))
	}
	for _, m := range list {
		m.Start()
	}
	return list
}

// told is what a seer answers: the names of live members, or an error.
func told(c *nodetest.Caller, seer *nodetest.Machine, service string) (names []string, err error) {
	c.Do(func(ctx context.Context) {
		var page seerapi.LookupResponse
		page, err = seerapi.Lookup.Call(ctx, c.Env.Wire, seer.Peer(), seerapi.LookupRequest{Service: service})
		for _, m := range page.Members {
			names = append(names, m.Name)
		}
	})
	return names, err
}

func TestSeersKnowEachOther(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		all := seers(c, 3)
		caller := c.Caller("caller", seerapi.Service)
		nodetest.Sleep(1900 * time.Millisecond)
		_, err := told(caller, all[0], "")
		require.Equal(t, transport.Refused, transport.KindOf(err), "it does not know yet")
		nodetest.Sleep(200 * time.Millisecond)
		for _, s := range all {
			names, err := told(caller, s, "")
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"seer-1", "seer-2", "seer-3"}, names)
			names, err = told(caller, s, "tns")
			require.NoError(t, err)
			require.Empty(t, names)
		}
		require.Len(t, c.Facts("member-up"), 9)

		all[1].Stop()
		names, err := told(caller, all[0], "seer")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"seer-1", "seer-3"}, names, "it said that it leaves")
		all[2].Vanish()
		nodetest.Sleep(3900 * time.Millisecond)
		names, _ = told(caller, all[0], "seer")
		require.ElementsMatch(t, []string{"seer-1", "seer-3"}, names)
		nodetest.Sleep(1200 * time.Millisecond)
		names, _ = told(caller, all[0], "seer")
		require.Equal(t, []string{"seer-1"}, names)
	})
}

// turn runs f in a turn of a seer's loop.
func turn(c *nodetest.Cloud, m *nodetest.Machine, f func(s *Service)) {
	s := m.Service(seerapi.Service).(*Service)
	require.NoError(c, clock.Do(context.Background(), s.env.Loop, func(context.Context) { f(s) }))
}

func TestFarNodesAreKnownByHearsay(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		all := seers(c, 6)
		for _, m := range all {
			turn(c, m, func(s *Service) { s.table.pageMax = 2 })
		}
		for i := range 5 {
			c.Add(fmt.Sprint("n", i), node.Configured{Spec: BeaconSpec()}).Start()
		}
		nodetest.Sleep(4 * time.Second)
		for _, m := range all {
			turn(c, m, func(s *Service) {
				require.True(t, s.Settled())
				require.Len(t, s.Live(), 11)
				members := s.Members()
				require.Len(t, members, 11)
				for i, member := range members {
					require.Equal(t, s.Live()[i], member.Peer)
					require.LessOrEqual(t, member.Age, 4*time.Second)
				}
				require.Equal(t, time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour)), s.Elapsed())
			})
		}
	})
}

// TestAllPagesAreHeard: what one seer heard of more nodes than fit into an answer
// another one knows all of.
func TestAllPagesAreHeard(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		all := seers(c, 2)
		const n = 2*seerapi.PageLenMax + 5
		turn(c, all[0], func(s *Service) {
			for i := range n {
				s.table.hear(s.now(), transport.Peer{byte(i >> 8), byte(i), 1}, full(7, 0, 1), 0)
			}
		})
		nodetest.Sleep(2500 * time.Millisecond)
		for _, m := range all {
			turn(c, m, func(s *Service) { require.Len(t, s.Live(), n+len(all)) })
		}
	})
}

// TestEverySeerIsAskedInTime: all others within three rounds, and never itself.
func TestEverySeerIsAskedInTime(t *testing.T) {
	for n := 1; n <= 12; n++ {
		nodetest.Run(t, func(c *nodetest.Cloud) {
			caller := c.Caller("caller", seerapi.Service)
			c.Directory.Add(caller.Peer(), seerapi.Service)
			for i := range n - 1 {
				c.Directory.Add(transport.Peer{byte(20 * i)}, seerapi.Service)
			}
			s := &Service{env: caller.Env}
			asked := map[transport.Peer]int{}
			for range 3 {
				round := s.others()
				require.Len(t, round, min(n-1, max(2, (n+1)/3)))
				for _, p := range round {
					asked[p]++
				}
			}
			require.Len(t, asked, n-1)
			require.NotContains(t, asked, caller.Peer())
		})
	}
}

// slowSeer answers after a second what it is told to.
func slowSeer(c *nodetest.Cloud, heard func() []sighting, known func() []record) *nodetest.Machine {
	return c.Add("slow", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
		digest.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req digestRequest) (digestResponse, error) {
			if req.After != (transport.Peer{}) {
				return digestResponse{More: true}, nil // an end all the same: there is nothing
			}
			err := clock.Sleep(ctx, env.Loop, time.Second)
			return digestResponse{Heard: slices.SortedFunc(slices.Values(heard()), func(a, b sighting) int { return a.Peer.Compare(b.Peer) }), More: true}, err
		})
		records.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req recordsRequest) (recordsResponse, error) {
			return recordsResponse{Records: known()}, nil
		})
	})})
}

func TestHearsayIsOlderThanItSays(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		var self transport.Peer
		times := 0
		slow := slowSeer(c, func() []sighting {
			if times++; times > 1 {
				return nil
			}
			return []sighting{{Peer: alice, Life: 7, Revision: 1, Age: time.Second}, {Peer: self, Life: 99, Revision: 1}, {Peer: bob, Life: 3, Revision: 1}}
		}, func() []record {
			return []record{
				{Peer: alice, Life: 7, Revision: 1, Announcement: announcement{Name: "alice"}},
				{Peer: bob, Life: 3, Revision: 1, Announcement: announcement{Name: "bob", Services: many(servicesLenMax + 1)}},
			}
		})
		s := c.Add("seer", node.Configured{Spec: Spec()}, node.Configured{Spec: BeaconSpec()})
		self = s.Peer()
		slow.Start()
		s.Start()
		nodetest.Sleep(2500 * time.Millisecond)
		ages := func() map[string]time.Duration {
			all := map[string]time.Duration{}
			turn(c, s, func(s *Service) {
				for _, m := range s.Members() {
					all[m.Name] = m.Age
				}
				require.NotEqual(t, uint64(99), s.table.members[self].life, "what others say of its own node is nothing to a seer")
			})
			return all
		}
		got := ages()
		require.Len(t, got, 2, "an announcement without bounds is not taken")
		require.Contains(t, got, "seer")
		require.GreaterOrEqual(t, got["alice"], 2*time.Second, "the time of the answer counts")
		require.LessOrEqual(t, got["alice"], 3500*time.Millisecond)
		nodetest.Sleep(3500 * time.Millisecond)
		require.Len(t, ages(), 1, "nobody said more of alice")
	})
}

// TestARepeatedPageEndsAPull: a seer that answers with the same page for ever is
// asked for it twice in a round, not for as long as it likes.
func TestARepeatedPageEndsAPull(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		asked := 0
		c.Add("liar", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			digest.Serve(env.Wire, func(context.Context, transport.Peer, digestRequest) (digestResponse, error) {
				asked++
				return digestResponse{Heard: []sighting{{Peer: alice, Life: 7, Revision: 1}}, More: true}, nil
			})
			records.Serve(env.Wire, func(context.Context, transport.Peer, recordsRequest) (recordsResponse, error) {
				return recordsResponse{}, nil
			})
		})}).Start()
		seers(c, 1)
		nodetest.Sleep(10 * time.Second)
		require.Positive(t, asked)
		require.LessOrEqual(t, asked, 22, "two pages a second")
	})
}

// TestAStalledSeerDoesNotAnswer: after it was held up for longer than half of
// gone-after it does not know, and declares nobody gone.
func TestAStalledSeerDoesNotAnswer(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := seers(c, 1)[0]
		other := c.Add("n", node.Configured{Spec: BeaconSpec()}).Start()
		caller := c.Caller("caller", seerapi.Service)
		nodetest.Sleep(10 * time.Second)
		hold := func(d time.Duration) { turn(c, s, func(s *Service) { s.lastTurn = s.env.Loop.Elapsed() - d }) }
		hold(2500*time.Millisecond - 1)
		names, err := told(caller, s, "")
		require.NoError(t, err)
		require.Len(t, names, 2, "the caller has no beacon")
		hold(2500 * time.Millisecond)
		turn(c, s, func(s *Service) { require.False(t, s.Settled()) })
		_, err = told(caller, s, "")
		require.Equal(t, transport.Refused, transport.KindOf(err))
		turn(c, s, func(s *Service) { require.False(t, s.Settled()) })
		require.Empty(t, c.Facts("member-gone"))
		nodetest.Sleep(2100 * time.Millisecond)
		names, err = told(caller, s, "")
		require.NoError(t, err)
		require.Len(t, names, 2)

		other.Vanish()
		nodetest.Sleep(7 * time.Second)
		gone := c.Facts("member-gone")
		require.Len(t, gone, 1, "told without being asked")
		require.Equal(t, map[string]any{"peer": other.Peer(), "name": "n", "why": whySilent}, gone[0].Fields)
	})
}

func TestWhatASeerDoesNotBelieve(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := seers(c, 1)[0]
		caller := c.Caller("caller", seerapi.Service)
		nodetest.Sleep(3 * time.Second)
		known := func() (m *member) {
			turn(c, s, func(s *Service) { m = s.table.members[alice] })
			return m
		}
		good := full(7, 10, 1)
		tell := func(raw []byte) {
			turn(c, s, func(s *Service) { s.hear(context.Background(), alice, raw) })
		}
		tell([]byte("short"))
		bad := full(7, 10, 1)
		bad.Announcement.Services = many(servicesLenMax + 1)
		tell(bad.encode())
		require.Nil(t, known())

		answer := func(change func(a *answerMessage, s *Service)) {
			turn(c, s, func(s *Service) {
				a := answerMessage{Ask: askMessage{Seer: s.life, At: s.env.Loop.Elapsed()}, Life: 7, At: 10, Revision: 1, Announcement: good.Announcement}
				change(&a, s)
				s.answer(context.Background(), alice, a)
			})
		}
		answer(func(a *answerMessage, _ *Service) { a.Life = 0 })
		answer(func(a *answerMessage, _ *Service) { a.Ask.Seer++ })
		answer(func(a *answerMessage, _ *Service) { a.Ask.At = 0 })
		answer(func(a *answerMessage, _ *Service) { a.Ask.At++ })
		require.Nil(t, known())
		answer(func(*answerMessage, *Service) {})
		require.NotNil(t, known())
		require.True(t, known().up)

		caller.Do(func(ctx context.Context) {
			resp, err := records.Call(ctx, caller.Env.Wire, s.Peer(), recordsRequest{Peers: []transport.Peer{alice}})
			require.NoError(t, err)
			require.Equal(t, []record{{Peer: alice, Life: 7, Revision: 1, Announcement: *good.Announcement}}, resp.Records)
			page, err := digest.Call(ctx, caller.Env.Wire, s.Peer(), digestRequest{})
			require.NoError(t, err)
			require.Len(t, page.Heard, 2, "alice and the seer; the caller has no beacon")
			require.False(t, page.More)
		})
	})
}

// TestChangesOfAnotherRun: a cursor of another seer, or of this one before its
// restart, knows nothing here.
func TestChangesOfAnotherRun(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := seers(c, 1)[0]
		caller := c.Caller("caller", seerapi.Service)
		ask := func(cursor seerapi.Cursor) (page seerapi.ChangesResponse, err error) {
			caller.Do(func(ctx context.Context) {
				page, err = seerapi.Changes.Call(ctx, caller.Env.Wire, s.Peer(), seerapi.ChangesRequest{Cursor: cursor})
			})
			return page, err
		}
		_, err := ask(seerapi.Cursor{})
		require.Equal(t, transport.Refused, transport.KindOf(err), "not settled")
		nodetest.Sleep(3 * time.Second)
		page, err := ask(seerapi.Cursor{})
		require.NoError(t, err)
		require.True(t, page.Full)
		require.Len(t, page.Changed, 1)
		turn(c, s, func(s *Service) { require.Equal(t, s.life, page.Cursor.Run) })
		more, err := ask(page.Cursor)
		require.NoError(t, err)
		require.False(t, more.Full)
		require.Empty(t, more.Changed)
		strange := page.Cursor
		strange.Run++
		again, err := ask(strange)
		require.NoError(t, err)
		require.True(t, again.Full)
		require.Equal(t, page.Changed[0].Name, again.Changed[0].Name)
	})
}

// TestChangesLookFirst: who asks for changes is told of the silent at once, also
// when the look is late.
func TestChangesLookFirst(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := seers(c, 1)[0]
		nodetest.Sleep(3 * time.Second)
		turn(c, s, func(s *Service) {
			now := s.now()
			s.table.hear(now-testGone, alice, full(7, 0, 1), 0)
			s.table.members[alice].up = true
			for late, gone := range map[time.Duration]bool{0: false, s.tick() - 1: false, s.tick(): true} {
				s.lookedAt, s.table.members[alice].up = now-late, true
				_, err := s.changes(context.Background(), bob, seerapi.ChangesRequest{})
				require.NoError(t, err)
				require.Equal(t, !gone, s.table.members[alice].up, "the look is %s old", late)
			}
		})
	})
}
