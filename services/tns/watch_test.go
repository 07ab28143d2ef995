package tns

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// told is what a watch at one replica is told, and when.
type told struct {
	commits []string
	at      []time.Duration
	ended   bool
}

func (h *hall) watchAt(m *nodetest.Machine, branch string) (t *told, stop func()) {
	t = &told{}
	env := h.user.Env
	var s *transport.Stream
	h.user.Do(func(ctx context.Context) {
		var err error
		s, err = tnsapi.Watch.Open(context.Background(), env.Wire, m.Peer(), transport.Encode(tnsapi.BranchRequest{Project: "p", Branch: branch}))
		require.NoError(h, err)
	})
	env.Loop.Go("watch", func(ctx context.Context) {
		for {
			raw, err := s.Recv(ctx)
			if err != nil {
				t.ended = true
				return
			}
			var v tnsapi.Version
			require.NoError(h, transport.Decode(raw, &v))
			t.commits, t.at = append(t.commits, v.Commit), append(t.at, env.Loop.Elapsed())
		}
	})
	return t, func() { h.user.Do(func(context.Context) { s.Reset() }) }
}

// take are the commits that were told since it was asked last.
func (h *hall) take(t *told) (commits []string) {
	nodetest.Sleep(time.Millisecond)
	h.user.Do(func(context.Context) { commits, t.commits = t.commits, nil })
	return commits
}

// A watch is told at once what is current, and of each change at whichever replica,
// of nothing else but every WatchKeepAlive that all is as it was.
func TestAWatchIsToldAtOnce(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		first, stop := h.watchAt(h.replicas[0], "b")
		second, _ := h.watchAt(h.replicas[1], "b")
		other, _ := h.watchAt(h.replicas[0], "other")
		for _, w := range []*told{first, second, other} {
			require.Equal(t, []string{""}, h.take(w), "nothing is published")
		}
		for i, job := range []string{"one", "two", "three"} {
			h.mustPublish(aVersion(job, uint64(i+1), 1))
			for _, w := range []*told{first, second} {
				require.Equal(t, []string{"c-" + job}, h.take(w), "within a millisecond")
			}
		}
		require.Empty(t, h.take(other))
		nodetest.Sleep(tnsapi.WatchKeepAlive - 100*time.Millisecond)
		require.Empty(t, h.take(first))
		nodetest.Sleep(100 * time.Millisecond)
		require.Equal(t, []string{"c-three"}, h.take(first))
		require.Equal(t, []string{""}, h.take(other))
		stop()
		nodetest.Sleep(2 * tnsapi.WatchKeepAlive)
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { require.Len(t, s.watchers, 1, "who is gone is forgotten") })
	})
}

func TestWatchersAreBounded(t *testing.T) {
	inHall(t, 1, func(s *Settings) { s.WatchersMax = 1 }, func(h *hall) {
		first, stop := h.watchAt(h.replicas[0], "b")
		require.Equal(t, []string{""}, h.take(first))
		second, _ := h.watchAt(h.replicas[0], "b")
		require.Empty(t, h.take(second))
		require.True(t, second.ended)
		stop()
		nodetest.Sleep(2 * tnsapi.WatchKeepAlive)
		third, _ := h.watchAt(h.replicas[0], "b")
		require.Equal(t, []string{""}, h.take(third))
	})
}

// The client's watch tells of each version once, and goes on at another replica
// when the one that told is gone.
func TestTheClientFollowsABranch(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		var seen []string
		var ended error
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		h.user.Env.Loop.Go("follow", func(context.Context) {
			ended = tnsapi.NewClient(h.user.Env.Wire).Watch(ctx, "p", "b", func(v tnsapi.Version) { seen = append(seen, v.Commit) })
		})
		nodetest.Sleep(time.Second)
		h.mustPublish(aVersion("one", 1, 1))
		nodetest.Sleep(20 * time.Second)
		require.Equal(t, []string{"c-one"}, seen)
		for _, m := range h.replicas {
			m.Vanish()
			nodetest.Sleep(3 * tnsapi.WatchKeepAlive)
			m.Start()
			nodetest.Sleep(3 * tnsapi.WatchKeepAlive)
			h.mustPublish(aVersion("at-"+m.Name, uint64(len(seen)+1), 1))
			nodetest.Sleep(time.Second)
		}
		require.Equal(t, []string{"c-one", "c-at-tns-1", "c-at-tns-2"}, seen)
		_, err := h.rollbackAt(h.replicas[0], "id", "c-one")
		require.NoError(t, err)
		nodetest.Sleep(time.Second)
		require.Equal(t, "c-one", seen[len(seen)-1])
		h.user.Do(func(context.Context) { cancel() })
		nodetest.Sleep(time.Second)
		require.ErrorIs(t, ended, context.Canceled)
	})
}

