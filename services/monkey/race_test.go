package monkey

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// do runs f as a task of the monkey.
func (y *yard) do(f func(ctx context.Context, s *Service)) {
	s := y.monkey.Service("monkey").(*Service)
	require.NoError(y, clock.Do(context.Background(), s.env.Loop, func(ctx context.Context) { f(ctx, s) }))
}

// What patrick answers is a lock only if it is what was asked for, and in time.
func TestOnlyWhatWasAskedForIsALock(t *testing.T) {
	for name, c := range map[string]struct {
		grant func(g *patrickapi.Grant)
		given steps
		held  bool
	}{
		"as asked":               {nil, steps{}, true},
		"as long as can be":      {func(g *patrickapi.Grant) { g.Lease, g.BuildMax = grantMax, grantMax }, steps{}, true},
		"another job":            {func(g *patrickapi.Grant) { g.Job.ID = job(2) }, steps{}, false},
		"a lease without end":    {func(g *patrickapi.Grant) { g.Lease = grantMax + 1 }, steps{}, false},
		"a build without end":    {func(g *patrickapi.Grant) { g.BuildMax = grantMax + 1 }, steps{}, false},
		"somebody else's":        {func(g *patrickapi.Grant) { g.Token.Holder[0]++ }, steps{}, false},
		"answered after a lease": {func(g *patrickapi.Grant) { g.Lease = time.Second }, steps{after: time.Second}, false},
		"refused":                {nil, steps{err: failing(transport.Conflict)}, false},
		"failed":                 {nil, steps{err: failing(transport.Internal)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inYard(t, without{}, nil, func(y *yard) {
				y.build, y.grant, y.claims = forever, c.grant, c.given
				y.offer(job(1))
				nodetest.Sleep(3 * time.Second)
				require.Len(t, y.claimed, 1)
				require.Equal(t, c.held, len(y.Facts("lock-taken")) == 1)
				require.Equal(t, c.held, y.builds == 1)
				y.turn(func(s *Service) {
					require.Empty(t, s.racing)
					require.Equal(t, map[string]int64{"monkey.slots": 2, "monkey.slots-free": int64(s.free())}, s.env.Gauges())
					require.Equal(t, c.held, s.free() == 1)
				})
			})
		})
	}
}

// A race takes a slot, and a coordinator that asks meanwhile must not believe that there is
// nothing: the answer may be under way.
func TestARaceTakesASlot(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.turn(func(s *Service) {
			require.Equal(t, map[string]int64{"monkey.slots": 2, "monkey.slots-free": 2}, s.env.Gauges())
		})
		y.claims.after = time.Second
		y.offer(job(1))
		nodetest.Sleep(500 * time.Millisecond)
		y.turn(func(s *Service) {
			require.Equal(t, map[string]int64{"monkey.slots": 2, "monkey.slots-free": 1}, s.env.Gauges())
			resp, err := s.holds(context.Background(), y.patrick.Peer(), monkeyapi.HoldsRequest{Job: job(1)})
			require.NoError(t, err)
			require.True(t, resp.Holds)
		})
		y.claims.err = failing(transport.Conflict)
		nodetest.Sleep(time.Second)
		y.turn(func(s *Service) {
			require.Equal(t, map[string]int64{"monkey.slots": 2, "monkey.slots-free": 2}, s.env.Gauges())
		})
	})
}

// A claim is sent when its delay is over, which follows from the monkey's weight for the job: the best-ranked
// monkey is the first.
func TestAClaimWaitsForItsPlace(t *testing.T) {
	const window = 1600 * time.Millisecond
	inYard(t, without{}, func(s *Settings) { s.RaceWindow = window }, func(y *yard) {
		delays := map[string]time.Duration{}
		var jobs []string
		y.turn(func(s *Service) {
			other := *s
			other.env.Self[0]++
			for i := range 2 {
				o := patrickapi.Offer{Job: job(i + 1), Attempt: 3}
				delays[o.Job] = s.delay(o)
				jobs = append(jobs, o.Job)
				require.True(t, delays[o.Job] >= 0 && delays[o.Job] <= window)
				better := rendezvous.Of(o.RankKey()).Better(s.env.Self, other.env.Self)
				require.Equal(t, better, delays[o.Job] < other.delay(o))
			}
		})
		slices.SortFunc(jobs, func(a, b string) int { return int(delays[a] - delays[b]) })
		y.build = forever
		y.offer(jobs...)
		nodetest.Sleep(delays[jobs[0]] + time.Millisecond)
		require.Len(t, y.claimed, 1)
		require.Equal(t, jobs[0], y.claimed[0].Job)
		nodetest.Sleep(delays[jobs[1]] - delays[jobs[0]] + time.Millisecond)
		require.Len(t, y.claimed, 2)
	})
}

