package ordered

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestMap compares with a map of Go that is sorted for each walk.
func TestMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, oracle := New[int](strings.Compare), map[string]int{}
		n := rapid.IntRange(1, 2000).Draw(t, "keys")
		draw := rapid.IntRange(0, n)
		for i := range 3000 {
			if i%700 == 699 {
				m.From("", func(string, int) bool { return true })
			}
			key := strconv.Itoa((i * 7919) % n)
			if i%5 == 0 {
				key = strconv.Itoa(draw.Draw(t, "k"))
			}
			if i%3 == 2 {
				_, had := oracle[key]
				require.Equal(t, had, m.Delete(key))
				delete(oracle, key)
			} else {
				m.Set(key, i)
				oracle[key] = i
			}
		}
		require.Equal(t, len(oracle), m.Len())
		from := strconv.Itoa(draw.Draw(t, "from"))
		want := slices.Sorted(maps.Keys(oracle))
		at, _ := slices.BinarySearch(want, from)
		var got []string
		m.From(from, func(key string, v int) bool {
			require.Equal(t, oracle[key], v)
			got = append(got, key)
			return true
		})
		require.Equal(t, append([]string{}, want[at:]...), append([]string{}, got...))
		v, ok := m.Get(from)
		w, has := oracle[from]
		require.Equal(t, has, ok)
		require.Equal(t, w, v)
	})
}

// TestWhatIsNeverWalkedDoesNotGrow inserts and deletes without a walk.
func TestWhatIsNeverWalkedDoesNotGrow(t *testing.T) {
	m := New[int](strings.Compare)
	for i := range 100_000 {
		m.Set(strconv.Itoa(i), i)
		m.Delete(strconv.Itoa(i))
	}
	require.LessOrEqual(t, cap(m.added)+m.indexLen, 4*chunkLenMax)
}
