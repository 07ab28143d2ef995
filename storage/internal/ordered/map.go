// Package ordered is a map with string keys that can be walked in order.
package ordered

import "slices"

// chunkLenMax bounds what an insertion moves.
const chunkLenMax = 512

// Map is a hash map with an index of its keys that is brought up to date only
// when it is walked: most are written and read far more often than that.
type Map[V any] struct {
	compare func(a, b string) int
	values  map[string]V
	// index holds all keys but those in added, and may hold some that were
	// deleted, in chunks of which none is empty: a B-tree of two levels.
	index    [][]string
	indexLen int
	added    []string
}

// New returns an empty map ordered by compare.
func New[V any](compare func(a, b string) int) *Map[V] {
	return &Map[V]{compare: compare, values: map[string]V{}}
}

// Len is the number of entries.
func (m *Map[V]) Len() int { return len(m.values) }

// Get returns the value of key and whether there is one.
func (m *Map[V]) Get(key string) (V, bool) {
	value, found := m.values[key]
	return value, found
}

// Set sets the value of key.
func (m *Map[V]) Set(key string, value V) {
	before := len(m.values)
	m.values[key] = value
	if len(m.values) > before {
		m.added = append(m.added, key)
		if len(m.added) > 2*len(m.values)+chunkLenMax {
			m.rebuild() // a map that is never walked would otherwise keep all deleted keys
		}
	}
}

// Delete removes key and reports whether it was there.
func (m *Map[V]) Delete(key string) bool {
	before := len(m.values)
	delete(m.values, key)
	return len(m.values) < before
}

// From calls f for each entry from key on, in order, until it returns false. f
// must not change the map.
func (m *Map[V]) From(key string, f func(key string, value V) bool) {
	m.update()
	if len(m.index) == 0 {
		return
	}
	c, i, _ := m.find(key)
	for ; c < len(m.index); c, i = c+1, 0 {
		for _, k := range m.index[c][i:] {
			if value, found := m.values[k]; found && !f(k, value) {
				return
			}
		}
	}
}

// update brings the index up to date.
func (m *Map[V]) update() {
	if m.indexLen+len(m.added) > 2*len(m.values)+chunkLenMax || len(m.added) > m.indexLen {
		m.rebuild()
		return
	}
	for _, k := range m.added { // there are no more of them than in the index, so this has a chunk
		if _, found := m.values[k]; found {
			m.insert(k)
		}
	}
	m.added = m.added[:0]
}

// rebuild makes the index anew, without what was deleted.
func (m *Map[V]) rebuild() {
	keys := make([]string, 0, len(m.values))
	for k := range m.values {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, m.compare)
	m.index, m.indexLen, m.added = nil, len(keys), nil
	for chunk := range slices.Chunk(keys, chunkLenMax/2) {
		m.index = append(m.index, slices.Clone(chunk))
	}
}

func (m *Map[V]) insert(key string) {
	c, i, found := m.find(key)
	if found { // it was deleted and came back
		return
	}
	m.indexLen++
	m.index[c] = slices.Insert(m.index[c], i, key)
	if chunk := m.index[c]; len(chunk) >= chunkLenMax {
		m.index = slices.Insert(m.index, c+1, slices.Clone(chunk[chunkLenMax/2:]))
		m.index[c] = slices.Delete(chunk, chunkLenMax/2, len(chunk))
	}
}

// find returns the place of key in the index, or the one where it belongs. There must be a chunk.
func (m *Map[V]) find(key string) (chunk, index int, found bool) {
	// The chunk is the last one that begins at or before key, else the first.
	lo, hi := 1, len(m.index)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.compare(m.index[mid][0], key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	chunk = lo - 1
	index, found = slices.BinarySearchFunc(m.index[chunk], key, m.compare)
	return chunk, index, found
}
