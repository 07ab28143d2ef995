// Package swarm makes up scenarios by chance: clouds of any layout, users who do
// anything, under any mixture of faults. What is expected of them is what any
// cloud must keep.
package swarm

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/taucloud/tau/sim/sweep"
)

// story writes a scenario by lot. As in swarm testing (Groce and others 2012) a
// scenario leaves most kinds of faults out: what all of them together hide, a
// few bring to light.
type story struct {
	*rand.Rand
	seconds int      // duration
	groups  []string // of nodes
	by      map[string][]string
	size    map[string]int // of groups
	lines   []string
}

// Story is the numbered scenario, as text. Equal numbers, equal stories.
func Story(n uint64) string {
	text, _ := Swarm{}.Story(n, sweep.Choice{})
	return text
}

// Swarm makes up stories, see package dreamland.
type Swarm struct{}

// Kinds are the kinds of faults that a story may have.
func (Swarm) Kinds() []string { return slices.Collect(faultNames()) }

// Story is the numbered scenario, made up as c says, and the kinds of faults that it has.
func (Swarm) Story(n uint64, c sweep.Choice) (text string, kinds []string) {
	s := &story{Rand: rand.New(rand.NewPCG(cmp.Or(c.Base, n), 7)), by: map[string][]string{}, size: map[string]int{}}
	s.seconds = 120 + s.IntN(180)
	nodes := s.layout()
	s.users()
	if c.Base != 0 {
		s.Rand = rand.New(rand.NewPCG(n, 10))
	}
	kinds = s.kinds(c)
	for _, kind := range kinds {
		times := float64(1+s.IntN(4)) * cmp.Or(c.Rate, 1)
		for range int(math.Ceil(times)) {
			swarmFaults[kind](s)
		}
	}
	return s.text(n, nodes, c.Knobs), kinds
}

// kinds are those that a story has.
func (s *story) kinds(c sweep.Choice) []string {
	all := slices.Collect(faultNames())
	if c.Weights == nil && !c.Only {
		return s.some(all, 2+s.IntN(8))
	}
	return s.weighted(all, 2+s.IntN(8), c.Weight)
}

func (s *story) text(n uint64, nodes string, knobs bool) string {
	turned := turned
	if !knobs {
		turned = func(uint64, string) string { return "" }
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name: swarm-%d\nseed: %d\nduration: %ds\n", n, n, s.seconds)
	fmt.Fprintf(&b, "network: {latency: %s%s}\n", s.one("1ms..5ms", "5ms..40ms", "20ms..120ms", "1ms..200ms"), s.bandwidth(n))
	fmt.Fprintf(&b, "settings:\n  tns: {history: %[1]s%[4]s}\n  hoarder: {history: %[1]s, scrub-interval: 15s, capacity: %[2]s, surplus-max: %[3]d%[5]s}\n", history(n), s.one("256MiB", "256MiB", "4MiB"), s.IntN(3), turned(n, "tns"), turned(n, "hoarder"))
	fmt.Fprintf(&b, "  patrick: {history: %s, lease: %s, copies: %s, losses-max: %s%s}\n", history(n), s.one("5s", "10s", "10s", "20s"), s.one("2", "2", "3"), s.one("10", "3", "1"), turned(n, "patrick"))
	fmt.Fprintf(&b, "  monkey: {slots: %d%s}\n", 2+s.IntN(3), turned(n, "monkey"))
	if more := strings.TrimPrefix(turned(n, "seer"), ", "); more != "" {
		fmt.Fprintf(&b, "  seer: {%s}\n", more)
	}
	lines := strings.Join(s.lines, "\n")
	if width := s.bandwidth(n); strings.HasSuffix(width, "8kB/s") || strings.HasSuffix(width, "16kB/s") || strings.HasSuffix(width, "32kB/s") {
		lines = strings.ReplaceAll(lines, "size-max: 200KiB", "size-max: 20KiB")
	}
	fmt.Fprintf(&b, "nodes:\n%s\ntimeline:\n%s\n%s", nodes, lines, s.expect())
	return b.String()
}

// bandwidth of all links, in every fourth scenario, from that of an old modem
// upwards. It is drawn apart, so that the other scenarios are what they were. The
// artifacts of the shop have megabytes, which an old modem does not carry in time; nor
// does it carry items of 200 KiB that come every few seconds, so they are smaller there:
// what waits in a link that is asked for more than it carries is no fault of a service.
func (s *story) bandwidth(n uint64) string {
	if n%4 != 3 || strings.Contains(strings.Join(s.lines, ""), "shop") {
		return ""
	}
	from := []string{"8kB/s", "16kB/s", "32kB/s", "64kB/s", "256kB/s", "1MB/s"}
	return ", bandwidth: " + from[rand.New(rand.NewPCG(n, 8)).IntN(len(from))]
}

// history is what replicas keep of their deltas: in every second scenario so
// little that whoever was away comes back by whole states. It is drawn apart as
// well.
func history(n uint64) string {
	if n%2 == 0 {
		return "{deltas: 4096}" // the default
	}
	draw := rand.New(rand.NewPCG(n, 9))
	return fmt.Sprintf("{deltas: %d, bytes: %dKiB}", []int{1, 8, 64, 512}[draw.IntN(4)], []int{1, 16, 256}[draw.IntN(3)])
}

func (s *story) one(from ...string) string { return from[s.IntN(len(from))] }

func (s *story) some(from []string, n int) []string {
	s.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return from[:min(n, len(from))]
}

// span is a range of seconds.
func (s *story) span(lo, hi int) string {
	a := lo + s.IntN(hi-lo)
	return fmt.Sprintf("%ds..%ds", a, a+1+s.IntN(hi-a))
}

func (s *story) layout() string {
	var lines []string
	group := func(name string, count int, services ...string) {
		s.groups = append(s.groups, name+"-*")
		s.size[name+"-*"] = count
		for _, x := range services {
			s.by[x] = append(s.by[x], name+"-*")
		}
		late := ""
		if s.IntN(12) == 0 {
			late = fmt.Sprintf(", start-at: %ds", s.IntN(40))
		}
		lines = append(lines, fmt.Sprintf("  - {name: %s, count: %d, services: [%s]%s}", name, count, strings.Join(services, ", "), late))
	}
	switch s.IntN(6) {
	case 0:
		group("node", 3+s.IntN(12), "seer", "tns", "hoarder", "patrick", "monkey")
	case 3:
		group("core", 5, "seer", "tns", "patrick")
		group("work", 10+s.IntN(25), "hoarder", "monkey")
		group("edge", 1+s.IntN(10), "monkey")
	case 4:
		group("main", 1, "seer", "tns", "patrick")
		group("aux", 2, "patrick", "seer")
		group("work", 4, "monkey", "hoarder", "tns")
	case 1:
		group("core", 3+s.IntN(3), "seer", "tns", "patrick")
		group("work", 3+s.IntN(6), "hoarder", "monkey")
	case 2:
		group("core", 2+s.IntN(4), "seer", "tns", "patrick")
		group("store", 3+s.IntN(5), "hoarder")
		group("monkey", 2+s.IntN(8), "monkey")
	default:
		group("seer", 2+s.IntN(3), "seer")
		group("tns", 2+s.IntN(3), "tns")
		group("patrick", 2+s.IntN(3), "patrick")
		group("store", 3+s.IntN(3), "hoarder")
		group("monkey", 2+s.IntN(5), "monkey")
	}
	return strings.Join(lines, "\n")
}

// nodes is how many there are.
func (s *story) nodes() (n int) {
	for _, size := range s.size {
		n += size
	}
	return n
}

// add notes an entry. rest begins after its time.
func (s *story) add(at int, format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("  - {at: %ds, %s}", at, fmt.Sprintf(format, args...)))
}

