package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// builtTau is the program of nodes, built once.
var builtTau = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tau-of-test-")
	if err != nil {
		return "", err
	}
	return FindTau("", dir)
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := builtTau(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

func carry(t *testing.T, tau string) report.Result {
	all := words.Vocabulary()
	s, err := scenario.Load("testdata/short.yaml", all)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "live-") // the path of a socket is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	r, err := Carry(context.Background(), s, Config{Tau: tau, Dir: dir, Seed: s.Seed, Words: all}, false)
	require.NoError(t, err)
	return r
}

// TestAStoryOnProcesses: what is simulated otherwise holds on real processes that are killed, stopped, frozen and cut off.
func TestAStoryOnProcesses(t *testing.T) {
	t.Parallel()
	tau, err := builtTau()
	require.NoError(t, err)
	r := carry(t, tau)
	var text strings.Builder
	r.Write(&text)
	require.Equal(t, report.Held, r.Verdict, "%s", text.String())
	require.NotEmpty(t, r.NotObserved, "what is not seen of processes is said")
	require.Equal(t, map[string]int{"monkey/before-publish": 1}, r.Exercised.Failpoints)
	require.Zero(t, r.Exercised.WithoutEffect, "%s", text.String())
}

// TestALossIsNoticed: a program that loses at each start what it had on its disk is found out, though it never says so.
func TestALossIsNoticed(t *testing.T) {
	t.Parallel()
	tau, err := builtTau()
	require.NoError(t, err)
	forgetful := filepath.Join(t.TempDir(), "tau")
	script := fmt.Sprintf("#!/bin/sh\nrm -rf \"$5/data\"\nexec %s \"$@\" --accept-empty-disk\n", tau) // start -s main --root ROOT
	require.NoError(t, os.WriteFile(forgetful, []byte(script), 0o700))
	r := carry(t, forgetful)
	require.Equal(t, report.Failed, r.Verdict)
	var broken []string
	for _, e := range r.Expectations {
		if !e.Held && !e.NotAsked {
			broken = append(broken, e.Name)
		}
	}
	require.Subset(t, []string{"no-lost-jobs", "incarnations-rise", "one-effective-outcome-per-job", "answers-are-true"}, broken)
}

// TestNothingIsLeftOfAKilledRun: nodes end with the process that has started them, also those that are frozen.
func TestNothingIsLeftOfAKilledRun(t *testing.T) {
	if os.Getenv("LIVE_TEST_PARENT") != "" {
		s := newStarter()
		cmd := exec.Command("sleep", "600")
		if err := s.start(cmd); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Process.Signal(sigStop)
		fmt.Println("child", cmd.Process.Pid)
		select {}
	}
	parent := exec.Command(os.Args[0], "-test.run", "^TestNothingIsLeftOfAKilledRun$")
	parent.Env = append(os.Environ(), "LIVE_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var pid int
	_, err = fmt.Fscanf(out, "child %d\n", &pid)
	require.NoError(t, err)
	require.True(t, exists(pid))
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return !exists(pid) }, eventually, tick)
}
