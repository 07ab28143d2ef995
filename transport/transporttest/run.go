package transporttest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// World is a few nodes that can reach each other, in real or simulated time.
type World interface {
	// Endpoint is that of the present incarnation of node i.
	Endpoint(i int) *transport.Endpoint
	// Do runs f as a task of node i's loop and returns when f has returned.
	Do(i int, f func(ctx context.Context))
	// Restart crashes node i, which resets its conns, and starts it anew with
	// the same identity: with a new endpoint that has no handlers.
	Restart(i int)
	// Shape makes every conn pass so many bytes a second, in each direction, and
	// any number if 0.
	Shape(bytesPerSecond int)
	// Hold stops all conns until it is undone; nothing is lost.
	Hold(on bool)
}

// Maker runs body once on a fresh world of n nodes that share
// Directory(their peers), and takes the world down. Body calls the world's
// methods one after the other, on the goroutine it is called on. It waits by
// parking in tasks only, and reports failures after it has returned.
type Maker func(t *testing.T, nodes int, body func(w World))

// Directory is the suite's directory: all nodes offer "all", the first two offer "some".
func Directory(peers []transport.Peer) *transport.StaticDirectory {
	dir := transport.NewStaticDirectory()
	for i, p := range peers {
		dir.Add(p, "all")
		if i < 2 {
			dir.Add(p, "some")
		}
	}
	return dir
}

// Identities are those of n nodes.
func Identities(n int) (ids []transport.Identity) {
	for i := range n {
		ids = append(ids, transport.NewIdentity(fmt.Appendf(nil, "transporttest %d", i)))
	}
	return ids
}

// Run checks that the engine keeps its promises in the worlds of a Maker.
func Run(t *testing.T, in Maker) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{}
			in(t, c.nodes, func(w World) {
				s.World = w
				c.run(s)
			})
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, failure := range s.failures {
				t.Error(failure)
			}
		})
	}
}

type testCase struct {
	name  string
	nodes int
	run   func(s *suite)
}

var cases = concat(callCases, noteCases, streamCases, lifeCases, fairCases, httpCases, apartCases)

func concat(lists ...[]testCase) (all []testCase) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// suite is a world and the failures in it. Tasks must not end a test: they
// record what is wrong (testify's assert does, given a suite) and return.
type suite struct {
	World
	mu       sync.Mutex
	failures []string
	held     atomic.Int64 // calls, see serveForever
}

// Errorf implements assert.TestingT.
func (s *suite) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

func (s *suite) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failures) > 0
}

func (s *suite) peer(i int) transport.Peer { return s.Endpoint(i).Self() }

func (s *suite) loop(i int) clock.Loop { return s.Endpoint(i).Loop() }

// eventually waits, in a task, until condition holds, and reports whether it did
// within two minutes.
func eventually(ctx context.Context, l clock.Loop, condition func() bool) bool {
	for range 12_000 {
		if condition() {
			return true
		}
		if clock.Sleep(ctx, l, 10*time.Millisecond) != nil {
			return false
		}
	}
	return condition()
}
