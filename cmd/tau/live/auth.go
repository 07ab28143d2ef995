package live

import (
	"context"
	"encoding/json"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/transport"
)

// AuthRequest is what people have the auth of the node do about projects, repositories, secrets and tokens. It holds secrets.
type AuthRequest struct {
	// Do is what: a word of authDoes.
	Do          string
	Name        string                         `json:",omitempty"` // of a project, a repository, a host, an owner of secrets, a token
	Project     string                         `json:",omitempty"` // that a host is to be of
	Repository  *authapi.Repository            `json:",omitempty"`
	Secret      *authapi.SecretPutRequest      `json:",omitempty"`
	Revoke      *authapi.SecretRevokeRequest   `json:",omitempty"`
	Token       *token.Record                  `json:",omitempty"`
	Prove       *authapi.DomainProveRequest    `json:",omitempty"`
	Certificate *authapi.CertificatePutRequest `json:",omitempty"`
	Forget      bool                           `json:",omitempty"`
}

// auditShown is how many entries of the audit are shown.
const auditShown = 200

var authDoes = map[string]func(ctx context.Context, a *authapi.Client, req AuthRequest) (any, error){
	"project-add": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.PutProject(ctx, r.Name))
	},
	"projects": func(ctx context.Context, a *authapi.Client, _ AuthRequest) (any, error) { return a.Projects(ctx) },
	"project-remove": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.DeleteProject(ctx, r.Name))
	},
	"domain-add": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.PutDomain(ctx, r.Name, r.Project))
	},
	"domains": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return a.Domains(ctx, r.Name)
	},
	"domain-remove": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.DeleteDomain(ctx, r.Name))
	},
	"domain-prove": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		if r.Prove == nil {
			return nil, errIncomplete
		}
		return a.ProveDomain(ctx, *r.Prove)
	},
	"certificate-put": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		if r.Certificate == nil {
			return nil, errIncomplete
		}
		return a.PutCertificate(ctx, *r.Certificate)
	},
	"certificates": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return a.Certificates(ctx, r.Name)
	},
	"certificate-remove": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.DeleteCertificate(ctx, r.Name))
	},
	"repositories": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return a.Repositories(ctx, r.Name)
	},
	"repository-remove": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.DeleteRepository(ctx, r.Name))
	},
	"secrets": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return a.Secrets(ctx, r.Name)
	},
	"tokens": func(ctx context.Context, a *authapi.Client, _ AuthRequest) (any, error) { return a.Tokens(ctx) },
	"token-revoke": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return done(a.RevokeToken(ctx, r.Name))
	},
	"audit": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return a.Audit(ctx, r.Name, auditShown)
	},
	"vault": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		return a.ChangeVault(ctx, authapi.VaultRequest{Forget: r.Forget})
	},
	"repository-add": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		if r.Repository == nil {
			return nil, errIncomplete
		}
		return a.PutRepository(ctx, *r.Repository)
	},
	"secret-put": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		if r.Secret == nil {
			return nil, errIncomplete
		}
		return a.PutSecret(ctx, *r.Secret)
	},
	"secret-revoke": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		if r.Revoke == nil {
			return nil, errIncomplete
		}
		return done(a.RevokeSecret(ctx, r.Revoke.ID, r.Revoke.Version))
	},
	"token-create": func(ctx context.Context, a *authapi.Client, r AuthRequest) (any, error) {
		if r.Token == nil {
			return nil, errIncomplete
		}
		return done(a.CreateToken(ctx, *r.Token))
	},
}

var errIncomplete = transport.New(transport.Invalid, "auth", "the request is incomplete")

// done is the answer to what changes something.
func done(copies int, err error) (any, error) { return authapi.Done{Copies: copies}, err }

// manage has the auth of this node do something.
func (r *running) manage(ctx context.Context, req AuthRequest) (answer json.RawMessage, err error) {
	do := authDoes[req.Do]
	if do == nil {
		return nil, transport.New(transport.Invalid, "auth", "there is no such question")
	}
	err = r.auth(ctx, "auth", func(ctx context.Context, env node.Env) error {
		var got any
		if err := insist(ctx, env, func() (err error) {
			got, err = do(ctx, authapi.NewClient(env.Wire), req)
			return err
		}); err != nil {
			return err
		}
		answer, err = json.Marshal(got)
		return err
	})
	return answer, err
}
