package live

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// TestWhatWasSeenOfAnInterruptedRun is told in one line, and progress before it to people only.
func TestWhatWasSeenOfAnInterruptedRun(t *testing.T) {
	f := &flags{people: &strings.Builder{}}
	n := f.see(&scenario.Scenario{Name: "short", Duration: 40 * time.Second})
	for _, name := range []string{"job-acked", "published", "job-acked"} {
		n.hear(check.Fact{Name: name})
	}
	n.stop()
	require.Empty(t, f.people.(*strings.Builder).String(), "it is no terminal")
	var out strings.Builder
	n.tellInterrupted(f.aside(&out))
	require.Equal(t, "interrupted  short after 0s, of a story of 40s: 3 facts (job-acked 2, published 1); nothing was judged\n", out.String())
	f.json = true
	require.Equal(t, f.people, f.aside(&out), "JSON is read by programs")

	n.done, n.ended = make(chan struct{}), make(chan struct{})
	var shown lockedBuilder
	go n.show(&shown, time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(shown.String(), "short: 0s, of which the story takes 40s; 3 facts")
	}, 10*time.Second, time.Millisecond)
	n.stop()
	require.True(t, strings.HasSuffix(shown.String(), "\r\033[K"), "the line is taken back")
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
