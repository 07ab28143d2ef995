package patrick

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// board is a patrick's in-memory state of its jobs. It can be rebuilt from the store at any time,
// except for the leases: those start anew.
type board struct {
	// briefs holds a summary of every job, active the jobs that are not final.
	briefs map[string]brief
	active map[string]*active
	// branches holds the state that spans the jobs of a branch.
	branches map[string]branch
	// finished counts the final jobs of a project.
	finished map[string]int
	// memories holds the entries that replace forgotten jobs, by BranchID.
	memories map[string]*memory
	// given holds the orders that were given to events whose pushes have not arrived yet.
	given given
}

// brief is a job's summary: enough to list it.
type brief struct {
	project, branch string
	order           uint64
	at              int64
	status          patrickapi.Status
	// source and log are the roots of the tree and of the last log, "" if they are
	// not needed any more or not there yet.
	source, log string
}

// branch holds the greatest order of a branch's jobs, and the newest job that
// supersedes all older ones.
type branch struct {
	last      uint64
	newest    uint64
	newestJob string
}

// given remembers the last order that was given to an event, for the givenMax branches that asked
// last. Forgetting one is cheap: two pushes made at the same time may then have equal orders.
type given struct {
	last  map[string]uint64
	order []string // the branches, in the order in which they first asked
}

const givenMax = 4096

// active is a job that is not final. All times are this node's Elapsed.
type active struct {
	id    string
	state State
	// mine: this patrick was the coordinator when that was last decided.
	mine bool
	// lease is until when the live grant holds without being renewed,
	// buildMax until when it holds at all.
	lease, buildMax time.Duration
	// notBefore is until when no attempt is granted.
	notBefore time.Duration
	// round counts the offers of the next attempt.
	round int
	// secured: it is durable on enough patricks.
	secured bool
	// fenceConflicts counts how often tns knew of a newer attempt than this patrick.
	fenceConflicts int
	// fencedBelow: tns was asked and knows of no publication, and accepts none below
	// this attempt. 0 is no.
	fencedBelow uint64
	// treeLost: its tree is not here, and no other patrick has it any more.
	treeLost    bool
	timer       clock.Timer
	reconciling bool
}

func newBoard() *board {
	return &board{
		briefs: map[string]brief{}, active: map[string]*active{},
		branches: map[string]branch{}, finished: map[string]int{}, memories: map[string]*memory{}, given: given{last: map[string]uint64{}},
	}
}

// ids lists all jobs in order.
func (b *board) ids() []string { return slices.Sorted(maps.Keys(b.briefs)) }

