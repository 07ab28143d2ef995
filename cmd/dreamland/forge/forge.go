// Package forge is a Git server for one machine: repositories that are made by the first push to them, over smart HTTP, by the system's
// git. Whoever is told of a branch that has moved, says so into the push's own output, as long as somebody reads that.
//
// It asks nobody who they are, so it is for loopback only, and refuses what a web page of elsewhere could send. No hook of a repository
// ever runs, and nothing of it is checked out.
package forge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is taken.
const (
	// PushLenMax bounds what one push sends, in bytes.
	PushLenMax = 256 << 20
	// RefsPerPushMax bounds the refs of one push, RefsMax those of a repository, RepositoriesMax the repositories.
	RefsPerPushMax  = 64
	RefsMax         = 2048
	RepositoriesMax = 256
	// pushesMax is how many pushes, and fetches, may be under way at once; others wait for waitMax.
	pushesMax = 8
	waitMax   = 30 * time.Second
	// pushWithin bounds a push, without the build; followWithin is for how long its output follows the build.
	pushWithin   = 10 * time.Minute
	followWithin = time.Hour
	// commandsLenMax bounds the part of a push that says which refs are to move, in bytes.
	commandsLenMax = 256 << 10
)

// Snapshots begins the refs by which a tree is built as if it were pushed to the branch that follows, while the branch stays where it is.
const Snapshots = "refs/dreamland/snapshot/"

const (
	heads     = "refs/heads/"
	tags      = "refs/tags/"
	delivered = "refs/dreamland/delivered/" // of each ref, the commit of the last job
)

// Moved is a branch that is at another commit than before. Snapshot: a tree is to be built as if it were pushed to the branch, which stays
// where it is.
type Moved struct {
	Project, Branch, Commit string
	Snapshot                bool
	// Repository is its bare repository on this machine.
	Repository string
}

// Deliverer is told of branches that have moved.
type Deliverer interface {
	// Deliver returns the job that builds the commit, when it cannot be lost any more. A refusal, [Refused], is not tried again.
	Deliver(ctx context.Context, m Moved) (job string, err error)
	// Follow tells how the job goes, until it has ended or ctx has.
	Follow(ctx context.Context, m Moved, job string, say func(line string))
	// Gone is told of a branch that was deleted, once, and of the commit where it was. Nothing is lost if nobody can be told: whoever builds looks now and then.
	Gone(ctx context.Context, project, branch, was string)
}

// Refused makes an error that says that a commit cannot be built, however often it is tried.
func Refused(err error) error { return &refused{err} }

type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

// Config is what a forge runs on.
type Config struct {
	// Dir is where the repositories are.
	Dir string
	// Universe is the first part of the path of each repository: another forge may listen at the port of this one by and by.
	Universe string
	// Unnamed reports whether pushes are taken to remotes without it, as they once were.
	Unnamed func() bool
	// Check says what is wrong with the name of a project, which is that of its repository.
	Check func(project string) error
	// Fits says why a new project cannot be beside others that there are. nil: it always can.
	Fits    func(project string, others []string) error
	Deliver Deliverer
	Log     *slog.Logger
}

// Forge is one that serves.
type Forge struct {
	cfg     Config
	program string
	slots   chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	branches map[string]*branch // by repository and ref
	making   sync.Mutex         // of repositories
}

// New makes a forge of what is in its directory. Branches that had moved when the last one ended, and of which nobody was told, are
// delivered now.
func New(cfg Config) (*Forge, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, errors.New("there is no git on this machine: install it, such as apt-get install git")
	}
	f := &Forge{cfg: cfg, program: program, slots: make(chan struct{}, pushesMax), branches: map[string]*branch{}}
	f.ctx, f.stop = context.WithCancel(context.Background())
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	return f, f.makeEmpty()
}

// Close ends what is under way. Builds go on; nobody follows them any more.
func (f *Forge) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.work.Wait()
}

// begin lets something be under way; false: the forge ends.
func (f *Forge) begin(what func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.work.Go(what)
	return true
}

// slot waits until one more may be under way.
func (f *Forge) slot(ctx context.Context) (done func(), err error) {
	select {
	case f.slots <- struct{}{}:
		return func() { <-f.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	case <-time.After(waitMax):
		return nil, fmt.Errorf("%d pushes and fetches are under way: try again", pushesMax)
	}
}

// emptyName is the repository that stands for those that are not made yet. No project has such a name.
const emptyName = ".empty.git"

func (f *Forge) makeEmpty() error {
	dir := filepath.Join(f.cfg.Dir, emptyName)
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		return nil
	}
	return f.init(dir)
}

