package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// long is a scenario whose run takes much longer than the test.
const long = `
duration: 720h
nodes: [{name: core, count: 5, services: [seer]}]
`

// TestWorkersEndWithTheirParent: whether it is asked to end or killed.
func TestWorkersEndWithTheirParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	file := filepath.Join(t.TempDir(), "long.yaml")
	require.NoError(t, os.WriteFile(file, []byte(long), 0o644))
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		parent := exec.Command("dreamland", "sim", file, "--seeds", "4", "--jobs", "2", "--wire", "direct")
		require.NoError(t, parent.Start())
		var workers []int
		require.Eventually(t, func() bool { workers = childrenOf(parent.Process.Pid); return len(workers) == 2 }, time.Minute, 10*time.Millisecond)
		require.NoError(t, parent.Process.Signal(signal))
		require.Error(t, parent.Wait())
		require.Eventually(t, func() bool { return !anyRuns(workers) }, time.Minute, 10*time.Millisecond, "%v of %s run on", workers, signal)
	}
}

// childrenOf reads who has a process for a parent.
func childrenOf(pid int) (children []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		id, parent, _ := stat(file)
		if parent == pid {
			children = append(children, id)
		}
	}
	return children
}

func anyRuns(pids []int) bool {
	for _, pid := range pids {
		if id, _, state := stat("/proc/" + strconv.Itoa(pid) + "/stat"); id == pid && state != "Z" {
			return true
		}
	}
	return false
}

// stat reads a process's number, its parent's and its state; zero if it is gone.
func stat(file string) (pid, parent int, state string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, ""
	}
	head, rest, _ := strings.Cut(string(raw), " (")
	fields := strings.Fields(rest[strings.LastIndex(rest, ")")+1:])
	pid, _ = strconv.Atoi(head)
	parent, _ = strconv.Atoi(fields[1])
	return pid, parent, fields[0]
}
