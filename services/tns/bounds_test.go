package tns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

func TestDefaults(t *testing.T) {
	require.Equal(t, &Settings{
		KeepVersions: 20, KeepArtifacts: 10, ReplicateTimeout: 3 * time.Second, WatchersMax: 1024, History: storage.DefaultHistory(),
	}, DefaultSettings())
}

// Each bound of a publication is reached and not passed; who passes it is told how
// much is allowed.
func TestTheBoundsOfAPublication(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		at, beyond func(req *tnsapi.PublishRequest)
		says       string
	}{
		"project": {func(r *tnsapi.PublishRequest) { r.Project = long(128) },
			func(r *tnsapi.PublishRequest) { r.Project = long(129) }, "is no project: expected an id: up to 128"},
		"branch": {func(r *tnsapi.PublishRequest) { r.Branch = long(tnsapi.NameLenMax) },
			func(r *tnsapi.PublishRequest) { r.Branch = long(tnsapi.NameLenMax + 1) }, "1 to 256 bytes"},
		"artifact": {func(r *tnsapi.PublishRequest) { r.Artifact = long(tnsapi.NameLenMax) },
			func(r *tnsapi.PublishRequest) { r.Artifact = long(tnsapi.NameLenMax + 1) }, "artifact"},
		"path": {func(r *tnsapi.PublishRequest) { r.Entries = []tnsapi.Entry{{Path: long(tnsapi.PathLenMax)}} },
			func(r *tnsapi.PublishRequest) { r.Entries = []tnsapi.Entry{{Path: long(tnsapi.PathLenMax + 1)}} }, "1 to 512 bytes"},
		"entries": {func(r *tnsapi.PublishRequest) { r.Entries = numbered(tnsapi.EntriesMax) },
			func(r *tnsapi.PublishRequest) { r.Entries = numbered(tnsapi.EntriesMax + 1) }, "at most 2048 are allowed"},
		"size": {func(r *tnsapi.PublishRequest) {
			r.Entries = []tnsapi.Entry{{Path: "a", Value: make([]byte, tnsapi.VersionLenMax-1)}}
		}, func(r *tnsapi.PublishRequest) {
			r.Entries = []tnsapi.Entry{{Path: "a", Value: make([]byte, tnsapi.VersionLenMax)}}
		}, "524289 bytes, at most 524288 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			req := aVersion("j", 1, 1)
			c.at(&req)
			require.NoError(t, checkPublish(req, req.Entries))
			c.beyond(&req)
			err := checkPublish(req, req.Entries)
			require.Equal(t, transport.Invalid, transport.KindOf(err))
			require.ErrorContains(t, err, c.says)
		})
	}
}

// numbered are n entries, in order.
func numbered(n int) (list []tnsapi.Entry) {
	for i := range n {
		list = append(list, tnsapi.Entry{Path: fmt.Sprintf("%04d", i)})
	}
	return list
}

// An order may not pass what is absurd, and a token of a version counts as a fence.
func TestWhatIsKnownDecides(t *testing.T) {
	k := known{keep: 3, versions: []tnsapi.Version{version("a", tnsapi.OrderMax-1, 5)}}
	_, err := k.publish(version("b", tnsapi.OrderMax, 1))
	require.NoError(t, err)
	_, err = k.publish(version("b", tnsapi.OrderMax+1, 1))
	require.Equal(t, transport.Invalid, transport.KindOf(err))
	_, err = known{keep: 3}.publish(version("b", tnsapi.OrderStepMax, 1))
	require.NoError(t, err)
	require.Equal(t, transport.Conflict, transport.KindOf(k.fence("a", version("a", 1, 4).Token)))
	require.NoError(t, k.fence("a", version("a", 1, 5).Token))
	require.NoError(t, k.fence("b", version("b", 1, 1).Token))
}

