package patrick

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// What is held of a log that comes line by line: the newest attempt's last lines,
// each once, of the jobs that began last.
func TestTheEndOfALogThatRuns(t *testing.T) {
	token := func(n uint64) fencing.Token { return fencing.Token{Attempt: n, Holder: testPeers[0]} }
	note := func(attempt uint64, first int, lines ...string) patrickapi.LogNote {
		return patrickapi.LogNote{Job: "job", Token: token(attempt), First: first, Lines: lines}
	}
	many := func(n int) (lines []string) {
		for i := range n {
			lines = append(lines, fmt.Sprint(i))
		}
		return lines
	}
	long := strings.Repeat("x", patrickapi.LogLineLenMax+1)
	for name, c := range map[string]struct {
		notes []patrickapi.LogNote
		want  tail
	}{
		"in order":          {[]patrickapi.LogNote{note(1, 0, "a"), note(1, 1, "b", "c")}, tail{token(1), 3, []string{"a", "b", "c"}}},
		"told twice":        {[]patrickapi.LogNote{note(1, 0, "a", "b"), note(1, 0, "a"), note(1, 1, "b")}, tail{token(1), 2, []string{"a", "b"}}},
		"with a gap":        {[]patrickapi.LogNote{note(1, 0, "a"), note(1, 5, "f")}, tail{token(1), 6, []string{"a", "f"}}},
		"of a new attempt":  {[]patrickapi.LogNote{note(1, 0, "a", "b"), note(2, 0, "c")}, tail{token(2), 1, []string{"c"}}},
		"of an old attempt": {[]patrickapi.LogNote{note(2, 0, "c"), note(1, 1, "b")}, tail{token(2), 1, []string{"c"}}},
		"a long line":       {[]patrickapi.LogNote{note(1, 0, long)}, tail{token(1), 1, []string{long[1:]}}},
		"too many at once":  {[]patrickapi.LogNote{note(1, 0, many(patrickapi.LogLinesMax+1)...)}, tail{token(1), patrickapi.LogLinesMax + 1, many(patrickapi.LogLinesMax)[max(0, patrickapi.LogLinesMax-tailLinesMax):]}},
		"many in all": {[]patrickapi.LogNote{
			note(1, 0, many(60)...), note(1, 60, many(60)...), note(1, 120, many(60)...), note(1, 180, many(20)...), note(1, 200, "last"),
		}, tail{token(1), tailLinesMax + 1, append(slices.Concat(many(60), many(60), many(60), many(20))[1:], "last")}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogs()
			for _, n := range c.notes {
				l.add(n)
			}
			require.Equal(t, c.want, *l.tails["job"])
			require.Equal(t, []string{"job"}, l.order)
		})
	}
	l := newLogs()
	for i := range tailJobsMax + 2 {
		n := note(1, 0, "a")
		n.Job = fmt.Sprint(i)
		l.add(n)
	}
	require.Len(t, l.tails, tailJobsMax)
	require.Len(t, l.order, tailJobsMax)
	require.NotContains(t, l.tails, "1")
	require.Contains(t, l.tails, "2")
}

// Lines count from who holds the job alone.
func TestWhoseLinesCount(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		holder, other := o.monkeys[0].Peer(), o.monkeys[1].Peer()
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			for _, c := range []struct {
				job   string
				token fencing.Token
				from  transport.Peer
				count bool
			}{
				{job, token, other, false},
				{job, fencing.Token{Attempt: 2, Holder: holder}, holder, false},
				{"another", token, holder, false},
				{job, token, holder, true},
			} {
				s.logs = newLogs()
				s.receiveLog(ctx, c.from, patrickapi.LogNote{Job: c.job, Token: c.token, Lines: []string{"a"}})
				require.Equal(t, c.count, s.logs.tails[c.job] != nil)
			}
			s.logs = newLogs()
		})
		nodetest.Sleep(time.Second)    // until all know of the grant
		for _, p := range o.patricks { // a monkey tells them all
			require.NoError(t, patrickapi.Log.Tell(o.monkeys[0].env.Wire, p.Peer(), patrickapi.LogNote{Job: job, Token: token, Lines: []string{"over the wire"}}))
		}
		nodetest.Sleep(time.Second)
		for _, p := range o.patricks {
			o.turn(p, func(_ context.Context, s *Service) {
				require.NotNil(t, s.logs.tails[job])
				require.Equal(t, []string{"over the wire"}, s.logs.tails[job].lines)
			})
		}
	})
}

