package clock

import (
	"context"
	"errors"
	"slices"
)

// ErrFull is returned by a bounded queue that has no room.
var ErrFull = errors.New("clock: queue full")

// Queue is a bounded first-in first-out queue between tasks of one loop.
type Queue[T any] struct {
	loop    Loop
	lenMax  int
	items   []T
	poppers []*waiter
	pushers []*waiter
	closed  bool
}

// waiter is one parked task.
type waiter struct {
	wake func()
}

// NewQueue returns a queue that holds at most lenMax items.
func NewQueue[T any](l Loop, lenMax int) *Queue[T] {
	return &Queue[T]{loop: l, lenMax: max(1, lenMax)}
}

// Len is the number of items waiting.
func (q *Queue[T]) Len() int { return len(q.items) }

// TryPush appends without waiting. It returns ErrFull or, after Close,
// ErrStopped.
func (q *Queue[T]) TryPush(item T) error {
	if q.closed {
		return ErrStopped
	}
	if len(q.items) >= q.lenMax {
		return ErrFull
	}
	q.items = append(q.items, item)
	q.poppers = wakeFirst(q.poppers)
	return nil
}

// Push appends, waiting for room.
func (q *Queue[T]) Push(ctx context.Context, item T) error {
	for {
		err := q.TryPush(item)
		if !errors.Is(err, ErrFull) {
			return err
		}
		if err := q.wait(ctx, &q.pushers); err != nil {
			return err
		}
	}
}

// Pop takes the oldest item, waiting for one. After Close it returns the remaining items and then
// ErrStopped.
func (q *Queue[T]) Pop(ctx context.Context) (T, error) {
	for {
		if len(q.items) > 0 {
			item := q.items[0]
			var zero T
			q.items[0] = zero
			q.items = q.items[1:]
			q.pushers = wakeFirst(q.pushers)
			if len(q.items) > 0 {
				q.poppers = wakeFirst(q.poppers)
			}
			return item, nil
		}
		var zero T
		if q.closed {
			return zero, ErrStopped
		}
		if err := q.wait(ctx, &q.poppers); err != nil {
			return zero, err
		}
	}
}

// Close wakes all waiters; nothing can be pushed any more.
func (q *Queue[T]) Close() {
	q.closed = true
	for len(q.poppers) > 0 {
		q.poppers = wakeFirst(q.poppers)
	}
	for len(q.pushers) > 0 {
		q.pushers = wakeFirst(q.pushers)
	}
}

// wait parks until another task wakes it. A waiter that leaves with an error
// passes on the wake that it may have been given meanwhile.
func (q *Queue[T]) wait(ctx context.Context, list *[]*waiter) error {
	w := &waiter{}
	err := q.loop.Park(ctx, func(wake func()) {
		w.wake = wake
		*list = append(*list, w)
	})
	if err == nil {
		return nil
	}
	if i := slices.Index(*list, w); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	} else {
		*list = wakeFirst(*list)
	}
	return err
}

func wakeFirst(list []*waiter) []*waiter {
	if len(list) == 0 {
		return list
	}
	list[0].wake()
	return list[1:]
}
