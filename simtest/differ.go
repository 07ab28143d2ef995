package simtest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// suspects are what makes runs of one seed differ, with what to use instead.
const suspects = `Suspect, in what leads to the first line that differs:
    a range over a map that sends, writes, draws or reports: sort the keys first
    math/rand's functions, crypto/rand: Env.Rand
    time.Now and its relatives: Env.Loop.Now, Env.Loop.Elapsed
    a goroutine, a channel, a select: Env.Loop.Go, clock.Queue, clock.First`

// differencesMax bounds the pairs of runs that are made to see a difference again.
const differencesMax = 5

// contextLines is how many lines of a trace are shown before the first that differs.
const contextLines = 3

// firstDifference runs a story until two traces differ, and shows where.
func firstDifference(s *scenario.Scenario, words scenario.Vocabulary, seed uint64) string {
	for range differencesMax {
		var a, b bytes.Buffer
		play(s, words, run.Options{Seed: seed, Wire: scenario.Direct, Trace: &a})
		play(s, words, run.Options{Seed: seed, Wire: scenario.Direct, Trace: &b, Perturb: 1})
		if text := compare(a.String(), b.String()); text != "" {
			return text
		}
	}
	return "The difference did not show again."
}

// compare describes the first line that differs, "" if there is none.
func compare(a, b string) string {
	first, second := strings.Split(strings.TrimSpace(a), "\n"), strings.Split(strings.TrimSpace(b), "\n")
	for i := range max(len(first), len(second)) {
		one, other := lineOf(first, i), lineOf(second, i)
		if one == other {
			continue
		}
		var out strings.Builder
		fmt.Fprintf(&out, "The traces differ from line %d on; src is where a fact was reported:\n", i+1)
		for _, line := range first[max(0, i-contextLines):min(i, len(first))] {
			fmt.Fprintf(&out, "    both    %s\n", line)
		}
		fmt.Fprintf(&out, "    first   %s\n    second  %s", one, other)
		return out.String()
	}
	return ""
}

func lineOf(lines []string, i int) string {
	if i >= len(lines) {
		return "(the trace ends)"
	}
	return lines[i]
}
