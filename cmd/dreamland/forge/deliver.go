package forge

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// deliverAgain is the first pause after nobody could be told, deliverAgainMax the longest.
const (
	deliverAgain    = 500 * time.Millisecond
	deliverAgainMax = 15 * time.Second
)

// branch is a ref of a repository of which somebody is to be told. One delivery at a time, so that they are in order.
type branch struct{ turn sync.Mutex }

// delivery is a commit on its way to whoever builds it.
type delivery struct {
	done  chan struct{} // closed when the job is known, or will not be
	moved Moved
	job   string
	err   error
	tries chan error // the last reason why it was not taken yet
}

// deliver tells of where a ref is now, also if nobody watches. The one who watches is told how it goes until ctx ends.
func (f *Forge) deliver(project, dir, ref string) (watch func(ctx context.Context, say func(string))) {
	name, _ := buildable(ref)
	d := &delivery{done: make(chan struct{}), tries: make(chan error, 1), moved: Moved{Project: project, Branch: name, Repository: dir, Snapshot: strings.HasPrefix(ref, Snapshots)}}
	if !f.begin(func() { defer close(d.done); f.carry(d, ref) }) {
		d.err = errors.New("the universe ends: it is built when that runs again")
		close(d.done)
	}
	return func(ctx context.Context, say func(string)) { f.watch(ctx, d, say) }
}

// carry delivers where the ref is, unless that was delivered, until it is taken or refused.
func (f *Forge) carry(d *delivery, ref string) {
	f.mu.Lock()
	b := f.branches[d.moved.Repository+"\x00"+ref]
	if b == nil {
		b = &branch{}
		f.branches[d.moved.Repository+"\x00"+ref] = b
	}
	f.mu.Unlock()
	b.turn.Lock()
	defer b.turn.Unlock()
	for pause := deliverAgain; ; pause = min(2*pause, deliverAgainMax) {
		d.moved.Commit = f.at(f.ctx, d.moved.Repository, ref)
		if d.moved.Commit == "" {
			d.err = errors.New("the branch is gone, or is at no commit")
			return
		}
		d.job, d.err = f.cfg.Deliver.Deliver(f.ctx, d.moved)
		var refusal *refused
		if d.err == nil || errors.As(d.err, &refusal) {
			f.note(d.moved.Repository, ref, d.moved.Commit)
			return
		}
		if f.ctx.Err() != nil {
			return
		}
		f.cfg.Log.Warn("a push is not delivered yet", slog.String("project", d.moved.Project), slog.String("branch", d.moved.Branch), slog.String("error", d.err.Error()))
		select {
		case d.tries <- d.err:
		default:
		}
		select {
		case <-f.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// watch tells how a delivery goes.
func (f *Forge) watch(ctx context.Context, d *delivery, say func(string)) {
	for told := false; ; {
		select {
		case err := <-d.tries:
			if !told {
				say("not taken yet, it is tried again: " + err.Error())
				told = true
			}
			continue
		case <-ctx.Done():
			return
		case <-f.ctx.Done():
			return
		case <-d.done:
		}
		break
	}
	if d.err != nil {
		say("not built: " + d.err.Error())
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-f.ctx.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	f.cfg.Deliver.Follow(ctx, d.moved, d.job, say)
}

// note keeps which commit of a ref was delivered.
func (f *Forge) note(dir, ref, commit string) {
	if _, err := f.git(context.WithoutCancel(f.ctx), dir, "update-ref", "--end-of-options", delivered+strings.TrimPrefix(ref, "refs/"), commit); err != nil {
		f.cfg.Log.Warn("it is not noted that a push was delivered: it is again at the next start", slog.String("error", err.Error()))
	}
}

func (f *Forge) forget(dir, ref string) {
	_, _ = f.git(context.WithoutCancel(f.ctx), dir, "update-ref", "-d", "--end-of-options", delivered+strings.TrimPrefix(ref, "refs/"))
}

// Resume delivers what has moved and was not delivered when the last forge ended.
func (f *Forge) Resume() {
	for _, project := range f.Projects() {
		dir, _ := f.dir(project)
		out, err := f.git(f.ctx, dir, "for-each-ref", "--format=%(refname) %(objectname)", heads, Snapshots, delivered)
		if err != nil {
			f.cfg.Log.Warn("a repository cannot be read", slog.String("project", project), slog.String("error", err.Error()))
			continue
		}
		at := map[string]string{}
		for line := range strings.Lines(out) {
			ref, commit, _ := strings.Cut(strings.TrimSpace(line), " ")
			at[ref] = commit
		}
		for ref, commit := range at {
			if _, is := buildable(ref); is && at[delivered+strings.TrimPrefix(ref, "refs/")] != commit {
				f.deliver(project, dir, ref)
			}
		}
	}
}
