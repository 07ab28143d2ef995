package patrick

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// The one timer of a job is set to the next moment that something is due, or to
// none.
func TestWhenAJobIsLookedAt(t *testing.T) {
	const never = time.Duration(-1)
	live := func(lease, buildMax time.Duration) active {
		return active{mine: true, lease: lease, buildMax: buildMax, state: State{Status: patrickapi.Locked, Live: true}}
	}
	asked := &cancel{Reason: "why"}
	for name, c := range map[string]struct {
		job    func(now time.Duration) active
		change func(j *active)
		want   time.Duration
	}{
		"held, by its lease":    {func(now time.Duration) active { return live(now+5*second, now+9*second) }, nil, 5 * second},
		"held, by its build":    {func(now time.Duration) active { return live(now+9*second, now+5*second) }, nil, 5 * second},
		"held, overdue":         {func(now time.Duration) active { return live(now-second, now+second) }, nil, 0},
		"held, of another":      {func(now time.Duration) active { return live(now+5*second, now+5*second) }, func(j *active) { j.mine = false }, 1250 * time.Millisecond},
		"held, to be cancelled": {func(now time.Duration) active { return live(now+5*second, now+5*second) }, func(j *active) { j.state.Cancel = asked }, 0},
		"open":                  {func(time.Duration) active { return active{state: State{Status: patrickapi.Open}} }, nil, never},
		"open, waits": {func(now time.Duration) active {
			return active{state: State{Status: patrickapi.Open}, notBefore: now + 1}
		}, nil, 1},
		"open, has waited":   {func(now time.Duration) active { return active{state: State{Status: patrickapi.Open}, notBefore: now} }, nil, never},
		"open, to be closed": {func(time.Duration) active { return active{state: State{Status: patrickapi.Open, Cancel: asked}} }, nil, 0},
		"to be closed, waits": {func(now time.Duration) active {
			return active{state: State{Status: patrickapi.Open, Cancel: asked}, notBefore: now + second}
		}, nil, second},
		"somebody looks already": {func(now time.Duration) active { return live(now+5*second, now+9*second) }, func(j *active) { j.reconciling = true }, never},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				j := active{}
				o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
					armed := func() {
						j = c.job(s.env.Loop.Elapsed())
						j.id = jobNamed("r", "e", 1)
						if c.change != nil {
							c.change(&j)
						}
						s.arm(&j)
					}
					armed()
					if c.want == never {
						require.Nil(t, j.timer)
						return
					}
					require.NoError(t, clock.Sleep(ctx, s.env.Loop, max(0, c.want-1)))
					require.True(t, c.want == 0 || j.timer.Stop(), "not before")
					armed()
					require.NoError(t, clock.Sleep(ctx, s.env.Loop, c.want+1))
					require.False(t, j.timer.Stop(), "then")
				})
			})
		})
	}
}