// What is told of a log: the end of what runs, all of what has ended, or why there
// is none.
func TestWhatIsToldOfALog(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		m, first := o.monkeys[0], o.ranked()[0]
		tell := func(job string, token fencing.Token, lines ...string) {
			o.turn(first, func(ctx context.Context, s *Service) {
				s.receiveLog(ctx, m.Peer(), patrickapi.LogNote{Job: job, Token: token, Lines: lines})
			})
		}
		none := func(job, why string) {
			_, err := o.logs(job)
			requireKind(t, transport.NotFound, err, why)
		}
		none(jobOfPush(aPush("d", 9)), "no such job here")
		job := o.push(aPush("c", 1))
		none(job, "the job was not built yet")
		token := m.mustClaim(job)
		none(job, "nothing has come here yet of the attempt that runs")
		tell(job, token)
		none(job, "nothing has come here yet of the attempt that runs")
		tell(job, token, "one", "two")
		told, err := o.logs(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.LogsResponse{Lines: []string{"one", "two"}}, told)
		_, err = m.finish(patrickapi.FinishRequest{Job: job, Token: token, Abandoned: true})
		require.NoError(t, err)
		none(job, "no attempt has left a log")
		token = m.mustClaim(job)
		none(job, "nothing has come here yet of the attempt that runs")
		_, err = m.finish(patrickapi.FinishRequest{Job: job, Token: token, Success: true, Published: true, Log: "nonsense"})
		require.NoError(t, err)
		_, err = o.logs(job)
		requireKind(t, transport.Internal, err, "invalid cid")
	})
}

// A log is fetched from its monkey or from who else has it, kept on as many patricks
// as are to keep it and on no more, and counted where it is.
func TestWhereALogIsKept(t *testing.T) {
	inOffice(t, setup{patricks: 3}, func(o *office) {
		m, first := o.monkeys[0], o.ranked()[0]
		job := o.push(aPush("c", 1))
		token := m.mustClaim(job)
		log := m.store("one\n\n")
		kept := func(log string, from transport.Peer) (copies int) {
			o.turn(first, func(ctx context.Context, s *Service) {
				copies = s.keepLog(ctx, patrickapi.FinishRequest{Job: job, Token: fencing.Token{Holder: from}, Log: log})
			})
			return copies
		}
		require.Equal(t, 0, kept("nonsense", m.Peer()))
		require.Equal(t, 0, kept(log, o.monkeys[1].Peer()), "who has not got it")
		require.Equal(t, 0, o.disksHolding(log))
		resp, err := m.finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "e", Log: log})
		require.NoError(t, err)
		require.Equal(t, 2, resp.LogCopies)
		require.Equal(t, 2, o.disksHolding(log))
		m.Vanish()
		require.Equal(t, 2, kept(log, m.Peer()), "it is here")
		o.turn(first, func(ctx context.Context, s *Service) { require.NoError(t, s.env.Blocks.Remove(cid.MustParse(log))) })
		require.Equal(t, 2, kept(log, m.Peer()), "another patrick has it")
		told, err := o.logs(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.LogsResponse{Lines: []string{"one", ""}, Full: true}, told)

		for _, p := range o.patricks {
			o.turn(p, func(ctx context.Context, s *Service) { require.NoError(t, s.env.Blocks.Remove(cid.MustParse(log))) })
		}
		o.turn(first, func(ctx context.Context, s *Service) {
			_, err := s.wholeLog(ctx, job, log)
			requireKind(t, transport.Unreachable, err, "nobody who keeps it can be reached")
		})
	})
}

