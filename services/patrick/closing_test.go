package patrick

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

func onlyOneLoss(s *Settings) { s.LossesMax = 1 }

// Before a job is closed whose holder said nothing, tns is asked, and fenced, so
// that nothing can be published afterwards.
func TestALostJobIsClosedWhenTNSHasBeenAsked(t *testing.T) {
	inOffice(t, setup{change: onlyOneLoss}, func(o *office) {
		lost := o.push(aPush("lost", 1))
		o.monkeys[0].mustClaim(lost)
		o.registry.silent = true
		nodetest.Sleep(20 * second)
		require.Equal(t, patrickapi.Open, o.job(lost).Status, "tns says nothing")
		_, err := o.monkeys[1].claim(lost)
		requireKind(t, transport.Conflict, err, "about to be closed")
		o.registry.silent = false
		nodetest.Sleep(tnsRetry + second)
		require.Equal(t, patrickapi.Failed, o.job(lost).Status)
		require.Equal(t, "1 attempts were lost", o.job(lost).Error)
		require.Equal(t, fencing.Token{Attempt: 2}, o.registry.fences[lost])

		published := o.push(aPush("published", 2))
		token := o.monkeys[0].mustClaim(published)
		o.registry.publish(published, token, 2)
		nodetest.Sleep(20 * second)
		require.Equal(t, patrickapi.Success, o.job(published).Status)
		require.Equal(t, "artifact", o.job(published).Artifact)
		require.Len(t, o.Facts("job-settled"), 1)
	})
}

// tns may know of attempts that all patricks have lost. After a while they are
// taken for what nobody will tell of, and attempts begin above them.
func TestAttemptsThatNobodyTellsOfAreGoneBeyond(t *testing.T) {
	inOffice(t, setup{change: onlyOneLoss}, func(o *office) {
		job := o.push(aPush("c", 1))
		o.monkeys[0].mustClaim(job)
		o.registry.fences[job] = fencing.Token{Attempt: 3, Holder: transport.Peer{1}}
		nodetest.Sleep(10*second + fenceConflictsMax*tnsRetry - second)
		require.Equal(t, patrickapi.Open, o.job(job).Status)
		nodetest.Sleep(2*fenceConflictsMax*tnsRetry + 10*second)
		require.Equal(t, patrickapi.Failed, o.job(job).Status)
		require.EqualValues(t, 4, o.registry.fences[job].Attempt)
	})
}

// A publication that becomes known after its job was closed is its outcome all the
// same, if it is known within some minutes.
func TestAnAuditFindsWhatWasPublished(t *testing.T) {
	for _, after := range []time.Duration{0, 10 * second, 3 * time.Minute, 6 * time.Minute} {
		inOffice(t, setup{change: onlyOneLoss}, func(o *office) {
			job := o.push(aPush("c", 1))
			token := o.monkeys[0].mustClaim(job)
			nodetest.Sleep(15 * second)
			require.Equal(t, patrickapi.Failed, o.job(job).Status)
			nodetest.Sleep(after)
			require.Equal(t, patrickapi.Failed, o.job(job).Status)
			o.registry.publish(job, token, 1)
			nodetest.Sleep(5*time.Minute + 10*second)
			require.Equal(t, patrickapi.Success, o.job(job).Status, after)
		})
	}
	inOffice(t, setup{change: func(s *Settings) { s.AttemptsMax = 1 }}, func(o *office) { // nobody can have published
		job := o.push(aPush("c", 1))
		_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: o.monkeys[0].mustClaim(job), Permanent: true, Error: "e"})
		require.NoError(t, err)
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) { require.Empty(t, s.audits) })
	})
}

