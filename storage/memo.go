package storage

import "sync"

// Memo caches the results of a pure function of entries. The replicas of a store decode the same
// entries; where many of them run in one process, as in a simulated world, each entry is decoded
// once and the result is shared. So results must not be changed.
//
// It keeps between entriesMax/2 and entriesMax results, the most recently used ones. It is safe for
// use by several loops.
type Memo[T any] struct {
	f          func(k Key, value []byte) (T, error)
	entriesMax int

	mu         sync.Mutex
	young, old map[string]T
	name       []byte
}

// NewMemo returns an empty memo of f.
func NewMemo[T any](entriesMax int, f func(k Key, value []byte) (T, error)) *Memo[T] {
	return &Memo[T]{f: f, entriesMax: entriesMax, young: map[string]T{}}
}

// Of returns f(k, value). Errors are not remembered.
func (m *Memo[T]) Of(k Key, value []byte) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name = append(append(append(m.name[:0], k...), 0), value...) // no key has a zero byte
	if t, found := m.young[string(m.name)]; found {
		return t, nil
	}
	t, found := m.old[string(m.name)]
	if !found {
		var err error
		if t, err = m.f(k, value); err != nil {
			return t, err
		}
	}
	if len(m.young) >= m.entriesMax/2 {
		m.old, m.young = m.young, make(map[string]T, m.entriesMax/2)
	}
	m.young[string(m.name)] = t
	return t, nil
}
