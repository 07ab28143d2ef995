// Package clustertest runs members in virtual time, for tests of one member among scripted others.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

// baseCluster is some members in virtual time, on a network without latency, that
// all offer the service "test". A test looks into them in turns of their loops.
type Cluster struct {
	*testing.T
	Members []*Member
	net     *transporttest.PipeNet
	dir     *transport.StaticDirectory
}

// baseMember is a node: a peer with a disk and a loop.
type Member struct {
	Cluster  *Cluster
	Peer     transport.Peer
	Disk     *memdisk.Disk
	Loop     *Loop
	engine   *transport.Engine
	Endpoint *transport.Endpoint
}

// bubbleLoop is a live loop whose clock begins with the bubble.
type Loop struct {
	*clock.Live
	began time.Time
}

// Elapsed implements clock.Clock.
func (l *Loop) Elapsed() time.Duration { return time.Since(l.began) + time.Hour }

// Branch implements clock.Loop.
func (l *Loop) Branch() clock.Loop { return &Loop{l.Live.Branch().(*clock.Live), l.began} }

// baseRun runs a test with n members. It is not for the race detector: members are
// looked at between their turns, which is no race in virtual time, but the
// detector does not know.
func Run(t *testing.T, n int, f func(c *Cluster)) {
	if UnderRace {
		t.Skip("looks at its members between their turns")
	}
	synctest.Test(t, func(t *testing.T) {
		c := &Cluster{T: t, net: transporttest.NewPipeNet(), dir: transport.NewStaticDirectory()}
		for i := range n {
			peer := transport.NewIdentity(fmt.Appendf(nil, "member %d", i)).Peer()
			c.dir.Add(peer, "test")
			c.Members = append(c.Members, &Member{Cluster: c, Peer: peer, Disk: memdisk.New()})
		}
		for _, m := range c.Members {
			m.Boot()
		}
		defer func() {
			for _, m := range c.Members {
				m.End()
			}
		}()
		f(c)
	})
}

// Outsider adds a node that does not offer the service: a member that offers what is named, or a
// stranger if nothing is. It is among the members that the test ends.
func (c *Cluster) Outsider(name string, services ...string) *Member {
	m := &Member{Cluster: c, Peer: transport.NewIdentity([]byte(name)).Peer(), Disk: memdisk.New()}
	if len(services) > 0 {
		c.dir.Add(m.Peer, services...)
	}
	c.Members = append(c.Members, m)
	m.Boot()
	return m
}

// boot gives a stopped member a new loop, on the same disk.
func (m *Member) Boot() {
	m.Loop = &Loop{clock.NewLive(), time.Now()}
	m.engine = transport.NewEngine(m.Cluster.net.Host(m.Peer), m.Loop, m.Cluster.dir)
	m.Endpoint = m.engine.Endpoint(m.Loop)
}

// end stops a member, if it runs.
func (m *Member) End() {
	if m.engine != nil {
		require.NoError(m.Cluster, m.engine.Close())
		require.True(m.Cluster, m.Loop.Stop(time.Minute))
	}
	m.engine = nil
}

// in runs f in a turn of a member.
func (m *Member) In(f func(ctx context.Context)) {
	require.NoError(m.Cluster, clock.Do(context.Background(), m.Loop, f))
}

// errSilent stands for an answer that never arrives.
var ErrSilent = errors.New("silent")

// reply is f's answer, or none for as long as it is waited for.
func Reply[T any](ctx context.Context, m *Member, response T, err error) (T, error) {
	if errors.Is(err, ErrSilent) {
		err = clock.Sleep(ctx, m.Loop, time.Hour)
	}
	return response, err
}
