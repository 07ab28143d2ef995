package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// lookAtCurrent asks one replica, or whoever answers, which version is live.
func (a *auditor) lookAtCurrent(ctx context.Context, env node.Env) {
	a.askCurrent(ctx, env, a.someone(env, tnsapi.Service), pick(a, a.branches.list))
}

func (a *auditor) askCurrent(ctx context.Context, env node.Env, by transport.Peer, b tnsapi.BranchRequest) {
	began := env.Loop.Elapsed()
	v, err := tnsapi.Current.Call(ctx, env.Wire, by, b)
	observeCurrent(env, "current-told", by, began, b, v, err)
}

// observeCurrent reports what is said to be live; an order of 0 means nothing.
func observeCurrent(env node.Env, fact string, by transport.Peer, began time.Duration, b tnsapi.BranchRequest, v tnsapi.Version, err error) {
	if transport.KindOf(err) == transport.NotFound {
		err = nil
	}
	answered(env, fact, by, began, err, append(versionFields(v), node.F("project", b.Project), node.F("branch", b.Branch))...)
}

func versionFields(v tnsapi.Version) []node.Field {
	return []node.Field{
		node.F("commit", v.Commit), node.F("job", v.Job), node.F("order", v.Order), node.F("rollback", int64(v.Rollback)), node.F("attempt", v.Token.Attempt),
		node.F("holder", v.Token.Holder), node.F("artifact", v.Artifact), node.F("count", v.Count),
	}
}

// lookAtHistory asks one replica for the versions that are kept.
func (a *auditor) lookAtHistory(ctx context.Context, env node.Env) {
	a.askHistory(ctx, env, a.someone(env, tnsapi.Service), pick(a, a.branches.list))
}

func (a *auditor) askHistory(ctx context.Context, env node.Env, by transport.Peer, b tnsapi.BranchRequest) tnsapi.Version {
	began := env.Loop.Elapsed()
	resp, err := tnsapi.History.Call(ctx, env.Wire, by, b)
	var newest tnsapi.Version
	if len(resp.Versions) > 0 {
		newest = resp.Versions[0]
	}
	observeCurrent(env, "current-told", by, began, b, newest, err)
	for _, v := range resp.Versions {
		env.Observe("version-told", append(versionFields(v), node.F("by", by), node.F("project", b.Project), node.F("branch", b.Branch))...)
	}
	answered(env, "history-told", by, began, err, node.F("project", b.Project), node.F("branch", b.Branch), node.F("versions", len(resp.Versions)),
		node.F("wrong", historyWrong(b, resp.Versions)))
	return newest
}

// historyWrong says what is wrong with a history in itself, "" if nothing is.
func historyWrong(b tnsapi.BranchRequest, list []tnsapi.Version) string {
	jobs := map[string]bool{}
	for i, v := range list {
		switch {
		case v.Project != b.Project || v.Branch != b.Branch:
			return fmt.Sprintf("a version of %s/%s", v.Project, v.Branch)
		case jobs[v.Job]:
			return "job " + v.Job + " is there twice"
		case i > 0 && v.Compare(list[i-1]) > 0:
			return "an older version comes before a newer one"
		}
		jobs[v.Job] = true
	}
	return ""
}

// lookAtEntries reads what is live: all of it, and a part.
func (a *auditor) lookAtEntries(ctx context.Context, env node.Env) {
	a.askEntries(ctx, env, a.someone(env, tnsapi.Service), pick(a, a.branches.list))
}

func (a *auditor) askEntries(ctx context.Context, env node.Env, by transport.Peer, b tnsapi.BranchRequest) {
	began := env.Loop.Elapsed()
	v, pin, all, err := entriesAt(ctx, env, by, tnsapi.LookupRequest{Project: b.Project, Branch: b.Branch})
	wrong := ""
	if err == nil && len(all) > 0 {
		wrong, err = a.partWrong(ctx, env, by, b, pin, all)
	}
	observeCurrent(env, "entries-told", by, began, b, v, err)
	if err == nil {
		env.Observe("entries-read", append(versionFields(v), node.F("by", by), node.F("project", b.Project), node.F("branch", b.Branch),
			node.F("entries", evidence.PublishedDigest(all)), node.F("read", len(all)), node.F("wrong", wrong))...)
	}
}

// partWrong reads a part of a version and compares it with all of it.
func (a *auditor) partWrong(ctx context.Context, env node.Env, by transport.Peer, b tnsapi.BranchRequest, pin string, all []tnsapi.Entry) (string, error) {
	prefix := all[a.IntN(len(all))].Path
	if a.IntN(2) == 0 {
		prefix = firstPart(prefix)
	}
	_, _, part, err := entriesAt(ctx, env, by, tnsapi.LookupRequest{Project: b.Project, Branch: b.Branch, Prefix: prefix, Pin: pin})
	if err != nil {
		return "", err
	}
	want := slices.DeleteFunc(slices.Clone(all), func(e tnsapi.Entry) bool {
		return e.Path != prefix && (len(e.Path) <= len(prefix) || e.Path[:len(prefix)+1] != prefix+"/")
	})
	if evidence.EntriesDigest(part) != evidence.EntriesDigest(want) {
		return fmt.Sprintf("below %q there are %d entries, and of all %d do lie there", prefix, len(part), len(want)), nil
	}
	return "", nil
}

func firstPart(path string) string {
	for i := range len(path) {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return path
}

// entriesAt reads all pages of one version from one replica.
func entriesAt(ctx context.Context, env node.Env, by transport.Peer, req tnsapi.LookupRequest) (v tnsapi.Version, pin string, all []tnsapi.Entry, err error) {
	for {
		page, err := tnsapi.Lookup.Call(ctx, env.Wire, by, req)
		if err != nil {
			return v, pin, nil, err
		}
		v, pin, all = page.Version, page.Pin, append(all, page.Entries...)
		if !page.More || len(page.Entries) == 0 {
			return v, pin, all, nil
		}
		req.Pin, req.After = pin, page.Entries[len(page.Entries)-1].Path
	}
}

// watch follows a branch for the rest of the run.
func (a *auditor) watch(ctx context.Context, env node.Env, b tnsapi.BranchRequest) {
	_ = tnsapi.NewClient(env.Wire).Watch(ctx, b.Project, b.Branch, func(v tnsapi.Version) { // it ends with the client
		env.Observe("watch-told", append(versionFields(v), node.F("project", b.Project), node.F("branch", b.Branch))...)
	})
}

// sweepBranches asks one replica about all branches, and fetches what is live.
func (a *auditor) sweepBranches(ctx context.Context, env node.Env, n int) {
	if !a.serves(env, tnsapi.Service) {
		return
	}
	peers, _ := env.Wire.Directory().Lookup(tnsapi.Service)
	by := peers[n%len(peers)]
	for _, b := range a.branches.list {
		var current tnsapi.Version
		_ = bounded(ctx, env, func(ctx context.Context) error {
			current = a.askHistory(ctx, env, by, b)
			a.askEntries(ctx, env, by, b)
			return nil
		})
		if current.Artifact != "" && a.serves(env, hoarderapi.Service) {
			a.fetchArtifact(ctx, env, current.Artifact)
		}
	}
}