// All monkeys hear what is published, and of one announcement a bounded part.
func TestAnnouncementsAreHeard(t *testing.T) {
	inYard(t, without{}, func(s *Settings) { s.Slots = 1 }, func(y *yard) {
		y.build = forever
		y.offer()
		y.atCoordinator(func(context.Context) {
			monkeyapi.Jobs.Publish(y.coordinator.Wire, patrickapi.Announcement{Jobs: []patrickapi.Offer{{Job: job(1), Attempt: 3}}})
		})
		nodetest.Sleep(time.Second)
		require.Len(t, y.holding(), 1)
		var many patrickapi.Announcement
		for i := range patrickapi.AnnounceLenMax + 1 {
			many.Jobs = append(many.Jobs, patrickapi.Offer{Job: job(i + 2)})
		}
		y.turn(func(s *Service) {
			many.Jobs[0].Job = job(1) // is held
			s.hear(many)
			require.Len(t, s.backlog, patrickapi.AnnounceLenMax-1)
			require.False(t, s.busyLately)
		})
	})
}

// When a slot is free, what is remembered comes first; else patrick is asked, if it
// had more than could be taken and a job was done.
func TestWhatComesAfterAJob(t *testing.T) {
	for name, c := range map[string]struct {
		backlog, busy, done bool
		asked, claimed      int
	}{
		"remembered":             {true, true, true, 0, 1},
		"more than enough":       {false, true, true, 1, 0},
		"more than enough, lost": {false, true, false, 0, 0},
		"nothing":                {false, false, true, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inYard(t, without{}, nil, func(y *yard) {
				y.build = forever
				y.offer()
				y.do(func(ctx context.Context, s *Service) {
					if s.busyLately = c.busy; c.backlog {
						s.backlog = []patrickapi.Offer{{Job: job(1)}}
					}
					s.next(ctx, c.done)
				})
				nodetest.Sleep(time.Second)
				require.Equal(t, c.asked, y.asked)
				require.Len(t, y.claimed, c.claimed)
			})
		})
	}
	for _, kind := range []transport.Kind{0, transport.Conflict} { // as the end of a race tells it
		inYard(t, without{}, nil, func(y *yard) {
			y.turn(func(s *Service) { s.busyLately = true })
			if kind != 0 {
				y.claims.err = failing(kind)
			}
			y.offer(job(1))
			nodetest.Sleep(5 * time.Second)
			require.Equal(t, kind == 0, y.asked == 1)
		})
	}
}

// One question at a time, by who has room, and its answer says whether there is more.
func TestPolls(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build = forever
		y.offer()
		poll := func(n int) {
			y.do(func(ctx context.Context, s *Service) {
				require.NoError(t, clock.First(ctx, s.env.Loop, n, n, func(ctx context.Context, _ int) error {
					s.poll(ctx)
					return nil
				}))
				require.False(t, s.polling)
			})
		}
		busy := func() (b bool) {
			y.turn(func(s *Service) { b = s.busyLately })
			return b
		}
		y.opens.after = time.Second
		poll(2)
		require.Equal(t, 1, y.asked)
		require.False(t, busy())
		y.open = []patrickapi.Offer{{Job: job(1)}, {Job: job(2)}, {Job: job(3)}}
		poll(1)
		require.Equal(t, 2, y.asked)
		require.True(t, busy())
		nodetest.Sleep(time.Second)
		require.Len(t, y.holding(), 2)
		poll(1)
		require.Equal(t, 2, y.asked, "there is no room")
		y.turn(func(s *Service) { s.settings.Slots = 8 })
		y.opens.err = failing(transport.Internal)
		poll(1)
		require.Equal(t, 3, y.asked)
		require.True(t, busy(), "who does not answer has not said that there is nothing")
		y.open, y.opens.err = []patrickapi.Offer{{Job: job(4)}}, nil
		y.turn(func(s *Service) { s.busyLately = false })
		poll(1)
		require.True(t, busy(), "one is more than nothing")
	})
}

// Questions come at any time within a quarter of the interval, so that many monkeys
// do not ask together.
func TestPollsAreSpread(t *testing.T) {
	const interval = 10 * time.Second
	inYard(t, without{}, func(s *Settings) { s.PollInterval = interval }, func(y *yard) {
		var gaps []time.Duration
		last, asked := time.Now(), 0
		for len(gaps) < 60 {
			nodetest.Sleep(50 * time.Millisecond)
			if y.asked > asked {
				gaps = append(gaps, time.Since(last))
				last, asked = time.Now(), y.asked
			}
		}
		require.InDelta(t, (interval * 3 / 4).Seconds(), slices.Min(gaps).Seconds(), 0.7)
		require.InDelta(t, (interval * 5 / 4).Seconds(), slices.Max(gaps).Seconds(), 0.7)
	})
}

