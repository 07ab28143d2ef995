package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/taucloud/tau/cmd/tau/child"
)

// Sandbox runs jobs, each in namespaces of its own made by bubblewrap.
type Sandbox struct {
	bwrap string
	// apart and connected are the filters of runs without and with a network.
	apart, connected []byte
	slots            uidSlots
	// groups are where runs get control groups; nil: this process may make none, and whyNot says why.
	groups *groups
	whyNot error
}

// programs are what a run needs of the machine, in /usr/bin.
var programs = []string{"sh", "tar", "cat", "prlimit", "nice"}

// Find looks for bubblewrap and tries it. The error says what is missing, and what to do.
func Find(ctx context.Context) (*Sandbox, error) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, errors.New("there is no bubblewrap on this machine: install it, apt-get install bubblewrap")
	}
	for _, p := range programs {
		if _, err := os.Stat("/usr/bin/" + p); err != nil {
			return nil, fmt.Errorf("there is no /usr/bin/%s on this machine, which runs of builds need", p)
		}
	}
	apart, ok := filter(false)
	connected, _ := filter(true)
	if !ok {
		return nil, fmt.Errorf("no filter of system calls is known for %s", runtime.GOARCH)
	}
	s := &Sandbox{bwrap: bwrap, apart: apart, connected: connected}
	s.groups, s.whyNot = ownGroups()
	limits := DefaultLimits
	limits.Within = 20 * time.Second
	said := ""
	result, err := s.Run(ctx, Job{Script: `printf fine >"$RESULT"`, Limits: limits, Line: func(l string) { said = l }})
	if err == nil && string(result) == "fine" {
		return s, nil
	}
	return nil, fmt.Errorf("bubblewrap does not work here (%v; %s): user namespaces must be allowed to %s, see kernel.unprivileged_userns_clone, user.max_user_namespaces and AppArmor", err, said, who())
}

func who() string {
	if os.Geteuid() == 0 {
		return "all users"
	}
	return "the user that the node runs as"
}

// Run runs a job and returns its result. An error is a *Fault if the job is to blame; any other is the machine's. When it returns,
// nothing of the job runs any more.
func (s *Sandbox) Run(ctx context.Context, j Job) ([]byte, error) {
	slot := s.slots.take()
	defer s.slots.free(slot)
	ctx, cancel := context.WithTimeoutCause(ctx, j.Limits.Within, fault("it took longer than %s", j.Limits.Within))
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	r, err := s.prepare(j, slot, end)
	if err != nil {
		return nil, err
	}
	if s.groups != nil {
		if r.group, err = s.groups.make(j.Limits); err != nil {
			r.close()
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		defer func() { _ = r.group.end() }() // a group that stays is empty, and has limits
	}
	err = r.run(ctx)
	if r.group != nil && r.group.outOfMemory() {
		return nil, fault("it had more than %d MiB of memory and files", j.Limits.together()>>20)
	}
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	return r.result.kept.Bytes(), nil
}

// run is one run.
type run struct {
	job    Job
	cmd    *exec.Cmd
	end    context.CancelCauseFunc
	said   *lines
	result capped
	// ours are the ends of pipes that are ours, theirs those of the child.
	saidFrom, resultFrom, infoFrom *os.File
	filesTo                        *os.File
	theirs                         []*os.File
	filter                         *os.File
	group                          *group // nil: none
}

// capped keeps what is written to it, until it is too much.
type capped struct {
	kept bytes.Buffer // not embedded: its ReadFrom would take all
	room int64
	over func()
}

func (c *capped) Write(p []byte) (int, error) {
	if c.room -= int64(len(p)); c.room < 0 {
		c.over()
		return len(p), nil
	}
	return c.kept.Write(p)
}

// The descriptors that bubblewrap is given beside the first three.
const (
	resultFD = 3 + iota
	filterFD
	infoFD
)

func (s *Sandbox) prepare(j Job, slot int, end context.CancelCauseFunc) (r *run, err error) {
	r = &run{job: j, end: end}
	r.said = &lines{room: j.Limits.Output, line: masking(j.Line, j.Secrets), over: func() { end(fault("it said more than %d bytes", j.Limits.Output)) }}
	r.result = capped{room: j.Limits.Result, over: func() { end(fault("what it made has more than %d bytes", j.Limits.Result)) }}
	pipe := func() (from, to *os.File) {
		if err == nil {
			from, to, err = os.Pipe()
		}
		return from, to
	}
	filesFrom, filesTo := pipe()
	saidFrom, saidTo := pipe()
	resultFrom, resultTo := pipe()
	filterFrom, filterTo := pipe()
	infoFrom, infoTo := pipe()
	r.filesTo, r.saidFrom, r.resultFrom, r.infoFrom, r.filter = filesTo, saidFrom, resultFrom, infoFrom, filterTo
	r.theirs = []*os.File{filesFrom, saidTo, resultTo, filterFrom, infoTo}
	if err != nil {
		r.close()
		return nil, err
	}
	r.cmd = exec.Command(s.bwrap, s.arguments(j)...)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = filesFrom, saidTo, saidTo
	r.cmd.ExtraFiles = []*os.File{resultTo, filterFrom, infoTo}
	r.cmd.Env = environment(j, "/usr/bin:/bin", "/build", "/tmp/result", func(m Mount) string { return m.To })
	r.cmd.Dir = "/"
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		// Root would be root inside, whatever bubblewrap calls it: a run is somebody whom nothing belongs to.
		id := uint32(firstUID + slot)
		r.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: id, Gid: id}
	}
	// It fits into the pipe, which is larger than a filter can be.
	program := s.apart
	if j.Network {
		program = s.connected
	}
	_, err = r.filter.Write(program)
	return r, err
}

