package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nonsenseWords have a series of monkeys and one that users notice, and a place.
func nonsenseWords() Vocabulary {
	v := stateWords()
	v.Series = []Series{
		{Name: "jobs.started", Unit: "jobs", Service: "monkey", New: CountFacts("monkey", "started")},
		{Name: "pushes.time", Unit: "seconds", Service: "patrick", OnClient: true, Spread: true, New: Between("sent", "acknowledged", "job")},
	}
	v.Checks[0].Of = []string{"patrick"}
	return v
}

// nonsenseCloud has two groups in two zones; ENTRY is the timeline and EXPECT what is expected.
const nonsenseCloud = `duration: 2m
nodes: [{name: core, count: 3, services: [seer, tns, patrick], zone: east}, {name: m, count: 2, services: [monkey], zone: west}]
timeline: ENTRY
expect: EXPECT
`

// requireMistake demands one mistake, and its place: the column is that of the mark ^ in the text,
// which is left out.
func requireMistake(t *testing.T, text, want string) {
	t.Run(want, func(t *testing.T) { oneMistake(t, nonsenseWords(), text, want) })
}

func oneMistake(t *testing.T, words Vocabulary, text, want string) {
	lines := strings.Split(text, "\n")
	line, col := 0, 0
	for i := range lines {
		if at := strings.Index(lines[i], "^"); at >= 0 {
			line, col = i+1, at+1
			lines[i] = strings.Replace(lines[i], "^", "", 1)
		}
	}
	require.Positive(t, line, "no mark in %s", text)
	text = strings.Join(lines, "\n")
	_, err := Parse("test.yaml", []byte(text), words)
	require.Error(t, err, "accepted: %s", text)
	var all Errors
	require.ErrorAs(t, err, &all)
	require.Len(t, all, 1, "%s\n%v", text, err)
	require.Contains(t, all[0].Error(), want)
	require.NotEmpty(t, all[0].Hint)
	require.Equal(t, [2]int{line, col}, [2]int{all[0].Line, all[0].Col}, "the place of %v\n%s", err, text)
}

