package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestByCost: quick tests share a process, which is the first; each dear one has
// its own, the cheaper before the dearer.
func TestByCost(t *testing.T) {
	test := func(name string, cost time.Duration) *trial {
		return &trial{test: name, baseline: baseline{CPU: cost}}
	}
	order := func(tests ...*trial) (rounds [][]string) {
		for _, round := range byCost(tests) {
			var names []string
			for _, t := range round {
				names = append(names, t.test)
			}
			rounds = append(rounds, names)
		}
		return rounds
	}
	slow, slower := test("slow", quick), test("slower", 2*quick)
	require.Equal(t, [][]string{{"a", "b"}, {"slow"}, {"slower"}}, order(slower, test("a", quick/2), slow, test("b", quick/2)))
	require.Equal(t, [][]string{{"slow"}, {"slower"}}, order(slower, slow))
	require.Equal(t, [][]string{{"slower"}}, order(slower))
}

// TestFailed: only the test that failed is asked twice, if it is known.
func TestFailed(t *testing.T) {
	round := []*trial{{test: "TestA"}, {test: "TestAB"}, {test: "TestC"}}
	require.Equal(t, round[1:2], failed(round, "TestAB"))
	require.Equal(t, round[0:1], failed(round, "TestA/some_part"))
	require.Equal(t, round, failed(round, "panic: no name"))
}

// What was interrupted while it was built is not taken for a binary by the run that goes on.
func TestAnInterruptedBuildIsNone(t *testing.T) {
	b := &build{root: "../..", dir: t.TempDir()}
	require.NoError(t, os.WriteFile(b.overlay(), []byte("{}"), 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.binary(ctx, "transport/libp2p", true)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = os.Stat(filepath.Join(b.dir, "bin", "transport-libp2p.test"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
