package auth

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const deskHost = "shop.example.com"

// certificateOf is a certificate of a host, signed by itself, with its key.
func certificateOf(t *testing.T, host string) authapi.CertificatePutRequest {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	require.NoError(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return authapi.CertificatePutRequest{
		Host: host, Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}
}

// showsAll is a host that shows whatever is looked for.
type showsAll struct{ s *Service }

func (l showsAll) TXT(context.Context, string) ([]string, error) {
	_, _, value := l.s.challenge("proven.example.com", "shop")
	return []string{value}, nil
}
func (l showsAll) Page(context.Context, string) ([]byte, error) { return nil, errors.New("no page") }

// shelf keeps vault keys, unless it is broken.
type shelf struct {
	keys   [][]byte
	broken error
}

func (s *shelf) Keys() ([][]byte, error) { return s.keys, s.broken }
func (s *shelf) Draw() []byte            { return bytes.Repeat([]byte{byte(len(s.keys) + 10)}, 32) }
func (s *shelf) Keep(keys [][]byte) error {
	if s.broken == nil {
		s.keys = keys
	}
	return s.broken
}

var (
	deskSite  = authapi.Repository{Name: "site", Project: "shop", URL: "https://forge.example.com/acme/site.git", Forge: "github", Branches: []string{"main"}}
	deskToken = token.Record{ID: "00000000000000aa", Hash: make([]byte, 32), Projects: []string{"shop"}, Scopes: []token.Scope{token.Read}}
)

func deskSecret(kind authapi.Kind) authapi.SecretID {
	id := authapi.SecretID{Kind: kind, Owner: "site"}
	if kind.OfProject() {
		id.Owner, id.Name = "shop", "NAME"
	}
	return id
}

// settled is an auth that has something of each kind.
func settled(t *testing.T, ctx context.Context, s *Service) {
	shelf := &shelf{keys: [][]byte{bytes.Repeat([]byte{7}, 32)}}
	s.keyring.vault, s.look = shelf, showsAll{s}
	require.NoError(t, s.useKeys(shelf.keys))
	must := func(_ any, err error) { require.NoError(t, err) }
	for _, name := range []string{"shop", "empty"} {
		must(s.putProject(ctx, guest, authapi.Named{Name: name}))
	}
	must(s.putRepository(ctx, guest, deskSite))
	for _, kind := range []authapi.Kind{authapi.DeployKey, authapi.HookSecret, authapi.StatusToken, authapi.BuildSecret, authapi.FunctionSecret} {
		must(s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: deskSecret(kind), Value: bytes.Repeat([]byte{'s'}, 32)}))
	}
	must(s.putDomain(ctx, guest, authapi.Domain{Host: deskHost, Project: "shop"}))
	must(s.putCertificate(ctx, guest, certificateOf(t, deskHost)))
	record := deskToken
	record.NotAfter = time.Now().Add(time.Hour).Unix()
	must(s.createToken(ctx, guest, authapi.TokenCreateRequest{Record: record}))
}

// duty is a handler with a request that a settled auth serves. fact: it writes, and says so in the end.
type duty struct {
	name, fact string
	vault      bool // it needs a vault key
	do         func(ctx context.Context, s *Service) (copies int, err error)
}

func done(resp authapi.Done, err error) (int, error) { return resp.Copies, err }

func reads[R any](_ R, err error) (int, error) { return 0, err }

