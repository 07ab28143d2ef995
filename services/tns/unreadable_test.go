package tns

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// Whoever asks a replica that cannot read what it needs is told that, by every
// method, and nothing is written.
func TestEveryMethodSaysWhatCannotBeRead(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		h.mustPublish(aVersion("one", 1, 1), aVersion("two", 2, 1))
		h.turn(h.replicas[0], func(ctx context.Context, s *Service) {
			v, err := s.Current("p", "b")
			require.NoError(t, err)
			branch := tnsapi.BranchRequest{Project: "p", Branch: "b"}
			for method, c := range map[string]struct {
				needs string // of the parts of the store
				ask   func() error
			}{
				"current": {"version entry", func() error { _, err := s.current(ctx, transport.Peer{}, branch); return err }},
				"history": {"version entry", func() error { _, err := s.history(ctx, transport.Peer{}, branch); return err }},
				"lookup": {"version entry", func() error {
					_, err := s.lookup(ctx, transport.Peer{}, tnsapi.LookupRequest{Project: "p", Branch: "b"})
					return err
				}},
				"lookup on": {"version entry", func() error {
					_, err := s.lookup(ctx, transport.Peer{}, tnsapi.LookupRequest{Project: "p", Branch: "b", Pin: versionID(v)})
					return err
				}},
				"rollback": {"version entry fence", func() error {
					_, err := s.rollback(ctx, transport.Peer{}, tnsapi.RollbackRequest{Project: "p", Branch: "b", Commit: "c-one", ID: "id"})
					return err
				}},
				"fence": {"version fence", func() error {
					_, err := s.fence(ctx, transport.Peer{}, tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "three", Token: fencing.Token{Attempt: 1}})
					return err
				}},
				"publish": {"version fence", func() error { _, err := s.publish(ctx, userPeer, aVersion("three", 3, 1)); return err }},
				"watch":   {"version entry", func() error { return s.tell(ctx, &watcher{branch: branch}, nil) }},
			} {
				sound, heads := s.registry.store, s.store.Heads()
				for _, part := range strings.Fields(c.needs) {
					s.registry.store = broken{Store: sound, list: part}
					require.ErrorIs(t, c.ask(), errBroken, "%s without %s", method, part)
				}
				s.registry.store = sound
				require.Equal(t, heads, s.store.Heads(), method)
			}
			// At whichever list of entries it happens: each version's, and those that it takes over.
			for reads := range 3 {
				left, sound := reads, s.registry.store
				s.registry.store = flakyEntries{sound, &left}
				_, err := s.rollback(ctx, transport.Peer{}, tnsapi.RollbackRequest{Project: "p", Branch: "b", Commit: "c-one", ID: "id"})
				s.registry.store = sound
				require.ErrorIs(t, err, errBroken, reads)
			}
		})
	})
}

// flakyEntries fails from the nth list of entries on.
type flakyEntries struct {
	storage.Store
	left *int
}

func (f flakyEntries) List(prefix storage.Key) ([]storage.Entry, error) {
	if prefix.Parts()[0] == entries {
		if *f.left--; *f.left < 0 {
			return nil, errBroken
		}
	}
	return f.Store.List(prefix)
}

// A replica whose disk cannot be read does not start.
func TestAStartWithoutADisk(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		m := h.replicas[0]
		h.mustPublish(aVersion("one", 1, 1))
		m.Stop()
		m.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, key string) error {
			if op == memdisk.OpQuery && strings.Contains(key, "/kv") {
				return errors.New("the disk refuses")
			}
			return nil
		}})
		require.ErrorContains(t, m.TryStart(), "the disk refuses")
		m.Disk.SetFaults(memdisk.Faults{})
		m.Start()
		v, err := h.current()
		require.NoError(t, err)
		require.Equal(t, "one", v.Job)
	})
}

// What no hoarder takes is a chore yet, whichever of the two questions fails.
func TestAPinThatIsRefusedIsTriedAgain(t *testing.T) {
	inHallWithStore(t, 1, nil, func(h *hall) {
		h.store.pinFails = transport.New(transport.Refused, "hoarder", "no room")
		v := aVersion("one", 1, 1)
		v.Artifact = "a-one"
		h.mustPublish(v, aVersion("two", 2, 1))
		nodetest.Sleep(2 * artifactStep)
		h.turn(h.replicas[0], func(_ context.Context, s *Service) {
			list, err := s.registry.chores()
			require.NoError(t, err)
			require.Len(t, list, 1)
		})
		_, err := h.rollbackAt(h.replicas[0], "id", "c-one")
		require.Equal(t, transport.Refused, transport.KindOf(err))
		h.store.pinFails = nil
		nodetest.Sleep(2 * artifactStep)
		require.True(t, slices.Contains(h.store.owners(), "job/one a-one"))
	})
}

// A key that is no fence is none on a disk either.
func TestAStrangeFenceOnDisk(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		h.turn(h.replicas[0], func(ctx context.Context, s *Service) {
			require.NoError(t, storage.Put(s.store, storage.K(fences, "p", "b", "j", "strange"), fenced))
			require.NoError(t, s.store.Sync(ctx))
		})
		require.False(t, FencedOnDisk(h.replicas[0].Disk, "p", "b", "j", fencing.Token{}))
	})
}

// How many entries a version has is part of what it is, also if their sum is right.
func TestAVersionHasAsManyEntries(t *testing.T) {
	list := someEntries("x", 2)
	v := withEntries(version("j", 1, 1), list)
	require.True(t, whole(v, list))
	v.Count++
	require.False(t, whole(v, list))
}

// A watch that has ended tells nothing more, and leaves no watcher.
func TestAWatchThatHasEnded(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		w, stop := h.watchAt(h.replicas[0], "b")
		require.Equal(t, []string{""}, h.take(w))
		stop()
		nodetest.Sleep(100 * time.Millisecond)
		h.turn(h.replicas[0], func(context.Context, *Service) {})
		h.mustPublish(aVersion("one", 1, 1))
		require.Empty(t, h.take(w))
		// What is dropped, or cannot be read, is not a part of something.
		h.turn(h.replicas[0], func(_ context.Context, s *Service) {
			s.assertWhole("/version/p/b/never")
		})
		require.Empty(t, h.Facts("version-torn"))
	})
}
