package versions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// newestIsLive follows the events of each branch in the order in which users made
// them.
type newestIsLive struct {
	check.Tally
	evidence.Durability
	branches map[tnsapi.BranchRequest]*eventsOf
	jobs     map[string]*event
	// taken is the newest version that each replica itself has accepted of a branch in
	// its incarnation.
	taken map[replicaOf]taken
}

// replicaOf is a branch at a node.
type replicaOf struct {
	node   string
	branch tnsapi.BranchRequest
}

type taken struct {
	incarnation int64
	newest      evidence.Height
}

// eventsOf is a branch: its events, and what else was published on it.
type eventsOf struct {
	events []*event
	// other is the newest version that no push stands for, by its acknowledgement.
	other evidence.Height
}

// event is one push, whatever its deliveries.
type event struct {
	job, commit string
	order       uint64
	noticed     time.Duration // it was made after this moment
	sent, acked time.Duration // first delivery; acked is 0 while it is not
	success     time.Duration // when somebody first knew of it, 0 while nobody does
	published   bool
}

func newNewestIsLive() *newestIsLive {
	return &newestIsLive{Durability: evidence.NewDurability(tnsapi.Service, publishMax), branches: map[tnsapi.BranchRequest]*eventsOf{}, jobs: map[string]*event{}, taken: map[replicaOf]taken{}}
}

func (*newestIsLive) Name() string { return "newest-success-is-live" }

// Fact implements check.OnFact.
func (c *newestIsLive) Fact(f check.Fact) error {
	c.Durability.Learn(f)
	switch {
	case f.Name == "push-sent":
		return c.sent(f)
	case f.Name == "push-acknowledged":
		if e := c.jobs[f.Text("job")]; e != nil && e.acked == 0 {
			e.acked = f.At
		}
	case f.Name == "job-finished" && f.Text("status") == patrickapi.Success.String():
		if e := c.jobs[f.Text("job")]; e != nil && e.success == 0 {
			e.success = f.At
		}
	case f.Service == "tns" && f.Name == "publish-durable":
		c.Promise(f.Text("job"), int(f.Int("copies")), f.At)
	case f.Service == "tns" && f.Name == "published":
		if err := c.took(f); err != nil {
			return err
		}
		if e := c.jobs[f.Text("job")]; e != nil {
			e.published = true
		} else if b := c.branch(evidence.BranchOf(f)); b.other.Compare(evidence.HeightOf(f)) < 0 {
			b.other = evidence.HeightOf(f)
		}
	}
	return nil
}

// took demands of a rollback that it is newer than all that the same replica has
// accepted: it is to be live.
func (c *newestIsLive) took(f check.Fact) error {
	at, is := replicaOf{f.Node, evidence.BranchOf(f)}, evidence.HeightOf(f)
	t := c.taken[at]
	if t.incarnation != f.Int("incarnation") {
		t = taken{incarnation: f.Int("incarnation")}
	}
	if f.Int("rollback") > 0 {
		c.Evaluated()
		if is.Compare(t.newest) <= 0 {
			return fmt.Errorf("%s accepts a rollback of %s/%s to commit %s with order %s, after it accepted a version of order %s", f.Node, at.branch.Project, at.branch.Branch, f.Text("commit"), is, t.newest)
		}
	}
	if t.newest.Compare(is) < 0 {
		t.newest = is
	}
	c.taken[at] = t
	return nil
}

func (c *newestIsLive) branch(b tnsapi.BranchRequest) *eventsOf {
	if c.branches[b] == nil {
		c.branches[b] = new(eventsOf)
	}
	return c.branches[b]
}

// sent demands of a new event that it is newer than all that had been
// acknowledged when it was made, whatever any clock says.
func (c *newestIsLive) sent(f check.Fact) error {
	b := c.branch(evidence.BranchOf(f))
	if c.jobs[f.Text("job")] != nil {
		return nil // one more delivery
	}
	e := &event{job: f.Text("job"), commit: f.Text("commit"), order: uint64(f.Int("order")), sent: f.At, noticed: f.At - time.Duration(f.Int("took"))}
	for _, older := range b.events {
		if older.acked == 0 || older.acked > e.noticed || patrickapi.BranchOf(older.job) != patrickapi.BranchOf(e.job) {
			continue // they were pushed at the same time, or cannot be compared
		}
		c.Evaluated()
		if older.order >= e.order {
			return fmt.Errorf("the push of commit %s was given order %d, after that of commit %s with order %d was acknowledged", e.commit, e.order, older.commit, older.order)
		}
	}
	b.events = append(b.events, e)
	c.jobs[e.job] = e
	return nil
}

// Poll implements check.OnPoll.
func (c *newestIsLive) Poll(v check.View) error {
	c.Look(v)
	return nil
}

// Settled demands that on each tns the newest push that succeeded is current, or
// what was published or rolled back after it.
func (c *newestIsLive) Settled(v check.View) error {
	if err := check.Missing(v, tnsapi.Service); err != nil {
		return err
	}
	for _, b := range slices.SortedFunc(maps.Keys(c.branches), evidence.CompareBranches) {
		newest := c.newestSuccess(b)
		if newest == nil {
			continue
		}
		if c.Copies(newest.job) == 0 {
			c.Excused("tns has not acknowledged the version")
			continue
		}
		if c.Void(newest.job) {
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		}
		if err := eachTNS(v, func(name string, s TNS) error { return c.live(name, s, b, newest) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *newestIsLive) newestSuccess(b tnsapi.BranchRequest) *event {
	var newest *event
	for _, e := range c.branches[b].events {
		if e.success > 0 && (newest == nil || cmp.Or(cmp.Compare(e.order, newest.order), strings.Compare(e.job, newest.job)) > 0) {
			newest = e
		}
	}
	return newest
}

func (c *newestIsLive) live(name string, s TNS, b tnsapi.BranchRequest, newest *event) error {
	c.Evaluated()
	current, err := s.Current(b.Project, b.Branch)
	if err != nil {
		return fmt.Errorf("%s names nothing as current on %s/%s, though the push of commit %s succeeded: %w", name, b.Project, b.Branch, newest.commit, err)
	}
	is := evidence.Height{Major: current.Order, Minor: uint64(current.Rollback)}
	want := evidence.Height{Major: newest.order}
	switch {
	case current.Job == newest.job:
		if current.Commit != newest.commit {
			return fmt.Errorf("%s names commit %s as what job %s published, its push was of commit %s", name, current.Commit, newest.job, newest.commit)
		}
	case is.Compare(want) < 0, is.Compare(want) == 0 && c.jobs[current.Job] != nil:
		return fmt.Errorf("%s names commit %s of order %s as current on %s/%s, though the push of commit %s of order %d succeeded", name, current.Commit, is, b.Project, b.Branch, newest.commit, newest.order)
	case c.jobs[current.Job] == nil && c.branches[b].other.Compare(is) < 0:
		return fmt.Errorf("%s names commit %s of order %s as current on %s/%s, which nobody published", name, current.Commit, is, b.Project, b.Branch)
	}
	return nil
}
