package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/transport"
)

// visitor is a client that does what it is told, once.
type visitor struct {
	env  node.Env
	task func(ctx context.Context, env node.Env)
}

func (v *visitor) Start(context.Context) error {
	v.env.Loop.Go("visit", func(ctx context.Context) { v.task(ctx, v.env) })
	return nil
}

func (v *visitor) Stop(context.Context) error { return nil }

// visit runs a world of patricks and monkeys with a client that does task, and
// waits for it.
func visit(t *testing.T, patricks, monkeys int, task func(ctx context.Context, env node.Env, patricks *patrickapi.Client)) {
	done := false
	spec := node.Spec{
		Name: "client", Settings: func() any { return nil },
		New: func(env node.Env, _ any) (node.Service, error) {
			return &visitor{env: env, task: func(ctx context.Context, env node.Env) {
				task(ctx, env, patrickapi.NewClient(env.Wire))
				done = true
			}}, nil
		},
	}
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		buildWorld(w, patricks, monkeys, spec)
		for range 120 {
			if err := w.RunUntil(w.Now() + 5*time.Second); err != nil || done {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.True(t, done, "the client's task has ended")
}

// await asks for a job until it is final.
func await(ctx context.Context, env node.Env, patricks *patrickapi.Client, id string) (patrickapi.Job, error) {
	for {
		job, err := patricks.Job(ctx, id)
		if err == nil && job.Status.Final() {
			return job, nil
		}
		if err := clock.Sleep(ctx, env.Loop, time.Second); err != nil {
			return job, err
		}
	}
}

func TestWhatAUserSeesOfAJob(t *testing.T) {
	var job patrickapi.Job
	var id string
	var logs patrickapi.LogsResponse
	var page patrickapi.ListResponse
	var errs []error
	visit(t, 2, 2, func(ctx context.Context, env node.Env, patricks *patrickapi.Client) {
		p := pushParams{Project: "hello", Branch: "main", Commit: "abc", BuildTime: 6 * time.Second, RetryFor: time.Minute}
		req, err := forge{env}.notice(ctx, &p)
		errs = append(errs, err)
		id = jobOf(req)
		resp, err := patricks.Push(ctx, req)
		errs = append(errs, err)
		job, err = await(ctx, env, patricks, resp.Job)
		errs = append(errs, err, clock.Sleep(ctx, env.Loop, 2*time.Second)) // the log is fetched after the job has ended
		logs, err = patricks.Logs(ctx, resp.Job)
		errs = append(errs, err)
		page, err = patricks.List(ctx, patrickapi.ListRequest{Project: "hello"})
		errs = append(errs, err)
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, patrickapi.Success, job.Status)
	require.Equal(t, id, job.ID)
	require.EqualValues(t, 1, job.Order)
	require.NotEmpty(t, job.Artifact)
	require.True(t, logs.Full)
	require.Contains(t, logs.Lines[0], "building hello at abc")
	require.Contains(t, logs.Lines[len(logs.Lines)-1], "100%")
	require.Len(t, page.Jobs, 1)
	require.Equal(t, job.ID, page.Jobs[0].ID)
}

func TestCancelling(t *testing.T) {
	statuses := map[string]patrickapi.Status{}
	visit(t, 2, 1, func(ctx context.Context, env node.Env, patricks *patrickapi.Client) {
		push := func(commit string, build time.Duration) string {
			p := pushParams{Project: "hello", Branch: "main", Commit: commit, BuildTime: build, RetryFor: time.Minute}
			req, _ := forge{env}.notice(ctx, &p)
			resp, _ := patricks.Push(ctx, req)
			return resp.Job
		}
		held, also, open := push("held", time.Minute), push("also", time.Minute), push("open", time.Second)
		_ = clock.Sleep(ctx, env.Loop, 3*time.Second) // one monkey with two slots: the third job waits
		atOnce, _ := patricks.Cancel(ctx, open)
		statuses["open, at once"] = atOnce.Status
		later, _ := patricks.Cancel(ctx, held)
		statuses["held, at once"] = later.Status
		_ = clock.Sleep(ctx, env.Loop, 6*time.Second)
		job, _ := patricks.Job(ctx, held)
		statuses["held, when its holder has heard of it"] = job.Status
		job, _ = patricks.Job(ctx, also)
		statuses["not cancelled"] = job.Status
		_, err := patricks.Cancel(ctx, patrickapi.JobID("a", "b", "c", patrickapi.Event{ID: "e", Order: 1}))
		if transport.KindOf(err) == transport.NotFound {
			statuses["unknown"] = patrickapi.Unknown
		}
	})
	require.Equal(t, map[string]patrickapi.Status{
		"open, at once":                         patrickapi.Cancelled,
		"held, at once":                         patrickapi.Cancelled,
		"held, when its holder has heard of it": patrickapi.Cancelled,
		"not cancelled":                         patrickapi.Locked,
		"unknown":                               patrickapi.Unknown,
	}, statuses)
}

func TestPushesThatMakeNoSense(t *testing.T) {
	kinds := map[string]transport.Kind{}
	visit(t, 1, 0, func(ctx context.Context, env node.Env, patricks *patrickapi.Client) {
		good := patrickapi.PushRequest{Project: "p", Repository: "r", Branch: "b", Commit: "c", Event: patrickapi.Event{ID: "e", Order: 1}}
		for name, spoil := range map[string]func(r *patrickapi.PushRequest){
			"no project":      func(r *patrickapi.PushRequest) { r.Project = "" },
			"no commit":       func(r *patrickapi.PushRequest) { r.Commit = "" },
			"a long branch":   func(r *patrickapi.PushRequest) { r.Branch = string(make([]byte, 257)) },
			"a large tree":    func(r *patrickapi.PushRequest) { r.Tree = make([]byte, patrickapi.TreeLenMax+1) },
			"a long event":    func(r *patrickapi.PushRequest) { r.Event.ID = string(make([]byte, 257)) },
			"no event":        func(r *patrickapi.PushRequest) { r.Event.ID = "" },
			"no order":        func(r *patrickapi.PushRequest) { r.Event.Order = 0 },
			"an absurd order": func(r *patrickapi.PushRequest) { r.Event.Order = 2 + patrickapi.OrderStepMax },
		} {
			req := good
			spoil(&req)
			_, err := patricks.Push(ctx, req)
			kinds[name] = transport.KindOf(err)
		}
	})
	require.Len(t, kinds, 8)
	for name, kind := range kinds {
		require.Equal(t, transport.Invalid, kind, name)
	}
}

// TestFinishedJobsAreForgotten: a project keeps its last jobs, and what is not
// final is never forgotten.
func TestFinishedJobsAreForgotten(t *testing.T) {
	_, err := sim.Run(sim.Config{Seed: 1}, func(w *sim.World) error {
		set := patrick.DefaultSettings()
		set.KeepFinished = 5
		spec := patrick.Spec(patrick.Ends{})
		spec.Settings = func() any { return set }
		buildWorldOf(w, spec, 3, 3, pusherSpec(20, time.Second, pushParams{Project: "hello", Branch: "main", Deliveries: 1, RetryFor: time.Minute}))
		if err := w.RunUntil(2 * time.Minute); err != nil {
			return err
		}
		for _, n := range w.Nodes() {
			s, ok := n.Service("patrick").(*patrick.Service)
			if !ok {
				continue
			}
			require.Len(t, s.Jobs(), 5, n.Name)
			for _, j := range s.Jobs() {
				require.Equal(t, patrickapi.Success, j.Status)
			}
		}
		return nil
	})
	require.NoError(t, err)
}
