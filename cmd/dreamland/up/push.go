package up

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	"github.com/taucloud/tau/cmd/tau/projects"
	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// remoteName is what a project's remote in a universe is called.
const remoteName = "dreamland"

func newProjectCommand(tools dreamland.Tools) *cobra.Command {
	var template, name, universe string
	inJSON := false
	parent := &cobra.Command{Use: "new", Short: "Begin a project, or a scenario"}
	cmd := &cobra.Command{
		Use: "project DIR", Args: cobra.ExactArgs(1), Short: "Make a project in a folder, with its repository and its remote in a universe",
		Long:    "Makes a project, commits it on branch main, and sets the remote " + remoteName + " to the universe's forge: git push dreamland main deploys it. Nothing that is there is overwritten.",
		Example: "  dreamland new project ./site --template website\n  cd site && git push dreamland main",
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := newProject(args[0], name, template, universe)
			if errors.Is(err, errNoUniverse) {
				return fail(cmd, tools, err)
			}
			if err != nil {
				return err
			}
			if inJSON {
				return printJSON(cmd.OutOrStdout(), made)
			}
			for _, file := range made.Files {
				fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(made.Dir, filepath.FromSlash(file)))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "next: cd %s && git push %s main\n", made.Dir, remoteName)
			return err
		},
	}
	cmd.Flags().StringVar(&template, "template", "website", "what it begins with: "+strings.Join(projects.Templates(), ", "))
	cmd.Flags().StringVar(&name, "name", "", "the project's name; default: the folder's")
	cmd.Flags().StringVarP(&universe, "universe", "u", "", "which universe; default: $DREAMLAND_UNIVERSE, the only one that runs, or "+defaultName)
	cmd.Flags().BoolVar(&inJSON, "json", false, "print JSON")
	parent.AddCommand(cmd)
	return parent
}

// Made is a new project.
type Made struct {
	Name   string   `json:"name"`
	Dir    string   `json:"dir"`
	Remote string   `json:"remote"`
	Files  []string `json:"files"`
}

func newProject(dir, name, template, universe string) (m Made, err error) {
	p, err := theUniverse(universe)
	if err != nil {
		return m, err
	}
	pl, err := readPlan(p)
	if err != nil {
		return m, err
	}
	if pl == nil {
		return m, fmt.Errorf("%w %s to push to yet: dreamland up %[2]s makes it", errNoUniverse, p.name())
	}
	if _, err := exec.LookPath("git"); err != nil {
		return m, errNoGit
	}
	if m.Name, m.Files, err = projects.Make(dir, name, template); err != nil {
		return m, err
	}
	m.Dir, m.Remote = dir, p.pushedTo(pl)+"/"+m.Name+".git"
	if !exists(filepath.Join(dir, ".git")) {
		if _, err := git(dir, nil, "init", "--quiet", "-b", "main"); err != nil {
			return m, err
		}
	}
	if _, err := git(dir, nil, "remote", "add", remoteName, m.Remote); err != nil {
		return m, err
	}
	if _, err := git(dir, nil, append([]string{"add", "--"}, m.Files...)...); err != nil {
		return m, err
	}
	_, err = git(dir, author(dir), "commit", "--quiet", "--no-verify", "-m", "A new project")
	return m, err
}

// author is who commits, where nobody has said so.
func author(dir string) []string {
	if _, err := git(dir, nil, "var", "GIT_COMMITTER_IDENT"); err == nil {
		return nil
	}
	return somebody
}

var somebody = []string{"GIT_AUTHOR_NAME=dreamland", "GIT_AUTHOR_EMAIL=dreamland@localhost", "GIT_COMMITTER_NAME=dreamland", "GIT_COMMITTER_EMAIL=dreamland@localhost"}

// git runs it in a directory.
func git(dir string, env []string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return strings.TrimSpace(string(out)), err
}

// pushFlags say what is pushed as what.
type pushFlags struct {
	*asking
	project, branch string
}

func (f *pushFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.project, "project", "", "the project; default: that of the remote "+remoteName+", or else the folder's name")
	cmd.Flags().StringVar(&f.branch, "branch", "main", "as if it were pushed to this branch")
	cmd.Flags().Lookup("universe").Usage = "which universe; default: $DREAMLAND_UNIVERSE, that of the remote " + remoteName + ", the only one that runs, or " + defaultName
}

func pushCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use: "push DIR", Args: cobra.ExactArgs(1), Short: "Deploy a folder as it is now, committed or not, and show the build",
		Long: `Builds what is in the folder - but for what .gitignore leaves out - as if it had been pushed to the branch. Neither the folder's repository nor
the branch of the universe's moves: git push goes on as if nothing had been. Exit status 1 if the build fails.`,
		Example: "  dreamland push ./site",
	}
	f := &pushFlags{asking: newAsking(tools, cmd)}
	f.flags(cmd)
	f.onSnapshots(cmd, func(ctx context.Context, s *snapshots) error {
		out := cmd.OutOrStdout()
		if f.json {
			out = io.Discard
		}
		pushed, err := s.push(ctx, out)
		if ctx.Err() != nil {
			return tools.Interrupted
		}
		if err != nil {
			return fail(cmd, tools, err)
		}
		if f.json {
			err = printJSON(cmd.OutOrStdout(), pushed)
		}
		if err == nil && !pushed.Published {
			return tools.Failed
		}
		return err
	})
	return cmd
}

// onSnapshots lets a command do something with snapshots of its folder, until it is interrupted.
func (f *pushFlags) onSnapshots(cmd *cobra.Command, do func(ctx context.Context, s *snapshots) error) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := f.snapshots(args[0])
		if err != nil {
			return fail(cmd, f.tools, err)
		}
		defer s.remove()
		s.complaint = cmd.ErrOrStderr()
		ctx, done := f.tools.Interruptible()
		defer done()
		return do(ctx, s)
	}
}

