package tns

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// hall is some replicas of tns, a hoarder that does what a test says, and a user.
type hall struct {
	*nodetest.Cloud
	replicas []*nodetest.Machine
	store    *storeroom
	user     *nodetest.Caller
	client   *tnsapi.Client
}

func inHall(t *testing.T, n int, change func(s *Settings), f func(h *hall)) {
	nodetest.Run(t, func(c *nodetest.Cloud) { fillHall(c, &hall{Cloud: c}, n, change, f) })
}

// inHallWithStore is one whose cloud has a hoarder.
func inHallWithStore(t *testing.T, n int, change func(s *Settings), f func(h *hall)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		h := &hall{Cloud: c, store: &storeroom{}}
		h.store.Machine = c.Add("hoarder", node.Configured{Spec: nodetest.Part(hoarderapi.Service, h.store.start)})
		h.store.Start()
		fillHall(c, h, n, change, f)
	})
}

func fillHall(c *nodetest.Cloud, h *hall, n int, change func(s *Settings), f func(h *hall)) {
	for i := range n {
		settings := DefaultSettings()
		if change != nil {
			change(settings)
		}
		h.replicas = append(h.replicas, c.Add(fmt.Sprintf("tns-%d", i+1), node.Configured{Spec: Spec(), Settings: settings}))
	}
	for _, m := range h.replicas {
		m.Start()
	}
	h.user = c.Caller("user", "monkey")
	h.client = tnsapi.NewClient(h.user.Env.Wire)
	f(h)
}

// storeroom stands in for hoarders.
type storeroom struct {
	*nodetest.Machine
	fails           error // what everybody is answered
	pinFails        error // what is answered to pins
	pins            []hoarderapi.PinRequest
	gone            []hoarderapi.UnpinRequest
	onPin, onLocate func()
}

func (s *storeroom) start(env node.Env) {
	hoarderapi.Pin.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req hoarderapi.PinRequest) (hoarderapi.PinResponse, error) {
		if s.onPin != nil {
			s.onPin()
		}
		fails := cmp.Or(s.fails, s.pinFails)
		if fails == nil {
			s.pins = append(s.pins, req)
		}
		return hoarderapi.PinResponse{Copies: 2}, fails
	})
	hoarderapi.Unpin.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req hoarderapi.UnpinRequest) (hoarderapi.Done, error) {
		if s.fails == nil {
			s.gone = append(s.gone, req)
		}
		return hoarderapi.Done{}, s.fails
	})
	hoarderapi.Locate.Serve(env.Wire, func(context.Context, transport.Peer, hoarderapi.RootRequest) (hoarderapi.LocateResponse, error) {
		if s.onLocate != nil {
			s.onLocate()
		}
		return hoarderapi.LocateResponse{Holders: []transport.Peer{env.Self}}, s.fails
	})
}

// owners of what was pinned for good, oldest first.
func (s *storeroom) owners() (list []string) {
	for _, m := range s.pins {
		list = append(list, m.Owner+" "+m.Root)
	}
	return list
}

// userPeer is who publishes in these tests.
var userPeer = transport.NewIdentity([]byte("user")).Peer()

func aVersion(job string, order, attempt uint64) tnsapi.PublishRequest {
	return tnsapi.PublishRequest{
		Project: "p", Branch: "b", Commit: "c-" + job, Job: job, Order: order,
		Token: fencing.Token{Attempt: attempt, Holder: userPeer}, Entries: someEntries(job, 3),
	}
}

func (h *hall) publish(req tnsapi.PublishRequest) (resp tnsapi.PublishResponse, err error) {
	h.user.Do(func(ctx context.Context) { resp, err = h.client.Publish(ctx, req) })
	return resp, err
}

func (h *hall) mustPublish(reqs ...tnsapi.PublishRequest) {
	for _, req := range reqs {
		_, err := h.publish(req)
		require.NoError(h, err)
	}
}

// rollbackAt asks one replica, so that a test names the request.
func (h *hall) rollbackAt(m *nodetest.Machine, id, commit string) (resp tnsapi.PublishResponse, err error) {
	h.user.Do(func(ctx context.Context) {
		resp, err = tnsapi.Rollback.Call(ctx, h.user.Env.Wire, m.Peer(), tnsapi.RollbackRequest{Project: "p", Branch: "b", Commit: commit, ID: id})
	})
	return resp, err
}

func (h *hall) current() (v tnsapi.Version, err error) {
	h.user.Do(func(ctx context.Context) { v, err = h.client.Current(ctx, "p", "b") })
	return v, err
}

