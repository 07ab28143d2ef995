package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// lookAtJob asks one patrick what has become of a job.
func (a *auditor) lookAtJob(ctx context.Context, env node.Env) {
	a.askJob(ctx, env, a.someone(env, "patrick"), pick(a, a.jobs.list))
}

func (a *auditor) askJob(ctx context.Context, env node.Env, by transport.Peer, id string) {
	began := env.Loop.Elapsed()
	job, err := patrickapi.GetJob.Call(ctx, env.Wire, by, patrickapi.JobRequest{Job: id})
	answered(env, "audit-job", by, began, err, node.F("id", job.ID))
	if err == nil {
		observeJob(env, by, began, id, job, evidence.NoSweep)
	} else if transport.KindOf(err) == transport.NotFound {
		observeJob(env, by, began, id, patrickapi.Job{}, evidence.NoSweep)
	}
}

// observeJob reports what a patrick knows of a job, nothing if that is what it
// said.
func observeJob(env node.Env, by transport.Peer, began time.Duration, id string, j patrickapi.Job, sweep int) {
	env.Observe("job-told", node.F("by", by), node.F("took", env.Loop.Elapsed()-began), node.F("job", id), node.F("status", j.Status.String()),
		node.F("id", j.ID), node.F("project", j.Project), node.F("repository", j.Repository), node.F("branch", j.Branch), node.F("commit", j.Commit),
		node.F("source", j.Source), node.F("event", j.Event), node.F("order", j.Order), node.F("rebuilds", j.Rebuilds), node.F("newest-wins", j.NewestWins), node.F("attempts", j.Attempts),
		node.F("attempt", j.Token.Attempt), node.F("holder", j.Token.Holder), node.F("artifact", j.Artifact), node.F("log", j.Log), node.F("reason", j.Error), node.F("sweep", sweep))
}

// lookAtLogs asks one patrick for the log of a job, every other time of one that is
// being built.
func (a *auditor) lookAtLogs(ctx context.Context, env node.Env) {
	id := pick(a, a.jobs.list)
	if len(a.running) > 0 && a.IntN(2) == 0 {
		id = pick(a, a.running)
	}
	a.askLogs(ctx, env, a.someone(env, "patrick"), id, evidence.NoSweep)
}

func (a *auditor) askLogs(ctx context.Context, env node.Env, by transport.Peer, id string, sweep int) {
	began := env.Loop.Elapsed()
	logs, err := patrickapi.Logs.Call(ctx, env.Wire, by, patrickapi.JobRequest{Job: id})
	first, last := "", ""
	if n := len(logs.Lines); n > 0 {
		first, last = logs.Lines[0], logs.Lines[n-1]
	}
	answered(env, "logs-told", by, began, err, node.F("lines", len(logs.Lines)), node.F("first", first), node.F("last", last))
	env.Observe("log-read", node.F("by", by), node.F("took", env.Loop.Elapsed()-began), node.F("job", id), node.F("sweep", sweep),
		node.F("full", logs.Full && err == nil), node.F("answered", err == nil), node.F("first", first), node.F("last", last))
}

// lookAtList asks one patrick for a page of jobs, and sometimes for the next.
func (a *auditor) lookAtList(ctx context.Context, env node.Env) {
	by, req := a.someone(env, "patrick"), patrickapi.ListRequest{Limit: 1 + a.IntN(8)}
	if a.IntN(2) == 0 {
		req.Project = pick(a, a.projects.list)
	} else if a.IntN(2) == 0 {
		b := pick(a, a.branches.list)
		req.Project, req.Branch = b.Project, b.Branch
	}
	if page, err := a.askList(ctx, env, by, req, evidence.NoSweep); err == nil && page.More && len(page.Jobs) > 0 {
		req.After = page.Jobs[len(page.Jobs)-1].ID
		_, _ = a.askList(ctx, env, by, req, evidence.NoSweep) // it is reported
	}
}

func (a *auditor) askList(ctx context.Context, env node.Env, by transport.Peer, req patrickapi.ListRequest, sweep int) (patrickapi.ListResponse, error) {
	began := env.Loop.Elapsed()
	page, err := patrickapi.List.Call(ctx, env.Wire, by, req)
	ids := make([]string, len(page.Jobs))
	for i, j := range page.Jobs {
		ids[i] = j.ID
		observeJob(env, by, began, j.ID, j, sweep)
	}
	answered(env, "list-told", by, began, err, node.F("sweep", sweep), node.F("project", req.Project), node.F("branch", req.Branch), node.F("after", req.After),
		node.F("limit", req.Limit), node.F("more", page.More), node.F("ids", strings.Join(ids, " ")), node.F("wrong", listWrong(req, page)))
	return page, err
}