func duties(t *testing.T) []duty {
	named := func(name string) authapi.Named { return authapi.Named{Name: name} }
	hook := func(s *Service) string {
		r, err := s.repository("x", "site")
		require.NoError(t, err)
		return r.Hook
	}
	return []duty{
		{"make a project", "project-made", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.putProject(ctx, guest, named("new")))
		}},
		{"list projects", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listProjects(ctx, guest, authapi.PageRequest{}))
		}},
		{"delete a project", "project-deleted", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.deleteProject(ctx, guest, named("empty")))
		}},
		{"make a repository", "repository-made", false, func(ctx context.Context, s *Service) (int, error) {
			r := deskSite
			r.Name = "more"
			resp, err := s.putRepository(ctx, guest, r)
			return resp.Copies, err
		}},
		{"change a repository", "repository-changed", false, func(ctx context.Context, s *Service) (int, error) {
			resp, err := s.putRepository(ctx, guest, deskSite)
			return resp.Copies, err
		}},
		{"list repositories", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listRepositories(ctx, guest, authapi.PageRequest{}))
		}},
		{"delete a repository", "repository-deleted", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.deleteRepository(ctx, guest, named("site")))
		}},
		{"store a secret", "secret-stored", true, func(ctx context.Context, s *Service) (int, error) {
			resp, err := s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: deskSecret(authapi.BuildSecret), Value: []byte("v")})
			return resp.Copies, err
		}},
		{"list secrets", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listSecrets(ctx, guest, authapi.SecretsRequest{Owner: "shop"}))
		}},
		{"revoke a secret", "secret-revoked", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.revokeSecret(ctx, guest, authapi.SecretRevokeRequest{ID: deskSecret(authapi.BuildSecret)}))
		}},
		{"give a host", "domain-given", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.putDomain(ctx, guest, authapi.Domain{Host: "new.example.com", Project: "shop"}))
		}},
		{"prove a host", "domain-proven", false, func(ctx context.Context, s *Service) (int, error) {
			resp, err := s.proveDomain(ctx, guest, authapi.DomainProveRequest{Host: "proven.example.com", Project: "shop"})
			return resp.Copies, err
		}},
		{"list hosts", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listDomains(ctx, guest, authapi.PageRequest{}))
		}},
		{"let a host go", "domain-let-go", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.deleteDomain(ctx, guest, named(deskHost)))
		}},
		{"store a certificate", "certificate-stored", true, func(ctx context.Context, s *Service) (int, error) {
			resp, err := s.putCertificate(ctx, guest, certificateOf(t, deskHost))
			return resp.Copies, err
		}},
		{"list certificates", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listCertificates(ctx, guest, authapi.PageRequest{}))
		}},
		{"delete a certificate", "certificate-deleted", false, func(ctx context.Context, s *Service) (int, error) {
			return done(s.deleteCertificate(ctx, guest, named(deskHost)))
		}},
		{"give a certificate", "", true, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.certificateFor(ctx, guest, named(deskHost)))
		}},
		{"list the audit", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listAudit(ctx, guest, authapi.AuditRequest{}))
		}},
		{"tell of a webhook", "", true, func(ctx context.Context, s *Service) (int, error) { return reads(s.hook(ctx, guest, named(hook(s)))) }},
		{"tell of a forge", "", true, func(ctx context.Context, s *Service) (int, error) { return reads(s.forge(ctx, guest, named("site"))) }},
		{"give secrets of functions", "", true, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.functionSecrets(ctx, guest, named("shop")))
		}},
		{"store a token", "token-created", false, func(ctx context.Context, s *Service) (int, error) {
			r := deskToken
			r.ID, r.NotAfter = "00000000000000bb", time.Now().Add(time.Hour).Unix()
			resp, err := s.createToken(ctx, guest, authapi.TokenCreateRequest{Record: r})
			return resp.Copies, err
		}},
		{"list tokens", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.listTokens(ctx, guest, authapi.TokenListRequest{}))
		}},
		{"take a token back", "token-revoked", false, func(ctx context.Context, s *Service) (int, error) {
			resp, err := s.revokeToken(ctx, guest, authapi.TokenRevokeRequest{ID: deskToken.ID})
			return resp.Copies, err
		}},
		{"tell what was revoked", "", false, func(ctx context.Context, s *Service) (int, error) {
			return reads(s.revocations(ctx, guest, authapi.RevocationsRequest{}))
		}},
	}
}

