package storagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
)

// RunReplicated checks storage.Replicated in the worlds of make.
func RunReplicated(t *testing.T, make Maker) {
	for _, c := range replicatedCases {
		t.Run(c.name, func(t *testing.T) { runCase(t, make, c) })
	}
}

type testCase struct {
	name  string
	nodes int
	run   func(s *suite)
}

func runCase(t *testing.T, make Maker, c testCase) {
	s := &suite{}
	make(t, c.nodes, func(w World) {
		s.World = w
		c.run(s)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, failure := range s.failures {
		t.Error(failure)
	}
}

// suite is a world and the failures in it. Tasks must not end a test: they
// record what is wrong (testify's assert does, given a suite) and return.
type suite struct {
	World
	mu       sync.Mutex
	failures []string
}

// Errorf implements assert.TestingT.
func (s *suite) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
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
func (s *suite) open(i int) (r *storage.Replicated) {
	s.Do(i, func(ctx context.Context) {
		n := s.Node(i)
		var err error
		r, err = storage.OpenReplicated(ctx, storage.ReplicatedConfig{
			Loop: n.Loop, Endpoint: n.Endpoint, Disk: n.Disk, Rand: n.Rand,
			Service: Service, Namespace: "main", AntiEntropyInterval: interval,
		})
		assert.NoError(s, err)
	})
	return r
}

func (s *suite) openAll(n int) (rs []*storage.Replicated) {
	for i := range n {
		rs = append(rs, s.open(i))
	}
	return rs
}

// eventually waits, in tasks of node i, until condition holds.
func (s *suite) eventually(i int, what string, condition func() bool) {
	s.Do(i, func(ctx context.Context) {
		for range 500 {
			if condition() {
				return
			}
			if clock.Sleep(ctx, s.Node(i).Loop, 20*time.Millisecond) != nil {
				break
			}
		}
		assert.Fail(s, "not within ten seconds: "+what)
	})
}

// converge waits until all replicas have equal heads and contents.
func (s *suite) converge(rs []*storage.Replicated) []storage.Entry {
	heads := make([][]string, len(rs))
	look := func(i int) {
		s.Do(i, func(context.Context) { heads[i] = rs[i].Heads() })
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

func (s *suite) list(i int, r storage.Store) (list []storage.Entry) {
	s.Do(i, func(context.Context) {
		var err error
		list, err = r.List("")
		assert.NoError(s, err)
	})
	return list
}

// put writes as a turn of its own on node i.
func (s *suite) put(i int, st storage.Store, k storage.Key, value string) {
	s.Do(i, func(context.Context) { assert.NoError(s, storage.Put(st, k, []byte(value))) })
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

func conflictsEndEqual(s *suite) {
	rs := s.openAll(3)
	s.Partition([]int{0}, []int{1}, []int{2})
	for round := range 5 {
		for i, r := range rs {
			s.put(i, r, storage.K("same"), fmt.Sprint(i))
			if (round+i)%3 == 0 {
				s.Do(i, func(context.Context) { assert.NoError(s, storage.Delete(r, storage.K("same"))) })
			}
			s.put(i, r, storage.K("own", fmt.Sprint(i)), fmt.Sprint(round))
		}
	}
	s.Heal()
	list := s.converge(rs)
	for i := range rs {
		assert.Contains(s, list, storage.Entry{Key: storage.K("own", fmt.Sprint(i)), Value: []byte("4")})
	}
}

func overwritesAndDeletions(s *suite) {
	rs := s.openAll(2)
	k := storage.K("lease")
	for i := range 50 {
		s.put(i%2, rs[i%2], k, fmt.Sprint(i))
		s.eventually((i+1)%2, "overwrite", s.has(rs[(i+1)%2], k, fmt.Sprint(i)))
	}
	s.Do(0, func(context.Context) {
		assert.NoError(s, storage.Delete(rs[0], k))
		assert.NoError(s, storage.Delete(rs[0], storage.K("never was")))
	})
	s.eventually(1, "deletion", func() bool { _, err := rs[1].Get(k); return err == storage.ErrNotFound })
	assert.Empty(s, s.converge(rs))
	s.Restart(1, 0)
	rs[1] = s.open(1)
	assert.Empty(s, s.converge(rs))
}

func latecomersCatchUp(s *suite) {
	first := s.open(0)
	for i := range 100 {
		s.put(0, first, storage.K("k", fmt.Sprint(i)), "v")
	}
	second := s.open(1)
	assert.Len(s, s.list(1, second), 100, "right after opening")
}

func partitionsHeal(s *suite) {
	rs := s.openAll(4)
	s.put(0, rs[0], storage.K("before"), "x")
	s.converge(rs)
	s.Partition([]int{0, 1}, []int{2, 3})
	for i, r := range rs {
		for j := range 200 {
			s.put(i, r, storage.K(fmt.Sprint(i), fmt.Sprint(j)), "v")
		}
	}
	s.Heal()
	assert.Len(s, s.converge(rs), 801)
}

func bigHistoriesArePaged(s *suite) {
	first := s.open(0)
	for i := range 10 {
		s.put(0, first, storage.K("k", fmt.Sprint(i)), string(make([]byte, 400<<10)))
	}
	rs := []*storage.Replicated{first, s.open(1)}
	assert.Len(s, s.converge(rs), 10)
}

func replicateCountsCopies(s *suite) {
	rs := s.openAll(3)
	for copies := 1; copies <= 4; copies++ {
		k := storage.K("k", fmt.Sprint(copies))
		s.Do(0, func(ctx context.Context) {
			assert.NoError(s, storage.Put(rs[0], k, []byte("v")))
			n := 0
			for range 100 { // peers that were cut off are not dialled at once
				var err error
				n, err = rs[0].Replicate(ctx, copies)
				assert.NoError(s, err)
				if n == min(copies, 3) || clock.Sleep(ctx, s.Node(0).Loop, 50*time.Millisecond) != nil {
					break
				}
			}
			assert.Equal(s, min(copies, 3), n)
		})
		// A crash of all loses nothing that was acknowledged.
		held := 0
		for i := range rs {
			s.Restart(i, 0)
		}
		s.Partition([]int{0}, []int{1}, []int{2})
		for i := range rs {
			rs[i] = s.open(i)
			s.Do(i, func(context.Context) {
				if s.has(rs[i], k, "v")() {
					held++
				}
			})
		}
		s.Heal()
		assert.GreaterOrEqual(s, held, min(copies, 3))
	}
}

func replicateIsBounded(s *suite) {
	rs := s.openAll(3)
	s.Partition([]int{0}, []int{1, 2})
	s.Do(0, func(ctx context.Context) {
		assert.NoError(s, storage.Put(rs[0], storage.K("k"), []byte("v")))
		n, err := rs[0].Replicate(ctx, 3)
		assert.NoError(s, err)
		assert.Equal(s, 1, n)
	})
	s.Heal()
	s.converge(rs)
}

// replicaCrashes crashes after each number of unsynced writes and finds whole
// turns, in order, and all that was synced.
func replicaCrashes(s *suite) {
	const turns, synced = 8, 3
	for keep := range turns + 2 {
		s.Restart(0, -1)
		r := s.open(0)
		for i := range turns {
			var before []string
			s.Do(0, func(context.Context) {
				before = r.Heads()
				b := new(storage.Batch).Put(storage.K("turn", fmt.Sprint(i)), []byte("v")).Put(storage.K("last"), fmt.Append(nil, i))
				if i > 0 {
					b.Delete(storage.K("turn", fmt.Sprint(i-1)))
				}
				assert.NoError(s, r.Apply(b))
			})
			s.eventually(0, "commit", func() bool { return !slices.Equal(before, r.Heads()) })
			if i == synced {
				s.Do(0, func(ctx context.Context) { assert.NoError(s, r.Sync(ctx)) })
			}
		}
		s.Restart(0, keep)
		list := s.list(0, s.open(0))
		if assert.Len(s, list, 2, "keep %d", keep) {
			last := string(list[0].Value)
			assert.Equal(s, storage.K("turn", last), list[1].Key, "keep %d", keep)
			assert.Equal(s, fmt.Sprint(min(synced+keep, turns-1)), last, "keep %d", keep)
		}
	}
}

func lostDisksAreRestored(s *suite) {
	rs := s.openAll(2)
	for i := range 20 {
		s.put(0, rs[0], storage.K("k"), fmt.Sprint(i))
	}
	s.converge(rs)
	s.Restart(0, -1)
	rs[0] = s.open(0)
	s.put(0, rs[0], storage.K("k"), "after")
	list := s.converge(rs)
	assert.Equal(s, []storage.Entry{{Key: storage.K("k"), Value: []byte("after")}}, list)
}

func closedReplicas(s *suite) {
	rs := s.openAll(2)
	s.put(0, rs[0], storage.K("k"), "v")
	s.eventually(1, "spread", s.has(rs[1], storage.K("k"), "v"))
	s.Do(0, func(ctx context.Context) {
		assert.NoError(s, rs[0].Close())
		assert.ErrorIs(s, storage.Put(rs[0], storage.K("k"), nil), clock.ErrStopped)
		assert.ErrorIs(s, rs[0].Sync(ctx), clock.ErrStopped)
		assert.True(s, s.has(rs[0], storage.K("k"), "v")())
	})
}
