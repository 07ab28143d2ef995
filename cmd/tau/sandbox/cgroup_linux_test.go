package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Before its root is made, the first process of a run sees the machine, whose files are not the run's.
func TestTheFilesOfTheMachineAreNotTheRuns(t *testing.T) {
	t.Parallel()
	made, size := filesOf(os.Getpid())
	require.Zero(t, made)
	require.Zero(t, size)
}

// kernel is a folder that looks like a control group; what is written is what is read.
func kernel(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

// What a group is told, and when a process may make none. The folder stands in for the kernel: here no group has the controllers.
func TestGroupsThatAProcessMayMake(t *testing.T) {
	t.Parallel()
	_, err := groupsBelow(kernel(t, map[string]string{"cgroup.controllers": "cpu memory\n"}), 1)
	require.EqualError(t, err, "the control group of this process has no controller pids")
	_, err = groupsBelow(kernel(t, map[string]string{"cgroup.controllers": "cpu memory pids\n"}), 1)
	require.ErrorContains(t, err, "cgroup.subtree_control", "it is not ours to write")

	dir := kernel(t, map[string]string{"cgroup.procs": "17\n18\n", "cgroup.subtree_control": ""})
	g := &groups{dir: dir}
	require.ErrorContains(t, g.stepDown(17), "has others in it")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("17\n"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, leaf), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, leaf, "cgroup.procs"), nil, 0o644))
	require.NoError(t, g.stepDown(17))
	moved, err := os.ReadFile(filepath.Join(dir, leaf, "cgroup.procs"))
	require.NoError(t, err)
	require.Equal(t, "17", string(moved))
	require.NoError(t, g.enable())
	asked, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	require.NoError(t, err)
	require.Equal(t, "+memory +pids", string(asked))
	_, err = g.make(DefaultLimits)
	require.ErrorContains(t, err, "memory.max", "a group without the files of a controller bounds nothing")
	left, err := filepath.Glob(filepath.Join(dir, "tau-build-*"))
	require.NoError(t, err)
	require.Empty(t, left)

	one := &group{kernel(t, map[string]string{"memory.events": "low 0\noom 3\noom_kill 0\n"})}
	require.False(t, one.outOfMemory())
	require.NoError(t, os.WriteFile(filepath.Join(one.dir, "memory.events"), []byte("low 0\noom 3\noom_kill 1\n"), 0o644))
	require.True(t, one.outOfMemory())
}

// realGroup is a group of the kernel, without limits: that is as much as there is on machines without the controllers.
func realGroup(t *testing.T) *group {
	root, err := mountOfGroups()
	if err != nil {
		t.Skip(err)
	}
	g := &group{filepath.Join(root, fmt.Sprintf("tau-test-%d", os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = g.end() })
	return g
}

// A process starts in its group, and ends with it, with all that it has started, wherever that has gone.
func TestAGroupEndsAll(t *testing.T) {
	t.Parallel()
	g := realGroup(t)
	dir, err := g.open()
	require.NoError(t, err)
	defer dir.Close()
	n := "86400." + strconv.Itoa(os.Getpid()*10+5)
	cmd := exec.Command("/bin/sh", "-c", "setsid sleep "+n+" & sleep "+n)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	procs, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	require.NoError(t, err)
	require.Contains(t, string(procs), strconv.Itoa(cmd.Process.Pid))
	waited := make(chan error)
	go func() { waited <- cmd.Wait() }()
	require.NoError(t, g.end())
	require.Error(t, <-waited)
	require.Empty(t, left(t, "86400[.]"+n[6:]))
	require.NoDirExists(t, g.dir)
}
