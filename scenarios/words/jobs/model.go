package jobs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
)

// jobModel is what must be true of jobs, by what users did and by what became of
// the attempts. It asks no service.
type jobModel struct {
	jobs  map[string]*jobTruth
	order []string // of jobs, as users named them
	// wins are the pushes that supersede older ones, by repository and branch.
	wins map[[2]string][]string
	// forge is what users pushed to a forge, by repository, branch and commit.
	forge map[[3]string]evidence.Pushed
}

// jobTruth is what is known of one job.
type jobTruth struct {
	pushes    []evidence.Pushed
	sent      time.Duration // the first push
	acked     bool
	ackedAt   time.Duration
	grants    []evidence.Attempt // that any patrick has made
	failures  int                // attempts that reported one
	losses    int                // attempts that ended without a word
	decided   [patrickapi.Success + 1]bool
	decidedAt time.Duration // the first end
	cancelled bool          // a user has asked for it
	rebuilds  int           // how often it was begun anew
	forgotten bool          // it had ended, and a patrick let it go
	treeLost  bool          // a patrick has found that none of them has its tree
	adopted   bool          // tns knew of a success of which nobody had told
}

func newJobModel() *jobModel {
	return &jobModel{jobs: map[string]*jobTruth{}, wins: map[[2]string][]string{}, forge: map[[3]string]evidence.Pushed{}}
}

// job is a job's truth, made if there is none.
func (m *jobModel) job(id string, at time.Duration) *jobTruth {
	j := m.jobs[id]
	if j == nil {
		j = &jobTruth{sent: at}
		m.jobs[id] = j
		m.order = append(m.order, id)
	}
	return j
}

// fact learns.
func (m *jobModel) fact(f check.Fact) {
	switch f.Name {
	case "push-sent":
		m.push(f)
	case "git-push-sent":
		m.forge[[3]string{f.Text("repository"), f.Text("branch"), f.Text("commit")}] = pushedBy(f)
	case "job-accepted":
		m.accepted(f)
	case "push-acknowledged":
		if j := m.job(f.Text("job"), f.At); !j.acked {
			j.acked, j.ackedAt = true, f.At
		}
	case "cancel-sent":
		m.job(f.Text("job"), f.At).cancelled = true
	case "job-granted":
		j := m.job(f.Text("job"), f.At)
		if a := evidence.AttemptOf(f); !slices.Contains(j.grants, a) {
			j.grants = append(j.grants, a)
		}
	case "job-released":
		if j := m.job(f.Text("job"), f.At); f.Text("success") != "true" && f.Text("abandoned") != "true" {
			j.failures++
		} else if f.Text("abandoned") == "true" {
			j.losses++
		}
	case "job-rebuilt":
		j := m.job(f.Text("job"), f.At)
		j.rebuilds = max(j.rebuilds, int(f.Int("rebuilds")))
	case "job-forgotten":
		m.job(f.Text("job"), f.At).forgotten = true
	case "job-settled":
		m.job(f.Text("job"), f.At).adopted = true
	case "tree-lost":
		m.job(f.Text("job"), f.At).treeLost = true
	case "job-expired":
		m.job(f.Text("job"), f.At).losses++
	case "job-finished":
		m.end(f)
	}
}

func pushedBy(f check.Fact) evidence.Pushed {
	return evidence.Pushed{
		Project: f.Text("project"), Repository: f.Text("repository"), Branch: f.Text("branch"), Commit: f.Text("commit"),
		Event: f.Text("event"), Order: uint64(f.Int("order")),
		Built:      evidence.Built{Source: f.Text("source"), Artifact: f.Text("artifact"), Entries: f.Text("entries"), Fail: f.Text("fail")},
		NewestWins: f.Text("newest-wins") == "true", At: f.At,
	}
}

// accepted learns of the job of a forge: a patrick names its event, of what somebody has pushed there.
func (m *jobModel) accepted(f check.Fact) {
	p, known := m.forge[[3]string{f.Text("forge"), f.Text("branch"), f.Text("commit")}]
	if !known {
		return
	}
	p.Event, p.Order, p.At = f.Text("event"), uint64(f.Int("order")), f.At
	p.NewestWins = p.Commit == patrickapi.NoCommit
	m.add(f.Text("job"), p)
}

func (m *jobModel) push(f check.Fact) { m.add(f.Text("job"), pushedBy(f)) }

// add learns of a push. What is delivered once more is the same.
func (m *jobModel) add(id string, p evidence.Pushed) {
	j := m.job(id, p.At)
	j.pushes = append(j.pushes, p)
	if p.NewestWins {
		key := [2]string{p.Repository, p.Branch}
		m.wins[key] = append(m.wins[key], id)
	}
}

