package live

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

const (
	// seenEvery is how often progress is shown.
	seenEvery = time.Second
	// seenMost bounds how many kinds of facts a line about an interrupted run names, the most frequent ones.
	seenMost = 6
)

// seen is what a run under way has reported so far, for who waits for it.
type seen struct {
	name   string
	length time.Duration // of the story; starting and healing come beside it
	began  time.Time

	mu    sync.Mutex
	total int
	facts map[string]int

	done, ended chan struct{}
}

// see begins to show how far a run is, if there are people who look.
func (f *flags) see(s *scenario.Scenario) *seen {
	n := &seen{name: s.Name, length: s.Duration, began: time.Now(), facts: map[string]int{}, done: make(chan struct{}), ended: make(chan struct{})}
	if f.quiet || !isTerminal(f.people) {
		close(n.ended)
		return n
	}
	go n.show(f.people, seenEvery)
	return n
}

// aside is where something is told beside a result: not where JSON is read.
func (f *flags) aside(out io.Writer) io.Writer {
	if f.json {
		return f.people
	}
	return out
}

func isTerminal(w io.Writer) bool {
	file, is := w.(*os.File)
	if !is {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show keeps one line up to date, and takes it back in the end.
func (n *seen) show(out io.Writer, every time.Duration) {
	defer close(n.ended)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-n.done:
			fmt.Fprint(out, "\r\033[K")
			return
		case <-ticker.C:
			n.mu.Lock()
			total := n.total
			n.mu.Unlock()
			fmt.Fprintf(out, "\r\033[K%s: %s, of which the story takes %s; %d facts", n.name, time.Since(n.began).Round(time.Second), n.length, total)
		}
	}
}

// stop is called once.
func (n *seen) stop() {
	close(n.done)
	<-n.ended
}

func (n *seen) hear(f check.Fact) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.total++
	n.facts[f.Name]++
}

// tellInterrupted says what was seen of a run of which there is no result.
func (n *seen) tellInterrupted(out io.Writer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := make([]string, 0, len(n.facts))
	for name := range n.facts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(n.facts[b]-n.facts[a], cmp.Compare(a, b)) })
	var most []string
	for _, name := range names[:min(len(names), seenMost)] {
		most = append(most, fmt.Sprintf("%s %d", name, n.facts[name]))
	}
	fmt.Fprintf(out, "interrupted  %s after %s, of a story of %s: %d facts", n.name, time.Since(n.began).Round(time.Second), n.length, n.total)
	if len(most) > 0 {
		fmt.Fprintf(out, " (%s)", strings.Join(most, ", "))
	}
	fmt.Fprintln(out, "; nothing was judged")
}
