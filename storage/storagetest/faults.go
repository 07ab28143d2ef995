package storagetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
)

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
	// What is not synced may be a write that nobody has been told of yet.
	s.Do(0, func(ctx context.Context) { assert.NoError(s, first.Sync(ctx)) })
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
	rs := []*replicated.Store{first, s.open(1)}
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