// What a change of a job's state starts.
func TestWhatAChangeOfStateStarts(t *testing.T) {
	token := func(n uint64) grant { return grant{Token: fencing.Token{Attempt: n, Holder: testPeers[0]}} }
	for name, c := range map[string]struct {
		before, after State
		want          func(now time.Duration) active // but for its state
	}{
		"a grant": {State{}, State{Live: true, Top: token(1), Grants: 1}, func(now time.Duration) active {
			return active{lease: now + 10*second, buildMax: now + 10*time.Minute + attemptSlack}
		}},
		"the same grant":          {State{Live: true, Top: token(1)}, State{Live: true, Top: token(1)}, nil},
		"a grant that has ended":  {State{}, State{Top: token(1)}, nil},
		"begun anew after a halt": {State{}, State{Halted: true, Rebuilds: 1}, func(now time.Duration) active { return active{notBefore: now + 10*second} }},
		"halted":                  {State{Rebuilds: 1}, State{Halted: true, Rebuilds: 1}, nil},
		"begun anew":              {State{}, State{Rebuilds: 1}, nil},
		"as many failures":        {State{Failures: 1}, State{Failures: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
					for _, offers := range []int{0, 3} {
						j := active{state: c.before, round: offers, fenceConflicts: offers, notBefore: 7, lease: 8, buildMax: 9}
						s.follow(&j, c.after)
						want := active{notBefore: 7, lease: 8, buildMax: 9}
						if c.want != nil {
							w := c.want(s.env.Loop.Elapsed())
							want.notBefore, want.lease, want.buildMax = max(7, w.notBefore), max(8, w.lease), max(9, w.buildMax)
						}
						if c.before.Grants == c.after.Grants { // else the rounds begin anew
							want.round, want.fenceConflicts = offers, offers
						}
						want.state = c.after
						require.Equal(t, want, j)
					}
				})
			})
		})
	}
	inOffice(t, setup{}, func(o *office) {
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
			now := s.env.Loop.Elapsed()
			j := active{}
			s.follow(&j, State{Status: patrickapi.Open, Failures: 2})
			require.GreaterOrEqual(t, j.notBefore, now+2*second)
			require.LessOrEqual(t, j.notBefore, now+2*second+second/2)
			require.True(t, s.sweeping)
			require.Zero(t, s.jittered(0))
			require.Zero(t, s.jittered(-1))
			require.EqualValues(t, 1, s.jittered(1), "a quarter of it is nothing")
			seen := map[time.Duration]bool{}
			for range 200 {
				d := s.jittered(8)
				seen[d] = true
			}
			require.Equal(t, map[time.Duration]bool{8: true, 9: true, 10: true}, seen)
		})
	})
}

// What a look at a job does, and when the next one is: at the coordinator and
// elsewhere, for what is held, overdue, taken over, waits or is to be tried.
func TestWhatALookAtAJobDoes(t *testing.T) {
	for name, c := range map[string]struct {
		held      bool
		elsewhere bool
		ended     bool
		change    func(j *active, now time.Duration)
		want      time.Duration
		expired   []any
		asked     int // holders
		offered   bool
	}{
		"held":                      {held: true, want: 0},
		"held, at another":          {held: true, elsewhere: true, want: 2500 * time.Millisecond},
		"open, at another":          {elsewhere: true, want: 2500 * time.Millisecond},
		"overdue":                   {held: true, change: func(j *active, now time.Duration) { j.lease = now }, expired: []any{"not renewed"}, offered: true},
		"not quite overdue":         {held: true, change: func(j *active, now time.Duration) { j.lease = now + 1 }},
		"takes too long":            {held: true, change: func(j *active, now time.Duration) { j.buildMax = now }, expired: []any{"took too long"}},
		"both":                      {held: true, change: func(j *active, now time.Duration) { j.lease, j.buildMax = now, now }, expired: []any{"took too long"}},
		"taken over":                {held: true, change: func(j *active, _ time.Duration) { j.mine = false }, expired: []any{"forgotten"}, asked: 1, offered: true},
		"open, was another's":       {change: func(j *active, _ time.Duration) { j.mine = false }, offered: true},
		"open":                      {offered: true},
		"open, waits":               {change: func(j *active, now time.Duration) { j.notBefore = now + 1 }},
		"open, has waited":          {change: func(j *active, now time.Duration) { j.notBefore = now }, offered: true},
		"another job has its place": {change: func(j *active, _ time.Duration) { j.id = jobNamed("r", "other", 9) }, want: reconcileRetry},
		"there is no time to look":  {elsewhere: true, ended: true, want: reconcileRetry},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				job := o.push(aPush("c", 1))
				if c.held {
					o.monkeys[0].mustClaim(job)
				}
				nodetest.Sleep(second)
				o.monkeys[1].heard()
				at := o.ranked()[0]
				if c.elsewhere {
					at = o.ranked()[1]
				}
				o.turn(at, func(ctx context.Context, s *Service) {
					j := s.board.active[job]
					j.mine = true
					if c.change != nil {
						c.change(j, s.env.Loop.Elapsed())
					}
					if c.ended {
						s.peers.forget(o.ranked()[0].Peer())
						ended, cancel := context.WithCancel(ctx)
						cancel()
						ctx = ended
					}
					require.Equal(t, c.want, s.reconcile(ctx, j))
					require.Equal(t, !c.elsewhere || c.ended, j.mine)
					j.id = job
				})
				require.Equal(t, c.expired, o.expired())
				require.Len(t, o.monkeys[0].asked, c.asked)
				require.Equal(t, c.offered, len(o.monkeys[1].heard()) > 0)
			})
		})
	}
}

