package hoarder

import (
	"cmp"
	"container/heap"
	"time"
)

// dueQueue holds the items to evaluate again at a given time, the earliest first.
type dueQueue struct{ heap dueHeap }

// notDue is the place of an item that is not in the queue.
const notDue = -1

// set puts an item into the queue, or moves it.
func (q *dueQueue) set(it *item, at time.Duration) {
	it.due = at
	if it.dueAt == notDue {
		heap.Push(&q.heap, it)
	} else {
		heap.Fix(&q.heap, int(it.dueAt))
	}
}

func (q *dueQueue) remove(it *item) {
	if it.dueAt != notDue {
		heap.Remove(&q.heap, int(it.dueAt))
	}
}

// pop takes out the earliest item that is due, nil if there is none.
func (q *dueQueue) pop(now time.Duration) *item {
	if len(q.heap) == 0 || q.heap[0].due > now {
		return nil
	}
	return heap.Pop(&q.heap).(*item)
}

type dueHeap []*item

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].due, h[j].due), cmp.Compare(h[i].root, h[j].root)) < 0
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].dueAt, h[j].dueAt = int32(i), int32(j)
}

func (h *dueHeap) Push(x any) {
	it := x.(*item)
	it.dueAt = int32(len(*h))
	*h = append(*h, it)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	it := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	it.dueAt = notDue
	return it
}
