package ordered

import (
	"slices"
	"sort"
)

// Set is a sorted sequence that can be frozen: a snapshot costs one pointer per few hundred items
// and stays as it is while the set goes on. An item costs its own size and a third more on average.
type Set[T any] struct {
	compare func(a, b T) int
	chunks  []*chunk[T] // none of them is empty
	len     int
	epoch   uint64 // chunks of older ones are shared with a snapshot
}

type chunk[T any] struct {
	epoch uint64
	items []T
}

// NewSet returns an empty set ordered by compare, which is 0 for one item only.
func NewSet[T any](compare func(a, b T) int) *Set[T] { return &Set[T]{compare: compare} }

// Len is the number of items.
func (s *Set[T]) Len() int { return s.len }

// From calls f for each item from the first one on for which below is false, in
// order, until f returns false. Items for which below is true come first. f must
// not change the set.
func (s *Set[T]) From(below func(item T) bool, f func(item T) bool) {
	walk(s.chunks, below, f)
}

// Insert adds an item; one that compares equal is replaced.
func (s *Set[T]) Insert(item T) {
	if len(s.chunks) == 0 {
		s.Append(item)
		return
	}
	c, i, found := s.find(item)
	own := s.own(c)
	if found {
		own.items[i] = item
		return
	}
	s.len++
	own.items = slices.Insert(own.items, i, item)
	if len(own.items) >= chunkLenMax {
		rest := &chunk[T]{epoch: s.epoch, items: slices.Clone(own.items[chunkLenMax/2:])}
		clear(own.items[chunkLenMax/2:])
		own.items = own.items[:chunkLenMax/2]
		s.chunks = slices.Insert(s.chunks, c+1, rest)
	}
}

// Append adds an item that comes after all others.
func (s *Set[T]) Append(item T) {
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last].items) >= chunkLenMax*3/4 {
		s.chunks = append(s.chunks, &chunk[T]{epoch: s.epoch})
		last++
	}
	own := s.own(last)
	own.items = append(own.items, item)
	s.len++
}

// Delete removes the item that compares equal and reports whether there was one.
func (s *Set[T]) Delete(item T) bool {
	if len(s.chunks) == 0 {
		return false
	}
	c, i, found := s.find(item)
	if !found {
		return false
	}
	s.len--
	own := s.own(c)
	if own.items = slices.Delete(own.items, i, i+1); len(own.items) == 0 {
		s.chunks = slices.Delete(s.chunks, c, c+1)
	}
	return true
}

// Freeze returns what is in the set now.
func (s *Set[T]) Freeze() Snapshot[T] {
	s.epoch++
	f := Snapshot[T]{chunks: slices.Clone(s.chunks), starts: make([]int, len(s.chunks))}
	for i, c := range f.chunks {
		f.starts[i] = f.len
		f.len += len(c.items)
	}
	return f
}

// own returns a chunk that no snapshot shares.
func (s *Set[T]) own(c int) *chunk[T] {
	if shared := s.chunks[c]; shared.epoch != s.epoch {
		s.chunks[c] = &chunk[T]{epoch: s.epoch, items: slices.Clone(shared.items)}
	}
	return s.chunks[c]
}

// find returns the place of item, or the one where it belongs. There must be a
// chunk.
func (s *Set[T]) find(item T) (c, i int, found bool) {
	c = lastChunk(s.chunks, func(first T) bool { return s.compare(first, item) <= 0 })
	i, found = slices.BinarySearchFunc(s.chunks[c].items, item, s.compare)
	return c, i, found
}

// lastChunk is the last chunk whose first item is before something, else the first.
func lastChunk[T any](chunks []*chunk[T], before func(first T) bool) int {
	lo, hi := 1, len(chunks)
	for lo < hi {
		if mid := (lo + hi) / 2; before(chunks[mid].items[0]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

func walk[T any](chunks []*chunk[T], below func(T) bool, f func(T) bool) {
	first := lastChunk(chunks, below)
	for c := first; c < len(chunks); c++ {
		items := chunks[c].items
		if c == first {
			items = items[sort.Search(len(items), func(i int) bool { return !below(items[i]) }):]
		}
		for _, item := range items {
			if !f(item) {
				return
			}
		}
	}
}

// Snapshot is what a set was when it was frozen.
type Snapshot[T any] struct {
	chunks []*chunk[T]
	starts []int // of each chunk
	len    int
}

// Len is the number of items.
func (f Snapshot[T]) Len() int { return f.len }

// At returns the i-th item, 0 <= i < Len.
func (f Snapshot[T]) At(i int) T {
	c, found := slices.BinarySearch(f.starts, i)
	if !found {
		c--
	}
	return f.chunks[c].items[i-f.starts[c]]
}
