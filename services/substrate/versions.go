package substrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/substrate/site"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const (
	// readersMax is how many versions are read at once.
	readersMax = 8
	// readAgain is the pause before a version that could not be read is read again.
	readAgain = time.Second
)

// release is a version as it is served. But for what is loaded of it, it does not change.
type release struct {
	version tnsapi.Version
	claims  []route.Claim
	targets map[string]*target
	root    storage.CID // of the bundle
	size    int64       // of what the version says, in bytes

	loading *gate // nil: nobody loads it
	failed  error // why the last try came to nothing, until then
	again   time.Duration
	bundle  *bundle // nil: it is not here
}

// target is a website or function of a release.
type target struct {
	release  *release
	path     string
	asset    *build.Asset // nil: nothing was built
	website  *project.Website
	function *project.Function
	site     *site.Site // of a website, when the bundle is here
	reading  *reading   // of a function's module, while it is read
	asked    bool       // a function was asked for, in this version or the one before
}

// nameOf is what a branch of a project is kept as: the one in production as the project, which comes before the others.
func (s *Service) nameOf(project, branch string) string {
	if branch == s.settings.Branch {
		return project
	}
	return project + "\x00" + branch
}

// follow keeps up with what is published.
func (s *Service) follow(ctx context.Context) {
	_ = s.tns.Follow(ctx, "", func(changed []tnsapi.Version, whole bool) {
		for _, v := range changed {
			name := s.nameOf(v.Project, v.Branch)
			s.wanted[name] = v
			s.noted[name] = true
		}
		s.told = s.told || whole
		s.read()
	})
}

// read starts as many readers as there may be.
func (s *Service) read() {
	for _, p := range slices.Sorted(maps.Keys(s.noted)) {
		if s.reading == readersMax {
			return
		}
		delete(s.noted, p)
		s.reading++
		s.env.Loop.Go("substrate read", func(ctx context.Context) {
			err := s.take(ctx, p)
			s.reading--
			if err != nil {
				s.env.Log.Debug("a version is not served yet", "project", s.wanted[p].Project, "branch", s.wanted[p].Branch, "err", err)
				s.env.Loop.AfterFunc(readAgain, func() { s.noted[p] = true; s.read() })
			}
			s.read()
		})
	}
	s.complete = s.complete || s.told && s.reading == 0 && len(s.noted) == 0
}

// take serves the newest version of a branch. What can be answered now is answered by the old one until the new one can.
func (s *Service) take(ctx context.Context, name string) error {
	v, entries, err := s.tns.Contents(ctx, s.wanted[name].Project, s.wanted[name].Branch, "")
	if err != nil {
		return err
	}
	if v.Compare(s.wanted[name]) < 0 {
		return fmt.Errorf("another replica has named a newer one")
	}
	if old := s.projects[name]; old != nil && old.version.Compare(v) == 0 {
		return nil
	}
	var r *release
	if err := clock.Offload(ctx, s.env.Loop, func() { r, err = newRelease(v, entries) }); err != nil {
		return err
	}
	if err != nil { // what tns has is whole: it will not get better
		s.env.Log.Warn("a version cannot be served", "project", v.Project, "branch", v.Branch, "commit", v.Commit, "err", err)
		s.env.Observe("version-refused", node.F("project", v.Project), node.F("commit", v.Commit), node.F("why", err.Error()))
		return nil
	}
	old := s.projects[name]
	if old != nil && old.bundle != nil && !old.bundle.gone {
		if err := s.load(ctx, r); err != nil {
			return err
		}
	}
	if err := s.ready(ctx, old, r); err != nil {
		return err
	}
	if err := beforeSwap.Hit(ctx, s.env); err != nil {
		return err
	}
	if err := s.swap(name, r); err != nil {
		return err
	}
	s.warm(name)
	return nil
}