func TestRebuildBeginsAnewWhatHasEnded(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.AttemptsMax = 1 }}, func(o *office) {
		m := o.monkeys[0]
		job := o.push(aPush("c", 1))
		_, err := o.rebuild(job)
		requireKind(t, transport.Conflict, err, "has not ended")
		token := m.mustClaim(job)
		_, err = m.finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken"})
		require.NoError(t, err)
		nodetest.Sleep(second)
		require.Equal(t, patrickapi.Failed, o.job(job).Status)
		m.heard()
		for range 2 { // impatient people
			resp, err := o.rebuild(job)
			require.NoError(t, err)
			require.Equal(t, patrickapi.RebuildResponse{Status: patrickapi.Open, Rebuilds: 1}, resp)
		}
		require.NotEmpty(t, m.heard())
		require.Len(t, o.Facts("job-rebuilt"), 1)
		next := m.mustClaim(job)
		require.GreaterOrEqual(t, next.Attempt, o.registry.fences[job].Attempt, "tns accepts it")
		require.Positive(t, next.Compare(token))
		resp, err := m.finish(patrickapi.FinishRequest{Job: job, Token: next, Success: true})
		require.NoError(t, err)
		require.Equal(t, patrickapi.Success, resp.Status)
		_, err = o.rebuild(job)
		requireKind(t, transport.Conflict, err, "succeeded")
		_, err = o.rebuild(jobOfPush(aPush("d", 2)))
		requireKind(t, transport.NotFound, err, "no such job")
	})
}

func TestWhatMayBeRebuilt(t *testing.T) {
	for _, c := range []struct {
		status   patrickapi.Status
		rebuilds int
		want     transport.Kind
	}{
		{patrickapi.Unknown, 0, transport.NotFound},
		{patrickapi.Open, 0, transport.Conflict},
		{patrickapi.Locked, 0, transport.Conflict},
		{patrickapi.Open, 1, 0},
		{patrickapi.Locked, 1, 0},
		{patrickapi.Failed, 0, 0},
		{patrickapi.Cancelled, 0, 0},
		{patrickapi.Failed, rebuildsMax - 1, 0},
		{patrickapi.Failed, rebuildsMax, transport.Conflict},
		{patrickapi.Success, 0, transport.Conflict},
		{patrickapi.Success, 1, transport.Conflict},
	} {
		require.Equal(t, c.want, transport.KindOf(rebuildable(State{Status: c.status, Rebuilds: c.rebuilds})), "%v", c)
	}
	require.ErrorContains(t, rebuildable(State{Status: patrickapi.Failed, Rebuilds: rebuildsMax}), fmt.Sprintf("begun anew %d times", rebuildsMax))
}