func (h *hall) turn(m *nodetest.Machine, f func(ctx context.Context, s *Service)) {
	s := m.Service(tnsapi.Service).(*Service)
	require.NoError(h, clock.Do(context.Background(), s.env.Loop, func(ctx context.Context) { f(ctx, s) }))
}

// disks counts those on which something would be found after a power cut.
func (h *hall) disks(has func(m *nodetest.Machine) bool) (n int) {
	for _, m := range h.replicas {
		if has(m) {
			n++
		}
	}
	return n
}

func (h *hall) disksWith(v tnsapi.Version) int {
	return h.disks(func(m *nodetest.Machine) bool { return OnDisk(m.Disk, v.Project, v.Branch, v.Job, v.Token) })
}

// Whatever is answered is on two disks by then, also when it is answered again.
func TestWhatIsAnsweredIsOnTwoDisks(t *testing.T) {
	inHall(t, 3, nil, func(h *hall) {
		token := fencing.Token{Attempt: 1, Holder: userPeer}
		for range 2 {
			h.user.Do(func(ctx context.Context) { require.NoError(t, h.client.Fence(ctx, "p", "b", "one", token)) })
			fenced := func(m *nodetest.Machine) bool { return FencedOnDisk(m.Disk, "p", "b", "one", token) }
			require.GreaterOrEqual(t, h.disks(fenced), 2)
		}
		for i := range 2 {
			resp, err := h.publish(aVersion("one", 1, 1))
			require.NoError(t, err)
			require.Equal(t, 2, resp.Copies)
			require.Equal(t, i > 0, resp.Duplicate)
			require.GreaterOrEqual(t, h.disksWith(resp.Version), 2)
		}
		h.mustPublish(aVersion("two", 2, 1))
		nodetest.Sleep(time.Second)
		for i := range 2 {
			resp, err := h.rollbackAt(h.replicas[0], "id", "c-one")
			require.NoError(t, err)
			require.Equal(t, 2, resp.Copies)
			require.Equal(t, i > 0, resp.Duplicate)
			require.Equal(t, "rollback-id", resp.Version.Job)
			require.GreaterOrEqual(t, h.disksWith(resp.Version), 2)
		}
		require.Len(t, h.Facts("published"), 3)
		for _, f := range h.Facts("publish-durable") {
			require.Equal(t, 2, f.Fields["copies"])
		}
	})
}

// With nobody else there one disk has to do, and that is said.
func TestAPublishAloneIsOnOneDisk(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		h.replicas[1].Vanish()
		began := h.user.Env.Loop.Elapsed()
		resp, err := h.publish(aVersion("one", 1, 1))
		require.NoError(t, err)
		require.Equal(t, 1, resp.Copies)
		require.LessOrEqual(t, h.user.Env.Loop.Elapsed()-began, DefaultSettings().ReplicateTimeout+2*time.Second)
		require.Equal(t, 1, h.disksWith(resp.Version))
		h.replicas[1].Start()
		nodetest.Sleep(10 * time.Second)
		h.turn(h.replicas[1], func(_ context.Context, s *Service) {
			v, err := s.Current("p", "b")
			require.NoError(t, err)
			require.Equal(t, "one", v.Job)
		})
	})
}

func TestStaleTokensAreRefusedEverywhere(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		fence := func(m *nodetest.Machine, attempt uint64) (err error) {
			h.user.Do(func(ctx context.Context) {
				_, err = tnsapi.Fence.Call(ctx, h.user.Env.Wire, m.Peer(), tnsapi.FenceRequest{Project: "p", Branch: "b", Job: "one", Token: fencing.Token{Attempt: attempt, Holder: userPeer}})
			})
			return err
		}
		require.NoError(t, fence(h.replicas[0], 2))
		nodetest.Sleep(time.Second)
		for _, m := range h.replicas {
			require.Equal(t, transport.Conflict, transport.KindOf(fence(m, 1)))
		}
		_, err := h.publish(aVersion("one", 1, 1))
		require.Equal(t, transport.Conflict, transport.KindOf(err))
		refused := h.Facts("publish-refused")
		require.Len(t, refused, 3)
		require.Equal(t, "conflict", refused[2].Fields["why"])
		_, err = h.current()
		require.Equal(t, transport.NotFound, transport.KindOf(err))
		h.mustPublish(aVersion("one", 1, 2))
		nodetest.Sleep(time.Second)
		require.Equal(t, transport.Conflict, transport.KindOf(fence(h.replicas[1], 1)))

		_, err = h.publish(aVersion("", 1, 2))
		require.Equal(t, transport.Invalid, transport.KindOf(err))
		h.user.Do(func(ctx context.Context) { err = h.client.Fence(ctx, "p", "", "one", fencing.Token{}) })
		require.Equal(t, transport.Invalid, transport.KindOf(err))
	})
}

