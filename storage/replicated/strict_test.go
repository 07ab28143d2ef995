package replicated

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// Each element of a fold is taken as it was given, and not with one byte more or less.
func TestFoldsAreTakenToTheByte(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	for _, k := range []string{"a", "b"} {
		_, err := r.commit(put(storage.K("k", k), "value"))
		require.NoError(t, err)
	}
	list := r.freeze(1)
	whole, _, done := list.page(foldCursor{}, 1<<20)
	require.True(t, done)
	take := func(change func(raw []byte) []byte) error {
		items := itemsOf(t, whole)
		sink := &foldSink{}
		for i, item := range items {
			if i == 1 {
				item = change(item)
			}
			if err := sink.take(appendBytes(nil, string(item))); err != nil {
				return err
			}
		}
		return sink.check()
	}
	require.NoError(t, take(func(raw []byte) []byte { return raw }))
	require.ErrorIs(t, take(func(raw []byte) []byte { return append(raw[:len(raw):len(raw)], 0) }), storage.ErrCorrupt)
	require.Error(t, take(func(raw []byte) []byte { return raw[:len(raw)-1] }))
}

// itemsOf takes a fold apart: the header and the elements.
func itemsOf(t *testing.T, raw []byte) (items [][]byte) {
	for len(raw) > 0 {
		item, rest, err := cutBytes(raw)
		require.NoError(t, err)
		items, raw = append(items, item), rest
	}
	require.Len(t, items, 3)
	return items
}

// What is no delta is none, whatever is said of it, and a vector is bounded before it is
// read.
func TestWhatIsNoDelta(t *testing.T) {
	for name, raw := range map[string][]byte{"half a field": {0x0a}, "a field that is cut off": {0x0a, 5, 1}, "no field": {0xff, 0xff}} {
		content, err := contentOf(merkledag.NodeWithData(raw))
		require.ErrorIs(t, err, errBadDelta, name)
		require.Nil(t, content, name)
	}
	_, err := decodeVector(make([]byte, dotLenMin*(writersMax+1)))
	require.ErrorIs(t, err, storage.ErrTooLarge)
	_, err = decodeVector(make([]byte, dotLenMin))
	require.NotErrorIs(t, err, storage.ErrTooLarge)
}

// An operation that was not done as it should changes nothing.
func TestAnOperationThatWasNotDone(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	_, err := r.commit(put("/k/a", "1"))
	require.NoError(t, err)
	before, heads := r.contents(), r.headIDs()
	other := newReplica(t, memdisk.New())
	defer other.close()
	d, err := other.commit(put("/k/b", "2"))
	require.NoError(t, err)
	r.index.op = &operation{deltas: []*delta{d}}
	require.Error(t, r.index.finish(), "it was forgotten")
	require.Nil(t, r.index.op)
	require.Equal(t, before, r.contents())
	require.Equal(t, heads, r.headIDs())
}

// A key that was written more than once in a turn is told once.
func TestAWatchIsToldOfAKeyOnce(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		told := map[storage.Key]int{}
		m := c.members[0]
		m.open()
		m.In(func(context.Context) {
			s := m.r
			s.Watch("/k", func(k storage.Key) { told[k]++ })
			for _, value := range []string{"1", "2", "3"} {
				require.NoError(t, storage.Put(s, "/k/a", []byte(value)))
				require.NoError(t, storage.Put(s, "/k/b", []byte(value)))
			}
		})
		time.Sleep(time.Second)
		m.In(func(context.Context) {
			require.Equal(t, map[storage.Key]int{"/k/a": 1, "/k/b": 1}, told)
			require.NoError(t, m.r.Close())
		})
	})
}

// Watchers are told of every key, however many are written in a turn; and no key is
// written that is none.
func TestWatchersHearOfEveryKey(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m, told := c.members[0], map[storage.Key]int{}
		m.open()
		m.In(func(context.Context) {
			m.r.Watch("/k", func(k storage.Key) { told[k]++ })
			for i := range 2*notifyEach + 10 {
				require.NoError(t, storage.Put(m.r, storage.K("k", fmt.Sprint(i)), nil))
			}
			for _, bad := range []storage.Key{"", "k", "/k/", "/k//a", "/../k"} {
				require.Panics(t, func() { _ = m.r.Apply(new(storage.Batch).Put(bad, nil)) }, string(bad))
			}
		})
		time.Sleep(time.Second)
		m.In(func(context.Context) {
			require.Len(t, told, 2*notifyEach+10)
			require.NoError(t, m.r.Close())
		})
	})
}

// A fold names each element once, in order.
func TestFoldsAreInOrder(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	for _, k := range []string{"a", "b"} {
		_, err := r.commit(put(storage.K("k", k), "value"))
		require.NoError(t, err)
	}
	whole, _, _ := r.freeze(1).page(foldCursor{}, 1<<20)
	items := itemsOf(t, whole)
	for name, second := range map[string]int{"twice": 1, "in order": 2} {
		sink := &foldSink{}
		require.NoError(t, sink.take(appendBytes(nil, string(items[0]))))
		require.NoError(t, sink.take(appendBytes(nil, string(items[1]))))
		err := sink.take(appendBytes(nil, string(items[second])))
		require.Equal(t, second == 2, err == nil, name)
	}
	sink := &foldSink{}
	require.NoError(t, sink.take(appendBytes(nil, string(items[0]))))
	require.NoError(t, sink.take(appendBytes(nil, string(items[2]))))
	require.ErrorIs(t, sink.take(appendBytes(nil, string(items[1]))), storage.ErrCorrupt)
}

// The sum of a vector tells writers apart, and what each has written.
func TestSumsOfDots(t *testing.T) {
	seen := map[uint64]dot{}
	for _, d := range []dot{{1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 0}, {0, 3}, {1 << 40, 1}, {1, 1 << 40}} {
		other, twice := seen[d.hash()]
		require.False(t, twice, "%v and %v", d, other)
		seen[d.hash()] = d
	}
}