// settings of each repository.
var settings = [][2]string{
	{"receive.fsckObjects", "true"}, {"receive.maxInputSize", fmt.Sprint(PushLenMax)}, {"receive.autogc", "false"}, {"gc.auto", "0"},
	{"core.hooksPath", "/dev/null"}, {"transfer.hideRefs", strings.TrimSuffix(delivered, "/")}, {"uploadpack.allowReachableSHA1InWant", "true"},
	{"uploadpack.allowFilter", "true"}, {"core.bigFileThreshold", "1m"}, {"transfer.unpackLimit", "100"}, {"receive.denyDeletes", "false"},
}

// init makes a repository, whole or not at all.
func (f *Forge) init(dir string) error {
	half, err := os.MkdirTemp(f.cfg.Dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(half)
	if _, err := f.git(f.ctx, half, "init", "--quiet", "--bare", "--template=", "-b", "main", "."); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(half, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, s := range settings {
		section, key, _ := strings.Cut(s[0], ".")
		fmt.Fprintf(config, "[%s]\n\t%s = %s\n", section, key, s[1])
	}
	if err := config.Close(); err != nil {
		return err
	}
	err = os.Rename(half, dir)
	if _, there := os.Stat(filepath.Join(dir, "HEAD")); there == nil {
		return nil // made by somebody else
	}
	return err
}

// dir is where a project's repository is, if it is there.
func (f *Forge) dir(project string) (string, bool) {
	dir := filepath.Join(f.cfg.Dir, project+".git")
	_, err := os.Stat(filepath.Join(dir, "HEAD"))
	return dir, err == nil
}

// make makes a project's repository, unless it is there.
func (f *Forge) make(project string) (string, error) {
	f.making.Lock()
	defer f.making.Unlock()
	dir, there := f.dir(project)
	if there {
		return dir, nil
	}
	if len(f.Projects()) >= RepositoriesMax {
		return "", fmt.Errorf("there are %d repositories already, which is as many as there may be", RepositoriesMax)
	}
	return dir, f.init(dir)
}

// Projects lists those that have been pushed, by name.
func (f *Forge) Projects() (names []string) {
	entries, err := os.ReadDir(f.cfg.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.cfg.Log.Warn("repositories cannot be listed", slog.String("error", err.Error()))
	}
	for _, e := range entries {
		if name, is := strings.CutSuffix(e.Name(), ".git"); is && e.IsDir() && f.cfg.Check(name) == nil {
			names = append(names, name)
		}
	}
	return names
}

// Ref is a branch or a tag, or a branch's snapshot.
type Ref struct {
	Name    string    `json:"name"`
	Commit  string    `json:"commit"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
}

// Refs lists what is in a project's repository, the newest first; at most RefsMax.
func (f *Forge) Refs(ctx context.Context, project string) (list []Ref, err error) {
	dir, there := f.dir(project)
	if f.cfg.Check(project) != nil || !there {
		return nil, fs.ErrNotExist
	}
	out, err := f.git(ctx, dir, "for-each-ref", fmt.Sprintf("--count=%d", RefsMax), "--sort=-creatordate",
		"--format=%(refname)%00%(objectname)%00%(creatordate:unix)%00%(subject)", heads, tags, Snapshots)
	for line := range strings.Lines(out) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\x00", 4)
		if len(parts) != 4 {
			continue
		}
		var seconds int64
		_, _ = fmt.Sscan(parts[2], &seconds)
		list = append(list, Ref{Name: strings.TrimPrefix(parts[0], heads), Commit: parts[1], Subject: plain(parts[3]), At: time.Unix(seconds, 0).UTC()})
	}
	return list, err
}

var commitForm = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// environment keeps what people have configured for themselves away from the server's git.
func (f *Forge) environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.cfg.Dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_ALLOW_PROTOCOL=",
	}
}

// outputMax bounds what is kept of what git says, in bytes.
const outputMax = 4 << 20

// git runs it in a repository, and returns what it has said.
func (f *Forge) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, f.program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, f.environment(), 2*time.Second
	var out, complaint bounded
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %.300s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.String(), nil
}

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := outputMax - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// buildable reports whether a ref is one of which commits are built, and of which branch.
func buildable(ref string) (branch string, is bool) {
	for _, prefix := range []string{heads, Snapshots} {
		if branch, is = strings.CutPrefix(ref, prefix); is {
			return branch, branch != ""
		}
	}
	return "", false
}

// kept are where refs are that may be pushed.
var kept = []string{heads, tags, Snapshots}

// pushable reports whether a ref may be pushed.
func pushable(ref string) bool {
	return slices.ContainsFunc(kept, func(p string) bool { return strings.HasPrefix(ref, p) })
}

// keepsOnly lets git refuse all other refs in its report, so that who pushes reads which were refused, and the others are taken.
func keepsOnly() (env []string) {
	env = []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(kept)+1), "GIT_CONFIG_KEY_0=receive.hideRefs", "GIT_CONFIG_VALUE_0=refs"}
	for i, prefix := range kept {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=receive.hideRefs", i+1), fmt.Sprintf("GIT_CONFIG_VALUE_%d=!%s", i+1, strings.TrimSuffix(prefix, "/")))
	}
	return env
}