// TestNonsenseInTheTimeline: what would happen never, or to nobody, is refused.
func TestNonsenseInTheTimeline(t *testing.T) {
	for entry, want := range map[string]string{
		// times
		"{at: 1s, every: 5s, until: ^0s, crash: core-1}":                                "until: expected more than zero",
		"{at: 20s, every: 5s, until: ^20s, crash: core-1}":                              "until: 20s is not after the first time, at 20s",
		"{at: 10s..30s, every: 5s, until: ^25s, crash: core-1}":                         "until: 25s is not after the first time, at 30s",
		"{at: 10s, every: 5s, times: ^40, until: 60s, crash: core-1}":                   "times: there is no time for 40 before until (1m0s)",
		"{at: 119s, jitter: ^0s..2s, crash: core-1}":                                    "jitter: it may put crash after the end of the scenario (2m0s)",
		"{at: 60s, every: 5s, jitter: ^1s, push: {project: hello}}":                     "jitter: it may put push after the end",
		"{at: 60s, every: 30s, times: 3, jitter: ^1s, push: {project: hello}}":          "jitter: it may put push after the end",
		"{at: 1s, jitter: ^0s, crash: core-1}":                                          "jitter: expected more than zero",
		"{at: 1s, every: ^0s, crash: core-1}":                                           "every: expected more than zero",
		"[{at: 100s, crash: core-1}, {after: ^30s, crash: core-2}]":                     "crash happens at 2m10s, after the end of the scenario (2m0s)",
		"{at: ^121s, crash: core-1}":                                                    "crash happens at 2m1s, after the end",
		"{at: 115s, rolling-restart: {^on: core, gap: 5s}}":                             "rolling-restart may go on until 2m5s, after the end",
		"{at: 1s, crash-loop: {^on: core-1, up: 20s}, for: 10s}":                        "its first fault comes after 20s at the soonest, and it has 10s",
		"{at: 1s, flaky-link: {^on: core-1, every: 1m}, for: 10s}":                      "its first fault comes after 1m0s at the soonest, and it has 10s",
		"{at: 1s, ^for:, crash: core-1}":                                                "for: expected a value, found nothing",
		"{at: ^1, crash: core-1}":                                                       "at: expected a duration such as 30s, found \"1\"",
		"{at: ^1..2s, crash: core-1}":                                                   "at: expected a duration such as 30s, found \"1\"",
		"^[]":                                                                           "timeline: an empty list says nothing",
		"{at: 1s, crash: {on: core-1, restart-after: ^0s}}":                             "restart-after: expected more than zero",
		"{at: 1s, failpoint: {name: monkey/after-lock, do: crash, times: ^0}}":          "times: 0 is out of range",
		"{at: 1s, disk: {on: core-1, full: true, errors: ^0%}}":                         "errors: expected more than zero",
		"{at: 1s, disk: {on: core-1, slow: ^0s}}":                                       "slow: expected more than zero",
		"{at: 1s, slow-link: {on: core-1, latency: 1s, loss: ^0%}}":                     "loss: expected more than zero",
		"{at: 1s, duplicate: {on: core-1, chance: ^0%}}":                                "chance: expected more than zero",
		"{at: 1s, lie: {on: core-1, about: ^block}}":                                    "about: expected blocks or everything, found \"block\"\n    hint: did you mean \"blocks\"?",
		"{at: 1s, churn: {on: core, count: ^4}, for: 1m}":                               "count: expected 1 to 3, as many nodes as there are, found 4",
		"{at: 1s, power: [west, ^west]}":                                                "zone \"west\" is given twice",
		"{at: 1s, failpoint: {name: monkey/after-lock, on: ^core-1, do: error}}":        "failpoint: monkey/after-lock: no node here runs monkey\n    hint: nodes that do: m-1, m-2",
		"{at: 1s, failpoint: {name: monkey/after-lock, on: [m-1, ^core-1], do: error}}": "no node here runs monkey",

		// nodes
		"{at: 1s, crash: {^all-but: \"*\"}}":                         "selects nobody: there is no other node",
		"{at: 1s, crash: {on: {one-of: m, ^running: monkey}}}":       "\"running\" beside \"one-of\": two ways to select nodes",
		"{at: 1s, crash: {on: {zone: east, ^running: monkey}}}":      "\"running\" beside \"zone\": two ways to select nodes",
		"{at: 1s, crash: {on: {one-of: m, count: ^2}}}":              "one-of picks one, not 2\n    hint: write some-of with count: 2",
		"{at: 1s, crash: {on: {^some-of: m}}}":                       "some-of without count: how many?",
		"{at: 1s, crash: {on: {running: monkey, count: ^2}}}":        "running takes no count",
		"{at: 1s, crash: {on: {random: ^m}}}":                        "random: expected a whole number, found \"m\"",
		"{at: 1s, crash: {on: {^random: 6}}}":                        "picks 6 nodes of 5",
		"{at: 1s, crash: {on: {busiest: m, by: ^''}}}":               "by: expected a word",
		"{at: 1s, crash: {on: {holder-of: ^{}}}}":                    "holder-of: an empty mapping says nothing",
		"{at: 1s, crash: {^holder-of:}}":                             "holder-of: expected to be told of what",
		"{at: 1s, crash: {on: {^holder-of: {branch: b}, count: 9}}}": "picks 9 nodes of 5",
		"{at: 1s, crash: {^busiest: m, count: 3}}":                   "picks 3 nodes of 2\n    hint: pick at most 2",

		// links
		"{at: 1s, cut: {^from: core-1, to: core-1}}":                         "selects no link: a node has none to itself",
		"{at: 1s, cut: ^[core-1, core-1]}":                                   "selects no link",
		"{at: 1s, slow-link: {^from: \"*\", latency: 1s}}":                   "selects no link",
		"{at: 1s, partition: [[core, m], ^[\"*\"]]}":                         "partition: nobody is left for \"*\"",
		"{at: 1s, partition: [[{some-of: \"*\", count: 5}], ^\"*\"]}":        "partition: nobody is left for \"*\"",
		"{at: 1s, partition: ^[]}":                                           "groups: an empty list says nothing",
		"{at: 1s, expect: ^{}}":                                              "expect: an empty mapping says nothing",
		"{at: 1s, expect: {^within: 5s}}":                                    "expect: within alone demands nothing",
		"{at: 10s, expect: {report: {jobs.started: {after: ^20s, max: 0}}}}": "after is not before the moment at which it is expected (10s)",
	} {
		if !strings.HasPrefix(strings.TrimPrefix(entry, "^"), "[") {
			entry = "[" + entry + "]"
		}
		text := strings.Replace(nonsenseCloud, "ENTRY", entry, 1)
		requireMistake(t, strings.Replace(text, "expect: EXPECT\n", "", 1), want)
	}
}

