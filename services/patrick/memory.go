package patrick

import (
	"slices"

	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// memory replaces a branch's forgotten jobs: the ids of the newest ones, and a floor, which is the
// greatest order of all others. Together they distinguish every repeated delivery of a forgotten
// event from a new event, for ever and in bounded space, because the order is part of an event's
// identity. A new event whose order is not above the floor cannot be distinguished and is refused:
// more than memoryLenMax newer pushes have ended since.
type memory struct {
	ids   []string // in order, which is that of events
	floor uint64
}

// memoryLenMax is how many ids are remembered per branch, about 150 bytes each. There are more only
// while an active job is older than them.
const memoryLenMax = 64

// knows reports whether a job is remembered by its id.
func (m *memory) knows(id string) bool {
	if m == nil {
		return false
	}
	_, found := slices.BinarySearch(m.ids, id)
	return found
}

// covers reports whether a job's order is not above the floor.
func (m *memory) covers(id string) bool { return m != nil && patrickapi.OrderOf(id) <= m.floor }

// add remembers a job, and raises the floor to the given one.
func (m *memory) add(id string, floor uint64) {
	if i, found := slices.BinarySearch(m.ids, id); !found {
		m.ids = slices.Insert(m.ids, i, id)
	}
	m.floor = max(m.floor, floor)
}

// remove drops a job's id. The floor that covers it is in another entry.
func (m *memory) remove(id string) {
	if m == nil {
		return
	}
	if i, found := slices.BinarySearch(m.ids, id); found {
		m.ids = slices.Delete(m.ids, i, i+1)
	}
}

// room lists the ids to remove so that id can be remembered, oldest first, and the floor that
// covers them, which is stored with the new entry. Ids newer than id, whose entry carries that
// floor, or than keep, the oldest job that has not ended ("" if all have), are not removed: the
// floor would cover id or keep too.
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
