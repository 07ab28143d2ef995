package dreamland

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
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

type bisectFlags struct {
	seed   seedValue
	wire   string
	strict bool
	pkg    string
}

func bisectCommand() *cobra.Command {
	f := &bisectFlags{}
	cmd := &cobra.Command{
		Use:   "bisect GOOD..BAD FILE",
		Short: "Find the first commit at which a run comes to another verdict",
		Long: `Builds commits between two, as few as it takes, each in a git worktree of its own
in a temporary directory, and makes the run of a seed with each. GOOD and BAD are
any two commits at which the verdicts differ. Commits that do not build, or do not
know a word of the file, are passed over.

Exit status: 0 found, 1 not found, 2 bad input, 130 interrupted.`,
		Example: `  dreamland bisect v1.2..main failing.yaml --seed 7
  dreamland bisect 3f2a1b0..HEAD kept/node-churn-seed-7.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args[0], args[1], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(&f.seed, "seed", "run this seed instead of the file's")
	flags.StringVar(&f.wire, "wire", scenario.Direct, "mocknet or direct")
	flags.BoolVar(&f.strict, "strict", false, "an expectation for which nothing was judged fails, too")
	flags.StringVar(&f.pkg, "package", "./cmd/dreamland", "the package of this command in each commit")
	return cmd
}

// verdict of a commit: the verdict of the run and, if it failed, of what; "" if there is none.
type verdict string

// verdictOf leaves out how it failed: commits may word that differently.
func verdictOf(r *report.Result) verdict {
	v := verdict(r.Verdict)
	if cause, failed := r.Cause(); failed && cause.Name != "" {
		v += verdict(" of " + cause.Name + " (" + cause.When + ")")
	}
	return v
}

// sideOf is on which side of the change a verdict is: was or is, those of the two ends. A run
// that fails of something else than the end that failed shows nothing of that bug.
func sideOf(v, was, is verdict) verdict {
	switch {
	case v == "" || v == was || v == is:
		return v
	case is == report.Held:
		return is
	}
	return was
}

// firstChange returns between which two of n commits, in order, the verdict changes
// from that of the first to that of the last: after is one more than before unless
// all between have none. ask is called as seldom as can be, not for the two ends.
func firstChange(n int, good verdict, ask func(int) (verdict, error)) (before, after int, err error) {
	before, after = 0, n-1
	none := map[int]bool{}
	for {
		middle := nearest(before, after, none)
		if middle < 0 {
			return before, after, nil
		}
		v, err := ask(middle)
		switch {
		case err != nil:
			return before, after, err
		case v == "":
			none[middle] = true
		case v == good:
			before = middle
		default:
			after = middle
		}
	}
}

// nearest is the commit between two that is nearest to the middle and not known to
// have no verdict, -1 if there is none.
func nearest(before, after int, none map[int]bool) int {
	middle := (before + after) / 2
	for d := range after - before {
		for _, i := range []int{middle - d, middle + d} {
			if i > before && i < after && !none[i] {
				return i
			}
		}
	}
	return -1
}

// bisection tries commits.
type bisection struct {
	flags *bisectFlags
	ctx   context.Context
	file  string
	dir   string // temporary
	out   io.Writer
}

func (f *bisectFlags) run(span, file string, stdout, stderr io.Writer) error {
	good, bad, ranged := strings.Cut(span, "..")
	if !ranged || good == "" || bad == "" || strings.HasPrefix(good, "-") {
		return fmt.Errorf("%s: expected two commits, GOOD..BAD", span)
	}
	if f.wire != scenario.Mocknet && f.wire != scenario.Direct {
		return fmt.Errorf("--wire %s: expected mocknet or direct", f.wire)
	}
	file, err := filepath.Abs(file)
	if err == nil {
		_, err = os.Stat(file)
	}
	if err != nil {
		return err
	}
	ctx, done := interruptible()
	defer done()
	dir, remove, err := tempDir("bisect")
	if err != nil {
		return err
	}
	defer remove()
	b := &bisection{flags: f, ctx: ctx, file: file, dir: dir, out: stderr}
	defer b.prune()
	err = b.search(good, bad, stdout)
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

func (b *bisection) search(good, bad string, stdout io.Writer) error {
	first, err := b.git("rev-parse", "--verify", "--end-of-options", good+"^{commit}")
	if err != nil {
		return err
	}
	list, err := b.git("rev-list", "--first-parent", "--reverse", "--end-of-options", good+".."+bad)
	if err != nil {
		return err
	}
	commits := append([]string{first}, strings.Fields(list)...)
	if len(commits) < 2 {
		return fmt.Errorf("there is no commit in %s..%s", good, bad)
	}
	was, err := b.try(commits[0])
	if err != nil {
		return err
	}
	is, err := b.try(commits[len(commits)-1])
	if err != nil {
		return err
	}
	if was == "" || is == "" || was == is {
		return fmt.Errorf("nothing to find: %s comes to %s, %s to %s", good, orNone(was), bad, orNone(is))
	}
	before, after, err := firstChange(len(commits), was, func(i int) (verdict, error) {
		v, err := b.try(commits[i])
		return sideOf(v, was, is), err
	})
	if err != nil {
		return err
	}
	return b.tell(commits, before, after, was, is, stdout)
}

func orNone(v verdict) string {
	if v == "" {
		return "no verdict"
	}
	return string(v)
}

// tell says what was found.
func (b *bisection) tell(commits []string, before, after int, was, is verdict, out io.Writer) error {
	if after > before+1 {
		fmt.Fprintf(out, "from %s to %s, at one of these commits, of which only the last has a verdict:\n", was, is)
	} else {
		fmt.Fprintf(out, "from %s to %s at\n", was, is)
	}
	for _, c := range commits[before+1 : after+1] {
		line, err := b.git("show", "--no-patch", "--format=%h %ad %an: %s", "--date=short", c)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s\n", line)
	}
	if after > before+1 {
		return errFailed
	}
	return nil
}

// try builds a commit and makes the run.
func (b *bisection) try(commit string) (v verdict, err error) {
	tree := filepath.Join(b.dir, commit)
	if _, err := b.git("worktree", "add", "--detach", "--force", tree, commit); err != nil {
		return "", err
	}
	defer func() { _, _ = b.git("worktree", "remove", "--force", tree) }() // prune does what is left
	short := commit[:min(len(commit), 12)]
	binary := filepath.Join(b.dir, commit+".bin")
	defer os.Remove(binary)
	build := b.command("go", "build", "-o", binary, b.flags.pkg)
	build.Dir, build.Env = tree, append(build.Env, "CGO_ENABLED=0")
	if _, complaints, err := outputOf(build); err != nil {
		if b.ctx.Err() != nil {
			return "", b.ctx.Err()
		}
		fmt.Fprintf(b.out, "%s  does not build: %s\n", short, head(complaints))
		return "", nil
	}
	v, why := b.verdict(binary)
	if b.ctx.Err() != nil {
		return "", b.ctx.Err()
	}
	fmt.Fprintf(b.out, "%s  %s%s\n", short, orNone(v), why)
	return v, nil
}

// verdict makes the run with one binary. There is none if it does not know the file.
func (b *bisection) verdict(binary string) (v verdict, why string) {
	args := []string{"sim", b.file, "--wire", b.flags.wire, "--json", "--quiet"}
	if b.flags.seed.set {
		args = append(args, "--seed", strconv.FormatUint(b.flags.seed.seed, 10))
	}
	if b.flags.strict {
		args = append(args, "--strict")
	}
	stdout, stderr, _ := outputOf(b.command(binary, args...)) // 1 is a verdict as well
	var r report.Result
	if err := json.Unmarshal(stdout, &r); err != nil || r.Verdict == "" {
		return "", ": " + head(stderr)
	}
	return verdictOf(&r), ""
}

// prune forgets worktrees that are gone.
func (b *bisection) prune() {
	_ = os.RemoveAll(b.dir)
	_ = exec.Command("git", "worktree", "prune").Run() // git does it by itself, later
}

func (b *bisection) git(args ...string) (string, error) {
	stdout, stderr, err := outputOf(b.command("git", args...))
	if err != nil {
		return "", errors.New("git: " + head(stderr))
	}
	return string(bytes.TrimSpace(stdout)), nil
}

// command is a process whose temporary files are below the directory that will be
// removed, and that ends with the search, with all that it has started.
func (b *bisection) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir, "GOTMPDIR="+b.dir)
	return cmd
}