// TestNonsenseInExpectations: what demands nothing, or can never be judged, is refused.
func TestNonsenseInExpectations(t *testing.T) {
	const timeline = "[{at: 10s, isolate: m-1, for: 20s, label: away}, {at: 120s, pause: m-1, label: late}, {at: 10s, pause: m-2, label: asleep}]"
	for expect, want := range map[string]string{
		"^{}":                          "expect: an empty mapping says nothing",
		"{always: ^[]}":                "always: an empty list says nothing",
		"{after-heal: ^{}}":            "after-heal: an empty mapping says nothing",
		"{after-heal: ^[]}":            "after-heal: an empty list demands nothing",
		"{after-heal: {^within: 30s}}": "after-heal: within alone demands nothing",
		"{after-heal: {within: ^0s, all: [every-job-final]}}": "within: 0s is out of range",
		"{report: ^{}}":                                                   "report: expected figures, found an empty mapping",
		"{report: {jobs.started: ^[]}}":                                   "jobs.started: an empty list expects nothing",
		"{report: {jobs.started: {min: ^0}}}":                             "jobs.started: min: 0 demands nothing",
		"{report: {jobs.started: {max: ^-1}}}":                            "jobs.started: no figure is negative",
		"{report: {jobs.started: ^-1}}":                                   "jobs.started: no figure is negative",
		"{report: {jobs.started: {until: ^0s, max: 1}}}":                  "until: expected more than zero",
		"{report: {jobs.started: {after: 20s, until: ^20s, max: 1}}}":     "until is not after after",
		"{report: {jobs.started: {until: ^3m, max: 1}}}":                  "until is after the end of the scenario (2m0s)",
		"{report: {jobs.started: {after: ^2m, max: 1}}}":                  "after is not before the end of the scenario (2m0s)",
		"{report: {jobs.started: {node: ^core-1, max: 1}}}":               "node: jobs.started: no node here runs monkey",
		"{report: {jobs.started: {node: [m-1, ^core], max: 1}}}":          "no node here runs monkey\n    hint: nodes that do: m-1, m-2",
		"{report: {jobs.started: {node: {^busiest: m}, max: 1}}}":         "node: the figure is of nodes that are known before the run\n    hint: write a name, a group, {zone: east} or {running: monkey}",
		"{report: {pushes.time.p50: {node: ^core-1, max: 1}}}":            "node: pushes.time is what users notice, and counts for the client\n    hint: write node: client",
		"{report: {jobs.started: {during: ^nothing, max: 1}}}":            "no entry of the timeline has the label \"nothing\"",
		"{report: {jobs.started: {during: ^'', max: 1}}}":                 "during: 0 bytes are out of range",
		"{report: {jobs.started: {during: ^late, max: 1}}}":               "no fault with the label \"late\" is in force then",
		"{report: {jobs.started: {during: ^away, after: 30s, max: 1}}}":   "no fault with the label \"away\" is in force then",
		"{report: {jobs.started: {during: ^asleep, until: 10s, max: 1}}}": "no fault with the label \"asleep\" is in force then",
	} {
		requireMistake(t, strings.Replace(strings.Replace(nonsenseCloud, "ENTRY", timeline, 1), "EXPECT", expect, 1), want)
	}
	good := strings.Replace(strings.Replace(nonsenseCloud, "ENTRY", timeline, 1), "EXPECT", "{report: {jobs.started: [{during: away, after: 29s, max: 1}, {during: asleep, after: 110s, max: 1}], pushes.time.p50: {node: client, max: 3}}}", 1)
	_, err := Parse("test.yaml", []byte(good), nonsenseWords())
	require.NoError(t, err)
}

