package sim

import "slices"

// Schedule is how the world chooses between things that happen at the same instant.
// The zero value is the uniform one: each draws its place. The others find bugs of
// order that a fair choice finds seldom, because one task must be held back for long
// or in few, particular places.
type Schedule struct {
	Kind ScheduleKind
	// Depth of PCT is how many orders between two tasks the bug takes at most, from 1.
	Depth int
	// Delays of DelayBounded is how often it departs from its fixed order at most.
	Delays int
	// Steps is about how many choices there are in the part of a run in which
	// something is changed. A choice is one between at least two tasks.
	Steps int
}

// ScheduleKind is a strategy.
type ScheduleKind string

// The strategies.
const (
	Uniform ScheduleKind = ""
	// PCT gives each task a random priority and runs that with the highest; at Depth-1
	// random choices, the priority of the one that would run falls below all others
	// (Burckhardt, Kothari, Musuvathi, Nagarakatte: A randomized scheduler with
	// probabilistic guarantees of finding bugs, ASPLOS 2010).
	PCT ScheduleKind = "pct"
	// DelayBounded runs tasks in a fixed order, each for as long as it can; at Delays
	// random choices, the one that would run goes to the end (Emmi, Qadeer, Rakamarić:
	// Delay-bounded scheduling, POPL 2011).
	DelayBounded ScheduleKind = "delay-bounded"
)

// scheduler chooses the next of several events of one instant.
type scheduler struct {
	w       *World
	kind    ScheduleKind
	changes []uint64 // choices at which something changes, in order
	choices uint64
	// rank of tasks: the lowest one runs.
	rank map[uint64]uint64
	last uint64 // rank that was given to the last one that fell
	// ready is kept between two choices.
	ready []*event
}

// newScheduler returns nil for the uniform schedule, which needs none.
func newScheduler(w *World) *scheduler {
	c := w.cfg.Schedule
	if c.Kind == Uniform {
		return nil
	}
	n := c.Delays
	if c.Kind == PCT {
		n = max(0, c.Depth-1)
	}
	n = int(w.draw(drawSchedule, 1<<33) % uint64(n+1)) // what takes fewer is not to be missed
	s := &scheduler{w: w, kind: c.Kind, rank: map[uint64]uint64{}, last: 1 << 63}
	for i := range n {
		s.changes = append(s.changes, w.draw(drawSchedule, uint64(i))%uint64(max(1, c.Steps)))
	}
	slices.Sort(s.changes)
	return s
}

// next takes the event that happens next off the heap.
func (s *scheduler) next() *event {
	first := s.w.events[0].at
	s.ready = s.ready[:0]
	for len(s.w.events) > 0 && s.w.events[0].at == first {
		s.ready = append(s.ready, s.w.events.pop())
	}
	chosen := s.ready[0]
	if len(s.ready) > 1 {
		chosen = s.choose()
	}
	for i, e := range s.ready {
		if e != chosen {
			s.w.events.push(e)
		}
		s.ready[i] = nil
	}
	return chosen
}

// choose returns the first event of the task with the lowest rank.
func (s *scheduler) choose() *event {
	slices.SortFunc(s.ready, byKey) // which does not depend on who registered first
	lowest, second := s.lowest()
	if second == nil {
		return lowest // of one task only: there is no choice
	}
	for len(s.changes) > 0 && s.changes[0] <= s.choices {
		s.changes = s.changes[1:]
		s.last++
		s.rank[lowest.task] = s.last
		lowest, _ = s.lowest()
	}
	s.choices++
	return lowest
}

// lowest returns the first event of the task with the lowest rank, and some event of
// another task, nil if there is none.
func (s *scheduler) lowest() (lowest, other *event) {
	for _, e := range s.ready {
		rank := s.rankOf(e) // in the order of keys, also if it is not compared
		switch {
		case lowest == nil:
			lowest = e
		case e.task != lowest.task && rank < s.rankOf(lowest):
			lowest, other = e, lowest
		case e.task != lowest.task:
			other = e
		}
	}
	return lowest, other
}

// rankOf gives a task that is seen for the first time its rank: drawn, or the next.
func (s *scheduler) rankOf(e *event) uint64 {
	rank, known := s.rank[e.task]
	if !known {
		rank = uint64(len(s.rank))
		if s.kind == PCT {
			rank = s.w.draw(drawSchedule, 1<<32, e.task) >> 1
		}
		s.rank[e.task] = rank
	}
	return rank
}

// byKey orders events by their canonical keys.
func byKey(a, b *event) int {
	for _, pair := range [][2]uint64{{a.nodeNumber(), b.nodeNumber()}, {uint64(a.kind), uint64(b.kind)}, {a.a, b.a}, {a.b, b.b}} {
		if pair[0] != pair[1] {
			if pair[0] < pair[1] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// taskOf is what an event belongs to for a schedule: the task that goes on or begins,
// or else all events of its kind on its node's loop.
func (w *World) taskOf(e *event) uint64 {
	switch e.kind {
	case kindStart, kindEnter:
		return mix(mix(e.a) ^ mix(e.b<<8|uint64(e.kind)))
	case kindWake, kindTimer:
		return mix(mix(e.a) ^ uint64(e.kind))
	}
	return mix(e.nodeNumber()<<8 | uint64(e.kind))
}
