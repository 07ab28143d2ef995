// Package sometimes names what must happen in some run of the tests: states and
// branches that matter and are rare. What is never reached is not tested, whatever
// the tests say.
//
// A mark is a package variable of the code that owns it:
//
//	var secondClaim = sometimes.Register("patrick/second-claim", "two monkeys want a job at once")
//
// and secondClaim.Hit() stands where that is so, in a service or in a pure core. A
// mark changes nothing: it is part of no trace and no digest. While nobody counts it
// costs one atomic load.
package sometimes

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Mark is one thing that happens sometimes.
type Mark struct {
	name, doc string
	count     atomic.Uint64
}

// Name is "<package>/<what>".
func (m *Mark) Name() string { return m.name }

// Doc says what has happened where the mark is hit.
func (m *Mark) Doc() string { return m.doc }

var registry struct {
	mu    sync.Mutex
	marks []*Mark // by name
}

var counting atomic.Bool

// Register names a mark. It panics on a duplicate: that is a bug.
func Register(name, doc string) *Mark {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	m := &Mark{name: name, doc: doc}
	at, found := slices.BinarySearchFunc(registry.marks, m, byName)
	if found {
		panic("sometimes: mark registered twice: " + name)
	}
	registry.marks = slices.Insert(registry.marks, at, m)
	return m
}

func byName(a, b *Mark) int { return strings.Compare(a.name, b.name) }

// Marks lists all registered marks by name.
func Marks() []*Mark {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return slices.Clone(registry.marks)
}

// Hit notes that it has happened.
func (m *Mark) Hit() {
	if counting.Load() {
		m.count.Add(1)
	}
}

// HitIf notes that it has happened if it has.
func (m *Mark) HitIf(happened bool) {
	if happened {
		m.Hit()
	}
}

// Count forgets what was counted, and counts from now on, in the whole process.
func Count() {
	for _, m := range Marks() {
		m.count.Store(0)
	}
	counting.Store(true)
}

// Hits is how often each mark was hit since Count. Those that were not are left out.
func Hits() map[string]int {
	hits := map[string]int{}
	for _, m := range Marks() {
		if n := m.count.Load(); n > 0 {
			hits[m.name] = int(n)
		}
	}
	return hits
}
