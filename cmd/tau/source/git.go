package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/taucloud/tau/cmd/tau/child"
	"github.com/taucloud/tau/cmd/tau/source/gogit"
	"github.com/taucloud/tau/project/tree"
)

// Git fetches with the system's git, 2.39 or later, or with the one in this program.
type Git struct {
	// Program is git's path, or that of this program if it is Own. Prlimit is the path of util-linux' prlimit; "" for that means no limits on
	// memory and files of a git that is not Own, which has limits of its own.
	Program, Prlimit string
	Own              bool
	// Scratch is a directory for bare repositories and keys, which are deleted when a fetch ends.
	Scratch string
	Budget  tree.Budget
	// PackLen bounds what is fetched, as packed, in bytes.
	PackLen int64
	// Within bounds a fetch in time, Slow how long less than [gogit.SlowMin] a second may come over HTTP.
	Within, Slow time.Duration
	// Files allows file:// addresses: paths of this machine.
	Files bool
}

// FindGit looks for the programs: the git of this machine or, if there is none, that in this program ([gogit.Main]). The error says what to
// install.
func FindGit(scratch string) (*Git, error) {
	g := &Git{Scratch: scratch, Budget: tree.DefaultBudget, PackLen: 512 << 20, Within: 5 * time.Minute, Slow: 30 * time.Second}
	var err error
	if g.Program, err = exec.LookPath("git"); err == nil {
		g.Prlimit, _ = exec.LookPath("prlimit")
		return g, nil
	}
	if g.Program, err = os.Executable(); err != nil || !gogit.Able() {
		return nil, errors.New("there is no git on this machine: install it, apt-get install git")
	}
	g.Own = true
	return g, nil
}

// Backend says what fetches.
func (g *Git) Backend() string {
	if g.Own {
		return "the git in this program"
	}
	return "the git of this machine"
}

func (g *Git) words() words {
	if g.Own {
		return ownWords{}
	}
	return systemWords{g.Slow}
}

// Fetch implements [Fetcher].
func (g *Git) Fetch(ctx context.Context, r Request, into *os.Root) (got Got, err error) {
	if err := r.check(); err != nil {
		return got, err
	}
	if strings.HasPrefix(r.URL, "file:") && !g.Files {
		return got, &Error{Bad, "file:// addresses are not allowed here"}
	}
	ctx, cancel := context.WithTimeout(ctx, g.Within)
	defer cancel()
	job, err := g.open(r)
	if err != nil {
		return got, &Error{Failed, err.Error()}
	}
	defer job.close()
	if err := job.fetch(ctx, r); err != nil {
		return got, err
	}
	checker := tree.NewChecker(g.Budget)
	if err := job.list(ctx, r.Commit, checker); err != nil {
		return got, err
	}
	return job.write(ctx, checker, into)
}

// job is one fetch.
type job struct {
	*Git
	dir  string // of everything but the keys
	keys string // "" if there is none
	bare string
	env  []string
}

func (g *Git) open(r Request) (*job, error) {
	dir, err := os.MkdirTemp(g.Scratch, "fetch-")
	if err == nil {
		dir, err = filepath.Abs(dir) // Git runs in it
	}
	if err != nil {
		return nil, err
	}
	j := &job{Git: g, dir: dir, bare: filepath.Join(dir, "bare")}
	j.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_LFS_SKIP_SMUDGE=1", "GIT_NO_REPLACE_OBJECTS=1", "GIT_ALLOW_PROTOCOL=https:http:ssh:file",
	}
	if g.Own {
		defer func() { j.env = append(j.env, j.ownEnv()...) }()
	}
	if len(r.Key) > 0 {
		j.keys, err = os.MkdirTemp(inMemory(dir), keysOf(g.Scratch))
		if err := errors.Join(err, j.keep("key", r.Key), j.keep("known_hosts", r.KnownHosts)); err != nil {
			j.close()
			return nil, err
		}
		j.env = append(j.env, "GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND="+j.ssh())
	}
	return j, nil
}

// memory is a file system in memory, where machines have one: a key that lies there is on no disk.
const memory = "/dev/shm"

// inMemory is a directory for keys.
func inMemory(otherwise string) string {
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return otherwise
}

// keysOf is the pattern of the names of directories with keys, for one scratch directory: wherever it is named from, and no other one's.
func keysOf(scratch string) string {
	if whole, err := filepath.Abs(scratch); err == nil {
		scratch = whole
	}
	sum := sha256.Sum256([]byte(scratch))
	return "tau-fetch-" + hex.EncodeToString(sum[:8]) + "-*"
}

// Forget removes keys that a process with this scratch directory left in memory when it was killed. Nobody else may use the directory now.
func Forget(scratch string) {
	left, _ := filepath.Glob(filepath.Join(memory, keysOf(scratch)))
	for _, dir := range left {
		_ = os.RemoveAll(dir) // one of another user stays, which is none of ours
	}
}

func (j *job) close() {
	_ = os.RemoveAll(j.dir)
	if j.keys != "" {
		_ = os.RemoveAll(j.keys)
	}
}

func (j *job) keep(name string, content []byte) error {
	return os.WriteFile(filepath.Join(j.keys, name), content, 0o600)
}

// ssh is a command for a shell that reads no configuration and believes nobody else. ConnectTimeout is in seconds.
func (j *job) ssh() string {
	quoted := func(name string) string {
		return "'" + strings.ReplaceAll(filepath.Join(j.keys, name), "'", `'\''`) + "'"
	}
	return "ssh -F /dev/null -i " + quoted("key") + " -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=" + quoted("known_hosts") +
		" -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o BatchMode=yes -o ConnectTimeout=15"
}

