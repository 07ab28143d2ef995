package monkey

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// A project may be kept in several repositories. A job is of a commit of one of them; of the others goes in what their forges have now, so that
// the newest job of a branch, whichever repository it is of, has the newest of all: a push that comes later makes a job that is newer.

// gathered is what an attempt builds.
type gathered struct {
	tree    patrickapi.Tree
	secrets map[string]string
	// places and commits are of the project's other repositories.
	places  build.Places
	commits map[string]string
}

// gather adds what is in the project's other repositories to the tree of the job's own one.
func (s *Service) gather(ctx context.Context, l *lock, book *logbook, from authapi.SourceResponse, own patrickapi.Tree) (g gathered, err error) {
	g.tree, g.secrets = own, from.Secrets
	if len(from.Parts) == 0 && from.Repository.Holds.Configures() {
		return g, nil
	}
	from.Parts = append(from.Parts, authapi.Part{Repository: from.Repository, Keys: from.Keys})
	j := joining{service: s, lock: l, book: book, from: from, trees: map[ofBranch][]build.File{}, commits: map[string]string{}}
	if l.job.Commit != patrickapi.NoCommit {
		j.trees[ofBranch{from.Repository.Name, l.job.Branch}] = files(own)
	}
	joined, err := j.join(ctx)
	if err != nil {
		return g, err
	}
	g.tree, g.places, g.commits = treeOf(joined), j.places, j.commits
	size := 0
	for _, f := range joined {
		size += len(f.Data)
	}
	if len(joined) > FetchedFilesMax || size > FetchedLenMax {
		return g, UserError(fmt.Sprintf("the project's repositories have %d files and %d MiB together, at most %d and %d are built", len(joined), size>>20, FetchedFilesMax, FetchedLenMax>>20))
	}
	return g, nil
}

// ofBranch is a branch of a repository.
type ofBranch struct{ repository, branch string }

// joining makes one tree of a project's repositories.
type joining struct {
	service *Service
	lock    *lock
	book    *logbook
	from    authapi.SourceResponse
	// trees are of the branches of repositories that were fetched, commits of those but the job's own.
	trees   map[ofBranch][]build.File
	commits map[string]string
	places  build.Places
}

func (j *joining) join(ctx context.Context) ([]build.File, error) {
	configuration, err := j.configuration(ctx)
	if err != nil {
		return nil, err
	}
	wants, err := j.wants(ctx, configuration)
	if err != nil {
		return nil, err
	}
	var code, resources []build.Part
	for _, r := range j.repositories() {
		if r.Holds == build.FunctionCode {
			part, err := j.part(ctx, r, j.lock.job.Branch)
			if err != nil {
				return nil, err
			}
			code = append(code, part)
		}
	}
	j.places = build.Places{}
	names := map[ofBranch]string{} // of the folders that they are in
	for _, want := range wants {
		r, known := j.at(want)
		if !known {
			j.book.line(fmt.Sprintf("%s: its repository %s is none that auth knows of in this project, so it is left out", want.Ref, want.Where()))
			continue
		}
		at := ofBranch{r.Name, cmp.Or(want.Branch, j.lock.job.Branch)}
		name, placed := names[at]
		if !placed {
			name = r.Name
			if slices.ContainsFunc(resources, func(p build.Part) bool { return p.Name == r.Name }) {
				name = fmt.Sprintf("%s@%d", r.Name, len(names)) // another branch of it
			}
			part, err := j.part(ctx, r, at.branch)
			if err != nil {
				return nil, err
			}
			part.Name, names[at] = name, name
			resources = append(resources, part)
		}
		j.places.Place(want, name)
	}
	joined, err := build.Join(configuration, code, resources)
	if err != nil {
		return nil, UserError(err.Error())
	}
	return joined, nil
}

// repositories are all of the project.
func (j *joining) repositories() []authapi.Repository {
	list := make([]authapi.Repository, 0, len(j.from.Parts))
	for _, p := range j.from.Parts {
		list = append(list, p.Repository)
	}
	return list
}

