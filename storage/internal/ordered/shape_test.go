package ordered

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// shaped demands what a map's comments say of its index.
func (m *Map[V]) shaped(t require.TestingT) {
	n, last := 0, ""
	for _, chunk := range m.index {
		require.NotEmpty(t, chunk)
		require.Less(t, len(chunk), chunkLenMax)
		for _, key := range chunk {
			require.True(t, n == 0 || last < key, "order")
			n, last = n+1, key
		}
	}
	require.Equal(t, n, m.indexLen)
	require.LessOrEqual(t, len(m.added), 2*len(m.values)+chunkLenMax)
}

// TestTheIndexKeepsItsShape while keys come, go and come back.
func TestTheIndexKeepsItsShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New[int](strings.Compare)
		key := rapid.Custom(func(t *rapid.T) string {
			return strconv.Itoa(rapid.IntRange(0, 3000).Draw(t, "key"))
		})
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			from, put := rapid.IntRange(0, 3000).Draw(t, "from"), rapid.Bool().Draw(t, "put")
			for i := range rapid.IntRange(0, 2000).Draw(t, "many") {
				if k := strconv.Itoa(from + i); put {
					m.Set(k, i)
				} else {
					m.Delete(k)
				}
			}
			m.Set(key.Draw(t, "one"), 1)
			m.shaped(t)
			m.From("", func(string, int) bool { return false })
			m.shaped(t)
			require.Empty(t, m.added)
			require.LessOrEqual(t, m.indexLen, 2*m.Len()+chunkLenMax, "what was deleted is not kept for ever")
		}
	})
}

// TestAWalkAfterFewWritesIsCheap: the index is not made anew for them, but it is for many.
func TestAWalkAfterFewWritesIsCheap(t *testing.T) {
	const n = 10_000
	m := New[int](strings.Compare)
	walk := func() { m.From("", func(string, int) bool { return true }) }
	for i := range n {
		m.Set(strconv.Itoa(2*i), i)
	}
	walk()
	first := &m.index[0][0]
	same := func() bool { return first == &m.index[0][0] }
	m.Set("9", 1)
	walk()
	require.True(t, same(), "one more")
	for i := range n {
		m.Set("9/"+strconv.Itoa(i), i)
	}
	walk()
	require.True(t, same(), "as many more as there were")
	for i := range 2*n + 2 {
		m.Set("8/"+strconv.Itoa(i), i)
	}
	walk()
	require.False(t, same(), "more than there were")
	first = &m.index[0][0]
	for i := range 2*n + 2 {
		m.Delete("8/" + strconv.Itoa(i))
	}
	walk()
	require.True(t, same(), "half of it was deleted")
	for i := range n {
		m.Delete("9/" + strconv.Itoa(i))
	}
	m.Set("7", 1)
	walk()
	require.False(t, same(), "most of it was deleted")
	require.Equal(t, m.Len(), m.indexLen)
}

// TestHowOftenAMapThatIsNeverWalkedIsIndexed: not for each key that comes and goes.
func TestHowOftenAMapThatIsNeverWalkedIsIndexed(t *testing.T) {
	m := New[int](strings.Compare)
	for i := range chunkLenMax {
		m.Set(strconv.Itoa(i), i)
		m.Delete(strconv.Itoa(i))
	}
	require.Len(t, m.added, chunkLenMax)
	m.Set("a", 1)
	m.Set("b", 1)
	m.Delete("a")
	m.Delete("b")
	require.Len(t, m.added, chunkLenMax+2, "two there, and as many as may be")
	m.Set("c", 1)
	require.Len(t, m.added, 0)
	require.Equal(t, 1, m.indexLen)
}

// shaped demands what a set's comments say of its chunks.
func (s *Set[T]) shaped(t require.TestingT) {
	n := 0
	for _, c := range s.chunks {
		require.NotEmpty(t, c.items)
		require.Less(t, len(c.items), chunkLenMax)
		n += len(c.items)
	}
	require.Equal(t, s.len, n)
}

// TestChunksOfASet: appended ones are three quarters full, so that a few items more fit; those that
// are full are halved, and no memory is held for what has moved.
func TestChunksOfASet(t *testing.T) {
	s := NewSet(cmp.Compare[int])
	for i := range chunkLenMax*3/4 + 1 {
		s.Append(2 * i)
	}
	require.Len(t, s.chunks, 2)
	require.Len(t, s.chunks[1].items, 1)
	for i := range chunkLenMax {
		s.Insert(2*i + 1)
		s.shaped(t)
	}
	for _, c := range s.chunks {
		for _, item := range c.items[len(c.items):cap(c.items)] {
			require.Zero(t, item)
		}
	}
	for i := range 2 * chunkLenMax {
		s.Delete(i)
		s.shaped(t)
	}
	require.Zero(t, s.Len())
	require.False(t, s.Delete(0))
	s.Insert(1)
	s.shaped(t)
}

// TestASnapshotSharesWhatDoesNotChange: one chunk is copied for a change, once.
func TestASnapshotSharesWhatDoesNotChange(t *testing.T) {
	s := NewSet(cmp.Compare[int])
	for i := range 4 * chunkLenMax {
		s.Append(i)
	}
	before := slices.Clone(s.chunks)
	s.Insert(3)
	require.Equal(t, before, s.chunks, "nobody shares them")
	f := s.Freeze()
	s.Delete(3)
	require.NotSame(t, before[0], s.chunks[0])
	require.Equal(t, before[1:], s.chunks[1:])
	for i, c := range s.chunks[1:] {
		require.Same(t, before[i+1], c)
	}
	own := s.chunks[0]
	s.Insert(3)
	require.Same(t, own, s.chunks[0])
	require.Equal(t, 4*chunkLenMax, f.Len())
	for i := range f.Len() {
		require.Equal(t, i, f.At(i))
	}
}

// TestWalksEndWhereTheyAreTold of a set, and begin where they are told.
func TestWalksEndWhereTheyAreTold(t *testing.T) {
	s, m := NewSet(cmp.Compare[int]), New[int](strings.Compare)
	for i := range 3 * chunkLenMax {
		s.Append(i)
		m.Set(strconv.Itoa(20_000+i), 20_000+i)
	}
	for _, from := range []int{-1, 0, 1, 383, 384, 385, 767, 768, 1000, 3*chunkLenMax - 1, 3 * chunkLenMax} {
		var got []int
		s.From(func(i int) bool { return i < from }, func(i int) bool {
			got = append(got, i)
			return len(got) < 2
		})
		var want []int
		for i := max(from, 0); i < min(max(from, 0)+2, 3*chunkLenMax); i++ {
			want = append(want, i)
		}
		require.Equal(t, want, got, from)
		got = nil
		m.From(strconv.Itoa(20_000+from), func(_ string, i int) bool {
			got = append(got, i-20_000)
			return len(got) < 2
		})
		require.Equal(t, want, got, from)
	}
}
