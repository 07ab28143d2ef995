package monkey

import (
	"context"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// What did not change is not built once more: an asset is taken out of the version that is live, if its step has the same key and the
// same toolchain would carry it out. That is an attempt, bounded in time, which nothing depends on: whatever fails, the step is built.

const (
	// reuseTimeout bounds all that asking for the live version and fetching its artifact take.
	reuseTimeout = 20 * time.Second
	// reuseLenMax bounds the artifact as it is fetched, in bytes: a bundle, and what links its blocks.
	reuseLenMax = 2 * build.BundleLenMax
)

// earlier is what the version that is live has of assets.
type earlier struct {
	assets map[string]build.Asset // by key; those of toolchains that say their version
	root   cid.Cid
	bundle []byte // nil until it is fetched
	gone   bool   // it could not be
	until  time.Duration
	reused int
}

// earlierOf asks what is live of the branch of a job, if there is a step that can be spared.
func (s *Service) earlierOf(ctx context.Context, req Request, steps []build.Step) earlier {
	e := earlier{until: s.env.Loop.Elapsed() + reuseTimeout}
	if _, says := s.builder.(Toolchains); !says || len(req.Secrets) > 0 || !spared(steps) || s.env.Presence(tnsapi.Service) != transport.Somebody {
		return e // what secrets were built into an asset, its key does not say
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, reuseTimeout)
	defer cancel()
	live, err := s.tns.Current(ctx, req.Job.Project, req.Job.Branch)
	if err != nil {
		return e
	}
	if e.root, err = cid.Decode(live.Artifact); err != nil {
		return e
	}
	list, err := s.tns.Lookup(ctx, req.Job.Project, req.Job.Branch, strings.TrimSuffix(build.AssetsPrefix, "/"))
	if err != nil {
		return e
	}
	e.assets = map[string]build.Asset{}
	for _, entry := range list { // if they are of a newer version than the artifact, their hashes will not fit, and nothing is taken over
		if a, err := build.DecodeAsset(entry.Value); err == nil && a.Version != "" {
			e.assets[a.Key] = a
		}
	}
	return e
}

// spared reports whether some step is not made here anyway.
func spared(steps []build.Step) bool {
	for _, step := range steps {
		if step.Toolchain != build.Prebuilt && step.Toolchain != build.Static {
			return true
		}
	}
	return false
}

// reuse takes the asset of a step over.
func (s *Service) reuse(ctx context.Context, l *lock, e *earlier, step build.Step) (asset []byte, version string, ok bool) {
	a, known := e.assets[step.Key]
	if !known || a.Toolchain != step.Toolchain {
		return nil, "", false
	}
	if version, err := s.builder.(Toolchains).Toolchain(ctx, step); err != nil || version != a.Version {
		return nil, "", false
	}
	if e.bundle == nil && !e.gone {
		e.bundle = s.fetchBundle(ctx, l, e)
		e.gone = e.bundle == nil
	}
	asset, ok = build.Cut(e.bundle, a)
	if !ok {
		return nil, "", false
	}
	e.reused++
	s.env.Observe("asset-reused", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("target", step.Targets[0]))
	return asset, a.Version, true
}

// fetchBundle fetches the live artifact, nil if that fails or takes too long.
func (s *Service) fetchBundle(ctx context.Context, l *lock, e *earlier) []byte {
	if s.env.Presence(hoarderapi.Service) != transport.Somebody {
		return nil
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, max(0, e.until-s.env.Loop.Elapsed()))
	defer cancel()
	holders, err := s.hoarder.Locate(ctx, e.root.String())
	if err != nil {
		return nil
	}
	s.use(l, e.root)
	if err := s.env.Blocks.Fetch(ctx, e.root, holders, reuseLenMax); err != nil {
		return nil
	}
	bundle, err := s.env.Blocks.Read(ctx, e.root, build.BundleLenMax)
	if err != nil {
		return nil
	}
	return bundle
}
