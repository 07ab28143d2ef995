package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
)

// testCase is one case of a suite.
type testCase struct {
	name  string
	nodes int
	run   func(s *suite)
}

func runCase(t *testing.T, make Maker, c testCase) {
	s := &suite{}
	make(t, c.nodes, func(w World) {
		s.World = w
		c.run(s)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, failure := range s.failures {
		t.Error(failure)
	}
}

// suite is a world and the failures in it. Tasks must not end a test: they
// record what is wrong (testify's assert does, given a suite) and return.
type suite struct {
	World
	mu       sync.Mutex
	failures []string
}

// Errorf implements assert.TestingT.
func (s *suite) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

// eventually waits, in tasks of node i, until condition holds.
func (s *suite) eventually(i int, what string, condition func() bool) {
	s.Do(i, func(ctx context.Context) {
		for range 500 {
			if condition() {
				return
			}
			if clock.Sleep(ctx, s.Node(i).Loop, 20*time.Millisecond) != nil {
				break
			}
		}
		assert.Fail(s, "not within ten seconds: "+what)
	})
}

func (s *suite) list(i int, r storage.Store) (list []storage.Entry) {
	s.Do(i, func(context.Context) {
		var err error
		list, err = r.List("")
		assert.NoError(s, err)
	})
	return list
}

// put writes as a turn of its own on node i.
func (s *suite) put(i int, st storage.Store, k storage.Key, value string) {
	s.Do(i, func(context.Context) { assert.NoError(s, storage.Put(st, k, []byte(value))) })
}