// fetch gets the commit: by its name, or else by the branch.
func (j *job) fetch(ctx context.Context, r Request) error {
	if j.Own && len(r.Commit) != 40 {
		return &Error{Bad, "the repository names its commits by SHA-256, which only the git of a machine fetches: install it, apt-get install git"}
	}
	at, err := j.served(ctx, r.URL)
	if err != nil {
		return err
	}
	if out, err := j.run(ctx, j.words().make(j.bare)...); err != nil {
		return j.failure(ctx, out, err)
	}
	out, err := j.run(ctx, j.words().fetch(j.bare, at, r.Commit+":refs/heads/job", true)...)
	if err == nil {
		return nil
	}
	failure := j.failure(ctx, out, err)
	if failure.Kind != Missing || r.Branch == "" {
		return failure
	}
	if out, err := j.run(ctx, j.words().fetch(j.bare, at, "+refs/heads/"+r.Branch+":refs/heads/branch", false)...); err != nil {
		return j.failure(ctx, out, err)
	}
	if _, err := j.run(ctx, j.words().has(j.bare, r.Commit)...); err != nil {
		return &Error{Missing, "the repository has no commit " + r.Commit}
	}
	return nil
}

// command is git as a child in limits, which ends with all that it has started when ctx does.
func (j *job) command(ctx context.Context, args ...string) *exec.Cmd {
	words := append([]string{j.Program}, args...)
	if j.Prlimit != "" && !j.Own {
		words = append([]string{
			j.Prlimit, "--core=0", "--nofile=256", fmt.Sprintf("--data=%d", dataMax), fmt.Sprintf("--cpu=%d", int64((j.Within+time.Second-1)/time.Second)), fmt.Sprintf("--fsize=%d", j.PackLen), "--",
		}, words...)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env, cmd.Dir = j.env, j.dir
	child.OwnGroup(cmd)
	if err := child.KeepOwn(); err != nil {
		cmd.Err = err
	}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

const (
	// dataMax bounds the memory of git, in bytes.
	dataMax = 512 << 20
	// outputMax bounds what is kept of what git says.
	outputMax = 8 << 10
)

// run lets git do something and returns what it has said, at most outputMax of it.
func (j *job) run(ctx context.Context, args ...string) (string, error) {
	cmd := j.command(ctx, args...)
	var out beginning
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// beginning keeps the beginning of what is written to it.
type beginning struct{ kept bytes.Buffer } // not embedded: its ReadFrom would take all

func (b *beginning) Write(p []byte) (int, error) {
	if room := outputMax - b.kept.Len(); room > 0 {
		b.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *beginning) String() string { return b.kept.String() }

// signs are words of git's and ssh's messages, which are in English by LC_ALL; the first that is there counts.
var signs = []struct {
	text string
	kind Kind
}{
	{"error: object ", Bad}, // found by fetch.fsckObjects
	{"Host key verification failed", Denied}, {"Permission denied", Denied}, {"Authentication failed", Denied}, {"could not read Username", Denied},
	{"terminal prompts disabled", Denied},
	{"not our ref", Missing}, {"unadvertised object", Missing}, {"couldn't find remote ref", Missing}, {"Server does not allow request", Missing},
	{"bad object", Missing}, {"File too large", TooLarge},
	{"transport", Failed},
}

// starved are words of a Git that is out of memory.
var starved = []string{"Out of memory", "out of memory", "unable to allocate", "mmap failed"}

// withoutRemote is what Git says itself: what a forge has let it repeat says nothing of what went wrong here.
func withoutRemote(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "remote:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// goEnded is what a program of Go's ends with whose memory is at an end, whatever it could still say of that, or that has panicked.
const goEnded = 2

// ended is that of a fetch whose context has.
func ended(ctx context.Context) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Failed, "the fetch took too long"}
	}
	return &Error{Failed, "the fetch was ended"}
}

// failure is what git has said, as an error.
func (j *job) failure(ctx context.Context, out string, err error) *Error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	out = withoutRemote(out)
	kind := Failed
	var exit *exec.ExitError
	if j.Own && errors.As(err, &exit) && kinds[exit.ExitCode()] != 0 {
		return &Error{kinds[exit.ExitCode()], j.said(out, err)}
	}
	for _, s := range starved {
		if strings.Contains(out, s) || j.Own && errors.As(err, &exit) && exit.ExitCode() == goEnded && !strings.Contains(out, "panic:") {
			return &Error{TooLarge, fmt.Sprintf("it took more than the %d MiB of memory that a fetch may have", dataMax>>20)}
		}
	}
	for _, s := range signs {
		if strings.Contains(out, s.text) {
			kind = s.kind
			break
		}
	}
	if kind == Failed && j.full() {
		return &Error{TooLarge, fmt.Sprintf("the commit has more than %d bytes, as Git packs it", j.PackLen)}
	}
	return &Error{kind, j.said(out, err)}
}

// full reports whether a pack has reached its bound: the signal that then ends a child of git's is nothing that git
// tells of.
func (j *job) full() (reached bool) {
	_ = filepath.WalkDir(j.bare, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			info, err := d.Info()
			reached = reached || err == nil && info.Size() >= j.PackLen
		}
		return nil
	})
	return reached
}

// withoutKeys is a text without the name of the directory of the keys.
func (j *job) withoutKeys(text string) string {
	if j.keys == "" {
		return text
	}
	return strings.ReplaceAll(text, j.keys, ".")
}

// said is the last line with something in it, in which the scratch directory means nothing to whoever reads it.
func (j *job) said(out string, err error) string {
	text := err.Error()
	for _, line := range strings.Split(strings.ReplaceAll(j.withoutKeys(out), j.dir, "."), "\n") {
		if strings.HasPrefix(line, "fatal:") || strings.HasPrefix(line, "error:") {
			text = line
			break
		}
	}
	return tree.Shown(text)
}