func (m *jobModel) end(f check.Fact) {
	id := f.Text("job")
	j := m.job(id, f.At)
	if j.decidedAt == 0 {
		j.decidedAt = f.At
	}
	j.decided[statusNamed(f.Text("status"))] = true
}

// supersedable reports whether somebody has pushed what makes a job superfluous.
func (m *jobModel) supersedable(id string, p evidence.Pushed) bool {
	return slices.ContainsFunc(m.wins[[2]string{p.Repository, p.Branch}], func(other string) bool { return other != id })
}

// told is what a patrick says of a job.
type told struct {
	id, status                          string
	project, repository, branch, commit string
	source, artifact, log, reason       string
	event                               string
	order                               uint64
	attempts, rebuilds                  int
	token                               evidence.Attempt
}

func toldOf(f check.Fact) told {
	return told{
		id: f.Text("id"), status: f.Text("status"), project: f.Text("project"), repository: f.Text("repository"), branch: f.Text("branch"),
		commit: f.Text("commit"), source: f.Text("source"), artifact: f.Text("artifact"), log: f.Text("log"), reason: f.Text("reason"),
		event: f.Text("event"), order: uint64(f.Int("order")), attempts: int(f.Int("attempts")), rebuilds: int(f.Int("rebuilds")), token: evidence.AttemptOf(f),
	}
}

// contradiction says how what is told of a job cannot be true, "" if it can.
func (m *jobModel) contradiction(job string, t told) string {
	j := m.jobs[job]
	if j == nil || len(j.pushes) == 0 {
		return "nobody pushed it"
	}
	i := slices.IndexFunc(j.pushes, func(p evidence.Pushed) bool {
		return p.Project == t.project && p.Repository == t.repository && p.Branch == t.branch && p.Commit == t.commit && p.Source == t.source
	})
	switch {
	case t.id != job:
		return "the answer is about job " + t.id
	case i < 0:
		return fmt.Sprintf("nobody pushed commit %s of %s to %s/%s with tree %s under it", t.commit, t.repository, t.project, t.branch, t.source)
	case t.order != j.pushes[i].Order || t.event != j.pushes[i].Event:
		return fmt.Sprintf("it is of event %s with order %d, not %s with %d", j.pushes[i].Event, j.pushes[i].Order, t.event, t.order)
	case t.rebuilds > j.rebuilds:
		return fmt.Sprintf("it was begun anew %d times, not %d", j.rebuilds, t.rebuilds)
	case t.attempts > len(j.grants):
		return fmt.Sprintf("%d attempts of the %d that were granted", t.attempts, len(j.grants))
	}
	return m.statusContradiction(job, j, j.pushes[i], t)
}

func (m *jobModel) statusContradiction(job string, j *jobTruth, p evidence.Pushed, t told) string {
	status := statusCalled(t.status)
	switch {
	case status.Final() && !j.decided[status]:
		return "no patrick decided that"
	case status == patrickapi.Locked || status == patrickapi.Success:
		if !slices.Contains(j.grants, t.token) {
			return fmt.Sprintf("attempt %d of %s was not granted", t.token.Number, t.token.Holder)
		}
	}
	switch status {
	case patrickapi.Success:
		if t.artifact != p.Artifact {
			return fmt.Sprintf("the artifact of what was pushed is %q, not %q", p.Artifact, t.artifact)
		}
	case patrickapi.Failed:
		return j.failedContradiction(p, t)
	case patrickapi.Cancelled:
		if !j.cancelled && !m.supersedable(job, p) {
			return "nobody cancelled it, and no push made it superfluous"
		}
	}
	return ""
}

// failedContradiction: a failure has failed or lost attempts, or nobody has what was pushed; and it says why.
func (j *jobTruth) failedContradiction(p evidence.Pushed, t told) string {
	switch {
	case strings.TrimSpace(t.reason) == "":
		return "it does not say why"
	case j.treeLost: // whether it may be is for no-lost-jobs to say
	case j.failures == 0 && j.losses == 0:
		return "no attempt failed or was lost"
	case p.Fail == "permanent" && j.failures == 0 && j.losses < 2:
		return "what cannot be built was given up before anybody tried"
	}
	return ""
}

func statusCalled(name string) patrickapi.Status {
	for s := patrickapi.Unknown; s <= patrickapi.Success; s++ {
		if s.String() == name {
			return s
		}
	}
	return patrickapi.Unknown
}