// prologue takes the files from the standard input, epilogue puts the result out. Between them the descriptor of the result is closed.
const (
	prologue = `set -e
tar -C /build -ixf - --no-same-owner --no-same-permissions
cd "/build/$0"
rm -f /tmp/result
set +e
(exec </dev/null 3>&-; set -e; `
	epilogue = `
)
code=$?
[ $code = 0 ] || exit $code
[ -f /tmp/result ] && [ ! -L /tmp/result ] || { echo "the build has left no result"; exit 1; }
cat /tmp/result >&3`
)

// arguments are bubblewrap's: namespaces of all kinds, nothing of the machine but /usr and the mounts, read-only, no privileges, no
// further namespaces, all ended together; then limits of each process.
func (s *Sandbox) arguments(j Job) []string {
	args := []string{
		"--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--hostname", "build",
		"--proc", "/proc", "--dev", "/dev", "--ro-bind", "/usr", "/usr",
	}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib64", "/lib32"} {
		switch target, err := os.Readlink(name); {
		case err == nil:
			args = append(args, "--symlink", target, name)
		case exists(name):
			args = append(args, "--ro-bind", name, name)
		}
	}
	if exists("/etc/alternatives") {
		args = append(args, "--ro-bind", "/etc/alternatives", "/etc/alternatives")
	}
	for _, m := range j.Mounts {
		how := "--ro-bind"
		if m.Writable {
			how = "--bind"
		}
		args = append(args, how, m.From, m.To)
	}
	if j.Network {
		args = append(args, "--share-net")
		for _, name := range []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki", "/etc/ca-certificates"} {
			args = append(args, "--ro-bind-try", name, name)
		}
	}
	size := strconv.FormatInt(j.Limits.Disk, 10)
	args = append(args,
		"--size", size, "--tmpfs", "/tmp", "--size", size, "--tmpfs", "/build", "--size", "1048576", "--tmpfs", "/dev/shm", "--chdir", "/",
		"--seccomp", strconv.Itoa(filterFD), "--info-fd", strconv.Itoa(infoFD), "--remount-ro", "/", "--",
		"/usr/bin/nice", "-n", "10", "/usr/bin/prlimit", "--core=0", "--nofile=1024",
		fmt.Sprintf("--nproc=%d", j.Limits.Processes), fmt.Sprintf("--data=%d", j.Limits.Memory), fmt.Sprintf("--fsize=%d", j.Limits.Disk),
		fmt.Sprintf("--cpu=%d", int64((j.Limits.CPU+time.Second-1)/time.Second)), "--",
		"/usr/bin/sh", "-c", prologue+j.Script+epilogue, filepath.Join(".", j.Folder))
	return args
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// run starts the job, feeds it, listens to it and ends it with ctx.
func (r *run) run(ctx context.Context) error {
	defer r.close()
	var all sync.WaitGroup
	defer all.Wait()
	// bubblewrap dies with the thread that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := child.KeepOwn(); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if r.group != nil {
		dir, err := r.group.open()
		if err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
		defer dir.Close()
		r.cmd.SysProcAttr.UseCgroupFD, r.cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	for _, f := range append(r.theirs, r.filter) {
		_ = f.Close()
	}
	r.theirs, r.filter = nil, nil
	all.Go(func() {
		masked := &masker{to: r.said, secrets: secretsOf(r.job.Secrets)}
		_, _ = io.Copy(masked, r.saidFrom)
		masked.end()
		r.said.end()
	})
	all.Go(func() { _, _ = io.Copy(&r.result, r.resultFrom) })
	all.Go(func() {
		_ = feed(r.filesTo, r.job.Base, r.job.Files) // if nobody takes it, the run ends with an error of its own
		_ = r.filesTo.Close()
	})
	first := make(chan *os.Process, 1)
	all.Go(func() { first <- r.first() })
	over := make(chan struct{})
	all.Go(func() { r.watch(ctx, first, over) })
	err := r.cmd.Wait()
	close(over)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("sandbox: %w", err)
	case exit.ExitCode() > 128 && exit.ExitCode() <= 128+signalMax:
		return fault("it was ended by signal %d: it was out of its %d seconds of processor time, or of memory, or had failed", exit.ExitCode()-128, int64(r.job.Limits.CPU/time.Second))
	case exit.ExitCode() < 0:
		return fmt.Errorf("sandbox: bubblewrap ended: %s", exit)
	}
	return fault("it ended with exit code %d", exit.ExitCode())
}