// What is larger than an answer comes in pages, all of one version, though another
// one is published meanwhile.
func TestLookup(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		big := aVersion("big", 1, 1)
		big.Entries = nil
		for _, path := range []string{"b/1", "a", "b/2", "b", "bc"} {
			big.Entries = append(big.Entries, tnsapi.Entry{Path: path, Value: []byte(strings.Repeat(path, 90000/len(path)))})
		}
		h.mustPublish(big)
		lookup := func(prefix string) (paths []string) {
			h.user.Do(func(ctx context.Context) {
				list, err := h.client.Lookup(ctx, "p", "b", prefix)
				require.NoError(t, err)
				for _, e := range list {
					require.Equal(t, strings.Repeat(e.Path, 90000/len(e.Path)), string(e.Value))
					paths = append(paths, e.Path)
				}
			})
			return paths
		}
		require.Equal(t, []string{"a", "b", "b/1", "b/2", "bc"}, lookup(""))
		require.Equal(t, []string{"b", "b/1", "b/2"}, lookup("b"))
		require.Empty(t, lookup("c"))

		call := func(req tnsapi.LookupRequest) (resp tnsapi.LookupResponse, err error) {
			h.user.Do(func(ctx context.Context) {
				resp, err = tnsapi.Lookup.Call(ctx, h.user.Env.Wire, h.replicas[0].Peer(), req)
			})
			return resp, err
		}
		nodetest.Sleep(time.Second) // until it is at that replica
		page, err := call(tnsapi.LookupRequest{Project: "p", Branch: "b"})
		require.NoError(t, err)
		require.True(t, page.More)
		require.Equal(t, "big", page.Version.Job)
		require.Len(t, page.Entries, 2)
		h.mustPublish(aVersion("next", 2, 1))
		rest, err := call(tnsapi.LookupRequest{Project: "p", Branch: "b", Pin: page.Pin, After: page.Entries[1].Path})
		require.NoError(t, err)
		require.Equal(t, "big", rest.Version.Job)
		require.Len(t, rest.Entries, 2)
		_, err = call(tnsapi.LookupRequest{Project: "p", Branch: "b", Pin: "nothing"})
		require.Equal(t, transport.NotFound, transport.KindOf(err))
		_, err = call(tnsapi.LookupRequest{Project: "p", Branch: "other"})
		require.Equal(t, transport.NotFound, transport.KindOf(err))

		var list []tnsapi.Version
		h.user.Do(func(ctx context.Context) { list, err = h.client.History(ctx, "p", "b") })
		require.NoError(t, err)
		require.Equal(t, []string{"next", "big"}, jobs(list))
		h.user.Do(func(ctx context.Context) { _, err = h.client.History(ctx, "p", "other") })
		require.Equal(t, transport.NotFound, transport.KindOf(err))
	})
}

// A client asks one replica after the other: the one that answered last first, and
// all of them before it believes that there is nothing.
func TestTheClientAsksOnUntilOneAnswers(t *testing.T) {
	inHall(t, 3, nil, func(h *hall) {
		h.mustPublish(aVersion("one", 1, 1))
		nodetest.Sleep(time.Second)
		h.replicas[1].Vanish()
		h.replicas[2].Vanish()
		for range 5 {
			v, err := h.current()
			require.NoError(t, err)
			require.Equal(t, "one", v.Job)
		}
		began := h.user.Env.Loop.Elapsed()
		_, err := h.current()
		require.NoError(t, err)
		require.Equal(t, began, h.user.Env.Loop.Elapsed(), "who answered last is asked first")
		h.replicas[0].Vanish()
		_, err = h.current()
		require.Equal(t, transport.Unreachable, transport.KindOf(err))
	})
	nodetest.Run(t, func(c *nodetest.Cloud) {
		user := c.Caller("user", "monkey")
		user.Do(func(ctx context.Context) {
			_, err := tnsapi.NewClient(user.Env.Wire).Current(ctx, "p", "b")
			require.Equal(t, transport.Unreachable, transport.KindOf(err))
			require.Contains(t, err.Error(), "no tns in the directory")
		})
	})
}
