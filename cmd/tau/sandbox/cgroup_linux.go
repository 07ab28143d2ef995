package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Control groups (version 2) bound the memory of a run, its files among it, and its processes exactly, and end all of them at once. Whether a node may
// make some is up to who has started it: of systemd it needs Delegate=yes. Without them memory is looked at now and then.

// groups are where a process makes control groups for runs.
type groups struct {
	dir   string
	count atomic.Int64
}

// leaf is the group that the process itself goes to, if it was alone in its own: a group with processes has no groups with limits below it.
const leaf = "node"

// controllers are those that runs need.
var controllers = []string{"memory", "pids"}

// ownGroups finds where this process may make groups. The error says why it may not.
func ownGroups() (*groups, error) {
	root, err := mountOfGroups()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		if own, of := strings.CutPrefix(strings.TrimSpace(line), "0::"); of {
			return groupsBelow(filepath.Join(root, own), os.Getpid())
		}
	}
	return nil, errors.New("this process is in no control group of version 2")
}

// mountOfGroups is where the file system of control groups is.
func mountOfGroups() (string, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 2 && words[2] == "cgroup2" {
			return words[1], nil
		}
	}
	return "", errors.New("no control groups of version 2 are mounted")
}

// groupsBelow makes a group of this process ready for others below it.
func groupsBelow(dir string, self int) (*groups, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	for _, c := range controllers {
		if !slices.Contains(strings.Fields(string(raw)), c) {
			return nil, fmt.Errorf("the control group of this process has no controller %s", c)
		}
	}
	g := &groups{dir: dir}
	if err = g.enable(); errors.Is(err, syscall.EBUSY) {
		if err = g.stepDown(self); err == nil {
			err = g.enable()
		}
	}
	if err != nil {
		return nil, err
	}
	probe, err := g.make(DefaultLimits)
	if err != nil {
		return nil, err
	}
	return g, probe.end()
}

func (g *groups) enable() error {
	return set(filepath.Join(g.dir, "cgroup.subtree_control"), "+"+strings.Join(controllers, " +"))
}

// stepDown moves this process to a group of its own, if it is the only one: others are not ours to move.
func (g *groups) stepDown(self int) error {
	raw, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	if pids := strings.Fields(string(raw)); len(pids) != 1 || pids[0] != strconv.Itoa(self) {
		return errors.New("the control group of this process has others in it (systemd: Delegate=yes in a unit of its own)")
	}
	if err := os.Mkdir(filepath.Join(g.dir, leaf), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return set(filepath.Join(g.dir, leaf, "cgroup.procs"), strconv.Itoa(self))
}

// set writes a setting of a group.
func set(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0) // never made: a file that is not there is a kernel that does not know it
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// group is that of one run.
type group struct{ dir string }

// ownProcesses are bubblewrap's and those that set the limits.
const ownProcesses = 8

// make makes one within limits: the memory is that of all its processes, and its files.
func (g *groups) make(l Limits) (*group, error) {
	made := &group{filepath.Join(g.dir, fmt.Sprintf("tau-build-%d-%d", os.Getpid(), g.count.Add(1)))}
	if err := os.Mkdir(made.dir, 0o755); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		file, value string
		optional    bool
	}{
		{"memory.max", strconv.FormatInt(l.together(), 10), false}, {"memory.swap.max", "0", true}, {"memory.oom.group", "1", true},
		{"pids.max", strconv.Itoa(l.Processes + ownProcesses), false},
	} {
		if err := set(filepath.Join(made.dir, s.file), s.value); err != nil && !(s.optional && errors.Is(err, fs.ErrNotExist)) {
			return nil, errors.Join(err, made.end())
		}
	}
	return made, nil
}

// open is the group as a process is started in it.
func (g *group) open() (*os.File, error) { return os.Open(g.dir) }

// outOfMemory reports whether the kernel has ended processes of it for want of memory.
func (g *group) outOfMemory() bool {
	raw, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if len(words) == 2 && words[0] == "oom_kill" && words[1] != "0" {
			return true
		}
	}
	return false
}

// endTries is how often a group is removed whose processes are still ending, each 10 ms.
const endTries = 200

// end ends all that is in the group, and removes it.
func (g *group) end() (err error) {
	_ = set(filepath.Join(g.dir, "cgroup.kill"), "1") // kernels before 5.14 have none: the run's namespace has ended all then
	for range endTries {
		if err = os.Remove(g.dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
