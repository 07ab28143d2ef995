package storage

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

// TestOpeningWaits: how long a replica that has nothing takes to become ready,
// depending on what the others say.
func TestOpeningWaits(t *testing.T) {
	source, raws := sourceOf(t)
	defer source.close()
	type answer = func(since time.Duration, request fetchRequest) (fetchResponse, error)
	nothing := func(time.Duration, fetchRequest) (fetchResponse, error) {
		return fetchResponse{Standing: standingNothing}, nil
	}
	ready := func(time.Duration, fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil }
	refuses := func(time.Duration, fetchRequest) (fetchResponse, error) {
		return fetchResponse{}, transport.New(transport.Refused, "test", "not yet")
	}
	silent := func(time.Duration, fetchRequest) (fetchResponse, error) {
		return fetchResponse{}, errSilent
	}
	found := func(time.Duration, fetchRequest) (fetchResponse, error) {
		return fetchResponse{Standing: standingFound, More: true}, nil
	}
	has := func(_ time.Duration, request fetchRequest) (fetchResponse, error) {
		if request.SizeMax == 0 {
			return fetchResponse{More: true}, nil
		}
		return fetchResponse{Deltas: raws}, nil
	}
	stingy := func(_ time.Duration, request fetchRequest) (fetchResponse, error) {
		if request.SizeMax == 0 {
			return fetchResponse{More: true}, nil
		}
		return fetchResponse{}, transport.New(transport.Refused, "test", "not now")
	}
	later := func(first answer, until time.Duration, then answer) answer {
		return func(since time.Duration, request fetchRequest) (fetchResponse, error) {
			if since < until {
				return first(since, request)
			}
			return then(since, request)
		}
	}
	for name, x := range map[string]struct {
		others   []answer
		entries  int
		min, max time.Duration
		fails    bool
	}{
		"alone":                  {nil, 0, 0, 0, false},
		"somebody has":           {[]answer{nothing, has, nothing}, 4, 0, time.Second, false},
		"nobody has":             {[]answer{nothing, nothing}, 0, 0, 0, false},
		"one is ready":           {[]answer{ready, silent, refuses}, 0, 0, 0, false},
		"refusing":               {[]answer{nothing, refuses}, 0, openGrace, openGrace + time.Second, false},
		"refusing, then has":     {[]answer{nothing, later(refuses, time.Second, has)}, 4, time.Second, 2 * time.Second, false},
		"silent":                 {[]answer{nothing, silent}, 0, silentGrace, silentGrace + time.Second, false},
		"one has, one silent":    {[]answer{silent, has}, 4, 0, time.Second, false},
		"others catch up":        {[]answer{later(found, time.Minute, has), refuses}, 4, time.Minute, time.Minute + 3*time.Second, false},
		"they were, and vanish":  {[]answer{later(found, time.Minute, refuses)}, 0, time.Minute + openGrace - 3*time.Second, time.Minute + openGrace + 3*time.Second, false},
		"it has and gives none":  {[]answer{stingy}, 0, stallMax, stallMax + 5*time.Second, true},
		"for a while gives none": {[]answer{later(stingy, 4*time.Minute, has)}, 4, 4 * time.Minute, 4*time.Minute + 3*time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 1+len(x.others), func(c *cluster) {
				m := c.members[0]
				start := time.Now()
				for i, f := range x.others {
					c.members[i+1].answers(func(request fetchRequest) (fetchResponse, error) { return f(time.Since(start), request) })
				}
				took, err := m.tryOpen()
				require.GreaterOrEqual(t, took, x.min)
				require.LessOrEqual(t, took, x.max)
				if x.fails {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					return
				}
				require.NoError(t, err)
				require.Equal(t, ReplicaReady, m.r.State())
				require.Len(t, m.contents(), x.entries)
				require.Equal(t, 1, c.fact("empty"))
				require.Equal(t, 1, c.fact("ready"))
				if x.entries > 0 {
					require.Equal(t, 1, c.fact("catching-up"))
				}
			})
		})
	}
}

// TestOpeningWithSomething: one attempt to catch up, bounded, whoever answers.
func TestOpeningWithSomething(t *testing.T) {
	for name, x := range map[string]struct {
		answer func() (fetchResponse, error)
		asked  int
		max    time.Duration
	}{
		"nothing new": {func() (fetchResponse, error) { return fetchResponse{}, nil }, 1, 0},
		"refused":     {func() (fetchResponse, error) { return fetchResponse{}, transport.New(transport.Refused, "test", "no") }, catchUpPeersMax, 0},
		"silent":      {func() (fetchResponse, error) { return fetchResponse{}, errSilent }, 1, openGrace},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, catchUpPeersMax+3, func(c *cluster) {
				m := c.members[0]
				for _, other := range c.members[1:] {
					other.answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil })
				}
				m.open()
				m.put("k", "v")
				m.in(func(ctx context.Context) {
					require.NoError(t, m.r.Sync(ctx))
					require.NoError(t, m.r.Close())
				})
				m.end()
				m.boot()
				time.Sleep(time.Second) // what was asked before has come
				asked := 0
				for _, other := range c.members[1:] {
					other.answers(func(fetchRequest) (fetchResponse, error) { asked++; return x.answer() })
				}
				require.LessOrEqual(t, m.open(), x.max)
				require.Equal(t, x.asked, asked)
				require.Len(t, m.contents(), 1)
			})
		})
	}
}