// TestNonsenseAboutTheCloud: of nodes, settings and the network.
func TestNonsenseAboutTheCloud(t *testing.T) {
	const core = "{name: core, count: 2, services: [seer]}"
	for text, want := range map[string]string{
		"duration: ^0s\nnodes: [" + core + "]":                                                                                                "duration: expected more than zero",
		"^seed:\nduration: 1m\nnodes: [" + core + "]":                                                                                         "seed: expected a value, found nothing",
		"duration: ^60\nnodes: [" + core + "]":                                                                                                "duration: expected a duration such as 30s, found \"60\"\n    hint: add a unit: 60s",
		"duration: 1m\nnetwork: {loss: ^150%}\nnodes: [" + core + "]":                                                                         "loss: \"150%\" is not between 0 and 1",
		"duration: ^999999999h\nnodes: [" + core + "]":                                                                                        "duration: 999999999h is more than a year\n    hint: write a duration of at most a year: 8760h",
		"duration: 1m\nnodes: ^[]":                                                                                                            "nodes: an empty list says nothing",
		"duration: 1m\nnodes: [{name: a, ^services:}]":                                                                                        "services: expected a value, found nothing",
		"duration: 1m\nnodes: [{name: a, services: [], zone: ^''}]":                                                                           "zone: \"\" is not a name of a zone",
		"duration: 1m\nnodes: [{name: a, services: [], start-at: ^1m}]":                                                                       "start-at: 1m0s is not before the end",
		"duration: 1m\nnodes: [{name: a, services: [], release: ^''}]":                                                                        "release: expected this or later",
		"duration: 1m\nsettings: ^{}\nnodes: [" + core + "]":                                                                                  "settings: expected a mapping of services, found an empty mapping",
		"duration: 1m\nsettings: {^patrick: {attempts-max: 2}}\nnodes: [" + core + "]":                                                        "settings: no node runs service \"patrick\"",
		"duration: 1m\nsettings: {patrick: ^{}}\nnodes: [{name: a, services: [patrick]}]":                                                     "settings of patrick: an empty mapping says nothing",
		"duration: 1m\nnetwork: ^{}\nnodes: [" + core + "]":                                                                                   "network: an empty mapping says nothing",
		"duration: 1m\nnetwork: {latency: ^0s}\nnodes: [" + core + "]":                                                                        "latency: expected more than zero",
		"duration: 1m\nnetwork: {links: ^[]}\nnodes: [" + core + "]":                                                                          "links: an empty list says nothing",
		"duration: 1m\nnetwork: {links: [{^between: [core-1, core-1], loss: 1%}]}\nnodes: [" + core + "]":                                     "selects no link: a node has none to itself",
		"duration: 1m\nnetwork: {links: [{on: {^one-of: core}, loss: 1%}]}\nnodes: [" + core + "]":                                            "links are there before anything is drawn: no lot can choose them",
		"duration: 1m\nnetwork: {within-zones: {^latency: 1ms}}\nnodes: [{name: a, services: [], zone: x}, {name: b, services: [], zone: y}]": "within-zones: no zone has two nodes",
		"duration: 1m\nnodes: [" + core + "]\nexpect: {always: [^no-lost-jobs]}":                                                              "check \"no-lost-jobs\": no node runs patrick",
		"duration: 1m\nnodes: [" + core + "]\nexpect: {report: {^jobs.started: {max: 1}}}":                                                    "jobs.started: no node runs monkey",
		"duration: 1m\nnodes: [{name: a, services: []}]\ntimeline: [{at: 1s, isolate: ^a}]":                                                   "isolate: there is no other node to be cut off from",
	} {
		requireMistake(t, text+"\n", want)
	}
}

// TestNonsenseAboutClouds: who is a member of which, and how it comes there.
func TestNonsenseAboutClouds(t *testing.T) {
	const north, south = `{name: n, cloud: north, count: 2, services: [seer, patrick]}`, `{name: s, cloud: south, services: [seer]}`
	file := func(groups string, more string) string { return "duration: 1m\nnodes: [" + groups + "]\n" + more }
	for text, want := range map[string]string{
		file(north+", {^name: s, services: [seer]}", ""):                                                                 "some groups of nodes say of which cloud they are, and others do not",
		file(north+", {name: s, cloud: ^South, services: [seer]}", ""):                                                   `cloud: "South" is not a name of a cloud`,
		file(north+", {name: ^client-south, cloud: south, services: [seer]}", ""):                                        `"client-south" is the node outside of the cloud`,
		file(north+", "+south, "timeline: [{at: 1s, push: {project: p, cloud: ^west}}]"):                                 `push: no group of nodes is of the cloud "west"`,
		file(north+", "+south, "timeline: [{at: 1s, ^push: {project: p, cloud: south}}]"):                                "push: no node of the cloud south runs patrick",
		file(north+", {name: s, cloud: south, services: [patrick]}", "timeline: [{at: 1s, push: {project: p, to: ^s}}]"): "to: none of these nodes is of the cloud north",
		file(north+", {name: s, cloud: south, services: [patrick], bootstrap: ^n}", ""):                                  "bootstrap: nodes find each other by the service",
		file(north+", {name: s, cloud: north, services: [patrick], bootstrap: ^m}", ""):                                  `unknown node "m" in bootstrap`,
		file(north+", {name: s, cloud: north, services: [patrick], join: ^Me}", ""):                                      `join: "Me" is not a name of an invitation`,
		file(north+", {name: s, cloud: north, services: [patrick], join: ^a, certificate: {lifetime: 5m}}", ""):          "has a certificate, or joins by an invitation",
		file(north+", {name: s, cloud: north, bad: [patrick], join: ^a}", ""):                                            "join: bad members have certificates",
		file(north+", {name: s, cloud: north, services: [patrick], certificate: {services: [^pat]}}", ""):                `unknown service "pat" in certificate`,
		file(north, "certificates: {lifetime: ^5s}"):                                                                     "lifetime: ",
		file(north, "certificates: {services: [^seer]}"):                                                                 "certificates: services are named for a group of nodes",
	} {
		t.Run(want, func(t *testing.T) { oneMistake(t, cloudWords(), text, want) })
	}
}