// signalMax is the last signal: a shell ends with 128 and that of what it has run.
const signalMax = 64

// first is the process with whose end all others of the run end; nil if there never was one.
func (r *run) first() *os.Process {
	var info struct {
		PID int `json:"child-pid"`
	}
	if err := json.NewDecoder(io.LimitReader(r.infoFrom, 4<<10)).Decode(&info); err != nil || info.PID <= 1 {
		return nil
	}
	p, err := os.FindProcess(info.PID)
	if err != nil {
		return nil
	}
	return p
}

const (
	// watchEvery is how often memory is looked at.
	watchEvery = 100 * time.Millisecond
	// startMax is how long bubblewrap is given to say who its first process is: ended before that, it leaves others behind.
	startMax = 5 * time.Second
)

// watch ends the run when ctx does, and when its processes have more memory than they may.
func (r *run) watch(ctx context.Context, first <-chan *os.Process, over <-chan struct{}) {
	var p *os.Process
	select {
	case p = <-first:
	case <-over:
		return
	case <-time.After(startMax):
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			if p != nil {
				_ = p.Kill()
			} else {
				_ = r.cmd.Process.Kill()
			}
			// Should that not be enough, bubblewrap itself is ended: it takes the others along.
			select {
			case <-over:
			case <-time.After(startMax):
				_ = r.cmd.Process.Kill()
			}
			return
		case <-tick.C:
			if p == nil {
				continue
			}
			made, files := filesOf(p.Pid)
			has := memoryOf(p.Pid)
			switch l := r.job.Limits; {
			case made > l.Entries:
				r.end(fault("it made more than %d files and folders", l.Entries))
			case has > l.Memory:
				r.end(fault("it had more than %d MiB of memory", l.Memory>>20))
			case has+files > l.together():
				r.end(fault("it had more than %d MiB of memory and files", l.together()>>20))
			}
		}
	}
}

// close closes what is ours, and what is the child's if it was never started.
func (r *run) close() {
	for _, f := range append(r.theirs, r.filesTo, r.saidFrom, r.resultFrom, r.infoFrom, r.filter) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// firstUID begins the users that runs are if the node is root: a range that distributions and containers leave alone.
const firstUID = 1_879_000_000

// uidSlots gives out small numbers of which no two are in use.
type uidSlots struct {
	mu    sync.Mutex
	inUse []bool
}

func (u *uidSlots) take() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, used := range u.inUse {
		if !used {
			u.inUse[i] = true
			return i
		}
	}
	u.inUse = append(u.inUse, true)
	return len(u.inUse) - 1
}

func (u *uidSlots) free(slot int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inUse[slot] = false
}
