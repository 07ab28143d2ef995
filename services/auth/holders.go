package auth

import (
	"context"
	"fmt"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/deploykey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// What is given out here are secrets: to patricks those of webhooks and what opens a forge, to a monkey those of the job that it holds, to
// a substrate those of functions.

// hook serves what a webhook is of and is signed with.
func (s *Service) hook(ctx context.Context, _ transport.Peer, req authapi.Named) (resp authapi.HookResponse, err error) {
	op := authapi.Hook.Name
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	name, err := s.store.Get(hookKey(req.Name))
	if err != nil {
		return resp, transport.New(transport.NotFound, op, "this auth knows of no such webhook")
	}
	if resp.Repository, err = s.repository(op, string(name)); err != nil {
		return resp, err
	}
	secrets, err := s.values(ctx, authapi.SecretID{Kind: authapi.HookSecret, Owner: resp.Repository.Name})
	for _, secret := range secrets {
		resp.Secrets = append(resp.Secrets, string(secret))
	}
	return resp, err
}

// forge serves what a patrick asks a forge with.
func (s *Service) forge(ctx context.Context, _ transport.Peer, req authapi.Named) (resp authapi.ForgeResponse, err error) {
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	if resp.Repository, err = s.repository(authapi.Forge.Name, req.Name); err != nil {
		return resp, err
	}
	if resp.Keys, err = s.deployKeys(ctx, req.Name); err != nil {
		return resp, err
	}
	tokens, err := s.values(ctx, authapi.SecretID{Kind: authapi.StatusToken, Owner: req.Name})
	if len(tokens) > 0 {
		resp.Token = string(tokens[0])
	}
	return resp, err
}

// deployKeys are the private keys of a repository that count, newest first.
func (s *Service) deployKeys(ctx context.Context, repository string) (keys [][]byte, err error) {
	seeds, err := s.values(ctx, authapi.SecretID{Kind: authapi.DeployKey, Owner: repository})
	for _, seed := range seeds {
		pair, err := deploykey.New(seed, "tau-"+repository)
		if err != nil {
			return nil, err
		}
		keys = append(keys, pair.Private)
	}
	return keys, err
}

// source serves the holder of a job. Patricks say whether the caller is, and of which repository the job is: nothing that the caller
// says counts.
func (s *Service) source(ctx context.Context, from transport.Peer, req authapi.SourceRequest) (resp authapi.SourceResponse, err error) {
	op := authapi.Source.Name
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	if req.Token.Holder != from || !patrickapi.IsJobID(req.Job) {
		return resp, transport.New(transport.Conflict, op, "a monkey asks for the jobs that it holds")
	}
	job, err := s.patrick.Held(ctx, patrickapi.HeldRequest{Job: req.Job, Token: req.Token})
	if err != nil {
		return resp, err
	}
	if !job.Forge {
		return resp, transport.New(transport.Conflict, op, "the job was pushed by hand: it has no repository and no secrets")
	}
	r, err := s.repository(op, job.Repository)
	if err != nil {
		return resp, err
	}
	if r.Project != job.Project {
		return resp, transport.New(transport.Conflict, op, "the repository is another project's now")
	}
	resp.Repository = r
	if resp.Keys, err = s.deployKeys(ctx, r.Name); err != nil {
		return authapi.SourceResponse{}, err
	}
	if resp.Secrets, err = s.named(ctx, authapi.BuildSecret, r.Project); err != nil {
		return authapi.SourceResponse{}, err
	}
	if resp.Parts, err = s.parts(ctx, r); err != nil {
		return authapi.SourceResponse{}, err
	}
	s.env.Observe("source-given", node.F("job", req.Job), node.F("attempt", req.Token.Attempt), node.F("holder", from))
	return resp, nil
}

// parts are the other repositories that the versions of one are made of. To one that holds everything those of resources are added; two that
// both hold everything have nothing to do with each other.
func (s *Service) parts(ctx context.Context, of authapi.Repository) (list []authapi.Part, err error) {
	for _, r := range s.repositories() {
		if r.Project != of.Project || r.Name == of.Name || of.Holds == build.Everything && r.Holds != build.Resource {
			continue
		}
		if len(list) == authapi.PartsMax {
			return nil, transport.New(transport.Conflict, authapi.Source.Name, fmt.Sprintf("the project has more than %d repositories", authapi.PartsMax+1))
		}
		p := authapi.Part{Repository: r}
		if p.Keys, err = s.deployKeys(ctx, r.Name); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// functionSecrets serves who runs the functions of a project.
func (s *Service) functionSecrets(ctx context.Context, _ transport.Peer, req authapi.Named) (resp authapi.FunctionSecretsResponse, err error) {
	if err := s.vaultReady(); err != nil {
		return resp, err
	}
	resp.Secrets, err = s.named(ctx, authapi.FunctionSecret, req.Name)
	return resp, err
}

// named are the secrets of a kind that a project has, by name.
func (s *Service) named(ctx context.Context, kind authapi.Kind, project string) (map[string]string, error) {
	var all map[string]string
	for _, x := range s.secretsOf(project) {
		if _, have := all[x.id.Name]; have || x.id.Kind != kind {
			continue
		}
		values, err := s.values(ctx, x.id)
		if err != nil {
			return nil, err
		}
		if len(values) == 0 {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[x.id.Name] = string(values[0])
	}
	return all, nil
}
