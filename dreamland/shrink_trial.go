package dreamland

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// trial tries whether scenarios fail of the same as a run did.
type trial struct {
	flags    *shrinkFlags
	ctx      context.Context // its end is that of the trying
	workers  *pool
	story    *scenario.Scenario
	seed     uint64
	progress *progress
	began    time.Time
	going    bool          // what it begins with is known to fail
	timeout  time.Duration // of one run, real

	first report.Result
	cause report.Cause
	// what there was before
	faults, actions, nodes int
	duration               time.Duration

	mu     sync.Mutex
	known  map[string]bool // by text: whether it fails of the same
	runs   int
	failed error // a file could not be written
}

// late reports whether the time is over.
func (t *trial) late() bool {
	return t.ctx.Err() != nil || t.going && time.Since(t.began) > t.flags.limit
}

// failing implements shrink.Shrinker.Failing: candidates are tried at once, and the
// first in their order that fails is taken, whichever came to an end first.
func (t *trial) failing(candidates []*scenario.Fixed) int {
	found, next := len(candidates), 0
	var workers sync.WaitGroup
	for range min(t.flags.jobs, len(candidates)) {
		workers.Go(func() {
			for {
				t.mu.Lock()
				i := next
				next++
				over := i >= found || t.failed != nil
				t.mu.Unlock()
				if over {
					return
				}
				if t.fails(candidates[i]) {
					t.mu.Lock()
					found = min(found, i)
					t.mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	if found == len(candidates) {
		return -1
	}
	return found
}

// fails runs one candidate, unless it is known what becomes of it, or the time is
// over.
func (t *trial) fails(f *scenario.Fixed) bool {
	text := f.Text()
	sum := sha256.Sum256(text)
	key := string(sum[:])
	t.mu.Lock()
	fails, known := t.known[key]
	if !known && !t.late() {
		t.runs++
	}
	t.mu.Unlock()
	if known || t.late() {
		return fails
	}
	fails = t.run(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[key] = fails
	return fails
}

// run reports whether a text fails of the same. One that is no scenario does not:
// an expectation may speak of what is not there any more.
func (t *trial) run(text []byte) bool {
	s, err := scenario.Parse(t.flags.out, text, words.Vocabulary())
	if err != nil {
		return false
	}
	r := t.workers.run(job{scenario: s, seed: s.Seed, wire: s.Wire, strict: t.flags.strict, timeout: t.timeout})
	cause, failed := r.Cause()
	return failed && cause == t.cause && t.ctx.Err() == nil
}

// better implements shrink.Shrinker.Better.
func (t *trial) better(f *scenario.Fixed, trying string) {
	faults, actions, nodes := counts(f)
	t.progress.show("%d of %d faults, %d of %d actions, %d of %d nodes; %s; %d runs in %s", faults, t.faults, actions, t.actions,
		nodes, t.nodes, trying, t.runs, time.Since(t.began).Round(time.Second))
	if err := t.write(f); err != nil {
		t.failed = err
	}
}

// shrunkFrom begins what a file that shrinking has made is about.
func shrunkFrom(file string, seed uint64) string {
	return fmt.Sprintf("What is left of %s with seed %d by dreamland shrink.", file, seed)
}

// shrunkTestMark is in all tests that shrinking has made.
const shrunkTestMark = " fails as long as this does:"

// write replaces the file of the smallest scenario so far, whole or not at all.
func (t *trial) write(f *scenario.Fixed) error {
	out := *f
	out.About = shrunkFrom(t.story.File, t.seed) + fmt.Sprintf("\nFails: %s (%s)", strings.Split(t.first.Broken()[0], "\n")[0], t.cause.When)
	if t.first.Revision != "" {
		out.About += "\nFound by dreamland built from " + t.first.Revision
	}
	if err := os.MkdirAll(filepath.Dir(t.flags.out), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(t.flags.out+".tmp", out.Text(), 0o644); err != nil {
		return err
	}
	return os.Rename(t.flags.out+".tmp", t.flags.out)
}
