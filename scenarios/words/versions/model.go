package versions

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// versionModel is what must be true of the versions of branches: which were
// published, by facts, and what they consist of, by what users pushed and
// published.
type versionModel struct {
	branches map[tnsapi.BranchRequest]*branchTruth
	// jobs are the pushes by job.
	jobs map[string]evidence.Pushed
}

// branchTruth is what is known of one branch.
type branchTruth struct {
	published map[versionName]string // commit
	// begun is shared by the registers of all replicas.
	begun *evidence.MaxRegister
	// entries are the digests that a commit may have, by commit.
	entries map[string][]string
	// orders are those that each job has published under; ambiguous: some job has
	// published under two, so that which counts depends on tokens.
	orders    map[string]evidence.Height
	ambiguous bool
	// newest is the greatest height that was published, and when.
	newest   evidence.Height
	newestAt time.Duration
}

// newerThan reports whether so many other jobs have published newer versions that
// a version of a job need not be kept.
func (t *branchTruth) newerThan(job string, keep int) bool {
	newer := 0
	for other, h := range t.orders {
		if other != job && t.orders[job].Compare(h) <= 0 {
			newer++
		}
	}
	return newer >= keep
}

// later reports whether a job has published under a later attempt.
func (t *branchTruth) later(job string, a evidence.Attempt) bool {
	for name := range t.published {
		if name.job == job && a.Less(name.token) {
			return true
		}
	}
	return false
}

// versionName tells versions of a branch apart.
type versionName struct {
	job    string
	height evidence.Height
	token  evidence.Attempt
}

func newVersionModel() *versionModel {
	return &versionModel{branches: map[tnsapi.BranchRequest]*branchTruth{}, jobs: map[string]evidence.Pushed{}}
}

func nameOf(f check.Fact) versionName {
	return versionName{f.Text("job"), evidence.HeightOf(f), evidence.AttemptOf(f)}
}

func (m *versionModel) branch(b tnsapi.BranchRequest) *branchTruth {
	t := m.branches[b]
	if t == nil {
		t = &branchTruth{published: map[versionName]string{}, begun: new(evidence.MaxRegister), entries: map[string][]string{}, orders: map[string]evidence.Height{}}
		m.branches[b] = t
	}
	return t
}

// fact learns.
func (m *versionModel) fact(f check.Fact) {
	switch {
	case f.Name == "push-sent":
		m.jobs[f.Text("job")] = evidence.Pushed{
			Project: f.Text("project"), Branch: f.Text("branch"), Commit: f.Text("commit"),
			Built: evidence.Built{Artifact: f.Text("artifact"), Entries: f.Text("entries")},
		}
		m.consists(f)
	case f.Name == "publish-sent":
		m.consists(f)
	case f.Service == "tns" && f.Name == "published":
		t := m.branch(evidence.BranchOf(f))
		name := nameOf(f)
		t.published[name] = f.Text("commit")
		t.begun.Begin(f.At, name.height)
		if t.newest.Compare(name.height) < 0 {
			t.newest, t.newestAt = name.height, f.At
		}
		if old, known := t.orders[name.job]; known && old != name.height {
			t.ambiguous = true
		}
		t.orders[name.job] = name.height
	}
}

func (m *versionModel) consists(f check.Fact) {
	t, commit, digest := m.branch(evidence.BranchOf(f)), f.Text("commit"), f.Text("entries")
	if digest != "" && !slices.Contains(t.entries[commit], digest) {
		t.entries[commit] = append(t.entries[commit], digest)
	}
}

// contradiction says how a version that is told of cannot be one, "" if it can.
func (m *versionModel) contradiction(f check.Fact) string {
	t, name := m.branch(evidence.BranchOf(f)), nameOf(f)
	commit, found := t.published[name]
	p, built := m.jobs[name.job]
	switch {
	case !found:
		return fmt.Sprintf("nobody published order %s of job %s under attempt %d of %s", name.height, name.job, name.token.Number, name.token.Holder)
	case commit != f.Text("commit"):
		return fmt.Sprintf("commit %s was published, not %s", commit, f.Text("commit"))
	case built && (p.Commit != commit || p.Project != f.Text("project") || p.Branch != f.Text("branch")):
		return fmt.Sprintf("its job is about commit %s of %s/%s", p.Commit, p.Project, p.Branch)
	case built && f.Text("artifact") != p.Artifact:
		return fmt.Sprintf("what was pushed comes to artifact %s, not %s", p.Artifact, f.Text("artifact"))
	}
	return ""
}

// readContradiction is the same for what was read of a version.
func (m *versionModel) readContradiction(f check.Fact) string {
	t := m.branch(evidence.BranchOf(f))
	want := t.entries[f.Text("commit")]
	if p, built := m.jobs[f.Text("job")]; built {
		want = []string{p.Entries}
	}
	switch {
	case f.Text("wrong") != "":
		return f.Text("wrong")
	case f.Int("count") != f.Int("read"):
		return fmt.Sprintf("%d entries of %d", f.Int("read"), f.Int("count"))
	case !slices.Contains(want, f.Text("entries")):
		return "its entries are not what was pushed or published"
	}
	return ""
}
