// Package nodetest runs nodes for the tests of one service: real loops, real storage and the real
// protocol, in a bubble of virtual time and on a network without latency. A test moves time with
// [Sleep]. Such a test covers few interleavings; scenarios do that.
package nodetest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
	"github.com/taucloud/tau/transport/transporttest"
)

// Cloud is some nodes.
type Cloud struct {
	*testing.T
	Directory *transport.StaticDirectory
	// Key, if set, is that of a cloud of the name CloudName: machines that are added then prove
	// what they are by certificates of the services that they may offer by the Directory. Those
	// that offer the service Issuer may grant all of Grantable, sorted.
	Key       *transport.Identity
	Issuer    string
	Grantable []string
	// Learned lets the machines that are added learn of each other, each from its Contacts. It needs a
	// Key: nobody else says who is a member.
	Learned bool
	// Mistaken is what may be logged as an error; of anything else the test fails.
	Mistaken string
	net      *transporttest.PipeNet

	mu       sync.Mutex
	machines []*Machine
	facts    []Fact
}

// Fact is what a service reported.
type Fact struct {
	Node, Name string
	Fields     map[string]any
}

// Machine is a node with its disk, up or not.
type Machine struct {
	cloud    *Cloud
	Name     string
	Identity transport.Identity
	Disk     *memdisk.Disk
	// Membership is what the machine was given, nil if the Directory says who is a member.
	Membership *node.Membership
	// Contacts are whom the machine is told of, where that is Learned.
	Contacts []*Machine
	// AllContacts: there are no others, and the machine knows what they offer.
	AllContacts bool
	services    []node.Configured
	moves       atomic.Int64
	node        *node.Node // nil when it is down
	host        *transporttest.PipeHost
	place       atomic.Pointer[place] // where that is Learned
	loops       []*loop
	main        *loop
}

// Run runs a test in a bubble. At its end all nodes are stopped.
func Run(t *testing.T, f func(c *Cloud)) {
	synctest.Test(t, func(t *testing.T) {
		c := &Cloud{T: t, Directory: transport.NewStaticDirectory(), net: transporttest.NewPipeNet()}
		defer func() {
			for _, m := range c.machines {
				m.Stop()
			}
		}()
		f(c)
	})
}

// Add makes a member of the cloud, which is not up yet.
func (c *Cloud) Add(name string, services ...node.Configured) *Machine {
	m := &Machine{cloud: c, Name: name, Identity: transport.NewIdentity([]byte(name)), Disk: memdisk.New(), services: services}
	c.Directory.Add(m.Peer())
	for _, s := range services {
		c.Directory.Add(m.Peer(), s.Spec.Name)
	}
	m.Membership = c.membership(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machines = append(c.machines, m)
	return m
}

// CloudName is the name of the cloud of [Cloud.Key].
const CloudName = "nodetest.example.com"

// membership certifies a machine for a day, if there is a key.
func (c *Cloud) membership(m *Machine) *node.Membership {
	if c.Key == nil {
		return nil
	}
	g, _ := c.Directory.Grants(m.Peer())
	now := time.Now()
	cert := membership.Certificate{
		Cloud: CloudName, Serial: uint64(len(c.machines)), Subject: m.Peer(), Name: m.Name, Services: g.Services,
		NotBefore: now.Unix(), NotAfter: now.Add(24 * time.Hour).Unix(),
	}
	if g.Offers(c.Issuer) {
		cert.Issues = c.Grantable
	}
	signed, err := membership.Issue(*c.Key, cert)
	require.NoError(c, err)
	return &node.Membership{Cloud: CloudName, Key: c.Key.Peer(), Certificate: &membership.Presented{Certificate: signed}}
}

// Facts are what all services have reported under a name, oldest first.
func (c *Cloud) Facts(name string) []Fact {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.facts), func(f Fact) bool { return f.Name != name })
}

// Peer is the machine's name on the wire.
func (m *Machine) Peer() transport.Peer { return m.Identity.Peer() }

// Start brings the node up and waits until all its services have started.
func (m *Machine) Start() *Machine {
	require.NoError(m.cloud, m.TryStart(), "start %s", m.Name)
	return m
}

// TryStart is Start for a node that may not come up.
func (m *Machine) TryStart() (err error) {
	m.main = newLoop()
	m.loops, m.host = nil, m.cloud.net.Host(m.Peer())
	doErr := clock.Do(context.Background(), m.main, func(ctx context.Context) { m.node, err = node.Start(ctx, m.main, m.config()) })
	require.NoError(m.cloud, doErr)
	if err != nil {
		m.node = nil
		m.main.Stop(time.Minute)
	}
	return err
}

func (m *Machine) config() node.Config {
	cfg := node.Config{Name: m.Name, Identity: m.Identity, Services: m.services, World: node.World{
		NewLoop: func(string) (clock.Loop, func()) {
			l := newLoop()
			m.loops = append(m.loops, l)
			return l, func() { l.Stop(0) }
		},
		Host: m.host, Disk: m.Disk, Directory: m.cloud.Directory, Membership: m.Membership,
		Rand: func(name string) *rand.Rand {
			return rand.New(rand.NewPCG(uint64(len(m.Name)+int(m.Peer()[0])), uint64(len(name))))
		},
		Observer: m.cloud, Log: slog.New(errorsFail{m.cloud}),
		Crash: func() { panic("a failpoint crashed " + m.Name + ": use a scenario") },
	}}
	if m.cloud.Learned {
		cfg.World.Directory, cfg.World.Host, cfg.Contacts = nil, newPlace(m), m.contacts()
		cfg.AllContacts = m.AllContacts
	}
	return cfg
}

// Stop ends the node in order, if it is up. Its disk stays.
func (m *Machine) Stop() {
	if m.node == nil {
		return
	}
	n := m.node
	m.node = nil
	require.NoError(m.cloud, clock.Do(context.Background(), m.main, func(ctx context.Context) { _ = n.Stop(ctx) }))
	m.end()
}

// Vanish ends the node as a power cut would; its disk keeps only what was synced.
func (m *Machine) Vanish() {
	disk := m.Disk.DurableClone()
	require.NoError(m.cloud, m.host.Close()) // the other nodes are not told
	m.Stop()
	m.Disk = disk
}

func (m *Machine) end() {
	for _, l := range append(m.loops, m.main) {
		require.True(m.cloud, l.Stop(time.Minute), "a task of %s does not end", m.Name)
	}
}

// Service is a running service of the node; look into it in a turn of its loop,
// see [Machine.Do].
func (m *Machine) Service(name string) node.Service { return m.node.Service(name) }

// Served lists what the node serves.
func (m *Machine) Served() []transport.Served { return m.node.Served() }

// Up reports whether the node is up.
func (m *Machine) Up() bool { return m.node != nil }

// Observe implements node.Observer.
func (c *Cloud) Observe(of, _, fact string, fields []node.Field) {
	f := Fact{Node: of, Name: fact, Fields: map[string]any{}}
	for _, field := range fields {
		f.Fields[field.Name] = field.Value
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = append(c.facts, f)
}

// errorsFail is a log in which errors fail the test.
type errorsFail struct{ cloud *Cloud }

func (h errorsFail) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError
}
func (h errorsFail) Handle(_ context.Context, r slog.Record) error {
	if r.Message != h.cloud.Mistaken {
		h.cloud.Errorf("logged as an error: %s", r.Message)
	}
	return nil
}
func (h errorsFail) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h errorsFail) WithGroup(string) slog.Handler      { return h }