// cloudWords has nodes find each other by seer, and users ask patricks.
func cloudWords() Vocabulary {
	v := nonsenseWords()
	v.Finder, v.Issuer = "seer", "auth"
	v.Actions = slices.Clone(v.Actions)
	v.Actions[0].Service = "patrick"
	return v
}

// TestCloudsAreWrittenOut: a scenario of two clouds, with what is theirs, is the same when it is read again.
func TestCloudsAreWrittenOut(t *testing.T) {
	text := `duration: 1m
certificates: {lifetime: 20m}
bootstrap: [n-2]
nodes:
  - {name: n, cloud: north, count: 2, services: [seer, patrick]}
  - {name: s, cloud: south, count: 2, services: [seer, patrick], certificate: {lifetime: 30m, services: [seer]}}
  - {name: stray, cloud: north, services: [patrick], bootstrap: [s]}
  - {name: new, cloud: north, services: [patrick], join: welcome}
timeline:
  - {at: 1s, push: {project: p}}
  - {at: 2s, push: {project: p, cloud: south, to: s-1}}
  - {at: 3s, cut: [s-1, client-south], for: 5s}
`
	s, err := Parse("test.yaml", []byte(text), cloudWords())
	require.NoError(t, err)
	require.Equal(t, []string{"north", "south"}, s.Clouds)
	again, err := Parse("test.yaml", s.Fix(1, Direct, s.Duration, nil).Text(), cloudWords())
	require.NoError(t, err)
	for i := range s.Nodes {
		a, b := s.Nodes[i], again.Nodes[i]
		require.Equal(t, []any{a.Name, a.Cloud, a.Contacts, a.Certificate, a.Invitation}, []any{b.Name, b.Cloud, b.Contacts, b.Certificate, b.Invitation})
	}
	require.Equal(t, []string{"n-2"}, s.Nodes[0].Contacts)
	require.Equal(t, []string{"s-1", "s-2"}, s.Nodes[2].Contacts)
	require.Equal(t, []string{"s-1", "s-2"}, s.Nodes[4].Contacts)
	require.True(t, s.Astray(&s.Nodes[4]))
	require.Equal(t, []time.Duration{20 * time.Minute, 30 * time.Minute}, []time.Duration{s.Nodes[0].Certificate.Lifetime, s.Nodes[2].Certificate.Lifetime})
	require.Equal(t, []string{"beacon", "seer"}, s.Nodes[2].Certificate.Services)
	steps := again.Plan(1)
	require.Equal(t, []string{"north", "south"}, []string{steps[0].Cloud, steps[1].Cloud})
	fixed := s.Fix(1, Direct, s.Duration, nil)
	fixed.Nodes = []string{"n-1", "n-2", "stray"}
	fixed.Prune()
	alone, err := Parse("test.yaml", fixed.Text(), cloudWords())
	require.NoError(t, err, "%s", fixed.Text())
	require.Equal(t, []string{"north"}, alone.Clouds)
	require.Len(t, alone.Plan(1), 1)
	require.Equal(t, []string{"n-2"}, alone.Nodes[2].Contacts)
}