// However often one rolls back: each counts after the last one, and the next push
// after all of them.
func TestEachRollbackIsNewerThanWhatItReplaces(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		h.mustPublish(aVersion("one", 1, 1), aVersion("two", 2, 3))
		nodetest.Sleep(time.Second) // until both have them
		for i, commit := range []string{"c-one", "c-two", "c-one", "c-two", "c-one"} {
			m := h.replicas[i%2]
			resp, err := h.rollbackAt(m, fmt.Sprint("id-", i), commit)
			require.NoError(t, err)
			require.False(t, resp.Duplicate)
			require.EqualValues(t, 2, resp.Version.Order)
			require.EqualValues(t, i+1, resp.Version.Rollback)
			require.Equal(t, fencing.Token{Attempt: 1, Holder: h.user.Peer()}, resp.Version.Token)
			for _, m := range h.replicas {
				nodetest.Sleep(10 * time.Millisecond)
				h.turn(m, func(_ context.Context, s *Service) {
					v, err := s.Current("p", "b")
					require.NoError(t, err)
					require.Equal(t, commit, v.Commit)
					require.Equal(t, resp.Version, v)
				})
			}
			var list []tnsapi.Entry
			h.user.Do(func(ctx context.Context) { list, err = h.client.Lookup(ctx, "p", "b", "") })
			require.NoError(t, err)
			require.Equal(t, someEntries(commit[2:], 3), list)
		}
		nodetest.Sleep(time.Second)
		again, err := h.rollbackAt(h.replicas[0], "id-0", "c-one")
		require.NoError(t, err)
		require.True(t, again.Duplicate, "a repetition changes nothing")
		require.EqualValues(t, 1, again.Version.Rollback)
		_, err = h.rollbackAt(h.replicas[0], "id", "c-none")
		require.Equal(t, transport.NotFound, transport.KindOf(err))
		_, err = h.rollbackAt(h.replicas[0], "", "c-one")
		require.Equal(t, transport.Invalid, transport.KindOf(err))
		h.mustPublish(aVersion("three", 3, 1))
		v, err := h.current()
		require.NoError(t, err)
		require.Equal(t, "c-three", v.Commit)
		for i, commit := range []string{"c-two", "c-one", "c-one"} { // each one of its own
			h.user.Do(func(ctx context.Context) {
				resp, err := h.client.Rollback(ctx, "p", "b", commit)
				require.NoError(t, err)
				require.Equal(t, i == 2, resp.Duplicate, "what is live stays as it is")
				v = resp.Version
			})
			nodetest.Sleep(time.Second)
		}
		require.EqualValues(t, 2, v.Rollback)
	})
}

// The artifact of what is made live again is pinned for good before anybody is told
// to use it; if it cannot be kept, nothing happens.
func TestARollbackKeepsItsArtifactFirst(t *testing.T) {
	inHallWithStore(t, 1, nil, func(h *hall) {
		one, two := aVersion("one", 1, 1), aVersion("two", 2, 1)
		one.Artifact, two.Artifact = "a-one", "a-two"
		h.mustPublish(one, two)
		nodetest.Sleep(2 * time.Second)
		h.store.pins = nil
		h.store.onPin = func() {
			h.turn(h.replicas[0], func(_ context.Context, s *Service) {
				v, err := s.Current("p", "b")
				require.NoError(t, err)
				require.Equal(t, "two", v.Job, "not before it is kept")
			})
		}
		resp, err := h.rollbackAt(h.replicas[0], "id", "c-one")
		require.NoError(t, err)
		h.store.onPin = nil
		require.Equal(t, []hoarderapi.PinRequest{{
			Root: "a-one", Kind: hoarderapi.Asset, Holders: []transport.Peer{h.store.Peer()}, Owner: tnsapi.ArtifactOwner("rollback-id"), Seq: tnsapi.PinSeq,
		}}, h.store.pins)
		require.Equal(t, "a-one", resp.Version.Artifact)

		h.store.fails = transport.New(transport.NotFound, "hoarder", "gone")
		_, err = h.rollbackAt(h.replicas[0], "next", "c-two")
		require.Equal(t, transport.NotFound, transport.KindOf(err))
		v, err := h.current()
		require.NoError(t, err)
		require.Equal(t, "rollback-id", v.Job)

		empty := aVersion("three", 3, 1)
		h.mustPublish(empty)
		_, err = h.rollbackAt(h.replicas[0], "empty", "c-three")
		require.NoError(t, err, "without an artifact there is nothing to keep")
	})
}

