package audit

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// lookAtProject reads what is live of a project as whoever serves it would: configuration and routes from one replica, and the assets out
// of the artifact, from hoarders.
func (a *auditor) lookAtProject(_ context.Context, env node.Env) {
	by, b := a.someone(env, tnsapi.Service), pick(a, a.whole.list)
	a.fetch(env, func(ctx context.Context) { a.askProject(ctx, env, by, b) })
}

// sweepProjects asks one replica about all projects.
func (a *auditor) sweepProjects(ctx context.Context, env node.Env, n int) {
	if len(a.whole.list) == 0 || !a.serves(env, tnsapi.Service) || !a.serves(env, hoarderapi.Service) {
		return
	}
	peers, _ := env.Wire.Directory().Lookup(tnsapi.Service)
	for _, b := range a.whole.list {
		a.askProject(ctx, env, peers[n%len(peers)], b)
	}
}

func (a *auditor) askProject(ctx context.Context, env node.Env, by transport.Peer, b tnsapi.BranchRequest) {
	began := env.Loop.Elapsed()
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, evidence.LookTimeout+transport.TransferTime(evidence.ArtifactMax))
	defer cancel()
	v, _, all, err := entriesAt(ctx, env, by, tnsapi.LookupRequest{Project: b.Project, Branch: b.Branch})
	if err != nil || v.Order == 0 {
		return // lookAtEntries asks for that, too
	}
	root, err := cid.Decode(v.Artifact)
	if err != nil {
		return
	}
	holders, err := hoarderapi.NewClient(env.Wire).Locate(ctx, v.Artifact)
	if err == nil {
		err = env.Blocks.Fetch(ctx, root, holders, evidence.ArtifactMax)
	}
	var bundle []byte
	if err == nil {
		bundle, err = env.Blocks.Read(ctx, root, evidence.ArtifactMax)
		_ = env.Blocks.Remove(root) // to be fetched again the next time
	}
	m := madeOf(all, bundle)
	answered(env, "project-told", by, began, err, append(versionFields(v), node.F("project", b.Project), node.F("branch", b.Branch),
		node.F("commits", m.commits), node.F("assets", m.assets), node.F("wrong", m.wrong(v)))...)
}

// made is what a version of a project consists of, by its own marks.
type made struct {
	commits, assets, missing string
	provenance               build.Provenance
}

// commitMark is what fixtures put into all that is another one with each commit.
var commitMark = regexp.MustCompile(`made-of-commit-([^~]+)~`)

func madeOf(all []tnsapi.Entry, bundle []byte) (m made) {
	commits, hashes := map[string]bool{}, map[string]string{}
	marks := func(in []byte) {
		for _, found := range commitMark.FindAllSubmatch(in, -1) {
			commits[string(found[1])] = true
		}
	}
	for _, e := range all {
		target, is := strings.CutPrefix(e.Path, build.AssetsPrefix)
		switch {
		case is:
			a, err := build.DecodeAsset(e.Value)
			asset, whole := build.Cut(bundle, a)
			if err != nil || !whole {
				m.missing = target
				continue
			}
			hashes[target] = a.Hash
			marks(asset)
		case e.Path == build.ProvenancePath:
			m.provenance, _ = build.DecodeProvenance(e.Value) // it says nothing then, which is wrong
		default:
			marks(e.Value)
		}
	}
	m.commits, m.assets = strings.Join(slices.Sorted(maps.Keys(commits)), " "), evidence.AssetsDigest(hashes)
	return m
}

// wrong says how a version contradicts itself, "" if it does not.
func (m made) wrong(v tnsapi.Version) string {
	p := m.provenance
	switch {
	case m.missing != "":
		return "the asset of " + m.missing + " is not in its artifact"
	case p.Commit != v.Commit || p.Branch != v.Branch:
		return fmt.Sprintf("its provenance is about commit %q of branch %q", p.Commit, p.Branch)
	case v.Rollback == 0 && (p.Job != v.Job || p.Attempt != v.Token.Attempt || p.Builder != v.Token.Holder.String()):
		return fmt.Sprintf("its provenance is about attempt %d of %s at job %s", p.Attempt, p.Builder, p.Job)
	}
	return ""
}
