package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"go.uber.org/goleak"
)

// alone is a host without a network.
type alone struct {
	id     transport.Peer
	closed int
}

func (h *alone) ID() transport.Peer           { return h.id }
func (h *alone) Handle(transport.HostHandler) {}
func (h *alone) Open(_ transport.Peer, _ transport.Class, opened func(transport.Conn, error)) {
	opened(nil, errors.New("there is no network"))
}
func (h *alone) Close() error { h.closed++; return nil }

// machine is a live node and what is left of it.
type machine struct {
	main    *clock.Live
	host    *alone
	disk    storage.Disk
	loops   []*clock.Live
	closed  map[string]int // by loop, how often it was stopped
	learns  bool           // it is given no directory
	crashed int
	facts   []string
}

// Observe implements node.Observer.
func (m *machine) Observe(of, service, fact string, fields []node.Field) {
	m.facts = append(m.facts, fmt.Sprint(of, " ", service, " ", fact, " ", fields))
}

func (m *machine) start(t *testing.T, specs ...node.Spec) (*node.Node, error) {
	id := transport.NewIdentity([]byte("alone"))
	m.host, m.closed = &alone{id: id.Peer()}, map[string]int{}
	if m.disk == nil {
		m.disk = memdisk.New()
	}
	main := clock.NewLive()
	m.main = main
	cfg := node.Config{Name: "alone", Identity: id, World: node.World{
		NewLoop: func(name string) (clock.Loop, func()) {
			l := clock.NewLive()
			m.loops = append(m.loops, l)
			return l, func() { m.closed[name]++; l.Stop(0) }
		},
		Host: m.host, Disk: m.disk, Directory: transport.NewStaticDirectory(),
		Rand:     func(string) *rand.Rand { return rand.New(rand.NewPCG(1, 2)) },
		Observer: m, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Crash: func() { m.crashed++ },
	}}
	if m.learns {
		cfg.World.Directory = nil
	}
	for _, s := range specs {
		cfg.Services = append(cfg.Services, node.Configured{Spec: s})
	}
	var n *node.Node
	var err error
	require.NoError(t, clock.Do(context.Background(), main, func(ctx context.Context) { n, err = node.Start(ctx, main, cfg) }))
	t.Cleanup(func() { require.True(t, main.Stop(5*time.Second)) })
	return n, err
}

// scripted is a service that does what it is told.
type scripted struct{ start, stop error }

func (s *scripted) Start(context.Context) error { return s.start }
func (s *scripted) Stop(context.Context) error  { return s.stop }

func spec(name string, build, start error) node.Spec {
	return node.Spec{
		Name: name, Settings: func() any { return nil },
		New: func(env node.Env, _ any) (node.Service, error) {
			env.Loop.Go("forever", func(ctx context.Context) { _ = clock.Sleep(ctx, env.Loop, time.Hour) })
			return &scripted{start: start}, build
		},
	}
}

// badDisk fails when somebody looks at a namespace.
type badDisk struct {
	*memdisk.Disk
	at string
}

var errBadDisk = errors.New("the disk does not answer")

func (d *badDisk) Get(ctx context.Context, key datastore.Key) ([]byte, error) {
	if datastore.RawKey(d.at).IsAncestorOf(key) {
		return nil, errBadDisk
	}
	return d.Disk.Get(ctx, key)
}

// unlisted is a disk that cannot be asked what is below a place.
func unlisted(below string) storage.Disk {
	d := memdisk.New()
	d.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, key string) error {
		if op == memdisk.OpQuery && strings.HasPrefix(key, below) {
			return errBadDisk
		}
		return nil
	}})
	return d
}

// narrow is a service whose own defaults are out of range.
var narrow = node.Spec{
	Name: "narrow",
	Settings: func() any {
		return &struct {
			N int `range:"1..2"`
		}{3}
	},
	New: func(node.Env, any) (node.Service, error) { return &scripted{}, nil },
}

