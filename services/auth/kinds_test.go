package auth

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// What a job of a project needs is its other repositories, too, as many as versions are made of.
func TestPartsOfAProject(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			put := func(name, of string, holds build.Holds) {
				r := deskSite
				r.Name, r.Project, r.Holds = name, of, holds
				require.NoError(t, storage.Put(s.store, repositoryKey(name), transport.Encode(r)))
			}
			put("a-code", "shop", build.FunctionCode)
			put("b-site", "shop", build.Resource)
			put("c-other", "empty", build.Resource)
			parts := func(of authapi.Repository) []string {
				list, err := s.parts(ctx, of)
				require.NoError(t, err)
				return names(list, func(p authapi.Part) string { return fmt.Sprint(p.Repository.Name, " ", len(p.Keys)) })
			}
			require.Equal(t, []string{"b-site 0"}, parts(deskSite))
			require.Equal(t, []string{"b-site 0", "site 1"}, parts(authapi.Repository{Name: "a-code", Project: "shop", Holds: build.FunctionCode}))
			for n := range authapi.PartsMax - 2 {
				put(fmt.Sprintf("z%05d", n), "shop", build.Resource)
			}
			require.Len(t, parts(authapi.Repository{Name: "a-code", Project: "shop", Holds: build.FunctionCode}), authapi.PartsMax)
			put("zz", "shop", build.Resource)
			_, err := s.parts(ctx, authapi.Repository{Name: "a-code", Project: "shop", Holds: build.FunctionCode})
			require.Equal(t, transport.Conflict, kindOf(err))
		})
	})
}

