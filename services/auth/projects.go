package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// commit applies a batch with its entry in the audit, and makes it durable.
func (s *Service) commit(ctx context.Context, batch *storage.Batch, by transport.Peer, what, project, object string) (copies int, err error) {
	if err := s.store.Apply(batch); err != nil {
		return 0, err
	}
	if err := s.audit(by, what, project, object); err != nil {
		return 0, err
	}
	if copies, err = s.replicate(ctx); err != nil {
		return 0, err
	}
	s.env.Observe(what, node.F("project", project), node.F("object", object), node.F("copies", copies), node.F("by", by))
	return copies, nil
}

func (s *Service) putProject(ctx context.Context, from transport.Peer, req authapi.Named) (resp authapi.Done, err error) {
	op := authapi.ProjectPut.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	if err := project.CheckIdentifier(req.Name); err != nil {
		return resp, transport.New(transport.Invalid, op, err.Error())
	}
	if s.has(projectKey(req.Name)) {
		resp.Copies, err = s.replicate(ctx)
		return resp, err
	}
	if len(s.store.Entries(storage.K(projectPart))) >= authapi.ProjectsMax {
		return resp, transport.New(transport.Conflict, op, "there are too many projects")
	}
	batch := new(storage.Batch).Put(projectKey(req.Name), transport.Encode(authapi.Project{Name: req.Name, Made: s.env.Loop.Now().Unix()}))
	resp.Copies, err = s.commit(ctx, batch, from, "project-made", req.Name, req.Name)
	return resp, err
}

func (s *Service) has(k storage.Key) bool {
	_, err := s.store.Get(k)
	return err == nil
}

func (s *Service) listProjects(_ context.Context, _ transport.Peer, req authapi.PageRequest) (resp authapi.ProjectsResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	resp.List, resp.More = page(records[authapi.Project](s, projectPart), func(p authapi.Project) bool { return p.Name > req.After })
	return resp, nil
}

// records are the values below a part of the store, by their keys; those that cannot be read are left out.
func records[T any](s *Service, part string) (list []T) {
	for _, e := range s.store.Entries(storage.K(part)) {
		var r T
		if transport.Decode(e.Value, &r) == nil {
			list = append(list, r)
		}
	}
	return list
}

// page is a page of those records that are asked for, in order. more: there are others behind it.
func page[T any](list []T, asked func(T) bool) (some []T, more bool) {
	for _, r := range list {
		if !asked(r) {
			continue
		}
		if len(some) == authapi.RecordPageMax {
			return some, true
		}
		some = append(some, r)
	}
	return some, false
}

func (s *Service) deleteProject(ctx context.Context, from transport.Peer, req authapi.Named) (resp authapi.Done, err error) {
	op := authapi.ProjectDelete.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	if !s.has(projectKey(req.Name)) {
		return resp, transport.New(transport.NotFound, op, "this auth knows of no such project")
	}
	if slices.ContainsFunc(s.repositories(), func(r authapi.Repository) bool { return r.Project == req.Name }) {
		return resp, transport.New(transport.Conflict, op, "it has repositories: delete them first")
	}
	batch := new(storage.Batch).Delete(projectKey(req.Name))
	s.dropSecrets(batch, req.Name, authapi.Kind.OfProject)
	for _, d := range s.domains() {
		if d.Project == req.Name {
			batch.Delete(domainKey(d.Host))
			s.dropCertificates(batch, d.Host)
		}
	}
	resp.Copies, err = s.commit(ctx, batch, from, "project-deleted", req.Name, req.Name)
	return resp, err
}

// repositories lists them, by name.
func (s *Service) repositories() []authapi.Repository {
	return records[authapi.Repository](s, repositoryPart)
}

// repository finds one by its name. NotFound: this auth knows of none.
func (s *Service) repository(op, name string) (r authapi.Repository, err error) {
	raw, err := s.store.Get(repositoryKey(name))
	if err != nil || transport.Decode(raw, &r) != nil {
		return r, transport.New(transport.NotFound, op, "this auth knows of no such repository")
	}
	return r, nil
}

func (s *Service) putRepository(ctx context.Context, from transport.Peer, r authapi.Repository) (resp authapi.RepositoryResponse, err error) {
	op := authapi.RepositoryPut.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	if err := authapi.CheckRepository(r); err != nil {
		return resp, err
	}
	if !s.has(projectKey(r.Project)) {
		return resp, transport.New(transport.Conflict, op, "there is no project of this name: make it first")
	}
	what := "repository-changed"
	switch was, err := s.repository(op, r.Name); {
	case err == nil && was.Project != r.Project:
		return resp, transport.New(transport.Conflict, op, "another project has a repository of this name")
	case err == nil:
		r.Hook, r.Made = was.Hook, was.Made
	case len(s.repositories()) >= authapi.RepositoriesMax:
		return resp, transport.New(transport.Conflict, op, "there are too many repositories")
	default:
		what, r.Made = "repository-made", s.env.Loop.Now().Unix()
		r.Hook = hookOf(r.Name, s.env.Self, s.env.Loop.Now().UnixNano())
	}
	batch := new(storage.Batch).Put(repositoryKey(r.Name), transport.Encode(r)).Put(hookKey(r.Hook), []byte(r.Name))
	resp.Repository = r
	resp.Copies, err = s.commit(ctx, batch, from, what, r.Project, r.Name)
	return resp, err
}

// hookOf names a webhook. It differs for each repository that ever was, so that a hook of one that was deleted is not that of another
// one of the same name. It is no secret.
func hookOf(name string, by transport.Peer, at int64) string {
	sum := sha256.Sum256(transport.Encode([]any{"tau hook", name, by, at}))
	return hex.EncodeToString(sum[:16])
}

func (s *Service) listRepositories(_ context.Context, _ transport.Peer, req authapi.PageRequest) (resp authapi.RepositoriesResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	resp.List, resp.More = page(s.repositories(), func(r authapi.Repository) bool {
		return r.Name > req.After && (req.Project == "" || r.Project == req.Project)
	})
	return resp, nil
}

func (s *Service) deleteRepository(ctx context.Context, from transport.Peer, req authapi.Named) (resp authapi.Done, err error) {
	op := authapi.RepositoryDelete.Name
	if err := s.Ready(); err != nil {
		return resp, err
	}
	r, err := s.repository(op, req.Name)
	if err != nil {
		return resp, err
	}
	batch := new(storage.Batch).Delete(repositoryKey(r.Name)).Delete(hookKey(r.Hook))
	s.dropSecrets(batch, r.Name, func(kind authapi.Kind) bool { return !kind.OfProject() })
	resp.Copies, err = s.commit(ctx, batch, from, "repository-deleted", r.Project, r.Name)
	return resp, err
}
