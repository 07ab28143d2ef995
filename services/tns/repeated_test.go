package tns

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// What was done is not done once more, nor does it need once more what it needed.
func TestARepetitionNeedsNobody(t *testing.T) {
	inHallWithStore(t, 1, nil, func(h *hall) {
		one, two := aVersion("one", 1, 1), aVersion("two", 2, 1)
		one.Artifact, two.Artifact = "a-one", "a-two"
		h.mustPublish(one, two)
		done, err := h.rollbackAt(h.replicas[0], "id", "c-one")
		require.NoError(t, err)
		h.store.fails = transport.New(transport.Unreachable, "hoarder", "silent")
		again, err := h.rollbackAt(h.replicas[0], "id", "c-one")
		require.NoError(t, err, "its artifact is kept since")
		require.True(t, again.Duplicate)
		require.Equal(t, done.Version, again.Version)
		h.turn(h.replicas[0], func(ctx context.Context, s *Service) {
			heads := s.store.Heads()
			fence := tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "three", Token: fencing.Token{Attempt: 1}}
			require.NoError(t, s.registry.fence(fence))
			require.NoError(t, s.store.Sync(ctx))
			fenced := s.store.Heads()
			require.NotEqual(t, heads, fenced)
			require.NoError(t, s.registry.fence(fence))
			require.NoError(t, s.store.Sync(ctx))
			require.Equal(t, fenced, s.store.Heads(), "a fence that is there is not written")
		})
	})
}

// pinsOf are when an artifact was asked to be pinned.
func (h *hall) pinsOf(f func()) (at []time.Duration) {
	h.store.onPin = func() { at = append(at, h.user.Env.Loop.Elapsed()) }
	f()
	h.store.onPin = nil
	return at
}

// One task does the chores, however often there are new ones; what failed is tried
// again after artifactStep, and everything else once.
func TestChoresAreDoneByOneTask(t *testing.T) {
	inHallWithStore(t, 1, nil, func(h *hall) {
		at := h.pinsOf(func() {
			for i := range uint64(5) {
				v := aVersion(fmt.Sprint("job-", i), i+1, 1)
				v.Artifact = fmt.Sprint("a-", i)
				h.mustPublish(v)
				h.turn(h.replicas[0], func(_ context.Context, s *Service) {
					require.True(t, s.doing)
					s.startChores()
					s.startChores()
				})
			}
			nodetest.Sleep(time.Minute)
		})
		require.Len(t, at, 5, "each artifact once")
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { require.False(t, s.doing) })

		h.store.fails = transport.New(transport.Refused, "hoarder", "no")
		v := aVersion("refused", 9, 1)
		v.Artifact = "a-refused"
		began := h.user.Env.Loop.Elapsed()
		var tries []time.Duration
		h.store.onLocate = func() { tries = append(tries, h.user.Env.Loop.Elapsed()-began) }
		h.mustPublish(v)
		nodetest.Sleep(4 * artifactStep)
		h.store.onLocate = nil
		rounds := 0
		for i, at := range tries { // the client asks a hoarder more than once in a round
			if i == 0 || at-tries[i-1] > artifactStep/2 {
				rounds++
			}
		}
		require.Equal(t, 4, rounds, "%v", tries)
	})
}

// What is let go is let go once, whether it left the newest, the history or both.
func TestEachArtifactIsLetGoOnce(t *testing.T) {
	at := func(job string, order uint64) tnsapi.Version {
		v := version(job, order, 1)
		v.Artifact = "a"
		return v
	}
	before := []tnsapi.Version{at("one", 1), at("two", 2), at("three", 3)}
	var jobs []string
	for _, v := range artifactsToLetGo(before, at("four", 4), 2, 2) {
		jobs = append(jobs, v.Job)
	}
	require.Equal(t, []string{"two", "one"}, jobs)
}

// Entries are summed up by paths and values, and the sum is for ever: versions are
// found to be whole by it.
func TestTheDigestOfEntries(t *testing.T) {
	entry := func(path, value string) tnsapi.Entry { return tnsapi.Entry{Path: path, Value: []byte(value)} }
	lists := [][]tnsapi.Entry{
		nil, {entry("a", "")}, {entry("", "a")}, {entry("a", "b")}, {entry("b", "a")}, {entry("ab", "")},
		{entry("a", "b"), entry("c", "d")}, {entry("a", "bc"), entry("", "d")}, {entry("a", "b"), entry("c", "e")},
	}
	seen := map[string]int{}
	for i, list := range lists {
		sum := fmt.Sprintf("%x", digest(list))
		other, twice := seen[sum]
		require.False(t, twice, "%v and %v have one digest", list, lists[other])
		seen[sum] = i
		v := withEntries(version("j", 1, 1), list)
		for j, other := range lists {
			require.Equal(t, i == j, whole(v, other), "%v for %v", other, list)
		}
	}
	require.Equal(t, "d576b8b53d6d1c38", fmt.Sprintf("%x", digest(lists[6]))[:16])
}