// A grant that takes too long is not renewed, whether or not that was noticed.
func TestNoRenewalBeyondTheLongestBuild(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			j, req := s.board.active[job], patrickapi.RenewRequest{Job: job, Token: token}
			j.buildMax, j.mine = s.env.Loop.Elapsed()+1, false
			_, err := s.renew(ctx, transport.Peer{}, req)
			require.NoError(t, err)
			require.True(t, j.mine)
			require.Equal(t, s.env.Loop.Elapsed()+10*second, j.lease)
			j.buildMax--
			_, err = s.renew(ctx, transport.Peer{}, req)
			requireKind(t, transport.Conflict, err, "takes too long")
			j.buildMax++
			j.state.Cancel = &cancel{Reason: "why"}
			_, err = s.renew(ctx, transport.Peer{}, req)
			requireKind(t, transport.Conflict, err, "why")
		})
	})
}

// What tns says before a job is closed: whether it knows a version, a newer
// attempt, or does not answer to one of the two questions.
func TestWhatTNSSaysBeforeAJobIsClosed(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		for _, c := range []struct {
			fence             uint64
			silent, noHistory bool
			versions          []string
			found             bool
			want              transport.Kind
		}{
			{},
			{fence: 5},
			{fence: 6, want: transport.Conflict},
			{versions: []string{"another"}},
			{versions: []string{"another", job}, found: true},
			{fence: 6, versions: []string{job}, found: true},
			{silent: true, want: transport.Unreachable},
			{noHistory: true},
			{fence: 6, noHistory: true, want: transport.Conflict},
		} {
			o.registry.fences[job] = fencing.Token{Attempt: c.fence}
			o.registry.silent, o.registry.noHistory, o.registry.versions = c.silent, c.noHistory, nil
			for _, of := range c.versions {
				o.registry.publish(of, fencing.Token{Attempt: 1}, 1)
			}
			o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
				v, err := s.publishedVersion(ctx, job, s.read(job), 5)
				require.Equal(t, c.want, transport.KindOf(err), fmt.Sprintf("%+v: %v", c, err))
				require.Equal(t, c.found, v != nil)
				require.True(t, v == nil || v.Job == job)
			})
		}
		o.registry.silent, o.registry.versions, o.registry.noHistory = false, nil, false
		o.registry.silentHistory = true
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			_, err := s.publishedVersion(ctx, job, s.read(job), 5)
			require.Equal(t, transport.Unreachable, transport.KindOf(err))
			require.Equal(t, tnsRetry, s.closeUnlessPublished(ctx, s.board.active[job]))
			require.Error(t, s.halt(ctx, s.board.active[job]))
			require.Equal(t, tnsRetry, s.stopHolder(ctx, s.board.active[job]))
			require.Zero(t, s.board.active[job].fenceConflicts)
			o.registry.silentHistory = false
			o.registry.fences[job] = fencing.Token{Attempt: 6}
			require.Equal(t, tnsRetry, s.closeUnlessPublished(ctx, s.board.active[job]))
			require.Equal(t, 1, s.board.active[job].fenceConflicts)
			require.Error(t, s.halt(ctx, s.board.active[job]))
			require.Equal(t, 2, s.board.active[job].fenceConflicts)
			s.board.active[job].fenceConflicts = fenceConflictsMax*5 - 1
			require.Error(t, s.halt(ctx, s.board.active[job]), "nextAttempt 1 and 4 beyond")
			require.Equal(t, 0, s.read(job).Grants)
			require.NoError(t, s.halt(ctx, s.board.active[job]), "6: but it is not held, so nothing is to be done")
		})
		require.Empty(t, o.expired())
	})
}