// The tree of a job that is to be built anew is fetched by a coordinator that has none;
// if nobody has it, that is an error and nothing is begun.
func TestARebuildNeedsTheTree(t *testing.T) {
	inOffice(t, setup{patricks: 3}, func(o *office) {
		job := o.push(aPush("c", 1))
		_, err := o.cancel(job)
		require.NoError(t, err)
		o.ranked()[0].Vanish()
		second, third := o.ranked()[1], o.ranked()[2]
		nodetest.Sleep(5 * time.Second)
		o.turn(second, func(_ context.Context, s *Service) {
			for _, root := range s.env.Blocks.Roots() {
				require.NoError(t, s.env.Blocks.Remove(root))
			}
		})
		_, err = o.rebuild(job)
		require.Error(t, err)
		require.Equal(t, 0, o.job(job).Rebuilds)
		o.ranked()[0].Start()
		nodetest.Sleep(5 * time.Second)
		_, err = o.rebuild(job)
		require.NoError(t, err)
		require.Equal(t, 3, o.disksWith(job, func(s State) bool { return s.Spec.Commit == "c" }))
		_ = third
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The next order is greater than what was accepted, given, seen by the caller or
// is live in tns.
func TestAnEventIsNewerThanAllThatIsKnown(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		of := patrickapi.EventRequest{Project: "p", Repository: "r", Branch: "b"}
		next := func(seen uint64) uint64 {
			req := of
			req.Seen = seen
			return must(o.event(req))
		}
		require.EqualValues(t, 1, next(0))
		require.EqualValues(t, 2, next(0))
		require.EqualValues(t, 9, next(8))
		o.push(aPush("c", 20))
		require.EqualValues(t, 21, next(0))
		o.registry.publish("of patricks that have lost their disks", fencing.Token{Attempt: 1}, 41)
		require.EqualValues(t, 42, next(0))
		require.EqualValues(t, 43, next(0))

		o.registry.silent, o.registry.asked = true, 0
		require.EqualValues(t, 44, next(0))
		require.Equal(t, 1, o.registry.asked)
		require.EqualValues(t, 45, next(0))
		require.Equal(t, 1, o.registry.asked, "it is not asked again at once")
		nodetest.Sleep(liveDoubtFor)
		next(0)
		require.Equal(t, 2, o.registry.asked)
		nodetest.Sleep(liveDoubtFor)
		o.registry.silent = false
		o.registry.versions = nil
		next(0)
		next(0)
		require.Equal(t, 4, o.registry.asked, "nothing published is an answer")

		_, err := o.event(patrickapi.EventRequest{Project: "p", Repository: "r", Branch: "b", Seen: 48 + patrickapi.OrderStepMax + 1})
		requireKind(t, transport.Invalid, err, "absurd")
		require.EqualValues(t, 48+patrickapi.OrderStepMax+1, next(48+patrickapi.OrderStepMax))
		_, err = o.event(patrickapi.EventRequest{Repository: "r", Branch: "b"})
		requireKind(t, transport.Invalid, err, "is no project")
	})
}

func TestWhatIsWrongWithAPush(t *testing.T) {
	long := strings.Repeat("x", patrickapi.NameLenMax+1)
	for name, c := range map[string]struct {
		change func(r *patrickapi.PushRequest)
		want   string
	}{
		"nothing":             {func(*patrickapi.PushRequest) {}, ""},
		"longest name":        {func(r *patrickapi.PushRequest) { r.Commit = long[1:] }, ""},
		"largest tree":        {func(r *patrickapi.PushRequest) { r.Tree = make([]byte, patrickapi.TreeLenMax) }, ""},
		"greatest order":      {func(r *patrickapi.PushRequest) { r.Event.Order = patrickapi.OrderMax }, ""},
		"no project":          {func(r *patrickapi.PushRequest) { r.Project = "" }, "is no project"},
		"no repository":       {func(r *patrickapi.PushRequest) { r.Repository = "" }, "1 to 256 bytes"},
		"no branch":           {func(r *patrickapi.PushRequest) { r.Branch = "" }, "1 to 256 bytes"},
		"no commit":           {func(r *patrickapi.PushRequest) { r.Commit = "" }, "1 to 256 bytes"},
		"no event":            {func(r *patrickapi.PushRequest) { r.Event.ID = "" }, "must have"},
		"long commit":         {func(r *patrickapi.PushRequest) { r.Commit = long }, "1 to 256 bytes"},
		"a project elsewhere": {func(r *patrickapi.PushRequest) { r.Project = "../x" }, "is no project"},
		"a branch elsewhere":  {func(r *patrickapi.PushRequest) { r.Branch = "../x" }, "name of a branch"},
		"an escape":           {func(r *patrickapi.PushRequest) { r.Repository = "a\x1b[2J" }, "printable"},
		"no order":            {func(r *patrickapi.PushRequest) { r.Event.Order = 0 }, "order"},
		"order out of bounds": {func(r *patrickapi.PushRequest) { r.Event.Order = patrickapi.OrderMax + 1 }, "order"},
		"large tree":          {func(r *patrickapi.PushRequest) { r.Tree = make([]byte, patrickapi.TreeLenMax+1) }, "tree"},
	} {
		t.Run(name, func(t *testing.T) {
			req := aPush("c", 1)
			c.change(&req)
			if c.want == "" {
				require.Empty(t, whatIsWrong(req))
			} else {
				require.Contains(t, whatIsWrong(req), c.want)
			}
		})
	}
	inOffice(t, setup{}, func(o *office) {
		_, err := o.deliver(aPush("c", 0))
		requireKind(t, transport.Invalid, err, "order")
		_, err = o.deliver(aPush("c", patrickapi.OrderStepMax+1))
		requireKind(t, transport.Invalid, err, "absurd")
		o.push(aPush("c", patrickapi.OrderStepMax))
	})
}

// Finished jobs beyond keep-finished are forgotten everywhere; a delivery of a
// forgotten push is known for what it is.
func TestOldFinishedJobsAreForgotten(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.KeepFinished = 2 }}, func(o *office) {
		var jobs []string
		for i := range 5 {
			nodetest.Sleep(10 * time.Millisecond)
			jobs = append(jobs, o.push(aPush(fmt.Sprint("c", i), uint64(i+1))))
		}
		open := jobs[0]
		for _, job := range jobs[1:] {
			_, err := o.cancel(job)
			require.NoError(t, err)
		}
		nodetest.Sleep(5 * second)
		for _, m := range o.patricks {
			o.turn(m, func(_ context.Context, s *Service) {
				require.Equal(t, []string{open, jobs[3], jobs[4]}, s.IDs())
				require.Equal(t, 3, s.Known())
				require.True(t, s.Forgot(jobs[1]) && s.Forgot(jobs[2]))
				require.False(t, s.Forgot(open) || s.Forgot(jobs[3]))
				require.Empty(t, s.store.Entries(jobKey(jobs[1])))
			})
		}
		require.Len(t, o.Facts("job-forgotten"), 2)
		resp, err := o.deliver(aPush("c1", 2))
		require.NoError(t, err)
		require.Equal(t, patrickapi.PushResponse{Job: jobs[1], Duplicate: true, Forgotten: true}, resp)
		_, err = o.rebuild(jobs[1])
		require.Error(t, err)
		_, err = o.monkeys[0].claim(jobs[1])
		requireKind(t, transport.Conflict, err, "forgotten")
		_, err = o.logs(jobs[1])
		requireKind(t, transport.NotFound, err, "forgotten")
		_, err = o.monkeys[0].finish(patrickapi.FinishRequest{Job: jobs[1], Token: fencing.Token{Attempt: 1, Holder: o.monkeys[0].Peer()}})
		requireKind(t, transport.Conflict, err, "forgotten")
		resp, err = o.deliver(aPush("c3", 4))
		require.NoError(t, err)
		require.Equal(t, patrickapi.PushResponse{Job: jobs[3], Duplicate: true}, resp)
	})
}

