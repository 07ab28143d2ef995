package replicated

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/transport"
)

// cluster is some members that may have replicas.
type cluster struct {
	*clustertest.Cluster
	members []*member

	mu    sync.Mutex
	facts map[string]int // reported by replicas, by name
}

// member is a node with a replica, or with what the test has put in its place.
type member struct {
	*clustertest.Member
	cluster *cluster
	r       *Store
	history storage.History
	answer  func(request fetchRequest) (fetchResponse, error)
}

// inCluster runs a test with n members, of which none has a replica yet.
func inCluster(t *testing.T, n int, f func(c *cluster)) {
	clustertest.Run(t, n, func(base *clustertest.Cluster) {
		c := &cluster{Cluster: base, facts: map[string]int{}}
		for _, m := range base.Members {
			c.members = append(c.members, &member{Member: m, cluster: c})
		}
		f(c)
	})
}

// open opens the replica, and returns how long that took.
func (m *member) open() (took time.Duration) {
	var err error
	took, err = m.tryOpen()
	require.NoError(m.cluster, err)
	return took
}

func (m *member) tryOpen() (took time.Duration, err error) {
	m.In(func(ctx context.Context) {
		start := m.Loop.Elapsed()
		m.r, err = Open(ctx, Config{
			Loop: m.Loop, Endpoint: m.Endpoint, Disk: m.Disk, Rand: rand.New(rand.NewPCG(uint64(m.Peer[0]), 1)),
			Service: "test", Namespace: "main", History: m.history,
			Observe: func(fact string, pairs ...any) { m.cluster.note(fact, pairs) },
		})
		took = m.Loop.Elapsed() - start
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
	m.In(func(context.Context) {
		require.NoError(m.cluster, storage.Put(m.r, storage.K("k", key), []byte(value)))
		require.NoError(m.cluster, m.r.commit())
	})
}

// contents is what the replica has.
func (m *member) contents() (list []string) {
	m.In(func(context.Context) {
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
	m.In(func(context.Context) {
		s = fmt.Sprint(m.r.replica.index.vector.sum, m.r.replica.index.sum, m.r.Heads())
	})
	return s
}

// answers puts a function in the place of the member's replica.
func (m *member) answers(f func(request fetchRequest) (fetchResponse, error)) {
	served := m.answer != nil
	if m.answer = f; served {
		return
	}
	fetch := transport.Method[fetchRequest, fetchResponse]{Name: "test/kv/main/fetch", Rule: transport.Member}
	fetch.Serve(m.Endpoint, func(ctx context.Context, _ transport.Peer, request fetchRequest) (fetchResponse, error) {
		response, err := m.answer(request)
		return clustertest.Reply(ctx, m.Member, response, err)
	})
}