// Who keeps what belongs to a job: those that are ranked first for its branch.
func TestWhoKeepsAJob(t *testing.T) {
	job := jobNamed("r", "e", 1)
	amongNeighbours(t, 2, 4, func(self *nodetest.Caller, r *reach, branch string, _ []*neighbour) {
		job = branch + job[len(branch):]
		s := &Service{env: self.Env, peers: r}
		for copies, keeps := range map[int]bool{0: false, 1: false, 2: false, 3: true, 4: true, 9: true} {
			s.settings.Copies = copies
			require.Equal(t, keeps, s.keeps(job), copies)
			require.Equal(t, max(1, min(copies, 5)), s.copies())
		}
	})
	amongNeighbours(t, 0, 1, func(self *nodetest.Caller, r *reach, branch string, _ []*neighbour) {
		s := &Service{env: self.Env, peers: r}
		require.True(t, s.keeps(branch+job[len(branch):]), "at least one does")
	})
}

// What is looked for: trees and logs of jobs that this patrick keeps and has not
// got, each once: first trees that are still to be built, and those of the oldest job first.
func TestWhatIsLookedFor(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		m := o.monkeys[0]
		young, old := o.push(aPush("young", 2)), o.push(aPush("old", 1))
		here := m.store("here")
		nodetest.Sleep(second) // what the pushes have begun to look for is found
		o.turn(o.ranked()[1], func(ctx context.Context, s *Service) {
			s.repairing = true // and nothing else does it
			clear(s.wants)
			a, b := s.board.briefs[young], s.board.briefs[old]
			a.at, b.at = 2, 1
			a.source, a.log, b.source, b.log = "x", "", "z", "y"
			s.board.briefs[young], s.board.briefs[old] = a, b
			s.wantContent(young)
			s.wantContent(old)
			s.wantContent(old)
			names := func() (list []string) {
				for _, w := range s.wanted() {
					list = append(list, w.root)
				}
				return list
			}
			require.Equal(t, []string{"z", "x", "y"}, names())
			s.settings.Copies = 0
			a.source = "w"
			s.board.briefs[young] = a
			s.wantContent(young)
			require.Len(t, s.wants, 3, "another keeps it")
			s.settings.Copies = 2

			for tries := 1; tries <= 3; tries++ {
				require.True(t, s.repairContents(ctx))
				require.Equal(t, []string{"z", "y"}, names(), "x is named no more")
				require.Equal(t, tries, s.wants["z"].tries)
				require.Equal(t, 1, s.wants["y"].tries, "a log has time")
			}
			s.wants["z"].tries = repairTriesMax
			require.True(t, s.repairContents(ctx), "the job is active")
			require.Equal(t, repairTriesMax+1, s.wants["z"].tries)
			s.board.drop(old)
			s.wants["y"].tries, s.wants["z"].tries, s.wants["z"].next = repairTriesMax, repairTriesMax-1, 0
			require.True(t, s.repairContents(ctx))
			require.Equal(t, []string{"z"}, names())
			require.Equal(t, s.env.Loop.Elapsed()+repairWaitMax, s.wants["z"].next)
			require.False(t, s.repairContents(ctx))
			require.Empty(t, s.wants)

			s.wants["v"] = &want{job: old, root: "v"}
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.False(t, s.repairContents(ended))
			require.Contains(t, s.wants, "v")
			delete(s.wants, "v")
			require.Error(t, s.repairContent(ctx, &want{job: old, root: "nonsense"}))
			require.Error(t, s.repairContent(ctx, &want{job: old, root: here}), "no patrick has it")
			s.repairing = false
		})
	})
}

// What is missing is looked for from the next second on, each time anew.
func TestMissingContentIsLookedForEachTime(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		nodetest.Sleep(5 * second)
		for range 2 {
			o.turn(o.patricks[0], func(_ context.Context, s *Service) {
				require.False(t, s.repairing)
				require.NoError(t, s.env.Blocks.Remove(cid.MustParse(s.Source(job))))
				s.wantContent(job)
				require.True(t, s.repairing)
				require.False(t, s.HasTree(job))
			})
			nodetest.Sleep(repairInterval - 1)
			o.turn(o.patricks[0], func(_ context.Context, s *Service) { require.False(t, s.HasTree(job), "it may be on its way") })
			nodetest.Sleep(second)
			o.turn(o.patricks[0], func(_ context.Context, s *Service) {
				require.True(t, s.HasTree(job))
				require.Empty(t, s.wants)
			})
			nodetest.Sleep(2 * second)
		}
	})
}