// configuration is the part that says what the project is.
func (j *joining) configuration(ctx context.Context) (build.Part, error) {
	var found []authapi.Repository
	for _, r := range j.repositories() {
		if r.Holds.Configures() {
			found = append(found, r)
		}
	}
	name := j.from.Repository.Project
	switch {
	case len(found) == 0:
		return build.Part{}, UserError(fmt.Sprintf("auth knows of no repository with the configuration of project %s: tau auth repository add NAME --project %s --holds configuration", name, name))
	case len(found) > 1:
		return build.Part{}, UserError(fmt.Sprintf("the repositories %s and %s both hold the configuration of project %s: one must hold something else (--holds), or go", found[0].Name, found[1].Name, name))
	}
	return j.part(ctx, found[0], j.lock.job.Branch)
}

// wants is what the configuration has in repositories of their own.
func (j *joining) wants(ctx context.Context, configuration build.Part) (list []build.Want, err error) {
	if left := clock.Offload(ctx, j.service.env.Loop, func() {
		fsys, wrong := build.FS(configuration.Files)
		if err = wrong; err != nil {
			return
		}
		loaded, wrong := project.Load(fsys)
		if err = wrong; err == nil {
			list = build.Wants(loaded.Project)
		}
	}); left != nil {
		return nil, left
	}
	if err != nil {
		return nil, UserError(err.Error())
	}
	return list, nil
}

// at finds the repository that is wanted.
func (j *joining) at(want build.Want) (authapi.Repository, bool) {
	for _, r := range j.repositories() {
		if r.Holds == build.Resource && want.At(r.URL, r.At()) {
			return r, true
		}
	}
	return authapi.Repository{}, false
}

// part is a repository as it goes in: the job's own at the job's commit, another one where its branch is now.
func (j *joining) part(ctx context.Context, r authapi.Repository, branch string) (build.Part, error) {
	at := ofBranch{r.Name, branch}
	if tree, have := j.trees[at]; have {
		return build.Part{Name: r.Name, Files: tree}, nil
	}
	for _, p := range j.from.Parts {
		if p.Repository.Name != r.Name {
			continue
		}
		tree, commit, err := j.service.fetchHead(ctx, j.lock, j.book, p, branch)
		if err != nil {
			return build.Part{}, fmt.Errorf("repository %s: %w", r.Name, err)
		}
		j.book.line(fmt.Sprintf("with %s at %s", r.Name, commit))
		name := r.Name
		if _, have := j.commits[name]; have || r.Name == j.from.Repository.Name && branch != j.lock.job.Branch && j.lock.job.Commit != patrickapi.NoCommit {
			name += "@" + branch // of several branches each is named
		}
		j.trees[at], j.commits[name] = files(tree), commit
		return build.Part{Name: r.Name, Files: j.trees[at]}, nil
	}
	return build.Part{}, UserError("repository " + r.Name + " is not known")
}

// fetchHead gets what a repository has at a branch now, or, without such a branch, at the one that its forge shows first.
func (s *Service) fetchHead(ctx context.Context, l *lock, book *logbook, p authapi.Part, branch string) (tree patrickapi.Tree, commit string, err error) {
	err = s.insistAtForge(ctx, l, book, p.Keys, func(key []byte) (err error) {
		at := Source{URL: p.Repository.URL, Branch: branch, Key: key, KnownHosts: p.Repository.KnownHosts}
		if at.Commit, err = s.fetcher.Head(ctx, at); err != nil {
			return err
		}
		commit = at.Commit
		tree, err = s.fetcher.Fetch(ctx, at)
		return err
	})
	s.env.Observe("part-fetched", node.F("job", l.job.ID), node.F("attempt", l.token.Attempt), node.F("repository", p.Repository.Name), node.F("commit", commit), node.F("success", err == nil))
	return tree, commit, err
}

func files(t patrickapi.Tree) []build.File {
	list := make([]build.File, 0, len(t.Files))
	for _, f := range t.Files {
		list = append(list, build.File{Path: f.Path, Data: f.Data})
	}
	return list
}

func treeOf(list []build.File) (t patrickapi.Tree) {
	for _, f := range list {
		t.Files = append(t.Files, patrickapi.File{Path: f.Path, Data: f.Data})
	}
	return t
}
