package tns

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// of is a version of another project.
func of(project string, r tnsapi.PublishRequest) tnsapi.PublishRequest {
	r.Project = project
	return r
}

// TestAFollowerOfAllBranches: of those that there are and of those that come, each of its own.
func TestAFollowerOfAllBranches(t *testing.T) {
	inHall(t, 1, nil, func(h *hall) {
		other := aVersion("other", 1, 1)
		other.Branch = "other"
		h.mustPublish(aVersion("first", 1, 1))
		h.mustPublish(other)
		nodetest.Sleep(time.Second)
		var seen []string
		h.user.Env.Loop.Go("follow", func(ctx context.Context) {
			_ = tnsapi.NewClient(h.user.Env.Wire).Follow(ctx, "", func(changed []tnsapi.Version, _ bool) {
				for _, v := range changed {
					seen = append(seen, v.Branch+" "+v.Commit)
				}
			})
		})
		nodetest.Sleep(time.Second)
		require.Equal(t, []string{"b c-first", "other c-other"}, seen)
		third := aVersion("third", 1, 1)
		third.Branch = "third"
		h.mustPublish(third)
		nodetest.Sleep(time.Second)
		h.mustPublish(aVersion("second", 2, 1))
		nodetest.Sleep(time.Second)
		require.Equal(t, []string{"third c-third", "b c-second"}, seen[2:])
	})
}

// TestAFollowerIsToldOfAllProjects: of one branch, of those that there are and of those that come, at whichever replica,
// each once; and it goes on at another replica when the one that told is gone.
func TestAFollowerIsToldOfAllProjects(t *testing.T) {
	inHall(t, 2, nil, func(h *hall) {
		for i := range 100 {
			h.mustPublish(of(fmt.Sprintf("p%03d", i), aVersion(fmt.Sprint("first-", i), 1, 1)))
		}
		other := of("elsewhere", aVersion("other", 1, 1))
		other.Branch = "other"
		h.mustPublish(other)
		nodetest.Sleep(time.Second)
		var seen []string
		whole, tooEarly := 0, false
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		h.user.Env.Loop.Go("follow", func(context.Context) {
			_ = tnsapi.NewClient(h.user.Env.Wire).Follow(ctx, "b", func(changed []tnsapi.Version, all bool) {
				for _, v := range changed {
					seen = append(seen, v.Project+" "+v.Commit)
				}
				if all {
					whole++
				}
				tooEarly = tooEarly || all && len(seen) < 100
			})
		})
		nodetest.Sleep(time.Second)
		require.Len(t, seen, 100)
		require.Equal(t, "p000 c-first-0", seen[0])
		require.NotZero(t, whole)
		require.False(t, tooEarly)
		seen = seen[:0:0]
		seen = append(seen, make([]string, 100)...)
		h.mustPublish(of("p007", aVersion("second", 2, 1)))
		nodetest.Sleep(time.Second)
		h.mustPublish(of("new", aVersion("third", 1, 1)))
		nodetest.Sleep(time.Second)
		require.Equal(t, []string{"p007 c-second", "new c-third"}, seen[100:])
		for _, m := range h.replicas {
			m.Vanish()
			nodetest.Sleep(3 * tnsapi.WatchKeepAlive)
			m.Start()
			nodetest.Sleep(3 * tnsapi.WatchKeepAlive)
			h.mustPublish(of("p001", aVersion("at-"+m.Name, uint64(len(seen)), 1)))
			nodetest.Sleep(time.Second)
		}
		require.Equal(t, []string{"p001 c-at-tns-1", "p001 c-at-tns-2"}, seen[102:])
		h.turn(h.replicas[0], func(_ context.Context, s *Service) { require.LessOrEqual(t, s.watched(), 1) })
		h.user.Do(func(context.Context) { cancel() })
		nodetest.Sleep(3 * tnsapi.WatchKeepAlive)
		for _, m := range h.replicas {
			h.turn(m, func(_ context.Context, s *Service) { require.Empty(t, s.followers, "who is gone is forgotten") })
		}
	})
}