// What an auth knows nothing of is NotFound, for others to be asked; what is wrong is Invalid, for nobody to be asked again; what does not fit is Conflict.
func TestKindsOfRefusals(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			named := func(name string) authapi.Named { return authapi.Named{Name: name} }
			other := deskSite
			other.Project = "empty"
			past := deskToken
			past.NotAfter = time.Now().Unix()
			twice := deskToken
			twice.NotAfter = time.Now().Add(2 * time.Hour).Unix()
			wrong := deskSecret(authapi.BuildSecret)
			wrong.Owner = "a/b"
			unknown := deskSecret(authapi.BuildSecret)
			unknown.Owner = "nobody"
			text, _, err := token.New(make([]byte, 32), []string{"shop"}, []token.Scope{token.Read}, time.Now(), time.Hour)
			require.NoError(t, err)
			bad := certificateOf(t, deskHost)
			bad.Key = nil
			badHost := certificateOf(t, deskHost)
			badHost.Host = "a b"
			stranger := certificateOf(t, "x.example.com")
			for what, c := range map[string]struct {
				kind transport.Kind
				do   func() (int, error)
			}{
				"a name that is none":         {transport.Invalid, func() (int, error) { return done(s.putProject(ctx, guest, named("a/b"))) }},
				"an unknown project":          {transport.NotFound, func() (int, error) { return done(s.deleteProject(ctx, guest, named("nobody"))) }},
				"a project with repositories": {transport.Conflict, func() (int, error) { return done(s.deleteProject(ctx, guest, named("shop"))) }},
				"a repository without an address": {transport.Invalid, func() (int, error) {
					return reads(s.putRepository(ctx, guest, authapi.Repository{Name: "x", Project: "shop"}))
				}},
				"another project's repository": {transport.Conflict, func() (int, error) { return reads(s.putRepository(ctx, guest, other)) }},
				"an unknown repository":        {transport.NotFound, func() (int, error) { return done(s.deleteRepository(ctx, guest, named("nothing"))) }},
				"a secret of nobody": {transport.NotFound, func() (int, error) {
					return reads(s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: unknown, Value: []byte("v")}))
				}},
				"a secret that is none": {transport.Invalid, func() (int, error) {
					return reads(s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: wrong, Value: []byte("v")}))
				}},
				"a deploy key of too few bytes": {transport.Invalid, func() (int, error) {
					return reads(s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: deskSecret(authapi.DeployKey), Value: []byte("v")}))
				}},
				"to revoke a secret that is none": {transport.Invalid, func() (int, error) { return done(s.revokeSecret(ctx, guest, authapi.SecretRevokeRequest{ID: wrong})) }},
				"to revoke a secret of nobody":    {transport.NotFound, func() (int, error) { return done(s.revokeSecret(ctx, guest, authapi.SecretRevokeRequest{ID: unknown})) }},
				"to revoke an unknown version": {transport.NotFound, func() (int, error) {
					return done(s.revokeSecret(ctx, guest, authapi.SecretRevokeRequest{ID: deskSecret(authapi.BuildSecret), Version: 2}))
				}},
				"a host that is none": {transport.Invalid, func() (int, error) {
					return done(s.putDomain(ctx, guest, authapi.Domain{Host: "a b", Project: "shop"}))
				}},
				"another project's host": {transport.Conflict, func() (int, error) {
					return done(s.putDomain(ctx, guest, authapi.Domain{Host: deskHost, Project: "empty"}))
				}},
				"to let go of a host that is none": {transport.Invalid, func() (int, error) { return done(s.deleteDomain(ctx, guest, named("a b"))) }},
				"to let go of an unknown host":     {transport.NotFound, func() (int, error) { return done(s.deleteDomain(ctx, guest, named("x.example.com"))) }},
				"to prove a host that is none": {transport.Invalid, func() (int, error) {
					return reads(s.proveDomain(ctx, guest, authapi.DomainProveRequest{Host: "a b", Project: "shop"}))
				}},
				"to prove for an unknown project": {transport.Conflict, func() (int, error) {
					return reads(s.proveDomain(ctx, guest, authapi.DomainProveRequest{Host: "x.example.com", Project: "nobody"}))
				}},
				"a certificate without a key":       {transport.Invalid, func() (int, error) { return reads(s.putCertificate(ctx, guest, bad)) }},
				"a certificate of no host":          {transport.Invalid, func() (int, error) { return reads(s.putCertificate(ctx, guest, badHost)) }},
				"a certificate of nobody's host":    {transport.Conflict, func() (int, error) { return reads(s.putCertificate(ctx, guest, stranger)) }},
				"to delete a certificate of none":   {transport.Invalid, func() (int, error) { return done(s.deleteCertificate(ctx, guest, named("a b"))) }},
				"to delete an unknown certificate":  {transport.NotFound, func() (int, error) { return done(s.deleteCertificate(ctx, guest, named("x.example.com"))) }},
				"the certificate of no host":        {transport.Invalid, func() (int, error) { return reads(s.certificateFor(ctx, guest, named("a b"))) }},
				"the certificate of an unknown one": {transport.NotFound, func() (int, error) { return reads(s.certificateFor(ctx, guest, named("x.example.com"))) }},
				"an unknown webhook":                {transport.NotFound, func() (int, error) { return reads(s.hook(ctx, guest, named("x"))) }},
				"a token that has ended":            {transport.Invalid, func() (int, error) { return reads(s.createToken(ctx, guest, authapi.TokenCreateRequest{Record: past})) }},
				"another token of one ID": {transport.Conflict, func() (int, error) {
					return reads(s.createToken(ctx, guest, authapi.TokenCreateRequest{Record: twice}))
				}},
				"an unknown token":    {transport.NotFound, func() (int, error) { return reads(s.revokeToken(ctx, guest, authapi.TokenRevokeRequest{ID: "x"})) }},
				"a check of no token": {transport.Invalid, func() (int, error) { return reads(s.checkToken(ctx, guest, authapi.TokenCheckRequest{Text: "x"})) }},
				"a check of an unknown token": {transport.NotFound, func() (int, error) {
					return reads(s.checkToken(ctx, guest, authapi.TokenCheckRequest{Text: text, Project: strings.Repeat("p", authapi.TokenProjectLenMax)}))
				}},
				"a check for a long name": {transport.Invalid, func() (int, error) {
					return reads(s.checkToken(ctx, guest, authapi.TokenCheckRequest{Text: text, Project: strings.Repeat("p", authapi.TokenProjectLenMax+1)}))
				}},
				"a job that is somebody else's": {transport.Conflict, func() (int, error) { return reads(s.source(ctx, guest, authapi.SourceRequest{})) }},
			} {
				_, err := c.do()
				require.Equal(t, c.kind, kindOf(err), what)
			}
			s.look = nil
			_, err = s.proveDomain(ctx, guest, authapi.DomainProveRequest{Host: "x.example.com", Project: "shop"})
			require.Equal(t, transport.Refused, kindOf(err))
			resp, err := s.proveDomain(ctx, guest, authapi.DomainProveRequest{Host: "x.example.com", Project: "shop", Show: true})
			require.NoError(t, err)
			require.NotEmpty(t, resp.Value)
		})
	})
}