// A page begins after a path, whether or not that is one of an entry.
func TestWherePagesBegin(t *testing.T) {
	list := []tnsapi.Entry{{Path: "b"}, {Path: "d"}, {Path: "f"}}
	for after, want := range map[string][]tnsapi.Entry{
		"": list, "a": list, "b": list[1:], "c": list[1:], "d": list[2:], "e": list[2:], "f": {}, "g": {},
	} {
		part, more := page(list, after)
		require.Equal(t, want, part, "after %q", after)
		require.False(t, more)
	}
}

// A page is full to the last byte, and holds one entry however long that is.
func TestPagesAreFull(t *testing.T) {
	exact := []tnsapi.Entry{{Path: "a", Value: make([]byte, pageLenMax-3)}, {Path: "b", Value: make([]byte, 1)}}
	part, more := page(exact, "")
	require.Len(t, part, 2)
	require.False(t, more)
	exact[1].Value = make([]byte, 2)
	part, more = page(exact, "")
	require.Len(t, part, 1)
	require.True(t, more)
	part, more = page([]tnsapi.Entry{{Path: "a", Value: make([]byte, 2*pageLenMax)}, {Path: "b"}}, "")
	require.Len(t, part, 1)
	require.True(t, more)
}

// broken is a store of which some keys cannot be listed, or nothing be written.
type broken struct {
	storage.Store
	list  string
	apply bool
}

var errBroken = errors.New("broken")

func (b broken) List(prefix storage.Key) ([]storage.Entry, error) {
	if prefix.Parts()[0] == b.list {
		return nil, errBroken
	}
	return b.Store.List(prefix)
}

func (b broken) Apply(batch *storage.Batch) error {
	if b.apply {
		return errBroken
	}
	return b.Store.Apply(batch)
}

// What cannot be read is never taken for nothing, and what could not be written not
// for done.
func TestABrokenStoreIsNoEmptyOne(t *testing.T) {
	sound := newRegistry(t, 2)
	for i, job := range []string{"a", "b"} {
		list := someEntries(job, 2)
		_, _, err := sound.publish(withEntries(version(job, uint64(i+1), 1), list), list)
		require.NoError(t, err)
	}
	third := withEntries(version("c", 3, 1), nil) // drops the first
	newest := version("b", 2, 1)
	newest = withEntries(newest, someEntries("b", 2))
	acts := map[string]func(r registry) error{
		"current": func(r registry) error { _, err := r.current("p", "b"); return err },
		"history": func(r registry) error { _, err := r.history("p", "b"); return err },
		"entries": func(r registry) error { _, err := r.entries(newest); return err },
		"whole": func(r registry) error {
			ok, err := r.whole(newest)
			require.Equal(t, err == nil, ok)
			return err
		},
		"fence": func(r registry) error {
			return r.fence(tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "d", Token: fencing.Token{Attempt: 1}})
		},
		"publish": func(r registry) error {
			_, duplicate, err := r.publish(third, nil)
			require.False(t, duplicate)
			return err
		},
		"torn":   func(r registry) error { _, err := r.torn(); return err },
		"chores": func(r registry) error { _, err := r.chores(); return err },
	}
	needs := map[string]string{
		"current": "version entry", "history": "version entry", "entries": "entry", "whole": "entry", "fence": "version fence write",
		"publish": "version fence entry write", "torn": "version entry", "chores": "artifact",
	}
	for name, act := range acts {
		for _, part := range []string{versions, entries, fences, chores, "write"} {
			r := sound
			r.store = broken{sound.store, part, part == "write"}
			if slices.Contains(strings.Fields(needs[name]), part) {
				require.ErrorIs(t, act(r), errBroken, "%s without %s", name, part)
			} else if part != "write" && name != "publish" && name != "fence" {
				require.NoError(t, act(r), "%s without %s", name, part)
			}
		}
	}
}

