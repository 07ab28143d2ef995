package storagetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/localkv"
)

// RunLocal checks storage.Local in the worlds of make.
func RunLocal(t *testing.T, make Maker) {
	for _, c := range []testCase{
		{"order", 1, keysAreInOrder},
		{"namespaces", 1, namespacesAreApart},
		{"crash", 1, localCrashes},
		{"corrupt", 1, corruptionIsNoticed},
	} {
		t.Run(c.name, func(t *testing.T) { runCase(t, make, c) })
	}
}

func (s *suite) openLocal(namespace string) (l *localkv.Store) {
	s.Do(0, func(context.Context) {
		var err error
		l, err = localkv.Open(s.Node(0).Loop, s.Node(0).Disk, storage.K(namespace))
		assert.NoError(s, err)
	})
	return l
}

func keysAreInOrder(s *suite) {
	l := s.openLocal("ns")
	// In order: the separator before everything else.
	keys := []storage.Key{
		storage.K("a"), storage.K("a", ""), storage.K("a", "1"), storage.K("a", "1", "x"), storage.K("a", "2"),
		storage.K("a!"), storage.K("a-b"), storage.K("a.b", "c"), storage.K("aa"), storage.K("b/c"), storage.K("b0"),
	}
	for i := range keys {
		k := keys[(i*7)%len(keys)]
		s.put(0, l, k, string(k))
	}
	var got []storage.Key
	for _, e := range s.list(0, l) {
		assert.Equal(s, string(e.Key), string(e.Value))
		got = append(got, e.Key)
	}
	assert.Equal(s, keys, got)
	s.Do(0, func(context.Context) {
		below, err := l.List(storage.K("a"))
		assert.NoError(s, err)
		assert.Len(s, below, 5)
	})
}

func namespacesAreApart(s *suite) {
	l, m := s.openLocal("ns"), s.openLocal("ns2")
	s.put(0, l, storage.K("k"), "1")
	s.put(0, m, storage.K("k"), "2")
	assert.Equal(s, []storage.Entry{{Key: storage.K("k"), Value: []byte("1")}}, s.list(0, l))
	s.Do(0, func(context.Context) {
		assert.NoError(s, storage.Delete(m, storage.K("k")))
		_, err := m.Get(storage.K("k"))
		assert.ErrorIs(s, err, storage.ErrNotFound)
	})
	assert.Len(s, s.list(0, l), 1)
}

// localCrashes crashes after each number of unsynced batches and finds whole
// batches, in order, and all that was synced.
func localCrashes(s *suite) {
	const batches, synced = 8, 3
	for keep := range batches + 2 {
		s.Restart(0, -1)
		l := s.openLocal("ns")
		for i := range batches {
			s.Do(0, func(ctx context.Context) {
				b := new(storage.Batch).Put(storage.K("batch", fmt.Sprint(i)), []byte("v")).Put(storage.K("last"), fmt.Append(nil, i))
				if i > 0 {
					b.Delete(storage.K("batch", fmt.Sprint(i-1)))
				}
				assert.NoError(s, l.Apply(b))
				if i == synced {
					assert.NoError(s, l.Sync(ctx))
				}
			})
		}
		s.Restart(0, keep)
		list := s.list(0, s.openLocal("ns"))
		if assert.Len(s, list, 2, "keep %d", keep) {
			last := string(list[1].Value)
			assert.Equal(s, storage.K("batch", last), list[0].Key, "keep %d", keep)
			assert.Equal(s, fmt.Sprint(min(synced+keep, batches-1)), last, "keep %d", keep)
		}
	}
}

func corruptionIsNoticed(s *suite) {
	l := s.openLocal("ns")
	s.put(0, l, storage.K("good"), "v")
	s.put(0, l, storage.K("bad"), "v")
	s.Do(0, func(ctx context.Context) {
		disk := s.Node(0).Disk
		assert.NoError(s, disk.Put(ctx, datastore.NewKey("/ns/bad"), []byte("torn")))
		_, err := l.Get(storage.K("bad"))
		assert.ErrorIs(s, err, storage.ErrCorrupt)
		_, err = l.List("")
		assert.ErrorIs(s, err, storage.ErrCorrupt)
	})
	for range 2 { // until something is written there, also after the next start
		l = s.openLocal("ns")
		assert.Equal(s, []storage.Entry{{Key: storage.K("good"), Value: []byte("v")}}, s.list(0, l))
		assert.Equal(s, []storage.Key{storage.K("bad")}, l.Dropped())
		s.Do(0, func(context.Context) {
			_, err := l.Get(storage.K("bad"))
			assert.ErrorIs(s, err, storage.ErrNotFound)
		})
	}
	s.put(0, l, storage.K("bad"), "new")
	for range 2 {
		assert.Empty(s, l.Dropped())
		assert.Len(s, s.list(0, l), 2)
		l = s.openLocal("ns")
	}
}