// listWrong says what is wrong with a page in itself, "" if nothing is.
func listWrong(req patrickapi.ListRequest, page patrickapi.ListResponse) string {
	if req.Limit > 0 && len(page.Jobs) > req.Limit {
		return fmt.Sprintf("%d jobs in a page of %d", len(page.Jobs), req.Limit)
	}
	if page.More && len(page.Jobs) == 0 {
		return "an empty page says that there are more"
	}
	for i, j := range page.Jobs {
		switch {
		case req.Project != "" && j.Project != req.Project, req.Branch != "" && j.Branch != req.Branch:
			return fmt.Sprintf("job %s of %s/%s is in a list of %s/%s", j.ID, j.Project, j.Branch, req.Project, req.Branch)
		case j.ID == req.After:
			return "the page begins with the end of the one before"
		case i > 0 && (req.Branch != "" && j.Order > page.Jobs[i-1].Order || req.Branch == "" && j.Accepted > page.Jobs[i-1].Accepted):
			return "an older job comes before a newer one"
		case i > 0 && j.ID == page.Jobs[i-1].ID:
			return "a job is there twice"
		}
	}
	return ""
}

// lookAtOpen asks one patrick what a monkey could claim.
func (a *auditor) lookAtOpen(ctx context.Context, env node.Env) {
	by, began := a.someone(env, "patrick"), env.Loop.Elapsed()
	limit := 1 + a.IntN(8)
	open, err := patrickapi.OpenJobs.Call(ctx, env.Wire, by, patrickapi.OpenRequest{Limit: limit})
	ids := make([]string, len(open.Jobs))
	for i, o := range open.Jobs {
		ids[i] = o.Job
	}
	answered(env, "open-told", by, began, err, node.F("limit", limit), node.F("ids", strings.Join(ids, " ")))
}

// lookAtMonkey asks one monkey what it is doing.
func (a *auditor) lookAtMonkey(ctx context.Context, env node.Env) {
	by, began := a.someone(env, "monkey"), env.Loop.Elapsed()
	status, err := monkeyapi.Status.Call(ctx, env.Wire, by, monkeyapi.StatusRequest{})
	answered(env, "monkey-told", by, began, err, node.F("slots", status.Slots), node.F("work", len(status.Work)))
	for _, w := range status.Work {
		env.Observe("work-told", node.F("by", by), node.F("job", w.Job), node.F("attempt", w.Token.Attempt), node.F("holder", w.Token.Holder),
			node.F("phase", w.Phase), node.F("for", w.For))
	}
}

// lookAtArtifact fetches what a job came to, as whoever runs it would.
func (a *auditor) lookAtArtifact(_ context.Context, env node.Env) {
	root := pick(a, a.artifacts.list)
	a.fetch(env, func(ctx context.Context) { a.fetchArtifact(ctx, env, root) })
}

// fetchArtifact allows for what it takes over the slowest link.
func (a *auditor) fetchArtifact(ctx context.Context, env node.Env, root string) {
	began := env.Loop.Elapsed()
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, evidence.LookTimeout+transport.TransferTime(a.sizes[root]))
	defer cancel()
	id, err := cid.Decode(root)
	if err != nil {
		return
	}
	holders, err := hoarderapi.NewClient(env.Wire).Locate(ctx, root)
	if err == nil {
		err = env.Blocks.Fetch(ctx, id, holders, evidence.ArtifactMax)
	}
	if err == nil { // every block was compared with the name that the push's tree gives it
		_, err = env.Blocks.Read(ctx, id, evidence.ArtifactMax)
		_ = env.Blocks.Remove(id) // to be fetched again the next time
	}
	answered(env, "artifact-told", transport.Peer{}, began, err)
	env.Observe("artifact-read", node.F("root", root), node.F("whole", err == nil), node.F("took", env.Loop.Elapsed()-began))
}

// sampleMax is how many logs a sweep asks for.
const sampleMax = 5

// sweepJobs has one patrick list all jobs, and asks it for some logs.
func (a *auditor) sweepJobs(ctx context.Context, env node.Env, n int) {
	if len(a.jobs.list) == 0 || !a.serves(env, "patrick") {
		return
	}
	peers, _ := env.Wire.Directory().Lookup("patrick")
	by := peers[n%len(peers)]
	var req patrickapi.ListRequest
	for pages := 0; pages <= len(a.jobs.list); pages++ {
		var page patrickapi.ListResponse
		err := bounded(ctx, env, func(ctx context.Context) (err error) {
			page, err = a.askList(ctx, env, by, req, n)
			return err
		})
		if err != nil {
			return
		}
		if !page.More || len(page.Jobs) == 0 {
			break
		}
		req.After = page.Jobs[len(page.Jobs)-1].ID
	}
	for range min(sampleMax, len(a.jobs.list)) {
		_ = bounded(ctx, env, func(ctx context.Context) error {
			a.askLogs(ctx, env, by, pick(a, a.jobs.list), n)
			return nil
		})
	}
}

func bounded(ctx context.Context, env node.Env, f func(ctx context.Context) error) error {
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, evidence.LookTimeout)
	defer cancel()
	return f(ctx)
}
