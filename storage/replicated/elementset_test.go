package replicated

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The records of a set are those that its order says, whatever was put in and taken
// out, one after the other or in one go.
func TestElementSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newElementSet()
		var model []*element
		for _, op := range rapid.SliceOfN(rapid.IntRange(0, 2), 0, 200).Draw(t, "ops") {
			e := &element{
				key: rapid.StringMatching("/[a-f]").Draw(t, "key"),
				id:  rapid.StringMatching("[0-3]").Draw(t, "id"),
			}
			at, found := slices.BinarySearchFunc(model, e, compareElements)
			switch {
			case op == 0:
				s.Delete(e)
				if found {
					model = slices.Delete(model, at, at+1)
				}
			case op == 1 && at == len(model):
				s.Append(e)
				model = append(model, e)
			case found:
				s.Insert(e)
				model[at] = e
			default:
				s.Insert(e)
				model = slices.Insert(model, at, e)
			}
			require.Equal(t, len(model), s.Len())
			if op == 2 && len(model)%4 == 0 {
				requireOrder(t, model, s)
			}
		}
		frozen := s.Freeze()
		require.Equal(t, len(model), frozen.Len())
		for i, e := range model {
			require.Same(t, e, frozen.At(i))
		}
		requireOrder(t, model, s)
		require.Equal(t, len(model), s.Len())
		hashed := 0
		for _, key := range []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g"} {
			var want []*element
			for _, e := range model {
				if e.key == key {
					want = append(want, e)
				}
			}
			got := s.record(key)
			require.Equal(t, len(want), len(got))
			for i := range want {
				require.Same(t, want[i], got[i])
			}
			if len(want) > 0 {
				hashed++
			}
		}
		require.Len(t, s.one, hashed)
		for _, list := range s.rest {
			require.NotEmpty(t, list)
		}
	})
}

func requireOrder(t *rapid.T, want []*element, s *elementSet) {
	var got []*element
	s.From(func(*element) bool { return false }, func(e *element) bool {
		got = append(got, e)
		return true
	})
	require.Equal(t, len(want), len(got))
	for i := range want {
		require.Same(t, want[i], got[i])
	}
}

// What is never walked keeps no more changes than it says.
func TestElementSetBoundsItsChanges(t *testing.T) {
	s := newElementSet()
	for i := range 5000 {
		e := &element{key: "/" + strconv.Itoa(i*7919%5000), id: "1"}
		s.Insert(e)
		if i%3 == 0 {
			s.Delete(e)
		}
		require.Less(t, len(s.changes), changesMax)
	}
	require.Equal(t, 3333, s.Len())
	require.Equal(t, 3333, s.Freeze().Len())
}

// Keys whose hashes are the same are told apart.
func TestElementSetTellsKeysApart(t *testing.T) {
	s := newElementSet()
	a, b := &element{key: "/a", id: "1"}, &element{key: "/b", id: "1"}
	s.Insert(a)
	for h := range s.one {
		s.rest[h] = []*element{b} // as if it collided
	}
	require.Equal(t, []*element{a}, s.record("/a"))
	s.Delete(a)
	for h := range s.one {
		require.Same(t, b, s.one[h])
	}
	require.Empty(t, s.record("/a"))
}