// repeat is how often a user does something, all the time.
func (s *story) repeat(lo, hi int) string {
	return fmt.Sprintf("every: %s, until: %ds", s.span(lo, hi), s.seconds)
}

func (s *story) users() {
	for range 1 + s.IntN(3) {
		branch := s.one("main", "next")
		switch s.IntN(6) {
		case 0: // what takes long is pushed seldom, or the monkeys never come to an end
			s.add(3+s.IntN(10), "%s, push: {project: slow, branch: %s}", s.repeat(50, 90), branch)
		case 1:
			s.add(3+s.IntN(10), "%s, push: {project: hello, branch: %s, build-time: 20s}", s.repeat(25, 50), branch)
		default:
			more := s.one("", "", ", newest-wins: true", ", deliveries: 2")
			s.add(3+s.IntN(10), "%s, push: {project: %s, branch: %s%s}", s.repeat(5, 15), s.one("hello", "hello", "shop", "flaky"), branch, more)
		}
	}
	optional := []func(){
		func() {
			s.add(10, "%s, cancel: {project: %s, branch: main}", s.repeat(20, 60), s.one("hello", "shop", "slow"))
		},
		func() {
			s.add(5, "%s, publish: {project: other, branch: main, fence: %v}", s.repeat(3, 12), s.IntN(2) == 0)
			s.add(30, "%s, rollback: {project: other}", s.repeat(20, 40))
		},
		func() {
			s.add(5, "%s, store: {count: %d, size: 1KiB, size-max: 200KiB, target: %d}", s.repeat(5, 20), 1+s.IntN(3), 2+s.IntN(3))
			s.add(30, "%s, demand: {count: 2, n: 10}", s.repeat(10, 30))
			s.add(30, "%s, retrieve: {count: 2}", s.repeat(10, 30))
			s.add(60, "%s, unmark: {count: 1}", s.repeat(20, 40))
		},
		func() {
			s.add(6, "%s, store: {kind: database, count: 2, size: 4KiB, size-max: 16KiB}", s.repeat(15, 40))
		},
	}
	for _, f := range optional {
		if s.IntN(2) == 0 {
			f()
		}
	}
}

func (s *story) expect() string {
	return `expect:
  always:
    - dead-node-leaves
    - live-node-present
    - whole-versions-only
    - no-stale-publish
    - no-lost-jobs
    - cancelled-is-not-published
    - slots-are-kept
    - artifacts-are-kept
    - incarnations-rise
    - versions-are-true
    - newest-success-is-live
    - answers-are-true
    - ack-is-durable
    - dedupe
    - one-effective-outcome-per-job
    - one-holder-per-job
    - last-copy-kept
    - capacity-respected
  after-heal:
    within: 10m
    all:
      - seers-agree
      - replicas-converged
      - history-kept
      - every-job-final
      - cancelled-is-not-published
      - artifacts-are-kept
      - versions-are-true
      - newest-success-is-live
      - answers-are-true
      - one-effective-outcome-per-job
      - copies-restored
      - bounded-surplus
      - content-intact
`
}