func TestStrayEntriesAreNamed(t *testing.T) {
	r := newRegistry(t, 20)
	stray := withEntries(version("stray", 3, 1), someEntries("x", 1))
	for _, path := range []string{"x", "y"} {
		require.NoError(t, storage.Put(r.store, storage.K(entries, "p", "b", versionID(stray), path), []byte("1")))
	}
	torn, err := r.torn()
	require.NoError(t, err)
	require.Equal(t, []string{string(storage.K(entries, "p", "b", versionID(stray))) + " has entries and no header"}, torn)
}

func TestBranches(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		branches := func() (list []tnsapi.BranchRequest) {
			h.turn(h.replicas[0], func(_ context.Context, s *Service) {
				var err error
				list, err = s.Branches()
				require.NoError(t, err)
			})
			return list
		}
		require.Empty(t, branches())
		var want []tnsapi.BranchRequest
		for i, b := range []tnsapi.BranchRequest{{Project: "p", Branch: "a"}, {Project: "p", Branch: "b"}, {Project: "q", Branch: "b"}} {
			for j := range 2 {
				req := aVersion("j", uint64(2*i+j+1), 1)
				req.Project, req.Branch, req.Job = b.Project, b.Branch, req.Job+string(rune('0'+j))
				h.mustPublish(req)
			}
			want = append(want, b)
			require.Equal(t, want, branches())
		}
	})
}

// A replica that has not caught up is not ready; what it says of itself goes with
// its incarnation.
func TestReadiness(t *testing.T) {
	require.Equal(t, transport.Refused, transport.KindOf((&Service{}).Ready()))
	require.NoError(t, (&Service{}).Stop(context.Background()), "it did not come to open its store")
	inHall(t, 2, nil, func(h *hall) {
		for _, m := range h.replicas {
			h.turn(m, func(_ context.Context, s *Service) { require.NoError(t, s.Ready()) })
		}
		require.Len(t, h.Facts("replica-opened"), 2)
		require.Equal(t, uint64(1), h.Facts("replica-opened")[0].Fields["incarnation"])
	})
}

// Who asks is answered only after the points that a fault can be injected at, and
// what a fault leaves there is what the point says.
func TestFaultsOnTheWay(t *testing.T) {
	for point, visible := range map[string]bool{"tns/before-apply": false, "tns/after-apply-before-replicate": true, "tns/before-reply": true} {
		t.Run(point, func(t *testing.T) {
			inHall(t, 1, nil, func(h *hall) {
				disable, err := fail.Enable(fail.Rule{Point: point, Do: fail.Action{Do: fail.Error}})
				require.NoError(t, err)
				_, err = h.publish(aVersion("j", 1, 1))
				require.Error(t, err)
				disable()
				_, err = h.current()
				require.Equal(t, visible, err == nil)
				durable := h.Facts("publish-durable")
				require.Equal(t, point == "tns/before-reply", len(durable) == 1)

				h.mustPublish(aVersion("i", 2, 1), aVersion("k", 3, 1))
				disable, err = fail.Enable(fail.Rule{Point: point, Do: fail.Action{Do: fail.Error}})
				require.NoError(t, err)
				_, err = h.rollbackAt(h.replicas[0], "id", "c-i")
				disable()
				require.Error(t, err)
				v, err := h.current()
				require.NoError(t, err)
				require.Equal(t, visible, v.Commit == "c-i")
			})
		})
	}
}

