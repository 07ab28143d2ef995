package patrick

import (
	"slices"

	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// memory is what is left of a branch's forgotten jobs: the ids of the newest
// ones, and a floor: all that was forgotten beyond those has an order up to it.
// Together they tell every delivery of an event that was ever forgotten from a
// new one, for ever and in bounded space, because the order is a part of what an
// event is. What is new and up to the floor cannot be told from it, and is
// refused: it was overtaken by more than memoryLenMax pushes that have ended.
type memory struct {
	ids   []string // in order, which is that of events
	floor uint64
}

// memoryLenMax is how many ids are remembered of a branch, about 150 bytes each.
// There are more only while a job is active that is older than them.
const memoryLenMax = 64

// knows reports whether a job is remembered by its id.
func (m *memory) knows(id string) bool {
	if m == nil {
		return false
	}
	_, found := slices.BinarySearch(m.ids, id)
	return found
}

// covers reports whether a job is as old as what was forgotten for good.
func (m *memory) covers(id string) bool { return m != nil && patrickapi.OrderOf(id) <= m.floor }

// add remembers a job, and a floor that somebody has raised.
func (m *memory) add(id string, floor uint64) {
	if i, found := slices.BinarySearch(m.ids, id); !found {
		m.ids = slices.Insert(m.ids, i, id)
	}
	m.floor = max(m.floor, floor)
}

// remove forgets a job for good. The floor that covers it is in another entry.
func (m *memory) remove(id string) {
	if m == nil {
		return
	}
	if i, found := slices.BinarySearch(m.ids, id); found {
		m.ids = slices.Delete(m.ids, i, i+1)
	}
}

// room lists the ids that must go for id to be remembered, oldest first, and the
// floor that covers them and goes with the new entry. Nothing goes that is newer
// than id, which must carry that floor, or than keep, the oldest job that has
// not ended ("" if all have): it would be covered too.
func (m *memory) room(id, keep string) (gone []string, floor uint64) {
	if m == nil {
		return nil, 0
	}
	floor = m.floor
	for _, old := range m.ids[:max(0, len(m.ids)+1-memoryLenMax)] {
		order := patrickapi.OrderOf(old)
		if old >= id || keep != "" && order >= patrickapi.OrderOf(keep) {
			break
		}
		gone, floor = append(gone, old), max(floor, order)
	}
	return gone, floor
}