// What a power cut would leave is this version of this job, whole, or it is not
// there.
func TestWhatIsOnDisk(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		h.mustPublish(aVersion("one", 1, 3), aVersion("two", 2, 3))
		disk, token := h.replicas[0].Disk, aVersion("one", 1, 3).Token
		require.True(t, OnDisk(disk, "p", "b", "one", token))
		other := token
		other.Holder[5]++
		for name, found := range map[string]bool{
			"another project": OnDisk(disk, "q", "b", "one", token),
			"another branch":  OnDisk(disk, "p", "a", "one", token),
			"another job":     OnDisk(disk, "p", "b", "three", token),
			"another token":   OnDisk(disk, "p", "b", "one", other),
			"another disk":    OnDisk(memdisk.New(), "p", "b", "one", token),
			"a higher fence":  FencedOnDisk(disk, "p", "b", "one", fencing.Token{Attempt: 4}),
			"no such fence":   FencedOnDisk(disk, "p", "b", "three", token),
			"fence elsewhere": FencedOnDisk(disk, "p", "a", "one", token),
		} {
			require.False(t, found, name)
		}
		require.True(t, FencedOnDisk(disk, "p", "b", "one", fencing.Token{Attempt: 2}), "a greater one is known")
	})
	nodetest.Run(t, func(c *nodetest.Cloud) { // a header without its entries
		whole := withEntries(version("whole", 1, 1), nil)
		torn := withEntries(version("torn", 2, 1), someEntries("x", 2))
		bare := c.Add("bare", node.Configured{Spec: nodetest.Part(tnsapi.Service, func(env node.Env) {
			store, err := env.OpenReplicated(context.Background(), namespace, storage.DefaultHistory())
			require.NoError(t, err)
			for _, v := range []tnsapi.Version{whole, torn} {
				require.NoError(t, storage.Put(store, versionKey(v), transport.Encode(v)))
			}
			require.NoError(t, store.Sync(context.Background()))
		})}).Start()
		require.True(t, OnDisk(bare.Disk, "p", "b", "whole", whole.Token))
		require.False(t, OnDisk(bare.Disk, "p", "b", "torn", torn.Token))
	})
}

// A fence that cannot be read may forbid what is asked for: nothing is accepted.
func TestAFenceThatCannotBeRead(t *testing.T) {
	r := newRegistry(t, 3)
	require.NoError(t, storage.Put(r.store, storage.K(fences, "p", "b", "j", "of a later release"), fenced))
	require.ErrorIs(t, r.fence(tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "j", Token: fencing.Token{Attempt: 1}}), errNoFence)
	_, _, err := r.publish(withEntries(version("j", 1, 1), nil), nil)
	require.ErrorIs(t, err, errNoFence)
	require.NoError(t, r.fence(tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "k", Token: fencing.Token{Attempt: 1}}), "another job's is another matter")
}

// flaky is a store that fails, or forgets everything, from the nth list of versions on.
type flaky struct {
	storage.Store
	left   *int
	forget bool
}

func (f flaky) List(prefix storage.Key) ([]storage.Entry, error) {
	if prefix.Parts()[0] != versions {
		return f.Store.List(prefix)
	}
	if *f.left--; *f.left >= 0 {
		return f.Store.List(prefix)
	}
	if f.forget {
		return nil, nil
	}
	return nil, errBroken
}

// A rollback reads the history twice, since it waits in between, and is an error
// whenever that cannot be read or has nothing any more.
func TestARollbackReadsAgain(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		h.mustPublish(aVersion("one", 1, 1), aVersion("two", 2, 1))
		h.turn(h.replicas[0], func(ctx context.Context, s *Service) {
			sound := s.registry.store
			ask := func(id string) (tnsapi.PublishResponse, error) {
				return s.rollback(ctx, transport.Peer{7}, tnsapi.RollbackRequest{Project: "p", Branch: "b", Commit: "c-one", ID: id})
			}
			for reads := range 3 { // before, after the wait, and when it is judged
				s.registry.store = flaky{sound, &reads, false}
				_, err := ask("broken")
				require.ErrorIs(t, err, errBroken)
			}
			for reads := range 2 {
				s.registry.store = flaky{sound, &reads, true}
				_, err := ask("forgotten")
				require.Equal(t, transport.NotFound, transport.KindOf(err))
			}
			s.registry.store = sound
			require.Equal(t, []string{"two", "one"}, func() []string { list, _ := s.History("p", "b"); return jobs(list) }())
			resp, err := ask("sound")
			require.NoError(t, err)
			require.Equal(t, "c-one", resp.Version.Commit)
		})
	})
}

// A look does no more than choresMax, and what is left with the next one.
func TestALookAtChoresIsBounded(t *testing.T) {
	inHallWithStore(t, 1, nil, func(h *hall) {
		h.turn(h.replicas[0], func(ctx context.Context, s *Service) {
			s.doing = true // this test does them
			for i := range choresMax + 3 {
				require.NoError(t, storage.Put(s.store, choreKey("p", "b", fmt.Sprint("job-", i), pinChore), []byte("a")))
			}
			found := map[storage.Key]time.Duration{}
			require.True(t, s.doChores(ctx, found))
			require.Len(t, h.store.pins, choresMax)
			require.True(t, s.doChores(ctx, found))
			require.Len(t, h.store.pins, choresMax+3)
			require.False(t, s.doChores(ctx, found))
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.NoError(t, storage.Put(s.store, choreKey("p", "b", "late", pinChore), []byte("a")))
			require.True(t, s.doChores(ended, found))
			require.Len(t, h.store.pins, choresMax+3, "nothing is begun any more")
			s.doing = false
			owners := h.store.owners()
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(owners))), choresMax+3)
		})
	})
}

// A commit that is pushed once more has two versions: a rollback to it is to the newer one, whose artifact is kept for longer.
func TestARollbackIsToTheNewestOfItsCommit(t *testing.T) {
	inHallWithStore(t, 1, nil, func(h *hall) {
		for order, of := range []string{"first", "other", "again", "last"} {
			v := aVersion(of, uint64(order)+1, 1)
			v.Artifact = "a-" + of
			if of == "again" {
				v.Commit = "c-first"
			}
			h.mustPublish(v)
		}
		done, err := h.rollbackAt(h.replicas[0], "id", "c-first")
		require.NoError(t, err)
		require.Equal(t, "a-again", done.Version.Artifact)
		require.EqualValues(t, 4, done.Version.Order)
	})
}