// Only who makes an attempt speaks for it, but for patricks, and attempts are bounded.
func TestAttemptsAreTheirMakers(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		patrick := h.Caller("closes", "patrick")
		try := func(c *nodetest.Caller, token fencing.Token) (fence, publish error) {
			c.Do(func(ctx context.Context) {
				to := h.replicas[0].Peer()
				_, fence = tnsapi.Fence.Call(ctx, c.Env.Wire, to, tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "j", Token: token})
				req := aVersion("j", 1, 1)
				req.Token = token
				_, publish = tnsapi.Publish.Call(ctx, c.Env.Wire, to, req)
			})
			return fence, publish
		}
		fence, publish := try(h.user, fencing.Token{Attempt: 7, Holder: patrick.Peer()})
		require.Equal(t, transport.NotAllowed, transport.KindOf(fence), "%v", fence)
		require.Equal(t, transport.NotAllowed, transport.KindOf(publish), "%v", publish)
		for _, attempt := range []uint64{0, tnsapi.AttemptMax + 1, math.MaxUint64} {
			fence, publish = try(h.user, fencing.Token{Attempt: attempt, Holder: h.user.Peer()})
			require.Equal(t, transport.Invalid, transport.KindOf(fence), "%v", fence)
			require.Equal(t, transport.Invalid, transport.KindOf(publish), "%v", publish)
		}
		fence, publish = try(patrick, fencing.Token{Attempt: 3})
		require.NoError(t, fence, "who closes a job fences for nobody in particular")
		require.Equal(t, transport.NotAllowed, transport.KindOf(publish), "and publishes nothing: %v", publish)
		fence, publish = try(h.user, fencing.Token{Attempt: tnsapi.AttemptMax, Holder: h.user.Peer()})
		require.NoError(t, errors.Join(fence, publish))
	})
}

func TestFencesAreFacts(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		token := fencing.Token{Attempt: 4, Holder: userPeer}
		for range 2 { // once more changes nothing, and is durable
			h.user.Do(func(ctx context.Context) { require.NoError(t, h.client.Fence(ctx, "p", "b", "j", token)) })
		}
		require.Len(t, h.Facts("fenced"), 2)
		require.Equal(t, 2, h.Facts("fence-durable")[0].Fields["copies"])
		require.True(t, FencedOnDisk(h.replicas[0].Disk, "p", "b", "j", token))
		token.Attempt++
		require.False(t, FencedOnDisk(h.replicas[0].Disk, "p", "b", "j", token))
		h.mustPublish(aVersion("j", 1, 4))
		require.True(t, OnDisk(h.replicas[0].Disk, "p", "b", "j", aVersion("j", 1, 4).Token))
		require.False(t, OnDisk(h.replicas[0].Disk, "p", "b", "j", token))
	})
}

// A refusal is told with its kind; what the store finds too large makes no sense to ask again.
func TestHowARefusalIsTold(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		h.turn(h.replicas[0], func(_ context.Context, s *Service) {
			for n, c := range []struct {
				err  error
				kind transport.Kind
				why  string
			}{
				{transport.New(transport.Conflict, "test", "stale"), transport.Conflict, "conflict"},
				{fmt.Errorf("a batch: %w", storage.ErrTooLarge), transport.Invalid, "invalid"},
				{errBroken, transport.Internal, "internal"},
			} {
				token := fencing.Token{Attempt: uint64(n), Holder: userPeer}
				require.Equal(t, c.kind, transport.KindOf(s.refused("job", token, c.err)))
				require.Equal(t, map[string]any{"job": "job", "attempt": uint64(n), "holder": userPeer, "why": c.why}, h.Facts("publish-refused")[n].Fields)
			}
			for _, pin := range []string{"", "nothing"} {
				_, err := s.lookup(context.Background(), userPeer, tnsapi.LookupRequest{Project: "p", Branch: "b", Pin: pin})
				require.Equal(t, transport.NotFound, transport.KindOf(err), "there is no version %q", pin)
			}
		})
		h.mustPublish(aVersion("j", 1, 1))
		h.turn(h.replicas[0], func(ctx context.Context, s *Service) {
			resp, err := s.lookup(ctx, userPeer, tnsapi.LookupRequest{Project: "p", Branch: "b", Pin: "nothing"})
			require.ErrorContains(t, err, "the version is not kept any more")
			require.Equal(t, tnsapi.LookupResponse{}, resp)
		})
	})
}
