package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
)

const selectCloud = `duration: 10m
nodes:
  - {name: core, count: 3, services: [seer]}
  - {name: monkey, count: 12, services: [monkey]}
  - {name: late, services: [seer, patrick]}
timeline:
`

// crashed returns whom the first step of an entry crashes.
func crashed(t *testing.T, selector string, seed uint64) []string {
	t.Helper()
	s := parse(t, selectCloud+"  - {at: 1s, crash: "+selector+"}\n")
	return s.Plan(seed)[0].Fault.(fault.Crash).Nodes
}

func TestSelectors(t *testing.T) {
	all := "core-1 core-2 core-3 monkey-1 monkey-2 monkey-3 monkey-4 monkey-5 monkey-6 monkey-7 monkey-8 monkey-9 monkey-10 monkey-11 monkey-12 late"
	for selector, want := range map[string]string{
		`core-2`:                            "core-2",
		`core`:                              "core-1 core-2 core-3",
		`core-*`:                            "core-1 core-2 core-3",
		`late-1`:                            "late",
		`late-*`:                            "late",
		`"monkey-1?"`:                       "monkey-10 monkey-11 monkey-12",
		`"monkey-[2-3]"`:                    "monkey-2 monkey-3",
		`[late, core-1, core-1]`:            "core-1 late",
		`"*"`:                               all,
		`{on: "*"}`:                         all,
		`{all-but: monkey-*}`:               "core-1 core-2 core-3 late",
		`{on: {all-but: [monkey, late]}}`:   "core-1 core-2 core-3",
		`{running: seer}`:                   "core-1 core-2 core-3 late",
		`[{running: patrick}, client]`:      "late client",
		`{some-of: core, count: 3}`:         "core-1 core-2 core-3",
		`{pick: {some-of: core, count: 3}}`: "core-1 core-2 core-3",
		`{random: 16}`:                      all,
	} {
		require.Equal(t, want, strings.Join(crashed(t, selector, 1), " "), selector)
	}
}

func TestDrawsCoverEverybodyAndKeepTheirNumber(t *testing.T) {
	for selector, n := range map[string]int{
		`{one-of: monkey-*}`:                                                    1,
		`{pick: {one-of: monkey-*}}`:                                            1,
		`{on: {one-of: monkey-*}, lose-disk: true}`:                             1,
		`{one-of: monkey-*, restart-after: 3s}`:                                 1,
		`{one-of: monkey}`:                                                      1,
		`{some-of: monkey-*, count: 4}`:                                         4,
		`{on: {pick: {some-of: monkey-*, count: 4}}}`:                           4,
		`[{one-of: ["monkey-[1-6]"]}, {one-of: ["monkey-[7-9]", "monkey-1?"]}]`: 2,
	} {
		seen := map[string]bool{}
		for seed := range uint64(200) {
			nodes := crashed(t, selector, seed)
			require.Len(t, nodes, n, selector)
			for _, name := range nodes {
				seen[name] = true
			}
		}
		require.Len(t, seen, 12, selector)
	}
}

// TestDrawsAreKeyed: another entry, or another occurrence, changes nothing in
// those before it.
func TestDrawsAreKeyed(t *testing.T) {
	one := selectCloud + "  - {at: 1s..9s, every: 10s..20s, times: 10, jitter: 0s..3s, crash: {one-of: monkey-*}, for: 1s..9s}\n"
	more := strings.Replace(one, "times: 10", "times: 20", 1) + "  - {at: 1s, every: 3s, pause: {one-of: core-*}, for: 1s}\n"
	var before, after []string
	for _, step := range parse(t, one).Plan(3) {
		before = append(before, fmt.Sprint(step.At, step.For, step.Fault))
	}
	for _, step := range parse(t, more).Plan(3) {
		if step.Entry == 0 && step.N < 10 {
			after = append(after, fmt.Sprint(step.At, step.For, step.Fault))
		}
	}
	slices.Sort(before)
	slices.Sort(after)
	require.Equal(t, before, after)
}

func TestTimes(t *testing.T) {
	for entry, want := range map[string]string{
		`{at: 5s, crash: late}`:                          "5s",
		`{at: 5s, every: 5s, times: 3, crash: late}`:     "5s 10s 15s",
		`{at: 9m, every: 20s, crash: late}`:              "9m0s 9m20s 9m40s",
		`{at: 0s, every: 20s, until: 1m, crash: late}`:   "0s 20s 40s",
		`{at: 9m, every: 30s, times: 3, crash: late}`:    "9m0s 9m30s 10m0s",
		`{at: 10m, crash: late}`:                         "10m0s",
		`{after: 7s, crash: late}`:                       "7s",
		`{at: 1s, rolling-restart: {on: core, gap: 2s}}`: "1s 3s 5s",
	} {
		var at []string
		for _, step := range parse(t, selectCloud+"  - "+entry+"\n").Plan(1) {
			at = append(at, step.At.String())
		}
		require.Equal(t, want, strings.Join(at, " "), entry)
	}
	s := parse(t, selectCloud+"  - {at: 5s..9s, crash: late}\n  - {after: 3s, crash: core-1}\n")
	for seed := range uint64(20) {
		steps := s.Plan(seed)
		require.Equal(t, 3, int((steps[1].At - steps[0].At).Seconds()), "after counts from what was drawn")
	}
}

func TestEndingFaultsReachesTheClient(t *testing.T) {
	s := parse(t, selectCloud+"  - {at: 5s, mend: \"*\"}\n  - {at: 5s, release: core-1}\n")
	for _, step := range s.Plan(1) {
		switch f := step.Fault.(type) {
		case fault.Mend:
			require.Contains(t, f.To, Client)
		case fault.Release:
			require.Contains(t, f.To, Client)
		}
	}
}