// Pushed is what came of a push.
type Pushed struct {
	Project   string   `json:"project"`
	Branch    string   `json:"branch"`
	Commit    string   `json:"commit"`
	Published bool     `json:"published"`
	Log       []string `json:"log"`
}

// snapshots makes commits of a folder as it is, in a repository beside it, and pushes them.
type snapshots struct {
	dir, git, remote, project, branch string
	last                              string    // commit
	complaint                         io.Writer // takes what is to be noticed; nil: nobody does
}

func (f *pushFlags) snapshots(dir string) (*snapshots, error) {
	if f.universe == "" && os.Getenv("DREAMLAND_UNIVERSE") == "" {
		f.universe = universeOf(dir)
	}
	c, err := f.client()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, badRequest(fmt.Errorf("there is no %s: expected the folder to push", dir))
	} else if err == nil && !info.IsDir() {
		return nil, badRequest(fmt.Errorf("%s is a file: expected a folder, all of which is pushed", dir))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	project := cmp.Or(f.project, projectOf(abs))
	for _, err := range []error{patrickapi.CheckProject(project), patrickapi.CheckName("branch", f.branch)} {
		if err != nil {
			return nil, badRequest(fmt.Errorf("%w (--project, --branch)", err))
		}
	}
	temp, err := os.MkdirTemp("", "dreamland-push-")
	if err != nil {
		return nil, err
	}
	s := &snapshots{dir: abs, git: temp, remote: c.says.Git + "/" + project + ".git", project: project, branch: f.branch}
	if _, err := git(temp, nil, "init", "--quiet", "--bare", "--template=", "."); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// universeOf is the universe that a folder's remote names, "" if it names none.
func universeOf(dir string) string {
	remote, err := git(dir, nil, "remote", "get-url", remoteName)
	if err != nil {
		return ""
	}
	at, err := url.Parse(remote)
	if err != nil || !here127(at.Host) {
		return ""
	}
	name, project, is := strings.Cut(strings.TrimPrefix(at.Path, "/"), "/")
	if !is || strings.Contains(project, "/") || !nameForm.MatchString(name) {
		return ""
	}
	return name
}

// projectOf is the project of a folder: by its remote, or by its name.
func projectOf(dir string) string {
	if remote, err := git(dir, nil, "remote", "get-url", remoteName); err == nil {
		return strings.TrimSuffix(remote[strings.LastIndexByte(remote, '/')+1:], ".git")
	}
	return strings.ToLower(filepath.Base(dir))
}

func (s *snapshots) remove() { _ = os.RemoveAll(s.git) }

// push commits and pushes, and shows what the forge says. Nothing is pushed twice in a row.
func (s *snapshots) push(ctx context.Context, out io.Writer) (p Pushed, err error) {
	p = Pushed{Project: s.project, Branch: s.branch, Log: []string{}}
	at := []string{"--git-dir=" + s.git, "--work-tree=" + s.dir, "-c", "core.bare=false", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"}
	run := func(args ...string) (string, error) { return git(s.dir, somebody, append(at, args...)...) }
	if _, err := run("add", "--all", "--", "."); err != nil {
		return p, err
	}
	list, err := run("ls-files", "-z")
	if err != nil {
		return p, err
	}
	if err := s.look(strings.Split(list, "\x00")); err != nil {
		return p, err
	}
	tree, err := run("write-tree")
	if err != nil {
		return p, err
	}
	commit := []string{"commit-tree", tree, "-m", "The folder as it was " + time.Now().Format(time.DateTime)}
	if s.last != "" {
		commit = append(commit, "-p", s.last)
	}
	if p.Commit, err = run(commit...); err != nil {
		return p, err
	}
	cmd := exec.CommandContext(ctx, "git", append(at, "push", "--quiet", "--no-verify", s.remote, "+"+p.Commit+":"+forge.Snapshots+s.branch)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	said := &remoteLines{out: out, p: &p}
	cmd.Stderr = said
	if err := cmd.Run(); err != nil {
		return p, fmt.Errorf("git push: %w: %s", err, strings.Join(p.Log, "; "))
	}
	s.last = p.Commit
	return p, nil
}

// look refuses a tree without files, and says of one without a project that it is none: mostly another folder was meant.
func (s *snapshots) look(files []string) error {
	switch n := len(files) - 1; {
	case n < 1:
		return badRequest(fmt.Errorf("%s has no files: expected the folder of a project, such as dreamland new project makes", s.dir))
	case s.complaint != nil && s.last == "" && !slices.Contains(files, project.MonoFile) && !slices.Contains(files, project.RepositoryFile):
		fmt.Fprintf(s.complaint, "there is no %s here: %d files are published as they are\n", project.MonoFile, n)
	}
	return nil
}

// remoteLines passes on what a forge says, without git's words before it.
type remoteLines struct {
	out  io.Writer
	p    *Pushed
	part []byte
}

// Write implements io.Writer.
func (r *remoteLines) Write(data []byte) (int, error) {
	r.part = append(r.part, data...)
	for {
		line, rest, whole := bytes.Cut(r.part, []byte("\n"))
		if !whole {
			return len(data), nil
		}
		r.part = rest
		text := strings.TrimRight(strings.TrimPrefix(string(line), "remote: "), " \r")
		text = strings.TrimSuffix(text, "\x1b[K")
		if len(r.p.Log) < linesMax {
			r.p.Log = append(r.p.Log, text)
		}
		r.p.Published = r.p.Published || strings.HasPrefix(text, "published "+short(r.p.Commit))
		fmt.Fprintln(r.out, plainText(text))
	}
}