// open lists the jobs that wait for a monkey, oldest first.
func (b *board) open() []*active {
	var list []*active
	for _, j := range b.active {
		if j.state.Status == patrickapi.Open {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, compareAge)
	return list
}

// ofBranch lists the active jobs of a branch, oldest first.
func (b *board) ofBranch(id string) []*active {
	var list []*active
	for _, j := range b.active {
		if patrickapi.BranchOf(j.id) == id {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, compareAge)
	return list
}

func compareAge(a, b *active) int {
	return cmp.Or(cmp.Compare(a.state.Spec.Order, b.state.Spec.Order), cmp.Compare(a.id, b.id))
}

// update replaces the summary of a job.
func (b *board) update(id string, s State) {
	old := b.briefs[id]
	b.briefs[id] = brief{project: s.Spec.Project, branch: s.Spec.Branch, order: s.Spec.Order, at: s.Spec.At, status: s.Status, log: s.Outcome.Log}
	if s.Status != patrickapi.Success { // a success is not built again
		line := b.briefs[id]
		line.source = s.Spec.Source
		b.briefs[id] = line
	}
	switch is, was := s.Status.Final(), old.status.Final(); {
	case is && !was:
		b.finished[s.Spec.Project]++
	case was && !is: // it is built anew
		b.finished[s.Spec.Project]--
	}
	key := patrickapi.BranchOf(id)
	br := b.branches[key]
	br.last = max(br.last, s.Spec.Order)
	if s.Spec.NewestWins && s.Spec.Order > br.newest {
		br.newest, br.newestJob = s.Spec.Order, id
	}
	b.branches[key] = br
}

// memoryOf is the memory of a job's branch, nil if there is none.
func (b *board) memoryOf(id string) *memory { return b.memories[patrickapi.BranchOf(id)] }

// remember adds a forgotten job to the memory of its branch.
func (b *board) remember(id string, floor uint64) {
	m := b.memoryOf(id)
	if m == nil {
		m = &memory{}
		b.memories[patrickapi.BranchOf(id)] = m
	}
	m.add(id, floor)
}

// oldestActive is the oldest job of a branch that has not ended, or "".
func (b *board) oldestActive(branchID string) string {
	if list := b.ofBranch(branchID); len(list) > 0 {
		return list[0].id
	}
	return ""
}

// forget removes a job that was deleted.
func (b *board) forget(id string) {
	old, known := b.briefs[id]
	if !known {
		return
	}
	if old.status.Final() {
		b.finished[old.project]--
	}
	delete(b.briefs, id)
	b.drop(id)
}

// drop ends the tracking of an active job.
func (b *board) drop(id string) {
	if j := b.active[id]; j != nil {
		j.stopTimer()
		delete(b.active, id)
	}
}

func (j *active) stopTimer() {
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
}

// supersededBy is the newer job of the branch that supersedes this one, or "". A job that was asked
// to be built anew is not superseded.
func (b *board) supersededBy(j *active) string {
	if j.state.Rebuilds > 0 {
		return ""
	}
	if br := b.branches[patrickapi.BranchOf(j.id)]; br.newest > j.state.Spec.Order && br.newestJob != j.id {
		return br.newestJob
	}
	return ""
}

// older orders jobs of any branches by when they were accepted, as the patricks'
// clocks say: orders can be compared within a branch only.
func (b *board) older(x, y string) int {
	return cmp.Or(cmp.Compare(b.briefs[x].at, b.briefs[y].at), cmp.Compare(x, y))
}

// oldestFinished lists the final jobs of a project that are beyond keep, oldest
// first.
func (b *board) oldestFinished(project string, keep int) []string {
	if b.finished[project] <= keep {
		return nil
	}
	var ids []string
	for id, line := range b.briefs {
		if line.project == project && line.status.Final() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, b.older)
	return ids[:max(0, len(ids)-keep)]
}

// highest is the greatest order of a branch that was accepted, even if its job was forgotten since,
// or given to an event.
func (b *board) highest(branchID string) uint64 {
	known := max(b.branches[branchID].last, b.given.last[branchID])
	if m := b.memories[branchID]; m != nil {
		known = max(known, m.floor)
		if len(m.ids) > 0 {
			known = max(known, patrickapi.OrderOf(m.ids[len(m.ids)-1]))
		}
	}
	return known
}

// giveOrder is the order of a new event of a branch: one more than the greatest that is known here,
// or elsewhere if that is given.
func (b *board) giveOrder(branchID string, elsewhere ...uint64) uint64 {
	order := b.highest(branchID)
	for _, o := range elsewhere {
		order = max(order, o)
	}
	order++
	if _, known := b.given.last[branchID]; !known {
		b.given.order = append(b.given.order, branchID)
		if len(b.given.order) > givenMax {
			delete(b.given.last, b.given.order[0])
			b.given.order = b.given.order[1:]
		}
	}
	b.given.last[branchID] = order
	return order
}

// page lists jobs newest first, beginning after the job after: those of a branch
// by their orders, others by when they were accepted.
func (b *board) page(project, branch, after string, limit int) (ids []string, more bool, err error) {
	newer := func(x, y string) int {
		if branch != "" {
			return cmp.Or(cmp.Compare(b.briefs[y].order, b.briefs[x].order), cmp.Compare(y, x))
		}
		return b.older(y, x)
	}
	if _, known := b.briefs[after]; after != "" && !known {
		return nil, false, fmt.Errorf("no job %q to begin after", after)
	}
	for id, line := range b.briefs {
		if (project == "" || line.project == project) && (branch == "" || line.branch == branch) && (after == "" || newer(id, after) > 0) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, newer)
	if len(ids) > limit {
		return ids[:limit], true, nil
	}
	return ids, false, nil
}
