package patrick

import (
	"cmp"
	"maps"
	"slices"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// history holds all records of one job, as sets: adding records in any order, any number of times,
// gives the same history.
type history struct {
	spec        *spec
	grants      map[fencing.Token]grant
	losses      map[fencing.Token]loss
	results     map[fencing.Token]result
	rebuilds    map[int]rebuild
	cancels     map[int]cancel
	closings    map[int]closing
	fencedBelow uint64 // the greatest of all closings
}

// resolve is the state of a job: a pure function of its records. Adding records
// never lowers the status of a final job, but for a rebuild, and a success stays
// one for ever.
func resolve(records []record) State {
	h := &history{
		grants: map[fencing.Token]grant{}, losses: map[fencing.Token]loss{}, results: map[fencing.Token]result{},
		rebuilds: map[int]rebuild{}, cancels: map[int]cancel{}, closings: map[int]closing{},
	}
	for _, r := range records {
		r.into(h)
	}
	return h.state()
}

// keepGreater sets *at to r if *at is nil or r is greater. compare must compare all fields by which
// two records of one place can differ: any total order will do if it is the same on all nodes,
// including those of later releases with more fields. So the encodings are never compared.
func keepGreater[R any](at **R, r R, compare func(a, b R) int) {
	if *at == nil || compare(r, **at) > 0 {
		*at = &r
	}
}

func keepGreaterIn[K comparable, R any](m map[K]R, k K, r R, compare func(a, b R) int) {
	var at *R
	if old, found := m[k]; found {
		at = &old
	}
	keepGreater(&at, r, compare)
	m[k] = *at
}

// Acceptances of one event differ only in their time and their patrick, unless the event was
// delivered with two different contents. The first one counts.
func (r spec) into(h *history) {
	keepGreater(&h.spec, r, func(a, b spec) int { return cmp.Or(cmp.Compare(b.At, a.At), a.By.Compare(b.By)) })
}

func (r grant) into(h *history) {
	keepGreaterIn(h.grants, r.Token, r, func(a, b grant) int {
		return cmp.Or(cmp.Compare(a.Incarnation, b.Incarnation), a.By.Compare(b.By))
	})
}

func (r loss) into(h *history) {
	keepGreaterIn(h.losses, r.Token, r, func(a, b loss) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), a.By.Compare(b.By))
	})
}

func (r result) into(h *history) {
	keepGreaterIn(h.results, r.Token, r, func(a, b result) int {
		return cmp.Or(compareBool(a.Success, b.Success), compareBool(a.Published, b.Published), compareBool(a.Permanent, b.Permanent),
			cmp.Compare(a.Artifact, b.Artifact), cmp.Compare(a.Log, b.Log), cmp.Compare(a.Error, b.Error))
	})
}

func (r rebuild) into(h *history) {
	keepGreaterIn(h.rebuilds, r.N, r, func(a, b rebuild) int { return cmp.Or(cmp.Compare(a.After, b.After), a.By.Compare(b.By)) })
}

func (r cancel) into(h *history) {
	keepGreaterIn(h.cancels, r.Rebuild, r, func(a, b cancel) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Reason, b.Reason), a.By.Compare(b.By))
	})
}

func (r closing) into(h *history) {
	h.fencedBelow = max(h.fencedBelow, r.FencedBelow)
	keepGreaterIn(h.closings, r.Rebuild, r, func(a, b closing) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), a.Token.Compare(b.Token), cmp.Compare(a.Reason, b.Reason), a.By.Compare(b.By))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// State is the state of a job, resolved from its records.