// What is sealed for one place opens at no other: another owner, kind, name, host or version.
func TestWhatIsSealedIsForOnePlace(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			c := s.certificatesOf(deskHost)[0]
			host, version, project := c, c, c
			host.host, version.version, project.Project = "x", 9, "x"
			x := s.secretsOf("shop")[0]
			kind, owner, name, later := x, x, x, x
			kind.id.Kind, owner.id.Owner, name.id.Name, later.version = authapi.HookSecret, "x", "x", 9
			for _, place := range []vault.Place{host.place(), version.place(), project.place()} {
				_, err := s.keyring.ring.Open(place, c.Sealed)
				require.ErrorIs(t, err, vault.ErrNotGenuine)
			}
			for _, place := range []vault.Place{kind.place(), owner.place(), name.place(), later.place()} {
				_, err := s.keyring.ring.Open(place, x.Sealed)
				require.ErrorIs(t, err, vault.ErrNotGenuine)
			}
		})
	})
}

// What people see of a long list is all of it, by the client.
func TestClientsTurnPages(t *testing.T) {
	atDesk(t, func(d *desk) {
		const n = authapi.RecordPageMax + 1
		d.turn(func(_ context.Context, s *Service) {
			b := new(storage.Batch)
			for i := range n {
				name := fmt.Sprintf("z%05d", i)
				b.Put(projectKey(name), transport.Encode(authapi.Project{Name: name})).Put(repositoryKey(name), transport.Encode(authapi.Repository{Name: name, Project: "shop"}))
				b.Put(domainKey(name), transport.Encode(authapi.Domain{Host: name, Project: "shop"})).Put(certificateKey(name, 1, guest), transport.Encode(sealedCertificate{Project: "shop"}))
				b.Put(tokenKey(name), transport.Encode(token.Record{ID: name})).Put(storage.K(auditPart, name), transport.Encode(authapi.AuditEntry{ID: name, Project: "shop"}))
			}
			require.NoError(t, s.store.Apply(b))
		})
		d.turn(func(ctx context.Context, s *Service) {
			c := authapi.NewClient(s.env.Wire)
			lists := map[string]func(project string) (int, error){
				"repositories": func(p string) (int, error) { l, err := c.Repositories(ctx, p); return len(l), err },
				"domains":      func(p string) (int, error) { l, err := c.Domains(ctx, p); return len(l), err },
				"certificates": func(p string) (int, error) { l, err := c.Certificates(ctx, p); return len(l), err },
				"audit":        func(p string) (int, error) { l, err := c.Audit(ctx, p, 1000); return len(l), err },
			}
			for what, list := range lists {
				for project, want := range map[string]int{"": n, "shop": n, "other": 0} {
					got, err := list(project)
					require.NoError(t, err, what)
					require.Equal(t, want, got, what)
				}
			}
			projects, err := c.Projects(ctx)
			require.NoError(t, err)
			require.Len(t, projects, n)
			tokens, err := c.Tokens(ctx)
			require.NoError(t, err)
			require.Len(t, tokens, n)
			few, err := c.Audit(ctx, "", 3)
			require.NoError(t, err)
			require.Len(t, few, 3)
			_, err = c.CheckToken(ctx, "x", "shop", token.Read)
			require.Equal(t, transport.Conflict, kindOf(err), "people are told the same of what is no token")
			text, _, err := token.New(make([]byte, token.SecretLen), []string{"shop"}, []token.Scope{token.Read}, time.Now(), time.Hour)
			require.NoError(t, err)
			_, err = c.CheckToken(ctx, text, strings.Repeat("p", authapi.TokenProjectLenMax), token.Read)
			require.Equal(t, transport.NotAllowed, kindOf(err), "an auth asks itself, which may not ask")
			_, err = c.CheckToken(ctx, text, strings.Repeat("p", authapi.TokenProjectLenMax+1), token.Read)
			require.Equal(t, transport.Conflict, kindOf(err), "there is no such project: nobody is asked")
		})
	})
}