// A duty is done, with a fact of what it has written, or fails, whichever of its writes fails, and then says nothing.
func TestDutiesAreDoneOrFail(t *testing.T) {
	for _, duty := range duties(t) {
		t.Run(duty.name, func(t *testing.T) {
			steps := 0
			for fail := 1; ; fail++ {
				var failed bool
				atDesk(t, func(d *desk) {
					d.turn(func(ctx context.Context, s *Service) {
						settled(t, ctx, s)
						before := len(d.facts(duty.fact))
						real := s.store
						store := &brittle{Replicated: real, fail: fail}
						s.store = store
						copies, err := duty.do(ctx, s)
						s.store = real
						if failed = store.failed; failed {
							require.ErrorIs(t, err, errBrittle, "write %d of it failed", fail)
							require.Len(t, d.facts(duty.fact), before)
							return
						}
						require.NoError(t, err)
						if duty.fact != "" {
							require.Equal(t, 1, copies)
							facts := d.facts(duty.fact)
							require.Len(t, facts, before+1)
							require.Equal(t, 1, facts[before]["copies"])
							require.Equal(t, guest, facts[before]["by"])
						}
					})
				})
				if !failed {
					break
				}
				steps++
			}
			if duty.fact != "" {
				require.GreaterOrEqual(t, steps, 2, "it writes, and waits until that is durable")
			} else {
				require.Zero(t, steps)
			}
		})
	}
}

// A replica that has not caught up knows nothing for sure, and without a vault key there are no secrets: both are refused, for others to be asked.
func TestDutiesThatAreRefused(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			store, ring := s.store, s.keyring.ring
			list := append(duties(t), duty{"give what a job needs", "", true, func(ctx context.Context, s *Service) (int, error) {
				return reads(s.source(ctx, guest, authapi.SourceRequest{}))
			}}, duty{"check a token", "", false, func(ctx context.Context, s *Service) (int, error) {
				text, _, err := token.New(make([]byte, 32), []string{"x"}, []token.Scope{token.Read}, time.Now(), time.Hour)
				require.NoError(t, err)
				return reads(s.checkToken(ctx, guest, authapi.TokenCheckRequest{Text: text}))
			}}, duty{"change the vault", "", true, func(ctx context.Context, s *Service) (int, error) {
				return reads(s.changeVault(ctx, guest, authapi.VaultRequest{}))
			}})
			hook, err := s.repository("x", "site")
			require.NoError(t, err)
			for _, duty := range list {
				if duty.name == "tell of a webhook" { // by the name that it has
					duty.do = func(ctx context.Context, s *Service) (int, error) {
						return reads(s.hook(ctx, guest, authapi.Named{Name: hook.Hook}))
					}
				}
				for _, none := range []storage.Replicated{nil, late{store}} {
					s.store = none
					_, err := duty.do(ctx, s)
					require.Equal(t, transport.Refused, kindOf(err), duty.name)
					require.ErrorContains(t, err, "has not caught up", duty.name)
				}
				s.store = store
				if duty.vault {
					s.keyring.ring = vault.Ring{}
					_, err := duty.do(ctx, s)
					require.Equal(t, errNoVault, err, duty.name)
					s.keyring.ring = ring
				}
			}
		})
	})
}

var errBrittle = errors.New("this write failed")

// brittle is a replica one of whose writes fails: a change, or that it becomes durable.
type brittle struct {
	storage.Replicated
	fail   int // which one, from 1
	n      int
	failed bool
}

func (b *brittle) step() error {
	if b.n++; b.n == b.fail {
		b.failed = true
		return errBrittle
	}
	return nil
}

func (b *brittle) Apply(batch *storage.Batch) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.Replicated.Apply(batch)
}

func (b *brittle) Replicate(ctx context.Context, copies int) (int, error) {
	if err := b.step(); err != nil {
		return 0, err
	}
	return b.Replicated.Replicate(ctx, copies)
}

// late is a replica that has not caught up.
type late struct{ storage.Replicated }

func (late) State() storage.ReplicaState { return storage.ReplicaEmpty }

