package up

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/source"
	claims "github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// deliverer hands what was pushed to the cloud: a branch by a webhook, a snapshot as tau push does.
type deliverer struct {
	u     *Universe
	git   *source.Git
	hooks hooks
}

func newDeliverer(u *Universe) (*deliverer, error) {
	scratch := filepath.Join(u.place.dir, "tmp")
	if err := errors.Join(os.RemoveAll(scratch), os.MkdirAll(scratch, 0o700)); err != nil {
		return nil, err
	}
	git, err := source.FindGit(scratch)
	if err != nil {
		return nil, err
	}
	git.Files, git.Within = true, time.Minute
	return &deliverer{u: u, git: git, hooks: hooks{u: u, known: map[string]string{}}}, nil
}

// Deliver implements forge.Deliverer.
func (d *deliverer) Deliver(ctx context.Context, m forge.Moved) (string, error) {
	if err := patrickapi.CheckName("branch", m.Branch); err != nil {
		return "", forge.Refused(err)
	}
	if !m.Snapshot {
		return d.deliverHook(ctx, m)
	}
	tree, err := d.tree(ctx, m)
	if err != nil {
		return "", err
	}
	var resp taulive.PushResponse
	err = d.u.ask(ctx, []string{"patrick"}, "push", taulive.PushRequest{Project: m.Project, Repository: m.Project, Branch: m.Branch, Commit: m.Commit, Tree: tree}, nil, &resp)
	var f *taulive.Failure
	if errors.As(err, &f) && (f.Bad || f.Unknown) {
		return "", forge.Refused(err)
	}
	return resp.Job, err
}

// tree is that of the commit, encoded.
func (d *deliverer) tree(ctx context.Context, m forge.Moved) ([]byte, error) {
	dir, err := os.MkdirTemp(d.git.Scratch, "tree-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	into, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer into.Close()
	if _, err := d.git.Fetch(ctx, source.Request{URL: "file://" + m.Repository, Commit: m.Commit}, into); err != nil {
		var e *source.Error
		if errors.As(err, &e) && (e.Kind == source.Failed || e.Kind == source.Missing) {
			return nil, err
		}
		return nil, forge.Refused(err)
	}
	return readTree(into.FS())
}

// readTree reads the files of a tree that has been checked.
func readTree(from fs.FS) ([]byte, error) {
	var t patrickapi.Tree
	size := 0
	err := fs.WalkDir(from, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if size += int(info.Size()); size > patrickapi.TreeLenMax {
			return forge.Refused(fmt.Errorf("the tree has more than %d KiB, which is as much as can be pushed so far", patrickapi.TreeLenMax>>10))
		}
		data, err := fs.ReadFile(from, name)
		t.Files = append(t.Files, patrickapi.File{Path: name, Data: data})
		return err
	})
	if err != nil {
		return nil, err
	}
	raw := t.Encode()
	if _, err := patrickapi.DecodeTree(raw); err != nil {
		return nil, forge.Refused(err)
	}
	return raw, nil
}

// Follow implements forge.Deliverer.
func (d *deliverer) Follow(ctx context.Context, m forge.Moved, job string, say func(string)) {
	say(fmt.Sprintf("building %s of %s, branch %s: job %s", short(m.Commit), m.Project, m.Branch, job))
	told := ending{}
	end, err := d.u.follow(ctx, job, func(line string) {
		told.hear(line)
		say(line)
	})
	switch {
	case err != nil:
		say("the log ends here: " + err.Error() + "; dreamland logs -f " + job)
	case end.Status != patrickapi.Success.String():
		for _, line := range told.rest(end.Status, end.Error) {
			say(line)
		}
	default:
		say(d.u.published(ctx, branchIn{m.Project, m.Branch}, m.Commit))
	}
}

// ending is what a log has said of how its job has ended: a builder's last lines are why it has failed.
type ending struct{ last string }

func (e *ending) hear(line string) {
	if strings.HasPrefix(line, patrickapi.Failed.String()+": ") {
		e.last = line
	}
}

// rest are the lines that say how it has ended, none if the log has said it.
func (e *ending) rest(status, why string) []string {
	lines := strings.Split(strings.TrimSuffix(status+": "+why, ": "), "\n")
	if e.last != "" && (strings.HasPrefix(lines[0], e.last) || strings.HasPrefix(e.last, lines[0])) {
		return nil
	}
	return lines
}