// TestFailedStartLeavesNothing: whichever step of a start fails, every loop that
// was made is stopped once, its tasks end, and the host is closed.
func TestFailedStartLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	bad := errors.New("bad")
	for _, c := range []struct {
		name   string
		disk   storage.Disk
		specs  []node.Spec
		cause  error
		closed map[string]int
	}{
		{"a service is not built", nil, []node.Spec{spec("a", nil, nil), spec("b", bad, nil), spec("c", nil, nil)}, bad, map[string]int{"a": 1, "b": 1}},
		{"a service does not start", nil, []node.Spec{spec("a", nil, nil), spec("b", nil, bad), spec("c", nil, nil)}, bad, map[string]int{"a": 1, "b": 1}},
		{"a service's settings are out of range", nil, []node.Spec{spec("a", nil, nil), narrow}, nil, map[string]int{"a": 1, "narrow": 1}},
		{"a service's store cannot be read", unlisted("/local/b"), []node.Spec{spec("a", nil, nil), spec("b", nil, nil)}, errBadDisk, map[string]int{"a": 1, "b": 1}},
		{"the blocks cannot be read", unlisted("/blocks"), []node.Spec{spec("a", nil, nil)}, errBadDisk, map[string]int{}},
		{"the node's store cannot be read", unlisted("/node"), []node.Spec{spec("a", nil, nil)}, errBadDisk, map[string]int{}},
		{"the node cannot count its start", &badDisk{memdisk.New(), "/node"}, []node.Spec{spec("a", nil, nil)}, errBadDisk, map[string]int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{disk: c.disk}
			n, err := m.start(t, c.specs...)
			require.Nil(t, n)
			if require.Error(t, err); c.cause != nil {
				require.ErrorIs(t, err, c.cause)
			}
			require.Equal(t, c.closed, m.closed)
			require.Equal(t, 1, m.host.closed)
			for _, l := range m.loops {
				require.True(t, l.Stop(5*time.Second), "a task is left")
			}
		})
	}
}

// refusing is a service that says whether it serves.
type refusing struct {
	scripted
	why error
}

func (r *refusing) Ready() error { return r.why }

// TestWhoIsNotReady says why, by name, and asks only those that can say.
func TestWhoIsNotReady(t *testing.T) {
	why := map[string]error{"a": nil, "b": errors.New("it knows too little")}
	of := func(name string) node.Spec {
		return node.Spec{Name: name, Settings: func() any { return nil }, New: func(node.Env, any) (node.Service, error) { return &refusing{why: why[name]}, nil }}
	}
	m := &machine{}
	n, err := m.start(t, of("a"), spec("mute", nil, nil), of("b"))
	require.NoError(t, err)
	require.NoError(t, clock.Do(context.Background(), m.main, func(ctx context.Context) {
		require.Equal(t, []string{"b: it knows too little"}, n.NotReady(ctx))
		require.NoError(t, n.Stop(ctx))
		require.Empty(t, n.NotReady(ctx))
	}))
}

// TestInStartOrder: what is early, the node's own, and the rest, each as it was given.
func TestInStartOrder(t *testing.T) {
	one := func(name string, early bool) node.Spec { return node.Spec{Name: name, Early: early} }
	var got []string
	for _, s := range node.InStartOrder([]node.Spec{one("b", false), one("a", false)}, []node.Spec{one("x", false), one("e", true), one("y", false), one("d", true)}) {
		got = append(got, s.Name)
	}
	require.Equal(t, []string{"e", "d", "b", "a", "x", "y"}, got)
}

// TestTurnsAreShown: a node shows how long the turns of all its loops are.
func TestTurnsAreShown(t *testing.T) {
	m := &machine{}
	n, err := m.start(t, spec("a", nil, nil), spec("b", nil, nil))
	require.NoError(t, err)
	var turns []node.LoopTurns
	require.NoError(t, clock.Do(context.Background(), m.main, func(ctx context.Context) {
		counted := func() bool { // a turn counts when it has ended
			turns = n.Turns()
			return !slices.ContainsFunc(turns, func(l node.LoopTurns) bool { return l.Count() == 0 })
		}
		for i := 0; i < 1000 && !counted(); i++ {
			require.NoError(t, clock.Sleep(ctx, m.main, time.Millisecond))
		}
		require.NoError(t, n.Stop(ctx))
		require.Len(t, n.Turns(), 1, "stopped services have no turns")
	}))
	require.Len(t, turns, 3)
	for i, name := range []string{"node", "a", "b"} {
		require.Equal(t, name, turns[i].Loop)
		require.Positive(t, turns[i].Count())
	}
}

// leaver is a service that says what it does, and takes its time.
type leaver struct {
	name string
	loop clock.Loop
	said *[]string
	hang string // at what it waits for ever
	fail string // at what it fails
}

func (l *leaver) at(ctx context.Context, what string) error {
	*l.said = append(*l.said, what+" "+l.name)
	if l.hang == what {
		return clock.Sleep(ctx, l.loop, 1000*time.Hour)
	}
	if l.fail == what {
		return errors.New("told to fail")
	}
	return nil
}

func (l *leaver) Start(ctx context.Context) error { return l.at(ctx, "start") }
func (l *leaver) Stop(ctx context.Context) error  { return l.at(ctx, "stop") }
func (l *leaver) Leave(ctx context.Context) error { return l.at(ctx, "leave") }

