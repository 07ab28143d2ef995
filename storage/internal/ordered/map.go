// Package ordered is a map with string keys that is cheap to walk in order.
package ordered

import "slices"

// chunkLenMax bounds what an insertion moves.
const chunkLenMax = 256

// Map keeps its entries in chunks, in the order of compare: a B-tree of two
// levels, which is enough for up to some hundred thousand entries.
type Map[V any] struct {
	compare func(a, b string) int
	chunks  [][]item[V] // none is empty
	len     int
}

type item[V any] struct {
	key   string
	value V
}

// New returns an empty map ordered by compare.
func New[V any](compare func(a, b string) int) *Map[V] { return &Map[V]{compare: compare} }

// Len is the number of entries.
func (m *Map[V]) Len() int { return m.len }

// Get returns the value of key and whether there is one.
func (m *Map[V]) Get(key string) (V, bool) {
	if c, i, found := m.find(key); found {
		return m.chunks[c][i].value, true
	}
	var zero V
	return zero, false
}

// Set sets the value of key.
func (m *Map[V]) Set(key string, value V) {
	c, i, found := m.find(key)
	switch {
	case found:
		m.chunks[c][i].value = value
		return
	case len(m.chunks) == 0:
		m.chunks = append(m.chunks, make([]item[V], 0, 8))
	}
	m.chunks[c] = slices.Insert(m.chunks[c], i, item[V]{key, value})
	m.len++
	if chunk := m.chunks[c]; len(chunk) >= chunkLenMax {
		// Keys mostly grow: a full last chunk stays nearly full.
		at := len(chunk) / 2
		if c == len(m.chunks)-1 {
			at = len(chunk) * 7 / 8
		}
		m.chunks = slices.Insert(m.chunks, c+1, slices.Clone(chunk[at:]))
		m.chunks[c] = slices.Delete(chunk, at, len(chunk))
	}
}

// Delete removes key and reports whether it was there.
func (m *Map[V]) Delete(key string) bool {
	c, i, found := m.find(key)
	if !found {
		return false
	}
	m.chunks[c] = slices.Delete(m.chunks[c], i, i+1)
	if len(m.chunks[c]) == 0 {
		m.chunks = slices.Delete(m.chunks, c, c+1)
	}
	m.len--
	return true
}

// From calls f for each entry from key on, in order, until it returns false. f
// must not change the map.
func (m *Map[V]) From(key string, f func(key string, value V) bool) {
	c, i, _ := m.find(key)
	for ; c < len(m.chunks); c, i = c+1, 0 {
		for _, it := range m.chunks[c][i:] {
			if !f(it.key, it.value) {
				return
			}
		}
	}
}

// find returns the place of key, or the one where it belongs.
func (m *Map[V]) find(key string) (chunk, index int, found bool) {
	// The chunk is the last one that begins at or before key.
	lo, hi := 0, len(m.chunks)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.compare(m.chunks[mid][0].key, key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	chunk = max(0, lo-1)
	if len(m.chunks) == 0 {
		return 0, 0, false
	}
	index, found = slices.BinarySearchFunc(m.chunks[chunk], key, func(it item[V], key string) int {
		return m.compare(it.key, key)
	})
	return chunk, index, found
}
