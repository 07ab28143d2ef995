package patrick

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"pgregory.net/rapid"
)

// memorySide is a group of patricks that see each other: what their store holds
// of a branch's memory, as go-ds-crdt merges it, and what was ever forgotten.
type memorySide struct {
	entries   map[string]uint64 // floors by id
	deleted   map[string]bool
	m         *memory
	forgotten map[string]bool
}

func newMemorySide() *memorySide {
	return &memorySide{entries: map[string]uint64{}, deleted: map[string]bool{}, m: &memory{}, forgotten: map[string]bool{}}
}

func (s *memorySide) forget(id, keep string) {
	gone, floor := s.m.room(id, keep)
	for _, old := range gone {
		delete(s.entries, old)
		s.deleted[old] = true
		s.m.remove(old)
	}
	s.entries[id] = floor
	s.m.add(id, floor)
	s.forgotten[id] = true
}

// takeFrom merges: what was deleted on either side is gone.
func (s *memorySide) takeFrom(o *memorySide) {
	maps.Copy(s.deleted, o.deleted)
	for id, floor := range o.entries {
		s.entries[id] = max(s.entries[id], floor)
	}
	maps.DeleteFunc(s.entries, func(id string, _ uint64) bool { return s.deleted[id] })
	maps.Copy(s.forgotten, o.forgotten)
	s.reread()
}

// reread is a restart: all that is known comes from the store.
func (s *memorySide) reread() {
	s.m = &memory{}
	for id, floor := range s.entries {
		s.m.add(id, floor)
	}
}

// Whatever two sides of a partition forget, and however often they meet and
// restart: what was forgotten is known or covered for ever, what is kept open is
// neither, and the memory is bounded.
func TestWhatWasForgottenIsNeverNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sides := []*memorySide{newMemorySide(), newMemorySide()}
		next := 0
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			s := sides[rapid.IntRange(0, 1).Draw(t, "side")]
			keep := ""
			if rapid.Bool().Draw(t, "a job is open") {
				keep = jobNamed("r", "open", uint64(next+rapid.IntRange(1, 10).Draw(t, "order")))
			}
			covered := s.m.covers(keep)
			for range rapid.IntRange(0, 2*memoryLenMax).Draw(t, "forget") {
				next++
				back := rapid.SampledFrom([]int{0, 0, 0, 3, 100}).Draw(t, "late by")
				s.forget(jobNamed("r", fmt.Sprint(next), uint64(max(1, next-back))), keep)
			}
			require.Equal(t, covered && keep != "", s.m.covers(keep) && keep != "", "an open job is not covered by what it sees forgotten")
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				sides[0].takeFrom(sides[1])
				sides[1].takeFrom(sides[0])
			case 1:
				s.reread()
			}
			for _, s := range sides {
				require.True(t, slices.IsSorted(s.m.ids))
				for id := range s.forgotten {
					require.True(t, s.m.knows(id) || s.m.covers(id), "order %d, floor %d", patrickapi.OrderOf(id), s.m.floor)
				}
			}
		}
	})
}

func TestTheMemoryIsBounded(t *testing.T) {
	s := newMemorySide()
	for i := range 10 * memoryLenMax {
		s.forget(jobNamed("r", "e", uint64(i+1)), "")
		require.LessOrEqual(t, len(s.m.ids), memoryLenMax)
	}
	require.EqualValues(t, 9*memoryLenMax, s.m.floor)
	require.False(t, s.m.covers(s.m.ids[0]))
	late := jobNamed("r", "late", 3) // older than all: carries the floor that covers it
	s.forget(late, "")
	require.True(t, s.m.knows(late))
	s.forget(jobNamed("r", "e", 10*memoryLenMax+1), "")
	require.Len(t, s.m.ids, memoryLenMax)
	require.False(t, s.m.knows(late))
	require.True(t, s.m.covers(late))

	var none *memory
	require.False(t, none.knows(late) || none.covers(late))
	gone, floor := none.room(late, "")
	require.Empty(t, gone)
	require.Zero(t, floor)
	none.remove(late)
}
