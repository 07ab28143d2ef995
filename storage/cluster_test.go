package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

// cluster is some members in virtual time, on a network without latency. A test
// looks into them in turns of their loops.
type cluster struct {
	*testing.T
	net     *transporttest.PipeNet
	dir     *transport.StaticDirectory
	members []*member

	mu    sync.Mutex
	facts map[string]int // reported by replicas, by name
}

// member is a node with a replica, or with what the test has put in its place.
type member struct {
	cluster *cluster
	peer    transport.Peer
	disk    *memdisk.Disk
	loop    *bubbleLoop
	engine  *transport.Engine
	ep      *transport.Endpoint
	r       *Replicated
	history History
	answer  func(request fetchRequest) (fetchResponse, error)
}

// bubbleLoop is a live loop whose clock begins with the bubble.
type bubbleLoop struct {
	*clock.Live
	began time.Time
}

// Elapsed implements clock.Clock.
func (l *bubbleLoop) Elapsed() time.Duration { return time.Since(l.began) + time.Hour }

// inCluster runs a test with n members, of which none has a replica yet.
func inCluster(t *testing.T, n int, f func(c *cluster)) {
	if underRace {
		t.Skip("looks at its members between their turns")
	}
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{T: t, net: transporttest.NewPipeNet(), dir: transport.NewStaticDirectory(), facts: map[string]int{}}
		for i := range n {
			peer := transport.NewIdentity(fmt.Appendf(nil, "member %d", i)).Peer()
			c.dir.Add(peer, "test")
			c.members = append(c.members, &member{cluster: c, peer: peer, disk: memdisk.New()})
		}
		for _, m := range c.members {
			m.boot()
		}
		defer func() {
			for _, m := range c.members {
				m.end()
			}
		}()
		f(c)
	})
}

func (m *member) boot() {
	m.loop = &bubbleLoop{clock.NewLive(), time.Now()}
	m.engine = transport.NewEngine(m.cluster.net.Host(m.peer), m.loop, m.cluster.dir)
	m.ep = m.engine.Endpoint(m.loop)
}

func (m *member) end() {
	if m.engine != nil {
		require.NoError(m.cluster, m.engine.Close())
		require.True(m.cluster, m.loop.Stop(time.Minute))
	}
	m.engine = nil
}

// in runs f in a turn of a member.
func (m *member) in(f func(ctx context.Context)) {
	require.NoError(m.cluster, clock.Do(context.Background(), m.loop, f))
}

// open opens the replica, and returns how long that took.
func (m *member) open() (took time.Duration) {
	var err error
	took, err = m.tryOpen()
	require.NoError(m.cluster, err)
	return took
}

func (m *member) tryOpen() (took time.Duration, err error) {
	m.in(func(ctx context.Context) {
		start := m.loop.Elapsed()
		m.r, err = OpenReplicated(ctx, ReplicatedConfig{
			Loop: m.loop, Endpoint: m.ep, Disk: m.disk, Rand: rand.New(rand.NewPCG(uint64(m.peer[0]), 1)),
			Service: "test", Namespace: "main", History: m.history,
			Observe: func(fact string, pairs ...any) { m.cluster.note(fact, pairs) },
		})
		took = m.loop.Elapsed() - start
	})
	return took, err
}

func (c *cluster) note(fact string, pairs []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fact == "replica-state" {
		fact = pairs[1].(string)
	}
	c.facts[fact]++
}

// fact is how often something was reported.
func (c *cluster) fact(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.facts[name]
}

func (c *cluster) openAll() {
	for _, m := range c.members {
		m.open()
	}
}

// put writes a delta.
func (m *member) put(key, value string) {
	m.in(func(context.Context) {
		require.NoError(m.cluster, Put(m.r, K("k", key), []byte(value)))
		require.NoError(m.cluster, m.r.commit())
	})
}

// contents is what the replica has.
func (m *member) contents() (list []string) {
	m.in(func(context.Context) {
		entries, err := m.r.List("")
		require.NoError(m.cluster, err)
		for _, e := range entries {
			list = append(list, fmt.Sprintf("%s=%.20s", e.Key, e.Value))
		}
	})
	return list
}

// converge waits until all replicas are equal.
func (c *cluster) converge() {
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		if !slices.ContainsFunc(c.members, func(m *member) bool { return m.state() != c.members[0].state() }) {
			return
		}
	}
	c.Fatal("not within a minute")
}

// state is what replicas that are equal have in common.
func (m *member) state() (s string) {
	m.in(func(context.Context) {
		s = fmt.Sprint(m.r.replica.overlay.vector.sum, m.r.replica.overlay.sum, m.r.Heads())
	})
	return s
}

// errSilent is what stands in for an answer that does not come.
var errSilent = errors.New("silent")

// reply is f's answer, or none for as long as it is waited for.
func reply[T any](ctx context.Context, m *member, response T, err error) (T, error) {
	if errors.Is(err, errSilent) {
		err = clock.Sleep(ctx, m.loop, time.Hour)
	}
	return response, err
}

// answers puts a function in the place of the member's replica.
func (m *member) answers(f func(request fetchRequest) (fetchResponse, error)) {
	served := m.answer != nil
	if m.answer = f; served {
		return
	}
	fetch := transport.Method[fetchRequest, fetchResponse]{Name: "test/kv/main/fetch"}
	fetch.Serve(m.ep, func(ctx context.Context, _ transport.Peer, request fetchRequest) (fetchResponse, error) {
		response, err := m.answer(request)
		return reply(ctx, m, response, err)
	})
}
