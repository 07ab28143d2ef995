package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// versionModel is what must be true of the versions of branches: which were
// published, by facts, and what they consist of, by what users pushed and
// published.
type versionModel struct {
	branches map[tnsapi.BranchRequest]*branchTruth
	// jobs are the pushes by job.
	jobs map[string]pushed
}

// branchTruth is what is known of one branch.
type branchTruth struct {
	published map[versionName]string // commit
	// begun is shared by the registers of all replicas.
	begun *maxRegister
	// entries are the digests that a commit may have, by commit.
	entries map[string][]string
	// orders are those that each job has published under; ambiguous: some job has
	// published under two, so that which counts depends on tokens.
	orders    map[string]height
	ambiguous bool
	// newest is the greatest height that was published, and when.
	newest   height
	newestAt time.Duration
}

// newerThan reports whether so many other jobs have published newer versions that
// a version of a job need not be kept.
func (t *branchTruth) newerThan(job string, keep int) bool {
	newer := 0
	for other, h := range t.orders {
		if other != job && t.orders[job].compare(h) <= 0 {
			newer++
		}
	}
	return newer >= keep
}

// later reports whether a job has published under a later attempt.
func (t *branchTruth) later(job string, a attempt) bool {
	for name := range t.published {
		if name.job == job && a.less(name.token) {
			return true
		}
	}
	return false
}

// versionName tells versions of a branch apart.
type versionName struct {
	job    string
	height height
	token  attempt
}

func newVersionModel() *versionModel {
	return &versionModel{branches: map[tnsapi.BranchRequest]*branchTruth{}, jobs: map[string]pushed{}}
}

func branchOf(f check.Fact) tnsapi.BranchRequest {
	return tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")}
}

// heightOf is the place of a version among those of its branch.
func heightOf(f check.Fact) height {
	return height{major: uint64(f.Int("order")), minor: uint64(f.Int("rollback"))}
}

func nameOf(f check.Fact) versionName { return versionName{f.Text("job"), heightOf(f), attemptOf(f)} }

func (m *versionModel) branch(b tnsapi.BranchRequest) *branchTruth {
	t := m.branches[b]
	if t == nil {
		t = &branchTruth{published: map[versionName]string{}, begun: new(maxRegister), entries: map[string][]string{}, orders: map[string]height{}}
		m.branches[b] = t
	}
	return t
}

// fact learns.
func (m *versionModel) fact(f check.Fact) {
	switch {
	case f.Name == "push-sent":
		m.jobs[f.Text("job")] = pushed{
			project: f.Text("project"), branch: f.Text("branch"), commit: f.Text("commit"),
			built: built{artifact: f.Text("artifact"), entries: f.Text("entries")},
		}
		m.consists(f)
	case f.Name == "publish-sent":
		m.consists(f)
	case f.Service == "tns" && f.Name == "published":
		t := m.branch(branchOf(f))
		name := nameOf(f)
		t.published[name] = f.Text("commit")
		t.begun.begin(f.At, name.height)
		if t.newest.compare(name.height) < 0 {
			t.newest, t.newestAt = name.height, f.At
		}
		if old, known := t.orders[name.job]; known && old != name.height {
			t.ambiguous = true
		}
		t.orders[name.job] = name.height
	}
}

func (m *versionModel) consists(f check.Fact) {
	t, commit, digest := m.branch(branchOf(f)), f.Text("commit"), f.Text("entries")
	if digest != "" && !slices.Contains(t.entries[commit], digest) {
		t.entries[commit] = append(t.entries[commit], digest)
	}
}

// contradiction says how a version that is told of cannot be one, "" if it can.
func (m *versionModel) contradiction(f check.Fact) string {
	t, name := m.branch(branchOf(f)), nameOf(f)
	commit, found := t.published[name]
	p, built := m.jobs[name.job]
	switch {
	case !found:
		return fmt.Sprintf("nobody published order %s of job %s under attempt %d of %s", name.height, name.job, name.token.number, name.token.holder)
	case commit != f.Text("commit"):
		return fmt.Sprintf("commit %s was published, not %s", commit, f.Text("commit"))
	case built && (p.commit != commit || p.project != f.Text("project") || p.branch != f.Text("branch")):
		return fmt.Sprintf("its job is about commit %s of %s/%s", p.commit, p.project, p.branch)
	case built && f.Text("artifact") != p.artifact:
		return fmt.Sprintf("what was pushed comes to artifact %s, not %s", p.artifact, f.Text("artifact"))
	}
	return ""
}

// readContradiction is the same for what was read of a version.
func (m *versionModel) readContradiction(f check.Fact) string {
	t := m.branch(branchOf(f))
	want := t.entries[f.Text("commit")]
	if p, built := m.jobs[f.Text("job")]; built {
		want = []string{p.entries}
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
