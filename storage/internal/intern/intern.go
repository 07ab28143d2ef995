// Package intern shares equal immutable values within a process. Results do not depend on what is
// shared already, except for identity.
package intern

import (
	"runtime"
	"sync"
	"weak"
)

// shardsLen is how many locks a table has.
const shardsLen = 64

// Table holds values by weak references: one without other references is removed. It costs some 100
// bytes a value, however many share it. It may be used by several goroutines.
type Table[T any] struct {
	equal  func(a, b *T) bool
	shards [shardsLen]shard[T]
}

type shard[T any] struct {
	mu     sync.Mutex
	values map[uint64]weak.Pointer[T]
}

// New returns an empty table. equal must not be fooled by equal hashes.
func New[T any](equal func(a, b *T) bool) *Table[T] { return &Table[T]{equal: equal} }

// Get returns the value of this hash that equals v: one that is shared already,
// or else v, which is from now on.
func (t *Table[T]) Get(hash uint64, v *T) *T {
	s := &t.shards[hash%shardsLen]
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.values[hash].Value(); known != nil {
		if t.equal(known, v) {
			return known
		}
		return v // two values of one hash: this one is not shared
	}
	if s.values == nil {
		s.values = map[uint64]weak.Pointer[T]{}
	}
	held := weak.Make(v)
	s.values[hash] = held
	runtime.AddCleanup(v, func(hash uint64) { s.forget(hash) }, hash)
	return v
}

// forget removes a value that is gone, unless another has come in its place.
func (s *shard[T]) forget(hash uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, found := s.values[hash]; found && held.Value() == nil {
		delete(s.values, hash)
	}
}

// Len is the number of values, among them some that are gone already.
func (t *Table[T]) Len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.values)
		s.mu.Unlock()
	}
	return n
}