func (d *desk) facts(name string) (list []map[string]any) {
	for _, f := range d.Facts(name) {
		list = append(list, f.Fields)
	}
	return list
}

// What is full takes nothing more of its kind, but changes of what there is.
func TestHowMuchAnAuthKeeps(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			fill := func(have, most int, put func(b *storage.Batch, name string)) {
				b := new(storage.Batch)
				for n := have; n < most; n++ {
					put(b, fmt.Sprintf("z%05d", n))
				}
				require.NoError(t, s.store.Apply(b))
			}
			full := func(what string, n int, most int, do func(name string) error) {
				require.Equal(t, most-1, n, what)
				require.NoError(t, do("last"), what)
				err := do("beyond")
				require.Equal(t, transport.Conflict, kindOf(err), what)
				require.ErrorContains(t, err, "too many", what)
				require.NoError(t, do("last"), what)
			}
			fill(2, authapi.ProjectsMax-1, func(b *storage.Batch, name string) {
				b.Put(projectKey(name), transport.Encode(authapi.Project{Name: name}))
			})
			full("projects", len(s.store.Entries(storage.K(projectPart))), authapi.ProjectsMax, func(name string) error {
				_, err := s.putProject(ctx, guest, authapi.Named{Name: name})
				return err
			})
			fill(1, authapi.RepositoriesMax-1, func(b *storage.Batch, name string) {
				b.Put(repositoryKey(name), transport.Encode(authapi.Repository{Name: name, Project: "other"}))
			})
			full("repositories", len(s.repositories()), authapi.RepositoriesMax, func(name string) error {
				r := deskSite
				r.Name = name
				_, err := s.putRepository(ctx, guest, r)
				return err
			})
			fill(1, authapi.DomainsMax-1, func(b *storage.Batch, name string) {
				b.Put(domainKey(name+".example.com"), transport.Encode(authapi.Domain{Host: name + ".example.com", Project: "shop"}))
			})
			full("domains", len(s.domains()), authapi.DomainsMax, func(name string) error {
				_, err := s.putDomain(ctx, guest, authapi.Domain{Host: name + ".example.com", Project: "shop"})
				return err
			})
			fill(1, authapi.CertificatesMax-1, func(b *storage.Batch, name string) {
				b.Put(certificateKey(name+".example.com", 1, guest), transport.Encode(sealedCertificate{Project: "shop"}))
			})
			require.NoError(t, storage.Put(s.store, domainKey("beyond.example.com"), transport.Encode(authapi.Domain{Host: "beyond.example.com", Project: "shop"})))
			full("certificates", len(s.newestCertificates()), authapi.CertificatesMax, func(name string) error {
				_, err := s.putCertificate(ctx, guest, certificateOf(t, name+".example.com"))
				return err
			})
			now := time.Now()
			fill(1, authapi.TokensMax-1, func(b *storage.Batch, name string) {
				b.Put(tokenKey(name), transport.Encode(token.Record{ID: name, NotAfter: now.Unix()}))
			})
			full("tokens", len(s.store.Entries(storage.K(tokenPart))), authapi.TokensMax, func(name string) error {
				r := deskToken
				r.ID, r.NotAfter = fmt.Sprintf("%016x", name[:4]), now.Add(time.Hour).Unix()
				_, err := s.createToken(ctx, guest, authapi.TokenCreateRequest{Record: r})
				return err
			})
			fill(1, authapi.BuildSecretsMax-1, func(b *storage.Batch, name string) {
				id := authapi.SecretID{Kind: authapi.BuildSecret, Owner: "shop", Name: name}
				b.Put(secretKey(id, 1, guest), transport.Encode(sealedSecret{}))
			})
			full("secrets", authapi.BuildSecretsMax-1, authapi.BuildSecretsMax, func(name string) error {
				_, err := s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: "shop", Name: name}, Value: []byte("v")})
				return err
			})
			require.Len(t, s.secretsOf("shop"), authapi.BuildSecretsMax+2, "functions have their own: one; and a version more of the last")
		})
	})
}