// newRelease reads what a version says.
func newRelease(v tnsapi.Version, entries []tnsapi.Entry) (*release, error) {
	r := &release{version: v, targets: map[string]*target{}}
	if v.Artifact != "" {
		root, err := cid.Decode(v.Artifact)
		if err != nil {
			return nil, fmt.Errorf("the artifact: %w", err)
		}
		r.root = root
	}
	for _, e := range entries {
		r.size += int64(len(e.Path) + len(e.Value))
		if err := r.add(e); err != nil {
			return nil, err
		}
	}
	for path, t := range r.targets {
		if t.website == nil && t.function == nil {
			delete(r.targets, path) // an asset of nothing
		}
	}
	return r, nil
}

func (r *release) target(path string) *target {
	if r.targets[path] == nil {
		r.targets[path] = &target{release: r, path: path}
	}
	return r.targets[path]
}

func (r *release) add(e tnsapi.Entry) error {
	of, isAsset := strings.CutPrefix(e.Path, build.AssetsPrefix)
	switch kind := project.KindOf(e.Path); {
	case isAsset:
		a, err := build.DecodeAsset(e.Value)
		if err != nil || a.Offset < 0 || a.Size < 0 || a.Offset > build.BundleLenMax || a.Size > build.BundleLenMax-a.Offset {
			return fmt.Errorf("%s does not lie in a bundle", e.Path)
		}
		r.target(of).asset = &a
	case strings.HasPrefix(e.Path, project.RoutesPrefix):
		claims, err := project.DecodeRoutes(e.Path, e.Value)
		if err != nil {
			return err
		}
		r.claims = append(r.claims, claims...)
	case kind == "websites":
		w, err := project.DecodeWebsite(e.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		r.target(e.Path).website = &w
	case kind == "functions":
		f, err := project.DecodeFunction(e.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		r.target(e.Path).function = &f
	}
	return nil
}

// swap serves a release in place of the project's old one, in one turn. Requests that the old one has go on with it.
func (s *Service) swap(name string, r *release) error {
	old := s.projects[name]
	if old != nil && old.version.Compare(r.version) >= 0 {
		return nil // a newer one was faster
	}
	size := r.size
	if old != nil {
		size -= old.size
	}
	if s.tableLen+size > s.settings.TableSize {
		s.env.Log.Warn("no room for what a project says of its routes: raise table-size, or run more substrates", "project", r.version.Project, "branch", r.version.Branch)
		return transport.New(transport.Refused, "swap", "the table is full")
	}
	s.tableLen += size
	s.projects[name] = r
	hosts := map[string]bool{}
	if old != nil {
		s.claim(name, old, hosts, false)
	}
	s.claim(name, r, hosts, true)
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		s.decide(host)
	}
	if old != nil && old.bundle != nil && old.bundle != r.bundle {
		s.retire(old.bundle)
	}
	s.env.Observe("version-served", node.F("project", r.version.Project), node.F("branch", r.version.Branch), node.F("commit", r.version.Commit),
		node.F("order", r.version.Order), node.F("rollback", int64(r.version.Rollback)))
	return nil
}

// claim notes who claims which hosts, and which hosts there are.
func (s *Service) claim(name string, r *release, hosts map[string]bool, on bool) {
	for _, c := range r.claims {
		hosts[c.Host] = true
		if s.byHost[c.Host] == nil {
			s.byHost[c.Host] = map[string]bool{}
		}
		if on {
			s.byHost[c.Host][name] = true
		} else {
			delete(s.byHost[c.Host], name)
		}
	}
}

// decide makes the tree of a host anew, from all who claim it.
func (s *Service) decide(host string) {
	s.table.Drop(host)
	if len(s.byHost[host]) == 0 {
		delete(s.byHost, host)
		return
	}
	if !s.owners.known && s.contested(host) {
		return // nobody is served at it until it is known whose it is
	}
	var claimants []route.Claimant
	for _, name := range slices.Sorted(maps.Keys(s.byHost[host])) {
		c := route.Claimant{Project: name}
		for _, claim := range s.projects[name].claims {
			if claim.Host == host {
				c.Claims = append(c.Claims, claim)
			}
		}
		claimants = append(claimants, s.ranked(c, host))
	}
	owned, _ := route.Decide(claimants)
	for _, name := range slices.Sorted(maps.Keys(owned)) {
		for _, claim := range owned[name] {
			if t := s.projects[name].targets[claim.Target]; t != nil {
				s.table.Add(claim, t)
			}
		}
	}
}
