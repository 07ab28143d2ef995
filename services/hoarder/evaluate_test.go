package hoarder

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// lone runs f in one turn of a hoarder that has nothing, an hour and a minute
// after its clock began.
func lone(t *testing.T, change func(s *Settings), f func(ctx context.Context, s *Service)) {
	inTown(t, 1, change, func(w *town) {
		nodetest.Sleep(time.Minute)
		w.turn(w.hoarders[0], f)
	})
}

// put applies entries as if others had written them.
func (s *Service) put(t require.TestingT, entries ...storage.Entry) {
	for _, e := range entries {
		_, err := s.index.apply(e.Key, e.Value, s.env.Loop.Elapsed())
		require.NoError(t, err)
	}
}

func wantedBy(root, owner string, target int) storage.Entry {
	return pinEntry(root, pinRecord{Kind: hoarderapi.Asset, Owner: owner, Target: target})
}

func TestWhenAnItemIsLookedAtAgain(t *testing.T) {
	const s = time.Second
	lone(t, nil, func(_ context.Context, svc *Service) {
		now := svc.env.Loop.Elapsed()
		one, two := somePeers(2)[0], somePeers(2)[1]
		for i, c := range []struct {
			name    string
			entries func(root string) []storage.Entry
			change  func(it *item)
			sit     situation
			failed  bool
			again   time.Duration
			want    time.Duration // from now; 0: never
		}{
			{name: "nothing to do", entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "failed", failed: true, want: 5 * s, entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "a turn that is far away", again: now + 3*s, want: 3 * s, entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "the sooner of two", failed: true, again: now + 7*s, want: 5 * s, entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "never in the past", again: 1, want: 1, entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "in surplus", sit: situation{held: true, surplusFor: 4 * s}, want: 11 * s, change: func(it *item) { it.surplus = since(now - 4*s + 1) },
				entries: func(r string) []storage.Entry {
					return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one), claimEntry(r, two)}
				}},
			{name: "in surplus, of others", sit: situation{surplusFor: 4 * s}, change: func(it *item) { it.surplus = since(now - 4*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "in surplus for long", sit: situation{held: true, surplusFor: 15 * s}, change: func(it *item) { it.surplus = since(now - 15*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "at its end", sit: situation{held: true, endedFor: 5 * s}, want: 10 * s, change: func(it *item) { it.ended = since(now - 5*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "at its end, of others", sit: situation{endedFor: 5 * s}, change: func(it *item) { it.ended = since(now - 5*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "at its end for long", sit: situation{held: true, endedFor: 15 * s}, change: func(it *item) { it.ended = since(now - 15*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1), claimEntry(r, one)} }},
			{name: "nobody claims it", want: 50 * s, change: func(it *item) { it.short = since(now - 10*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1)} }},
			{name: "nobody has claimed it for long", want: 5 * s, change: func(it *item) { it.short = since(now - 100*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1)} }},
			{name: "its loss is known", change: func(it *item) { it.short, it.reportedLost = since(now-10*s+1), true },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 1)} }},
			{name: "short, and claimed", change: func(it *item) { it.short = since(now - 10*s + 1) },
				entries: func(r string) []storage.Entry { return []storage.Entry{wantedBy(r, "a", 2), claimEntry(r, one)} }},
			{name: "a pin that counts no more", want: 10 * s, entries: func(r string) []storage.Entry {
				return []storage.Entry{wantedBy(r, "a", 1), pinEntry(r, pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 1, Seq: 2}), claimEntry(r, one)}
			}},
			{name: "a withdrawal to forget", want: 12 * time.Hour, entries: func(r string) []storage.Entry {
				return []storage.Entry{withdrawEntry(r, "a", "", 1), claimEntry(r, one)}
			}},
		} {
			root := fmt.Sprint("root-", i)
			svc.put(t, c.entries(root)...)
			it := svc.index.get(root)
			if c.change != nil {
				c.change(it)
			}
			svc.index.due.set(it, now+99*time.Hour)
			svc.lookAgain(it, c.sit, c.failed, c.again)
			if c.want == 0 {
				require.EqualValues(t, notDue, it.dueAt, c.name)
				continue
			}
			require.NotEqual(t, int32(notDue), it.dueAt, c.name)
			require.Equal(t, now+c.want, it.due, c.name)
		}
	})
}

