package swarm

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/services/seer"
)

// swarmFaults add a fault or a series of them to a story.
var swarmFaults = map[string]func(s *story){
	"crash": func(s *story) {
		s.often("crash: %s, for: %s", s.one(s.victim(), s.victim(), s.all()), s.span(1, 25))
	},
	"lose-disk": func(s *story) {
		s.once("crash: {on: %s, lose-disk: true}, for: %s", s.victim(), s.span(1, 25))
	},
	"stop": func(s *story) { s.often("stop: %s, for: %s", s.victim(), s.span(1, 25)) },
	"churn": func(s *story) {
		group, count := s.one(s.groups...), 1+s.IntN(3)
		s.once("churn: {on: %q, count: %d, up: %s, down: %s}, for: %s", group, min(count, s.size[group]), s.span(3, 30), s.span(1, 25), s.span(30, 90))
	},
	"crash-loop": func(s *story) {
		s.once("crash-loop: {on: %s, up: %s, down: %s}, for: %s", s.victim(), s.span(1, 12), s.span(1, 8), s.span(20, 90))
	},
	"rolling-restart": func(s *story) {
		group, gap, down := s.one(s.one(s.groups...), "*"), 1+s.IntN(8), s.span(1, 10)
		nodes := s.size[group]
		if group == "*" {
			nodes = s.nodes()
		}
		gap = max(1, min(gap, (s.seconds-10)/nodes)) // all of it before the end
		s.add(min(s.moment(), s.seconds-gap*nodes), "rolling-restart: {on: %q, gap: %ds, down: %s}", group, gap, down)
	},
	"pause": func(s *story) {
		s.often("pause: %s, for: %s", s.one(s.victim(), s.all(), `"*"`), s.span(2, 40))
	},
	"suspend": func(s *story) {
		s.often("suspend: %s, for: %s", s.one(s.victim(), s.all(), `"*"`), s.span(2, 40))
	},
	"partition": func(s *story) {
		side := fmt.Sprintf("{some-of: \"*\", count: %d}", min(1+s.IntN(3), s.nodes()-1))
		client := s.one("", ", client")
		s.often("partition: [[%s%s], [\"*\"]], for: %s", side, client, s.span(3, 60))
	},
	"isolate": func(s *story) {
		s.often("isolate: %s, for: %s", s.one(s.victim(), s.all()), s.span(3, 40))
	},
	"cut":    func(s *story) { s.often("cut: %s, for: %s", s.links(), s.span(3, 40)) },
	"hold":   func(s *story) { s.often("hold: %s, for: %s", s.links(), s.span(2, 40)) },
	"refuse": func(s *story) { s.often("refuse: %s, for: %s", s.links(), s.span(5, 40)) },
	"reset": func(s *story) {
		s.often("reset: %s", s.links())
	},
	"flaky": func(s *story) {
		s.once("flaky-link: {on: %s, every: %s}, for: %s", s.victim(), s.span(1, 12), s.span(20, 60))
	},
	"slow-link": func(s *story) {
		s.once("slow-link: {on: %s, latency: %s}, for: %s", s.one(s.victim(), s.all()), s.one("100ms..500ms", "300ms..2s", "2s..6s"), s.span(10, 60))
	},
	"narrow": func(s *story) {
		s.once("slow-link: {on: %s, bandwidth: %s}, for: %s", s.victim(), s.one("64kB/s", "8kB/s", "1kB/s"), s.span(10, 60))
	},
	"skew": func(s *story) {
		s.once("skew: {on: %s, by: %s}, for: %s", s.victim(), s.one("-1m", "1m", "-10m", "2h"), s.span(10, 80))
	},
	"drift": func(s *story) {
		s.once("drift: {on: %s, ppm: %s}, for: %s", s.victim(), s.one("500", "-500", "50000", "-50000", "-300000", "300000"), s.span(10, 90))
	},
	"slow-disk": func(s *story) {
		s.once("disk: {on: %s, slow: %s}, for: %s", s.one(s.victim(), s.all()), s.one("20ms..100ms", "100ms..1s", "1s..4s"), s.span(10, 60))
	},
	"full-disk": func(s *story) { s.once("disk: {on: %s, full: true}, for: %s", s.victim(), s.span(5, 40)) },
	"disk-errors": func(s *story) {
		s.once("disk: {on: %s, errors: %s}, for: %s", s.victim(), s.one("1%", "5%", "20%"), s.span(5, 40))
	},
	"rot": func(s *story) { s.once("disk: {on: %s, corrupt: %d}", s.victim(), 1+s.IntN(6)) },
	"lying-disk": func(s *story) {
		s.once("disk: {on: %s, corrupt-reads: 1%%}, for: %s", s.victim(), s.span(5, 30))
	},
	"forgetful-disk": func(s *story) {
		s.once("disk: {on: %s, %s: %s}, for: %s", s.victim(), s.one("lose-writes", "misdirect", "lose-syncs"), s.one("1%", "5%"), s.span(5, 30))
	},
	"duplicate": func(s *story) {
		s.once("duplicate: {%s, chance: %s, later: %s}, for: %s", strings.TrimSuffix(strings.TrimPrefix(s.links(), "{"), "}"), s.one("5%", "30%", "100%"), s.one("0s..100ms", "0s..5s", "5s..30s"), s.span(10, 90))
	},
	"liar": func(s *story) {
		s.once("lie: {on: %s, chance: %s}, for: %s", s.victim(), s.one("10%", "50%", "100%"), s.span(10, 60))
	},
	"failpoint":    func(s *story) { s.failpoint() },
	"failpoint-2":  func(s *story) { s.failpoint() },
	"heal-midways": func(s *story) { s.once("heal: all") },
}