// A node starts its services in order, has them leave in order, and stops them in reverse order; one that takes
// too long or fails is named, and holds up the others for no longer than its time.
func TestTheOrderOfAnEnd(t *testing.T) {
	const alright = "start a, start b, start c, leave a, leave b, leave c, stop c, stop b, stop a"
	for name, c := range map[string]struct {
		hang, fail string // of b
		took       time.Duration
		said, err  string
	}{
		"as it should be":    {"", "", 0, alright, ""},
		"one does not leave": {"leave", "", 10 * time.Second, alright, "leave b: context deadline exceeded"},
		"one does not stop":  {"stop", "", 10 * time.Second, alright, "stop b: context deadline exceeded"},
		"one fails to leave": {"", "leave", 0, alright, "leave b: told to fail"},
		"one fails to stop":  {"", "stop", 0, alright, "stop b: told to fail"},
		"one does not start": {"start", "", 2 * time.Hour, "start a, start b, stop b, stop a", "start b: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				var specs []node.Spec
				for _, name := range []string{"a", "b", "c"} {
					specs = append(specs, node.Spec{Name: name, Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
						l := &leaver{name: name, loop: env.Loop, said: &said}
						if name == "b" {
							l.hang, l.fail = c.hang, c.fail
						}
						return l, nil
					}})
				}
				m, began := &machine{}, time.Now()
				n, err := m.start(t, specs...)
				if c.hang != "start" {
					require.NoError(t, err)
					require.NoError(t, clock.Do(context.Background(), m.main, func(ctx context.Context) { err = n.Leave(ctx) }))
					require.EqualValues(t, 1, n.Incarnation())
				}
				require.Equal(t, c.took, time.Since(began))
				require.Equal(t, c.said, strings.Join(said, ", "))
				if c.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.err)
				}
				require.Equal(t, 1, m.host.closed)
			})
		})
	}
}

// A node that is given no directory learns one, and knows the services of its own that others may look up.
func TestANodeThatLearnsItsDirectory(t *testing.T) {
	var env node.Env
	at := func(name string, everywhere bool) node.Spec {
		return node.Spec{Name: name, Everywhere: everywhere, Settings: func() any { return nil }, New: func(e node.Env, _ any) (node.Service, error) {
			env = e
			return &scripted{}, nil
		}}
	}
	for _, learns := range []bool{true, false} {
		m := &machine{learns: learns}
		n, err := m.start(t, at("tns", false), at("agent", true))
		require.NoError(t, err)
		require.Equal(t, learns, env.Members() != nil)
		require.Equal(t, []string{"tns"}, env.ServiceNames())
		if learns {
			peers, known := env.Wire.Directory().Lookup("tns")
			require.Equal(t, []transport.Peer{env.Self}, peers)
			require.False(t, known, "there may be others")
			require.Equal(t, transport.Unknown, env.Presence("agent"))
			_, stamp := env.Members().Own()
			require.EqualValues(t, 1, stamp.Incarnation)
		}
		require.NoError(t, clock.Do(context.Background(), m.main, func(ctx context.Context) { require.NoError(t, n.Stop(ctx)) }))
		require.True(t, n.Service("tns") != nil && n.Service("monkey") == nil)
	}
}

// A disk that has failed once ends the node, and is reported.
func TestAFailedDiskEndsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var env node.Env
		m := &machine{}
		n, err := m.start(t, node.Spec{Name: "a", Settings: func() any { return nil }, New: func(e node.Env, _ any) (node.Service, error) {
			env = e
			return &scripted{}, nil
		}})
		require.NoError(t, err)
		fails := true
		m.disk.(*memdisk.Disk).SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
			if op == memdisk.OpFlush && fails {
				return errBadDisk
			}
			return nil
		}})
		sync := func() (err error) {
			require.NoError(t, clock.Do(context.Background(), env.Loop, func(ctx context.Context) { err = env.Local.Sync(ctx) }))
			return err
		}
		require.ErrorIs(t, sync(), errBadDisk)
		synctest.Wait() // the crash is a task of the node's loop
		require.Equal(t, 1, m.crashed)
		fails = false
		require.ErrorIs(t, sync(), errBadDisk, "it is trusted no more")
		synctest.Wait()
		require.Equal(t, 1, m.crashed)
		require.Equal(t, []string{"alone node disk-failed [{error the disk does not answer}]"}, m.facts)
		require.NoError(t, clock.Do(context.Background(), m.main, func(ctx context.Context) { _ = n.Stop(ctx) }))
	})
}
