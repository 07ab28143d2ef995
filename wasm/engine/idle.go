package engine

import (
	"slices"
	"sync"
)

// idleList holds the instances at rest of all functions. A function takes the one that rested shortest, whose pages are
// in the caches of the processor; when all together have more bytes than they may, those that rested longest go.
type idleList struct {
	bytesMax int64

	mu            sync.Mutex
	bytes         int64
	first, oldest *instance // first is the one that rested shortest
}

// resting is where an instance is in the list, guarded by its mu.
type resting struct{ younger, older *instance }

// restingLen is what an instance costs beside its private pages: tables, the runtime's view of it, stacks.
const restingLen = 64 << 10

func (l *idleList) take(f *Function) *instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(f.idle) == 0 {
		return nil
	}
	i := f.idle[len(f.idle)-1]
	l.remove(i)
	return i
}

// remove takes an instance out; l.mu is held.
func (l *idleList) remove(i *instance) {
	younger, older := i.resting.younger, i.resting.older
	if younger == nil {
		l.first = older
	} else {
		younger.resting.older = older
	}
	if older == nil {
		l.oldest = younger
	} else {
		older.resting.younger = younger
	}
	i.resting = resting{}
	l.bytes -= i.linear.own() + restingLen
	f := i.function
	if last := len(f.idle) - 1; f.idle[last] == i {
		f.idle[last] = nil
		f.idle = f.idle[:last]
		return
	}
	at := slices.Index(f.idle, i)
	f.idle = slices.Delete(f.idle, at, at+1)
}

func (l *idleList) put(i *instance) {
	l.mu.Lock()
	if i.resting.older = l.first; l.first == nil {
		l.oldest = i
	} else {
		l.first.resting.younger = i
	}
	l.first = i
	i.function.idle = append(i.function.idle, i)
	l.bytes += i.linear.own() + restingLen
	var gone []*instance
	for l.bytes > l.bytesMax {
		oldest := l.oldest
		l.remove(oldest)
		gone = append(gone, oldest)
	}
	l.mu.Unlock()
	for _, i := range gone {
		i.close()
	}
}

// drop closes those instances at rest that which names.
func (l *idleList) drop(which func(*instance) bool) {
	l.mu.Lock()
	var gone []*instance
	for i := l.first; i != nil; i = i.resting.older {
		if which(i) {
			gone = append(gone, i)
		}
	}
	for _, i := range gone {
		l.remove(i)
	}
	l.mu.Unlock()
	for _, i := range gone {
		i.close()
	}
}