// TestAllMistakesAtOnce: also when a node key is wrong, in the order of the file, and nothing that
// only follows from another mistake.
func TestAllMistakesAtOnce(t *testing.T) {
	_, err := Parse("test.yaml", []byte(`expect: {always: [no-lost-job], after-heal: [every-job-final]}
duraton: 2m
settings: {patrick: {attempts-max: 0}}
nodes:
  - {nmae: core, count: 3, servces: [patrick, sear]}
  - {name: monkey, count: many, services: [monkey]}
network: {latency: 0s, links: [{on: core-1, latency: 5}]}
timeline:
  - {at: 10, crsh: core-1}
  - {at: 1s, pause: core-4}
  - {after: 1s, push: {projct: hello}, every: 5s, until: 0s}
  - {at: 3m, restart: [monkey-7, core-2, nobody]}
  - {at: 5s, isolate: {running: monkey}, label: x, for: 0s}
  - {at: 5s, failpoint: {name: monkey/after-lock, on: core-1, do: explode}}
`), nonsenseWords())
	require.EqualError(t, err, `test.yaml:1:19: unknown check "no-lost-job" in always
    hint: did you mean "no-lost-jobs"?
test.yaml:2:1: unknown key "duraton" in a scenario
    hint: did you mean "duration"?
test.yaml:3:36: attempts-max: 0 is out of range
    hint: allowed: 1 to 100
test.yaml:5:6: unknown key "nmae" in a group of nodes
    hint: did you mean "name"?
test.yaml:5:28: unknown key "servces" in a group of nodes
    hint: did you mean "services"?
test.yaml:5:47: unknown service "sear"
    hint: did you mean "seer"?
test.yaml:6:27: count: expected a whole number, found "many"
    hint: write digits, such as 40
test.yaml:7:20: latency: expected more than zero, found "0s"
    hint: write more than zero, or remove it
test.yaml:7:54: latency: expected a duration such as 30s, found "5"
    hint: add a unit: 5s
test.yaml:9:10: at: expected a duration such as 30s, found "10"
    hint: add a unit: 10s
test.yaml:9:14: unknown verb or key "crsh" in an entry of the timeline
    hint: did you mean "crash"?
test.yaml:10:21: no node is called "core-4"
    hint: did you mean "core-1"?
test.yaml:11:24: unknown key "projct" in push
    hint: did you mean "project"?
test.yaml:11:58: until: expected more than zero, found "0s"
    hint: write more than zero, or remove it
test.yaml:12:10: restart happens at 3m0s, after the end of the scenario (2m0s)
    hint: make it earlier, or lengthen duration
test.yaml:12:42: no node is called "nobody"
    hint: known: core, core-1, core-2, core-3, monkey, client
test.yaml:13:57: for: expected more than zero
    hint: write for: 30s
test.yaml:14:67: do: "explode" is nothing that a failpoint can do
    hint: write crash, error, drop, panic, hang or "delay 3s"`)
}

// TestTheFirstMistakesAreShown: whatever is read first, those that come first in the file.
func TestTheFirstMistakesAreShown(t *testing.T) {
	text := "timeline:\n" + strings.Repeat("  - {at: 1s, crash: nobody}\n", 30) + "nodes: [{name: a, services: [" + strings.Repeat("x, ", 30) + "y]}]\nduration: 1m\n"
	_, err := Parse("test.yaml", []byte(text), testWords())
	var all Errors
	require.ErrorAs(t, err, &all)
	require.Len(t, all, errorsMax)
	require.Equal(t, 2, all[0].Line)
	require.Equal(t, errorsMax+1, all[errorsMax-1].Line)
	require.Contains(t, all[errorsMax-1].Hint, "and 41 more errors, not shown")
}

// TestStrangersAreWrittenOut: with the links to them.
func TestStrangersAreWrittenOut(t *testing.T) {
	s := parse(t, "duration: 1m\nnodes: [{name: core, count: 2, services: []}, {name: evil, services: [], bad: [monkey]}]\nstrangers: [{name: mallory, count: 2}]\n"+
		"timeline: [{at: 1s, cut: [[mallory-1, core-1], core-2]}, {at: 2s, pause: mallory}]\n")
	again := parse(t, string(s.Fix(1, Direct, s.Duration, nil).Text()))
	require.Equal(t, s.roster.outside, again.roster.outside)
	require.Equal(t, s.Nodes[2].Bad, again.Nodes[2].Bad)
	for i, step := range s.Plan(1) {
		require.Equal(t, step.Fault, again.Plan(1)[i].Fault)
	}
	require.Contains(t, s.Plan(1)[0].Fault.String(), "mallory-1")
}