type State struct {
	Status patrickapi.Status
	Spec   spec
	// Top is the greatest grant of all attempts; Live: it has not ended.
	Top  grant
	Live bool
	// Grants counts all grants. Failures are those that ended with a reported failure, Losses those
	// that ended without a report, both since the last rebuild.
	Grants, Failures, Losses int
	// Halted: the last grant was ended because of a cancel, and its holder may not
	// know that.
	Halted bool
	// Rebuilds is how often the job was begun anew.
	Rebuilds int
	// FencedBelow is the attempt below which tns accepts nothing of the job.
	FencedBelow uint64
	// Permanent is the reason of a permanent failure, after which no other attempt is made.
	Permanent string
	// Cancel is why the job is to be cancelled, nil if it is not.
	Cancel *cancel
	// Outcome is the success that counts, or the last failure.
	Outcome result
	// Reason is why a final job has no success.
	Reason string
}

func (h *history) state() State {
	var s State
	if h.spec == nil {
		return s // Unknown: other records arrived before the spec
	}
	s.Spec, s.Grants, s.FencedBelow = *h.spec, len(h.grants), h.fencedBelow
	after := h.begun(&s)
	for _, t := range slices.SortedFunc(maps.Keys(h.grants), fencing.Token.Compare) {
		s.Top = h.grants[t]
		_, reported := h.results[t]
		l, lost := h.losses[t]
		s.Live = !reported && !lost
		s.Halted = !reported && lost && l.Reason == haltedReason
		if lost && !reported && t.Attempt > after {
			s.Losses++
		}
	}
	h.tally(&s, after)
	s.Status = h.status(&s)
	if c := h.closings[s.Rebuilds]; s.Status == c.Status {
		s.Reason = c.Reason
	}
	return s
}

// begun returns the current rebuild of the job and the attempt after which it began.
func (h *history) begun(s *State) (after uint64) {
	for n, r := range h.rebuilds {
		s.Rebuilds, after = max(s.Rebuilds, n), max(after, r.After)
	}
	if c, asked := h.cancels[s.Rebuilds]; asked {
		s.Cancel = &c
	}
	return after
}

// nextAttempt is the number of the next grant: tns accepts it, if it was told a fence.
func (s State) nextAttempt() uint64 { return max(s.Top.Token.Attempt+1, s.FencedBelow) }

// tally evaluates the results in the order of tokens. Failures of attempts up to after do not
// count.
func (h *history) tally(s *State, after uint64) {
	for _, t := range slices.SortedFunc(maps.Keys(h.results), fencing.Token.Compare) {
		r := h.results[t]
		if r.Success || !s.Outcome.Success {
			s.Outcome = r
		}
		if r.Success || t.Attempt <= after {
			continue
		}
		s.Failures++
		if r.Permanent {
			s.Permanent = r.Error
			if s.Permanent == "" {
				s.Permanent = "the build failed"
			}
		}
	}
}

func (h *history) status(s *State) patrickapi.Status {
	c, closed := h.closings[s.Rebuilds]
	switch {
	case s.Outcome.Success:
		return patrickapi.Success
	case closed:
		return c.Status
	case s.Live:
		return patrickapi.Locked
	}
	return patrickapi.Open
}

// job converts the state to its wire type.
func (s State) job(id string) patrickapi.Job {
	j := patrickapi.Job{
		ID: id, Project: s.Spec.Project, Repository: s.Spec.Repository, Branch: s.Spec.Branch,
		Commit: s.Spec.Commit, Source: s.Spec.Source, Forge: s.Spec.Forge, TreeSize: s.Spec.TreeSize, Event: s.Spec.Event, Order: s.Spec.Order,
		NewestWins: s.Spec.NewestWins, Accepted: s.Spec.At, Rebuilds: s.Rebuilds, Status: s.Status, Attempts: s.Grants, Log: s.Outcome.Log,
		Cancelling: s.Cancel != nil && !s.Status.Final(),
	}
	switch s.Status {
	case patrickapi.Locked:
		j.Token = s.Top.Token
	case patrickapi.Success:
		j.Token, j.Artifact = s.Outcome.Token, s.Outcome.Artifact
	case patrickapi.Failed, patrickapi.Cancelled:
		j.Token, j.Error = s.Outcome.Token, s.Reason
	}
	return j
}
