package sim

// eventHeap orders events by time, then by a seeded tie-break. It is a heap in which each
// event has four below it: fewer levels than with two, and so fewer cache misses.
type eventHeap []*event

// heapArity is how many events are directly below one.
const heapArity = 4

func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.tie < o.tie
}

func (h *eventHeap) push(e *event) {
	*h = append(*h, e)
	h.up(e, len(*h)-1)
}

// pop takes the first event off the heap, which must not be empty.
func (h *eventHeap) pop() *event {
	first := (*h)[0]
	h.remove(first)
	return first
}

// remove takes an event out that is in the heap.
func (h *eventHeap) remove(e *event) {
	at, last := e.index, len(*h)-1
	moved := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.index = -1
	if moved != e {
		moved.index = at
		(*h)[at] = moved
		h.fix(moved)
	}
}

// fix finds the place of an event whose time has changed.
func (h *eventHeap) fix(e *event) {
	if at := e.index; at > 0 && e.before((*h)[(at-1)/heapArity]) {
		h.up(e, at)
	} else {
		h.down(e, at)
	}
}

// up moves those before at that come later than e down, until e has its place.
func (h *eventHeap) up(e *event, at int) {
	list := *h
	for at > 0 {
		above := (at - 1) / heapArity
		if !e.before(list[above]) {
			break
		}
		list[at] = list[above]
		list[at].index = at
		at = above
	}
	list[at] = e
	e.index = at
}

// down moves those below at that come earlier than e up, until e has its place.
func (h *eventHeap) down(e *event, at int) {
	list := *h
	for {
		first := heapArity*at + 1
		if first >= len(list) {
			break
		}
		for i, end := first+1, min(first+heapArity, len(list)); i < end; i++ {
			if list[i].before(list[first]) {
				first = i
			}
		}
		if !list[first].before(e) {
			break
		}
		list[at] = list[first]
		list[at].index = at
		at = first
	}
	list[at] = e
	e.index = at
}