// What is published is pinned for good at once, what is overtaken is let go after
// the grace, by one replica. Nothing is forgotten while no hoarder answers.
func TestHoarders(t *testing.T) {
	inHallWithStore(t, 2, func(s *Settings) { s.KeepArtifacts = 2 }, func(h *hall) {
		version := func(i uint64) tnsapi.PublishRequest {
			v := aVersion(fmt.Sprint("job-", i), i, 1)
			v.Artifact = fmt.Sprint("a-", i)
			return v
		}
		h.mustPublish(version(1), version(2))
		nodetest.Sleep(20 * time.Second)
		require.ElementsMatch(t, []string{"job/job-1 a-1", "job/job-2 a-2"}, slices.Compact(slices.Sorted(slices.Values(h.store.owners()))))
		require.Empty(t, h.store.gone)
		h.mustPublish(version(3))
		nodetest.Sleep(artifactGrace - 2*time.Second)
		require.Empty(t, h.store.gone, "a grace")
		nodetest.Sleep(artifactStep + 5*time.Second)
		require.Equal(t, []hoarderapi.UnpinRequest{{Root: "a-1", Owner: "job/job-1", Seq: hoarderapi.Forever}}, h.store.gone)
		require.Len(t, h.Facts("artifact-let-go"), 1)

		h.store.fails = transport.New(transport.Unreachable, "hoarder", "silent")
		h.mustPublish(version(4))
		nodetest.Sleep(2 * time.Minute)
		require.Len(t, h.store.gone, 1)
		h.store.fails = nil
		nodetest.Sleep(time.Minute)
		require.Len(t, h.store.gone, 2)
		for _, m := range h.replicas {
			h.turn(m, func(_ context.Context, s *Service) {
				list, err := s.registry.chores()
				require.NoError(t, err)
				require.Empty(t, list)
				require.False(t, s.doing)
			})
		}

		h.store.fails = transport.New(transport.Conflict, "hoarder", "withdrawn")
		h.mustPublish(version(5))
		nodetest.Sleep(time.Minute)
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { require.False(t, s.doing, "a conflict is an answer") })
		h.store.fails = nil
		h.replicas[0].Vanish()
		h.mustPublish(version(6))
		nodetest.Sleep(time.Minute)
		require.Len(t, h.store.gone, 3, "any one replica does it, also alone: %v", h.store.gone)
	})
}

// Each replica has its place for a job, and another one for another job.
func TestRanks(t *testing.T) {
	inHall(t, 3, nil, func(h *hall) {
		var first []int
		for i := range 20 {
			var places []int
			for _, m := range h.replicas {
				h.turn(m, func(_ context.Context, s *Service) { places = append(places, s.rank(fmt.Sprint("job-", i))) })
			}
			require.ElementsMatch(t, []int{0, 1, 2}, places)
			first = append(first, slices.Index(places, 0))
		}
		require.Subset(t, first, []int{0, 1, 2})
		h.turn(h.replicas[0], func(_ context.Context, s *Service) {
			place := time.Duration(s.rank("j"))
			require.Equal(t, place*artifactStep, s.pauseBefore(chore{job: "j", kind: pinChore}))
			require.Equal(t, place*artifactStep+artifactGrace, s.pauseBefore(chore{job: "j", kind: dropChore}))
			require.Equal(t, transport.Nobody, s.env.Presence(hoarderapi.Service))
		})
	})
}

// What hoarders were not told before all replicas lost power they are told after.
func TestHoarderChoresSurviveARestart(t *testing.T) {
	inHallWithStore(t, 2, nil, func(h *hall) {
		h.store.fails = transport.New(transport.Unreachable, "hoarder", "silent")
		v := aVersion("job-1", 1, 1)
		v.Artifact = "a-1"
		h.mustPublish(v)
		for _, m := range h.replicas {
			m.Vanish()
		}
		h.store.fails = nil
		for _, m := range h.replicas {
			m.Start()
		}
		nodetest.Sleep(time.Minute)
		require.Contains(t, h.store.owners(), "job/job-1 a-1")
	})
}
