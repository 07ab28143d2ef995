package storagetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
)

// RunReplicated checks storage.Replicated in the worlds of make.
func RunReplicated(t *testing.T, make Maker) {
	for _, c := range replicatedCases {
		t.Run(c.name, func(t *testing.T) { runCase(t, make, c) })
	}
}

// interval is that of anti-entropy in the suite.
const interval = 200 * time.Millisecond

var replicatedCases = []testCase{
	{"spread", 3, writesSpread},
	{"own-writes", 1, writesOfATurnAreSeen},
	{"atomic", 2, batchesAreAtomicElsewhere},
	{"watch", 2, watchersHearOfChanges},
	{"conflict", 3, conflictsEndEqual},
	{"overwrite", 2, overwritesAndDeletions},
	{"late", 2, latecomersCatchUp},
	{"partition", 4, partitionsHeal},
	{"big", 2, bigHistoriesArePaged},
	{"replicate", 3, replicateCountsCopies},
	{"replicate/alone", 3, replicateIsBounded},
	{"crash", 1, replicaCrashes},
	{"crash/lost-disk", 2, lostDisksAreRestored},
	{"close", 2, closedReplicas},
}

// open opens the replica of node i.
func (s *suite) open(i int) (r *replicated.Store) {
	s.Do(i, func(ctx context.Context) {
		n := s.Node(i)
		var err error
		r, err = replicated.Open(ctx, replicated.Config{
			Loop: n.Loop, Endpoint: n.Endpoint, Disk: n.Disk, Rand: n.Rand,
			Service: Service, Namespace: "main", AntiEntropyInterval: interval,
		})
		assert.NoError(s, err)
	})
	return r
}

func (s *suite) openAll(n int) (rs []*replicated.Store) {
	for i := range n {
		rs = append(rs, s.open(i))
	}
	return rs
}

// converge waits until all replicas have equal heads and contents. It syncs first: writes show in
// the contents at once, but in the heads only when the turn's delta is made.
func (s *suite) converge(rs []*replicated.Store) []storage.Entry {
	heads := make([][]string, len(rs))
	look := func(i int) {
		s.Do(i, func(ctx context.Context) {
			assert.NoError(s, rs[i].Sync(ctx))
			heads[i] = rs[i].Heads()
		})
	}
	for round := 0; ; round++ {
		equal := true
		for i := range rs {
			look(i)
			equal = equal && fmt.Sprint(heads[i]) == fmt.Sprint(heads[0])
		}
		if equal {
			break
		}
		if round > 500 {
			assert.Fail(s, "replicas do not converge", "%v", heads)
			break
		}
		s.Do(0, func(ctx context.Context) { _ = clock.Sleep(ctx, s.Node(0).Loop, 20*time.Millisecond) })
	}
	first := s.list(0, rs[0])
	for i := range rs {
		assert.Equal(s, first, s.list(i, rs[i]), "contents of %d at equal heads", i)
	}
	return first
}

func (s *suite) has(st storage.Store, k storage.Key, value string) func() bool {
	return func() bool {
		got, err := st.Get(k)
		return err == nil && string(got) == value
	}
}

func writesSpread(s *suite) {
	rs := s.openAll(3)
	for i, r := range rs {
		s.put(i, r, storage.K("from", fmt.Sprint(i)), fmt.Sprint("value ", i))
	}
	for i, r := range rs {
		for j := range rs {
			s.eventually(i, "spread", s.has(r, storage.K("from", fmt.Sprint(j)), fmt.Sprint("value ", j)))
		}
	}
	assert.Len(s, s.converge(rs), 3)
}

func writesOfATurnAreSeen(s *suite) {
	r := s.open(0)
	s.Do(0, func(ctx context.Context) {
		a, b := storage.K("a"), storage.K("a", "b")
		assert.NoError(s, r.Apply(new(storage.Batch).Put(b, []byte("1")).Put(a, nil)))
		got, err := r.List(a)
		assert.NoError(s, err)
		assert.Equal(s, []storage.Entry{{Key: a}, {Key: b, Value: []byte("1")}}, normal(got))
		assert.NoError(s, r.Sync(ctx))
		assert.NoError(s, storage.Delete(r, b))
		_, err = r.Get(b)
		assert.ErrorIs(s, err, storage.ErrNotFound)
		got, err = r.List("")
		assert.NoError(s, err)
		assert.Equal(s, []storage.Entry{{Key: a}}, normal(got))
		assert.NoError(s, r.Sync(ctx))
		got, err = r.List("/")
		assert.NoError(s, err)
		assert.Equal(s, []storage.Entry{{Key: a}}, normal(got))
		assert.ErrorIs(s, storage.Put(r, a, make([]byte, 2<<20)), storage.ErrTooLarge)
	})
}

// normal makes empty values nil.
func normal(list []storage.Entry) []storage.Entry {
	for i := range list {
		if len(list[i].Value) == 0 {
			list[i].Value = nil
		}
	}
	return list
}

func batchesAreAtomicElsewhere(s *suite) {
	rs := s.openAll(2)
	s.Do(1, func(context.Context) {
		rs[1].Watch("", func(storage.Key) {
			list, err := rs[1].List("")
			assert.NoError(s, err)
			assert.Zero(s, len(list)%10, "a part of a batch")
			for _, e := range list {
				assert.Equal(s, string(list[0].Value), string(e.Value))
			}
		})
	})
	for round := range 10 {
		s.Do(0, func(context.Context) {
			for i := range 10 {
				assert.NoError(s, storage.Put(rs[0], storage.K("k", fmt.Sprint(i)), fmt.Append(nil, round)))
			}
		})
	}
	s.eventually(1, "last round", s.has(rs[1], storage.K("k", "9"), "9"))
}

func watchersHearOfChanges(s *suite) {
	rs := s.openAll(2)
	var heard, all []storage.Key
	s.Do(1, func(context.Context) {
		rs[1].Watch(storage.K("a"), func(k storage.Key) { heard = append(heard, k) })
		var stop func()
		stop = rs[1].Watch("", func(k storage.Key) {
			all = append(all, k)
			stop()
		})
	})
	s.Do(0, func(context.Context) {
		for _, k := range []storage.Key{storage.K("b"), storage.K("a", "2"), storage.K("a"), storage.K("a", "1")} {
			assert.NoError(s, storage.Put(rs[0], k, []byte("x")))
		}
	})
	s.eventually(1, "puts heard", func() bool { return len(heard) == 3 })
	s.Do(1, func(ctx context.Context) {
		assert.Equal(s, []storage.Key{storage.K("a"), storage.K("a", "1"), storage.K("a", "2")}, heard)
		assert.Len(s, all, 1, "after stop")
		assert.NoError(s, storage.Delete(rs[1], storage.K("a", "1")))
		assert.Len(s, heard, 3, "in a turn of its own")
	})
	s.eventually(1, "deletion heard", func() bool { return len(heard) == 4 && heard[3] == storage.K("a", "1") })
	s.converge(rs)
}