func faultNames() iter.Seq[string] { return slices.Values(slices.Sorted(maps.Keys(swarmFaults))) }

// moment is when a fault begins.
func (s *story) moment() int { return 8 + s.IntN(s.seconds-30) }

// once adds a fault, often a series of them.
func (s *story) once(format string, args ...any) { s.add(s.moment(), format, args...) }

func (s *story) often(format string, args ...any) {
	at := s.moment()
	until := min(s.seconds, at+1+s.IntN(120))
	s.add(at, "every: %s, until: %ds, %s", s.span(2, 50), until, fmt.Sprintf(format, args...))
}

func (s *story) all() string { return `"` + s.one(s.groups...) + `"` }

// victim is one node by lot, sometimes two.
func (s *story) victim() string {
	if s.IntN(4) == 0 {
		return `{some-of: "*", count: 2}`
	}
	return "{one-of: " + s.all() + "}"
}

func (s *story) links() string {
	from, to := s.victim(), s.victim()
	one, of := s.victim(), s.others(s.one(s.groups...))
	left, right := s.one(s.groups...), s.one(s.groups...)
	if left == right {
		right = s.others(right)
	}
	return s.one(
		fmt.Sprintf(`{from: %s, to: "*"}`, from),
		fmt.Sprintf(`{from: "*", to: %s}`, to),
		fmt.Sprintf(`{between: [%s, %q]}`, one, of),
		fmt.Sprintf(`{from: %q, to: %q}`, left, right),
		fmt.Sprintf(`{between: [client, %s]}`, s.all()),
	)
}

// others is a group, or everybody if it is one node, which has no link to itself.
func (s *story) others(group string) string {
	if s.size[group] == 1 {
		return "*"
	}
	return group
}

func (s *story) failpoint() {
	points := slices.DeleteFunc(fail.Points(), func(p *fail.Point) bool {
		service, _, _ := strings.Cut(p.Name(), "/")
		return service != seer.BeaconName && s.by[service] == nil // no node comes by it
	})
	p := points[s.IntN(len(points))]
	do := s.one("crash", "crash", "error", "drop", "delay 3s", "delay 12s")
	s.often("failpoint: {name: %s, do: %s, times: %d}, for: %s", p.Name(), do, 1+s.IntN(3), s.span(10, 40))
}
