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

// dreamlandIn is the command with temporary files in a directory.
func dreamlandIn(temp string, args ...string) *exec.Cmd {
	cmd := exec.Command("dreamland", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	return cmd
}

func entries(t *testing.T, dir string) (names []string) {
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestWhatAKilledProcessLeavesGoesWithTheNext: and what one that lives has written, or
// somebody else, stays.
func TestWhatAKilledProcessLeavesGoesWithTheNext(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks")
	}
	temp := t.TempDir()
	file := filepath.Join(t.TempDir(), "long.yaml")
	require.NoError(t, os.WriteFile(file, []byte(long), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(temp, "dreamland-of-somebody"), 0o755))
	begin := func() *exec.Cmd {
		before := len(entries(t, temp))
		cmd := dreamlandIn(temp, "sim", file, "--wire", "direct", "--html", filepath.Join(t.TempDir(), "x.html"))
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return len(entries(t, temp)) > before }, time.Minute, 10*time.Millisecond)
		return cmd
	}
	killed, alive := begin(), begin()
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	require.Len(t, entries(t, temp), 3)
	require.NoError(t, dreamlandIn(temp, "version").Run())
	left := entries(t, temp)
	require.Len(t, left, 2)
	require.Contains(t, left, "dreamland-of-somebody")
	require.NoError(t, alive.Process.Signal(syscall.SIGTERM))
	require.Error(t, alive.Wait())
	require.Equal(t, []string{"dreamland-of-somebody"}, entries(t, temp))
}

// TestBisectEndsWithAllThatItHasStarted: whether it is interrupted while a commit is
// being built, or once more.
func TestBisectEndsWithAllThatItHasStarted(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil || runtime.GOOS != "linux" {
		t.Skip("needs git, and reads /proc")
	}
	repo := t.TempDir()
	sh(t, repo, slowRepo)
	file := filepath.Join(repo, "x.yaml")
	require.NoError(t, os.WriteFile(file, []byte(long), 0o644))
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		temp := t.TempDir()
		cmd := dreamlandIn(temp, "bisect", "HEAD~1..HEAD", file)
		cmd.Dir = repo
		cmd.Env = append(cmd.Env, "GOFLAGS=-mod=mod -toolexec="+filepath.Join(repo, "slow.sh"), "GOCACHE="+filepath.Join(temp, "cache"))
		require.NoError(t, cmd.Start())
		var slow int
		require.Eventually(t, func() bool { slow = sleeper(repo); return slow != 0 }, time.Minute, 10*time.Millisecond)
		require.NoError(t, cmd.Process.Signal(signal))
		require.Error(t, cmd.Wait())
		require.Equal(t, 130, cmd.ProcessState.ExitCode())
		require.Eventually(t, func() bool { return !anyRuns([]int{slow}) }, 10*time.Second, 10*time.Millisecond, "a compiler runs on")
		for _, name := range entries(t, temp) {
			require.Equal(t, "cache", name)
		}
		require.NoError(t, os.RemoveAll(filepath.Join(temp, "cache")))
	}
	trees := exec.Command("git", "worktree", "list")
	trees.Dir = repo
	out, err := trees.Output()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
}

// slowRepo has two commits, and a compiler that sleeps and says who does.
const slowRepo = `set -e
git init -q -b main; git config user.email a@b; git config user.name A
printf 'module toy\n\ngo 1.26\n' > go.mod
mkdir -p cmd/dreamland
printf 'package main\n\nfunc main() {}\n' > cmd/dreamland/main.go
git add -A; git commit -q -m one
echo '// two' >> cmd/dreamland/main.go
git add -A; git commit -q -m two
printf '#!/bin/sh\ncase "$*" in *-V=full*) exec "$@";; esac\necho $$ > %s/sleeper\nexec sleep 600\n' "$PWD" > slow.sh
chmod +x slow.sh
`

func sh(t *testing.T, dir, script string) {
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// sleeper is the process that pretends to compile, 0 if there is none.
func sleeper(repo string) int {
	file := filepath.Join(repo, "sleeper")
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0
	}
	_ = os.Remove(file) // for the next one
	return pid
}