func TestSituation(t *testing.T) {
	lone(t, func(s *Settings) { s.SurplusMax = 1 }, func(_ context.Context, s *Service) {
		now := s.env.Loop.Elapsed()
		peers := somePeers(4)
		s.roster.know(peers)
		s.put(t, wantedBy("r", "a", 2))
		it := s.index.get("r")
		require.Equal(t, situation{state: wanted, target: 2}, s.situation(it))
		require.True(t, it.short.on())
		require.False(t, it.complete)
		it.reportedLost = true
		s.put(t, claimEntry("r", peers[0]))
		require.Equal(t, 1, s.situation(it).copies)
		require.False(t, it.reportedLost, "somebody has it after all")
		require.False(t, it.complete)
		s.put(t, claimEntry("r", peers[1]))
		require.Equal(t, 2, s.situation(it).copies)
		require.False(t, it.short.on())
		require.True(t, it.complete)
		s.put(t, claimEntry("r", peers[2]))
		s.situation(it)
		require.False(t, it.surplus.on(), "one more is tolerated")
		s.put(t, claimEntry("r", peers[3]))
		s.holdings.admit("r", 5)
		s.put(t, claimEntry("r", s.env.Self))
		s.roster.saw(peers[3], false, now)
		sit := s.situation(it)
		require.True(t, it.surplus.on())
		require.Equal(t, 5, sit.copies, "who is missing counts for a while")
		require.Equal(t, 4, sit.copiesLive)
		require.True(t, sit.held)
		require.Equal(t, rendezvous.Of("r").Ahead(s.env.Self, peers[:3]), sit.ahead)
		s.put(t, withdrawEntry("r", "a", "", 0))
		it.ended = 0
		require.Equal(t, abandoned, s.situation(it).state)
		require.True(t, it.ended.on())
		require.False(t, it.surplus.on() || it.short.on())
		for _, p := range append(peers, s.env.Self) {
			s.put(t, gone(claimEntry("r", p)))
		}
		it.target = 2
		s.situation(it)
		require.False(t, it.short.on(), "nobody wants it")
	})
}

func TestBestIsTheBestRankedOfThoseWhoLive(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		peers := somePeers(5)
		s.roster.know(peers)
		for _, p := range peers {
			s.roster.saw(p, true, 0)
		}
		for i := range 40 {
			root := fmt.Sprint("root-", i)
			require.Equal(t, rendezvous.Of(root).Ahead(s.env.Self, peers) == 0, s.best(root))
		}
		for _, p := range peers {
			s.roster.saw(p, false, 0)
		}
		require.True(t, s.best("any"), "nobody else lives")
	})
}

func TestAnItemInWorkIsNotForgotten(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		for name, change := range map[string]func(on bool){
			"acquiring": func(on bool) { s.acquiring["r"] = on },
			"acquisition": func(on bool) {
				if delete(s.acquisitions, "r"); on {
					s.acquisitions["r"] = &acquisition{root: "r", running: true}
				}
			},
			"planned":   func(on bool) { s.toYield["r"] = on },
			"releasing": func(on bool) { s.yielding["r"] = on },
			"held": func(on bool) {
				if s.holdings.drop("r"); on {
					s.holdings.admit("r", 1)
				}
			},
		} {
			require.False(t, s.busy("r"), name)
			s.put(t, wantedBy("r", "a", 0), gone(wantedBy("r", "a", 0)))
			change(true)
			require.True(t, s.busy("r"), name)
			s.evaluate("r")
			require.Contains(t, s.index.items, "r", name)
			change(false)
			s.put(t, gone(claimEntry("r", s.env.Self)))
			s.evaluate("r")
			require.NotContains(t, s.index.items, "r", name)
		}
	})
}

func TestALossIsReportedByTheBestAlone(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			now := s.env.Loop.Elapsed()
			s.put(t, wantedBy("r", "a", 1))
			it := s.index.get("r")
			report := func() int { s.reportLoss(it); return len(w.Facts("item-lost")) }
			it.short = since(now - lostAfter + 2)
			require.Zero(t, report(), "not yet")
			it.short = since(now - lostAfter + 1)
			s.put(t, claimEntry("r", somePeers(1)[0]))
			require.Zero(t, report(), "somebody claims it")
			s.put(t, gone(claimEntry("r", somePeers(1)[0])))
			var better transport.Peer
			for _, p := range somePeers(9) {
				if rendezvous.Of("r").Better(p, s.env.Self) {
					better = p
				}
			}
			s.roster.know([]transport.Peer{better})
			s.roster.saw(better, true, 0)
			require.Zero(t, report(), "another one does it")
			s.roster.saw(better, false, 0)
			require.Equal(t, 1, report())
			require.Equal(t, 1, report(), "once")
		})
	})
}