// A claim and a poll end in bounded time, however many patricks are silent.
func TestSilentPatricksAreNotWaitedForLong(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.opens.after, y.claims.after = time.Hour, time.Hour
		silent := y.Add("patrick-2", node.Configured{Spec: nodetest.Part("patrick", func(env node.Env) {
			patrickapi.Claim.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ patrickapi.ClaimRequest) (g patrickapi.Grant, err error) {
				return g, clock.Sleep(ctx, env.Loop, time.Hour)
			})
			patrickapi.OpenJobs.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ patrickapi.OpenRequest) (a patrickapi.Announcement, err error) {
				return a, clock.Sleep(ctx, env.Loop, time.Hour)
			})
		})})
		silent.Start()
		began := time.Now()
		y.do(func(ctx context.Context, s *Service) { s.poll(ctx) })
		require.Equal(t, claimTimeout, time.Since(began))
		y.offer(job(1))
		nodetest.Sleep(claimTimeout + 100*time.Millisecond)
		y.turn(func(s *Service) { require.Equal(t, 2, s.free()) })
	})
}

func TestReadiness(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.turn(func(s *Service) {
			now := s.env.Loop.Elapsed()
			good, lost := &lock{lease: lease, renewedAt: now}, &lock{lease: lease, renewedAt: now, lost: "conflict"}
			for _, c := range []struct {
				slots    int
				held     map[string]*lock
				stopping bool
				why      string
			}{
				{2, nil, false, ""},
				{2, map[string]*lock{"a": good, "b": good}, false, ""},
				{2, map[string]*lock{"a": good, "b": lost}, false, ""},
				{2, map[string]*lock{"a": lost, "b": lost}, false, "all slots"},
				{1, map[string]*lock{"a": lost}, false, "all slots"},
				{2, nil, true, "stops"},
			} {
				s.settings.Slots, s.held, s.stopping = c.slots, c.held, c.stopping
				if err := s.Ready(); c.why == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.why)
					require.Equal(t, transport.Refused, transport.KindOf(err))
				}
			}
			token := fencing.Token{Attempt: 1}
			for l, want := range map[*lock]bool{{token: token, lease: lease, renewedAt: now}: true, {token: token, lease: lease, renewedAt: now, lost: "x"}: false, {lease: lease, renewedAt: now}: false} {
				s.held = map[string]*lock{"a": l}
				resp, _ := s.holds(context.Background(), y.patrick.Peer(), monkeyapi.HoldsRequest{Job: "a", Token: token})
				require.Equal(t, want, resp.Holds)
			}
			s.settings.Slots, s.held, s.stopping = 2, map[string]*lock{}, false
		})
	})
}

// A monkey that knows no tns or no hoarder succeeds without only once it is known that there is none.
func TestAMonkeyDoesNotTakeIgnoranceForAbsence(t *testing.T) {
	for name, lacks := range map[string]without{"tns": {tns: true}, "hoarder": {hoarder: true}} {
		t.Run(name, func(t *testing.T) {
			inYard(t, lacks, nil, func(y *yard) {
				y.Directory.SetPartial(true)
				y.offer(job(1))
				nodetest.Sleep(20 * time.Second)
				require.Empty(t, y.finished)
				y.Directory.SetPartial(false)
				nodetest.Sleep(10 * time.Second)
				require.Len(t, y.finished, 1)
				require.True(t, y.finished[0].Success)
			})
		})
	}
}

// A lock that was let go of is no lock any more, whoever still looks at it; a later one of the same job goes on.
func TestWhatIsReleased(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.do(func(_ context.Context, s *Service) {
			lockOf := func() *lock {
				return &lock{job: patrickapi.Job{ID: job(1)}, lease: time.Hour, renewedAt: s.env.Loop.Elapsed()}
			}
			earlier, later := lockOf(), lockOf()
			s.hold(earlier)
			s.hold(later)
			s.release(earlier)
			require.Same(t, later, s.held[job(1)])
			require.True(t, later.valid(s.env.Loop.Elapsed()) && !earlier.valid(s.env.Loop.Elapsed()))
			later.lost = "why"
			s.release(later)
			require.Equal(t, []string{"released", "why"}, []string{earlier.lost, later.lost})
			require.Empty(t, s.held)
		})
	})
}

// Artifacts are kept until there are hoarders, and then no longer.
func TestArtifactsAreHandedOver(t *testing.T) {
	inYard(t, without{hoarder: true}, nil, func(y *yard) {
		y.offer(job(1))
		nodetest.Sleep(5 * time.Second)
		y.turn(func(s *Service) {
			s.handOver()
			require.Len(t, s.kept, 1, "there is nobody yet")
		})
		require.Equal(t, 1, y.stored())
		y.Add("hoarder", node.Configured{Spec: nodetest.Part(hoarderapi.Service, y.startHoarder)}).Start()
		nodetest.Sleep(time.Second)
		y.turn(func(s *Service) { require.Empty(t, s.kept) })
		require.Zero(t, y.stored())
	})
}