// published is the last line of a push that has come through: with the URL, when that answers with it.
func (u *Universe) published(ctx context.Context, b branchIn, commit string) string {
	text := fmt.Sprintf("published %s of %s, branch %s", short(commit), b.Project, b.Branch)
	refs, _ := u.forge.Refs(ctx, b.Project) // without them the branch has its usual name
	switch {
	case u.front == nil:
		return text + " (no node of this universe runs gateway; dreamland versions " + b.Project + ")"
	case !u.front.served(ctx, b, commit):
		return text + "; it is not served yet: " + u.url(b.Project, b.Branch, refs)
	}
	c, _ := u.front.claims(ctx, b) // without them: the root
	return text + ": " + strings.TrimSuffix(u.url(b.Project, b.Branch, refs), "/") + firstPath(c.Claims)
}

// firstPath is one at which a browser sees something: the root, if anything answers it, else the first that a GET without parameters
// finds; the root where there is none.
func firstPath(list []claims.Claim) string {
	if _, _, is := claims.Best(list, hostOf(list), http.MethodGet, "/"); is {
		return "/"
	}
	for _, c := range list {
		if slices.Contains(c.Methods, http.MethodGet) && strings.HasPrefix(c.Path, "/") && !strings.ContainsAny(c.Path, "{*") {
			return c.Path
		}
	}
	return "/"
}

// hostOf is the host of the first claim, "" without any.
func hostOf(list []claims.Claim) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].Host
}

func short(commit string) string { return commit[:min(len(commit), 10)] }

const (
	// followEvery is how often a job is looked at that somebody follows; linesMax how many of its last lines are compared with those
	// that were told.
	followEvery = 120 * time.Millisecond
	linesMax    = 4096
	// followPatience is for how long nobody may answer.
	followPatience = 30 * time.Second
	// idlePatience is for how long nobody may build before whoever waits is told.
	idlePatience = 2 * time.Second
)

// builds says whether a node is up that builds.
func (u *Universe) builds() bool {
	return slices.ContainsFunc(u.members, func(m *member) bool {
		state, _, _, _ := m.is()
		return m.runs("monkey") && state == stateUp
	})
}

// follow tells the lines of a job's log as they come, until it has ended.
func (u *Universe) follow(ctx context.Context, job string, say func(string)) (end taulive.Job, err error) {
	var told []string
	for answered, idle := time.Now(), time.Now(); ; {
		if u.builds() {
			idle = time.Now()
		} else if !idle.IsZero() && time.Since(idle) > idlePatience {
			say("nobody builds: no node that runs monkey is up (dreamland status shows them, dreamland start NODE starts one); this goes on then")
			idle = time.Time{} // it is said once
		}
		var log taulive.LogResponse
		err := u.ask(ctx, []string{"patrick"}, "log", nil, taulive.LogRequest{Job: job}, &log)
		var f *taulive.Failure
		switch {
		case err == nil:
			answered = time.Now()
			for _, line := range unheard(told, log.Lines) {
				say(line)
				told = append(told, line)
			}
			told = told[max(0, len(told)-linesMax):]
		case ctx.Err() != nil:
			return end, ctx.Err()
		case errors.As(err, &f) && (f.Bad || f.Unknown), time.Since(answered) > followPatience:
			return end, err
		}
		if err == nil && log.Final {
			return u.job(ctx, job)
		}
		select {
		case <-ctx.Done():
			return end, ctx.Err()
		case <-u.over:
			return end, errEnded
		case <-time.After(followEvery):
		}
	}
}

// unheard are the lines that come after those that were told: of a log that has grown, or of which only the end is known, or that
// another attempt has begun anew.
func unheard(told, now []string) []string {
	for n := min(len(told), len(now)); n > 0; n-- {
		if slices.Equal(told[len(told)-n:], now[:n]) {
			return now[n:]
		}
	}
	return now
}

func (u *Universe) job(ctx context.Context, id string) (j taulive.Job, err error) {
	var list []taulive.Job
	err = u.ask(ctx, []string{"patrick"}, "jobs", nil, taulive.JobsRequest{Job: id}, &list)
	if err == nil && len(list) == 1 {
		j = list[0]
	}
	return j, err
}

// isFailure reports whether a node has answered that it does not do what it was asked: another one would not either, unless it
// is this one that has not started yet.
func isFailure(err error) bool {
	var f *taulive.Failure
	return errors.As(err, &f) && !f.Starting
}
