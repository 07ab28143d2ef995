package replicated

import (
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// elementSet is the elements of an index, in order, of which those of one key are
// found without a search: a binary search touches some seventeen elements that lie
// anywhere in memory, for each delta and in each replica.
type elementSet struct {
	*ordered.Set[*element]
	// one has an element for each hash of a key, rest those beyond the first:
	// concurrent writes of a key, or keys whose hashes collide.
	one  map[uint64]*element
	rest map[uint64][]*element
}

func newElementSet() *elementSet {
	return &elementSet{ordered.NewSet(compareElements), map[uint64]*element{}, map[uint64][]*element{}}
}

// Insert adds e, in the place of one that equals it by compareElements.
func (s *elementSet) Insert(e *element) {
	if h := xxhash.Sum64String(e.key); s.one[h] == nil { // mostly
		s.Set.Insert(e)
		s.one[h] = e
		return
	}
	s.unhash(e)
	s.Set.Insert(e)
	s.hash(e)
}

// Append adds e, which comes after all others.
func (s *elementSet) Append(e *element) {
	s.Set.Append(e)
	s.hash(e)
}

// Delete removes what equals e by compareElements, if there is one.
func (s *elementSet) Delete(e *element) {
	s.Set.Delete(e)
	s.unhash(e)
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

func (s *elementSet) unhash(e *element) {
	h := xxhash.Sum64String(e.key)
	first := s.one[h]
	if first == nil {
		return
	}
	list := slices.DeleteFunc(append([]*element{first}, s.rest[h]...), func(x *element) bool { return compareElements(x, e) == 0 })
	delete(s.rest, h)
	if len(list) == 0 {
		delete(s.one, h)
		return
	}
	if s.one[h] = list[0]; len(list) > 1 {
		s.rest[h] = list[1:]
	}
}
