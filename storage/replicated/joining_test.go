package replicated

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/storage/memdisk"
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
		return fetchResponse{}, clustertest.ErrSilent
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
	gone := func(since time.Duration, request fetchRequest) (fetchResponse, error) {
		if request.SizeMax > 0 {
			return fetchResponse{}, transport.New(transport.Unreachable, "test", "it is gone")
		}
		if since > time.Millisecond {
			return fetchResponse{}, clustertest.ErrSilent
		}
		return fetchResponse{More: true}, nil
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
		"others take long":       {[]answer{later(found, stallMax+time.Minute, has), refuses}, 4, stallMax + time.Minute, stallMax + time.Minute + 3*time.Second, false},
		"they were, and vanish":  {[]answer{later(found, time.Minute, refuses)}, 0, time.Minute + openGrace - 3*time.Second, time.Minute + openGrace + 3*time.Second, false},
		"it has, and is gone":    {[]answer{gone}, 0, openGrace, openGrace + time.Second, false},
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
				require.Equal(t, storage.ReplicaReady, m.r.State())
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

// TestRescueAsksFirst: a replica with a damaged disk serves and writes nothing again
// before it has asked all that can be reached what became of what it still has.
func TestRescueAsksFirst(t *testing.T) {
	for name, x := range map[string]struct {
		others int
		absent time.Duration
	}{
		"each knows of one deletion": {3, 0},
		"it is starting too":         {1, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 1+x.others, func(c *cluster) {
				m := c.members[0]
				for _, other := range c.members[1:] {
					other.answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil })
				}
				m.open()
				for i := range 1 + x.others {
					m.put(fmt.Sprint(i), "v")
				}
				sources := make([]*testReplica, x.others)
				for i := range sources {
					sources[i] = newReplica(t, memdisk.New())
					defer sources[i].close()
					m.In(func(context.Context) { sources[i].pullFrom(t, &testReplica{replica: m.r.replica}, 1<<20) })
					_, err := sources[i].commit(writesOf(storage.Write{Key: storage.K("k", fmt.Sprint(1+i)), Delete: true}))
					require.NoError(t, err)
				}
				m.put("own", "nobody has seen it")
				m.In(func(ctx context.Context) {
					require.NoError(t, m.r.Sync(ctx))
					require.NoError(t, m.r.Close())
				})
				m.End()
				keys := diskKeysOf(t, m.Disk)
				damages["missing"](t, m.Disk, storage.K("kv", "test", "main")+diskKeys+"/a"+storage.K("k", "0"), keys)
				require.Len(t, diskKeysOf(t, m.Disk), len(keys)-1)
				m.Boot()
				time.Sleep(time.Second) // what was asked before has come
				start := time.Now()
				var early atomic.Int32
				for i, other := range c.members[1:] {
					other.answers(func(request fetchRequest) (fetchResponse, error) {
						early.Add(int32(c.fact("ready") - 1))
						switch {
						case time.Since(start) < x.absent:
							return fetchResponse{}, transport.New(transport.Refused, "test", "not yet")
						case request.SizeMax == 0:
							return fetchResponse{More: true}, nil
						}
						have, err := decodeVector(request.Have)
						require.NoError(t, err)
						p, err := sources[i].missing(have, 1<<20)
						if p.fold {
							whole := &foldPage{ID: 9, Done: true}
							whole.Bytes, whole.Next, _ = sources[i].freeze(9).page(foldCursor{}, 1<<20)
							return fetchResponse{Fold: whole}, err
						}
						return fetchResponse{Deltas: p.raws, More: p.more}, err
					})
				}
				m.open()
				require.Equal(t, 1, c.fact("replica-damaged"))
				require.Equal(t, 1, c.fact("replica-rescued"))
				require.Equal(t, 2, c.fact("empty"), "it does not know what it knew")
				require.Equal(t, 2, c.fact("ready"))
				require.Zero(t, early.Load(), "it is not ready while it asks")
				require.Equal(t, []string{"/k/0=v", "/k/own=nobody has seen it"}, m.contents())
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
		"silent":      {func() (fetchResponse, error) { return fetchResponse{}, clustertest.ErrSilent }, 1, openGrace},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, catchUpPeersMax+3, func(c *cluster) {
				m := c.members[0]
				for _, other := range c.members[1:] {
					other.answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil })
				}
				m.open()
				m.put("k", "v")
				m.In(func(ctx context.Context) {
					require.NoError(t, m.r.Sync(ctx))
					require.NoError(t, m.r.Close())
				})
				m.End()
				m.Boot()
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
