package replicated

import (
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// changesMax bounds the changes of an elementSet that are not in its order yet.
const changesMax = 512

// elementSet is the elements of an index, in order, of which those of one key are
// found without a search: a binary search touches some seventeen elements that lie
// anywhere in memory, for each delta and in each replica.
type elementSet struct {
	// one has an element for each hash of a key, rest those beyond the first:
	// concurrent writes of a key, or keys whose hashes collide.
	one  map[uint64]*element
	rest map[uint64][]*element
	len  int
	// order has all elements but for changes, oldest first. Those are put into it together and sorted, when
	// somebody walks or there are changesMax of them: neighbours are found in memory that was just looked at.
	order   *ordered.Set[*element]
	changes []change
}

// change is an element that was inserted or deleted.
type change struct {
	*element
	deleted bool
}

func newElementSet() *elementSet {
	return &elementSet{one: map[uint64]*element{}, rest: map[uint64][]*element{}, order: ordered.NewSet(compareElements)}
}

// Len is the number of elements.
func (s *elementSet) Len() int { return s.len }

// From calls f for each element from the first one on for which below is false, in order, until f
// returns false. Elements for which below is true come first. f must not change the set.
func (s *elementSet) From(below, f func(e *element) bool) {
	s.settle()
	s.order.From(below, f)
}

// Freeze returns what is in the set now.
func (s *elementSet) Freeze() ordered.Snapshot[*element] {
	s.settle()
	return s.order.Freeze()
}

// Insert adds e, in the place of one that equals it by compareElements.
func (s *elementSet) Insert(e *element) {
	if h := xxhash.Sum64String(e.key); s.one[h] == nil { // mostly
		s.one[h] = e
	} else {
		if s.unhash(e) {
			s.len--
		}
		s.hash(e)
	}
	s.len++
	s.change(change{e, false})
}

// Append adds e, which comes after all others.
func (s *elementSet) Append(e *element) {
	s.settle()
	s.order.Append(e)
	s.hash(e)
	s.len++
}

// Delete removes what equals e by compareElements, if there is one.
func (s *elementSet) Delete(e *element) {
	if s.unhash(e) {
		s.len--
		s.change(change{e, true})
	}
}

func (s *elementSet) change(c change) {
	if s.changes = append(s.changes, c); len(s.changes) >= changesMax {
		s.settle()
	}
}

// settle brings the order up to date: of several changes of an element, the last one counts.
func (s *elementSet) settle() {
	slices.SortStableFunc(s.changes, func(a, b change) int { return compareElements(a.element, b.element) })
	for i, c := range s.changes {
		switch {
		case i+1 < len(s.changes) && compareElements(c.element, s.changes[i+1].element) == 0:
		case c.deleted:
			s.order.Delete(c.element)
		default:
			s.order.Insert(c.element)
		}
	}
	clear(s.changes)
	s.changes = s.changes[:0]
}

// record returns the elements of a key, in order.
func (s *elementSet) record(key string) (list []*element) {
	h := xxhash.Sum64String(key)
	first := s.one[h]
	if first == nil {
		return nil
	}
	if first.key == key {
		list = append(list, first)
	}
	if len(s.rest) == 0 {
		return list
	}
	for _, e := range s.rest[h] {
		if e.key == key {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, compareElements)
	return list
}

func (s *elementSet) hash(e *element) {
	h := xxhash.Sum64String(e.key)
	if s.one[h] == nil {
		s.one[h] = e
		return
	}
	s.rest[h] = append(s.rest[h], e)
}

// unhash reports whether what equals e by compareElements was there.
func (s *elementSet) unhash(e *element) bool {
	h := xxhash.Sum64String(e.key)
	first := s.one[h]
	if first == nil {
		return false
	}
	list := append([]*element{first}, s.rest[h]...)
	before := len(list)
	list = slices.DeleteFunc(list, func(x *element) bool { return compareElements(x, e) == 0 })
	delete(s.rest, h)
	if len(list) == 0 {
		delete(s.one, h)
		return true
	}
	if s.one[h] = list[0]; len(list) > 1 {
		s.rest[h] = list[1:]
	}
	return len(list) < before
}