// Trees and logs that no job needs go after two looks, those that are needed stay.
func TestContentsGoWithTheirJobs(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.KeepFinished = 1 }}, func(o *office) {
		m := o.monkeys[0]
		stored := func() (n []int) {
			for _, p := range o.patricks {
				o.turn(p, func(_ context.Context, s *Service) { n = append(n, s.Stored()) })
			}
			return n
		}
		first := o.push(aPush("first", 1))
		require.Equal(t, []int{1, 1}, stored())
		log := m.store("built\n")
		resp, err := m.finish(patrickapi.FinishRequest{Job: first, Token: m.mustClaim(first), Success: true, Log: log})
		require.NoError(t, err)
		require.Equal(t, patrickapi.FinishResponse{Status: patrickapi.Success, LogCopies: 2}, resp)
		require.Equal(t, []int{2, 2}, stored())
		nodetest.Sleep(59 * second)
		require.Equal(t, []int{2, 2}, stored())
		nodetest.Sleep(2*sweepInterval + second)
		require.Equal(t, []int{1, 1}, stored(), "a success is not built again")
		_, err = o.logs(first)
		require.NoError(t, err)

		failed := o.push(aPush("second", 2))
		_, err = m.finish(patrickapi.FinishRequest{Job: failed, Token: m.mustClaim(failed), Permanent: true, Error: "e", Log: m.store("failed\n")})
		require.NoError(t, err)
		nodetest.Sleep(2*sweepInterval + second)
		require.Equal(t, []int{2, 2}, stored(), "tree and log of what may be rebuilt; the first is forgotten")
	})
}
