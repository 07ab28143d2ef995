package auth_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// safe keeps vault keys outside of the disks of a town.
type safe struct {
	keys  [][]byte
	drawn *byte
}

func (s *safe) Keys() ([][]byte, error)  { return s.keys, nil }
func (s *safe) Keep(keys [][]byte) error { s.keys = keys; return nil }
func (s *safe) Draw() []byte             { *s.drawn++; return bytes.Repeat([]byte{*s.drawn}, 32) }

// city is a town whose auths keep secrets, with a patrick that says what it is told, and a monkey.
type city struct {
	*town
	safes           []*safe
	drawn           byte
	shown           *shown
	patrick, monkey *nodetest.Machine
	job             string
	held            patrickapi.HeldResponse
	heldUnder       fencing.Token
}

func inCity(t *testing.T, auths int, f func(c *city)) {
	nodetest.Run(t, func(cloud *nodetest.Cloud) {
		cloud.Key, cloud.Issuer, cloud.Grantable = &cloudKey, authapi.Service, []string{"gateway", node.MembershipService, "monkey", "part", "patrick", "substrate"}
		c := &city{town: &town{Cloud: cloud, t: t, agents: auth.DefaultAgentSettings(), envs: map[string]node.Env{}, heard: map[string]int{}}, shown: &shown{map[string][]string{}, map[string]string{}}}
		for i := range auths {
			kept := &safe{drawn: &c.drawn}
			c.safes = append(c.safes, kept)
			c.auths = append(c.auths, c.member(fmt.Sprint("auth-", i+1), node.Configured{Spec: auth.Spec(auth.Ends{Vault: func(node.Env) auth.Vault { return kept }, Look: func(node.Env) auth.Look { return c.shown }})}))
		}
		for _, m := range c.auths {
			m.Start()
		}
		c.patrick = c.member("patrick", node.Configured{Spec: nodetest.Part("patrick", func(env node.Env) {
			patrickapi.Held.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req patrickapi.HeldRequest) (patrickapi.HeldResponse, error) {
				if req.Job != c.job || req.Token != c.heldUnder {
					return patrickapi.HeldResponse{}, transport.New(transport.Conflict, "held", "no")
				}
				return c.held, nil
			})
		})}).Start()
		c.monkey = c.member("monkey", node.Configured{Spec: nodetest.Part("monkey", func(node.Env) {})}).Start()
		nodetest.Sleep(20 * time.Second)
		f(c)
	})
}

// as asks auths as a member does.
func (c *city) as(m *nodetest.Machine, f func(ctx context.Context, a *authapi.Client)) {
	c.do(m, func(ctx context.Context, env node.Env) { f(ctx, authapi.NewClient(env.Wire)) })
}

const canary = "the canary that nobody may read anywhere"

// settle makes a project, a repository and its secrets.
func (c *city) settle() (r authapi.Repository) {
	c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
		_, err := a.PutRepository(ctx, site("site"))
		require.Equal(c.t, transport.Conflict, transport.KindOf(err), "of no project")
		_, err = a.PutProject(ctx, "shop")
		require.NoError(c.t, err)
		resp, err := a.PutRepository(ctx, site("site"))
		require.NoError(c.t, err)
		r = resp.Repository
		c.put(ctx, a, authapi.SecretID{Kind: authapi.DeployKey, Owner: "site"}, strings.Repeat("d", 32), 0)
		c.put(ctx, a, authapi.SecretID{Kind: authapi.HookSecret, Owner: "site"}, canary, 0)
		c.put(ctx, a, authapi.SecretID{Kind: authapi.BuildSecret, Owner: "shop", Name: "API_KEY"}, canary, 0)
	})
	return r
}

func site(name string) authapi.Repository {
	return authapi.Repository{Name: name, Project: "shop", URL: "https://forge.example.com/acme/" + name + ".git", Forge: "github", Branches: []string{"main"}}
}

func (c *city) put(ctx context.Context, a *authapi.Client, id authapi.SecretID, value string, overlap int64) authapi.SecretState {
	resp, err := a.PutSecret(ctx, authapi.SecretPutRequest{ID: id, Value: []byte(value), Overlap: overlap})
	require.NoError(c.t, err)
	return resp.State
}

func (c *city) hookSecrets(hook string) (list []string, err error) {
	c.as(c.patrick, func(ctx context.Context, a *authapi.Client) {
		var resp authapi.HookResponse
		resp, err = a.Hook(ctx, hook)
		list = resp.Secrets
	})
	return list, err
}

// TestSecretsAreForThoseWhoNeedThem: patricks get those of webhooks, a monkey those of the job that it holds, while it holds it, and
// nobody else anything.
// TestFunctionSecretsAreForSubstrates, by name, and no others; those of builds are not among them, nor they among those.
func TestFunctionSecretsAreForSubstrates(t *testing.T) {
	inCity(t, 1, func(c *city) {
		c.settle()
		serves := c.member("substrate", node.Configured{Spec: nodetest.Part("substrate", func(node.Env) {})}).Start()
		const value = canary + " of a function"
		put := func(ctx context.Context, a *authapi.Client, owner, name, value string) transport.Kind {
			_, err := a.PutSecret(ctx, authapi.SecretPutRequest{ID: authapi.SecretID{Kind: authapi.FunctionSecret, Owner: owner, Name: name}, Value: []byte(value)})
			return transport.KindOf(err)
		}
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			require.Zero(t, put(ctx, a, "shop", "STRIPE_KEY", value))
			require.Equal(t, transport.NotFound, put(ctx, a, "nobody", "STRIPE_KEY", value))
			require.Equal(t, transport.Invalid, put(ctx, a, "shop", "A B", value))
			require.Equal(t, transport.Invalid, put(ctx, a, "shop", "A", "a\x00b"))
		})
		nodetest.Sleep(10 * time.Second)
		c.as(serves, func(ctx context.Context, a *authapi.Client) {
			got, err := a.FunctionSecrets(ctx, "shop")
			require.NoError(t, err)
			require.Equal(t, map[string]string{"STRIPE_KEY": value}, got)
			got, err = a.FunctionSecrets(ctx, "other")
			require.NoError(t, err)
			require.Empty(t, got)
		})
		for _, m := range []*nodetest.Machine{c.monkey, c.patrick, c.auths[0]} {
			c.as(m, func(ctx context.Context, a *authapi.Client) {
				_, err := a.FunctionSecrets(ctx, "shop")
				require.Equal(t, transport.NotAllowed, transport.KindOf(err))
			})
		}
		c.job = patrickapi.JobID("site", "main", "c", patrickapi.Event{ID: "e", Order: 1})
		c.heldUnder = fencing.Token{Attempt: 2, Holder: c.monkey.Peer()}
		c.held = patrickapi.HeldResponse{Project: "shop", Repository: "site", Branch: "main", Forge: true}
		c.as(c.monkey, func(ctx context.Context, a *authapi.Client) {
			got, err := a.Source(ctx, c.job, c.heldUnder)
			require.NoError(t, err)
			require.NotContains(t, got.Secrets, "STRIPE_KEY")
		})
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			_, err := a.RevokeSecret(ctx, authapi.SecretID{Kind: authapi.FunctionSecret, Owner: "shop", Name: "STRIPE_KEY"}, 0)
			require.NoError(t, err)
		})
		c.as(serves, func(ctx context.Context, a *authapi.Client) {
			got, err := a.FunctionSecrets(ctx, "shop")
			require.NoError(t, err)
			require.Empty(t, got)
		})
	})
}

func TestSecretsAreForThoseWhoNeedThem(t *testing.T) {
	inCity(t, 2, func(c *city) {
		r := c.settle()
		secrets, err := c.hookSecrets(r.Hook)
		require.NoError(t, err)
		require.Equal(t, []string{canary}, secrets)
		_, err = c.hookSecrets("nothing")
		require.Equal(t, transport.NotFound, transport.KindOf(err))

		c.job = patrickapi.JobID("site", "main", "c", patrickapi.Event{ID: "e", Order: 1})
		c.heldUnder = fencing.Token{Attempt: 2, Holder: c.monkey.Peer()}
		c.held = patrickapi.HeldResponse{Project: "shop", Repository: "site", Branch: "main", Forge: true}
		source := func(job string, token fencing.Token) (resp authapi.SourceResponse, err error) {
			c.as(c.monkey, func(ctx context.Context, a *authapi.Client) { resp, err = a.Source(ctx, job, token) })
			return resp, err
		}
		got, err := source(c.job, c.heldUnder)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"API_KEY": canary}, got.Secrets)
		require.Len(t, got.Keys, 1)
		require.Contains(t, string(got.Keys[0]), "OPENSSH PRIVATE KEY")
		require.Equal(t, r, got.Repository)

		refused := func(why, job string, token fencing.Token) {
			t.Helper()
			got, err := source(job, token)
			require.Equal(t, transport.Conflict, transport.KindOf(err), why)
			require.Zero(t, got)
		}
		refused("an attempt that is not live", c.job, fencing.Token{Attempt: 1, Holder: c.monkey.Peer()})
		refused("another job", patrickapi.JobID("site", "main", "c", patrickapi.Event{ID: "e", Order: 2}), c.heldUnder)
		c.heldUnder.Holder = c.auths[0].Peer()
		refused("somebody else's", c.job, c.heldUnder)
		c.heldUnder.Holder = c.monkey.Peer()
		c.held.Forge = false
		refused("pushed by hand", c.job, c.heldUnder)
		c.held.Forge, c.held.Project = true, "other"
		refused("of another project", c.job, c.heldUnder)
		c.held.Project = "shop"

		c.as(c.monkey, func(ctx context.Context, a *authapi.Client) {
			_, err := a.Hook(ctx, r.Hook)
			require.Equal(t, transport.NotAllowed, transport.KindOf(err))
			_, err = a.Forge(ctx, "site")
			require.Equal(t, transport.NotAllowed, transport.KindOf(err))
			_, err = a.Secrets(ctx, "site")
			require.Equal(t, transport.NotAllowed, transport.KindOf(err))
			_, err = a.Audit(ctx, "", 10)
			require.Equal(t, transport.NotAllowed, transport.KindOf(err))
		})
		c.as(c.patrick, func(ctx context.Context, a *authapi.Client) {
			_, err := a.Source(ctx, c.job, c.heldUnder)
			require.Equal(t, transport.NotAllowed, transport.KindOf(err))
			forge, err := a.Forge(ctx, "site")
			require.NoError(t, err)
			require.Len(t, forge.Keys, 1)
			list, err := a.Repositories(ctx, "")
			require.NoError(t, err)
			require.Equal(t, []authapi.Repository{r}, list)
		})
	})
}

// TestSecretsAreOnNoDisk: what is stored, told to who runs the cloud, and observed, holds no secret; the deploy key not in any form.
func TestSecretsAreOnNoDisk(t *testing.T) {
	inCity(t, 2, func(c *city) {
		c.settle()
		for i, m := range c.auths {
			m.Stop()
			found := 0
			m.Disk.DurableBelow("", func(key string, value []byte) bool {
				found++
				require.NotContains(t, key+string(value), canary, "auth-%d", i+1)
				require.NotContains(t, string(value), strings.Repeat("d", 32))
				return true
			})
			require.Greater(t, found, 10)
			m.Start()
		}
		require.Len(t, c.Facts("secret-stored"), 3)
		require.NotContains(t, fmt.Sprintf("%+v", c.Facts("secret-stored")), canary)
		nodetest.Sleep(10 * time.Second)
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			list, err := a.Secrets(ctx, "site")
			require.NoError(t, err)
			require.Len(t, list, 2)
			require.NotContains(t, fmt.Sprintf("%+v", list), canary)
			require.Contains(t, list[0].Public, "ssh-ed25519 ")
			entries, err := a.Audit(ctx, "shop", 100)
			require.NoError(t, err)
			require.Len(t, entries, 5)
			require.Equal(t, "secret-stored", entries[0].What)
			require.Equal(t, "build API_KEY of shop, version 1", entries[0].Object)
			require.Equal(t, c.auths[0].Peer(), entries[0].By)
			require.NotContains(t, fmt.Sprintf("%+v", entries), canary)
		})
	})
}

// TestARotatedSecretCountsForItsOverlap, and no longer; what was revoked does not count at once, on another auth, and after a crash.
func TestARotatedSecretCountsForItsOverlap(t *testing.T) {
	inCity(t, 2, func(c *city) {
		r := c.settle()
		id := authapi.SecretID{Kind: authapi.HookSecret, Owner: "site"}
		want := func(want ...string) {
			t.Helper()
			got, err := c.hookSecrets(r.Hook)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		const second, third, fourth = "the second of the secrets", "the third of the secrets", "the fourth of the secrets"
		c.as(c.auths[1], func(ctx context.Context, a *authapi.Client) { c.put(ctx, a, id, second, 3600) })
		want(second, canary)
		nodetest.Sleep(3601 * time.Second)
		want(second)
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			state := c.put(ctx, a, id, third, 3600)
			require.EqualValues(t, 3, state.Version)
			_, err := a.RevokeSecret(ctx, id, 2)
			require.NoError(t, err)
			_, err = a.RevokeSecret(ctx, id, 9)
			require.Equal(t, transport.NotFound, transport.KindOf(err))
		})
		want(third)
		for _, m := range c.auths {
			m.Vanish()
		}
		for _, m := range c.auths {
			m.Start()
		}
		nodetest.Sleep(20 * time.Second)
		want(third)
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) { c.put(ctx, a, id, fourth, 0) })
		want(fourth)
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) { c.put(ctx, a, id, second, 3600) })
		want(second, fourth)
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			_, err := a.RevokeSecret(ctx, id, 0)
			require.NoError(t, err)
		})
		want()
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			for i := range 2 * authapi.SecretVersionsMax {
				c.put(ctx, a, id, fmt.Sprint("one of many many secrets ", i), authapi.OverlapMax)
			}
		})
		got, err := c.hookSecrets(r.Hook)
		require.NoError(t, err)
		require.Len(t, got, authapi.SecretVersionsMax)
		require.Equal(t, "one of many many secrets 7", got[0])
	})
}

// TestTheVaultKeyIsReplaced: everything is sealed anew, the old key is forgotten when nothing needs it, and an auth that was away
// asks for the new one.
func TestTheVaultKeyIsReplaced(t *testing.T) {
	inCity(t, 2, func(c *city) {
		r := c.settle()
		require.Len(t, c.safes[0].keys, 1)
		require.Equal(t, c.safes[0].keys, c.safes[1].keys, "one was drawn")
		first := c.safes[0].keys[0]
		c.auths[1].Vanish()
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			resp, err := a.ChangeVault(ctx, authapi.VaultRequest{})
			require.NoError(t, err)
			require.Len(t, resp.Keys, 2)
			require.Zero(t, resp.Stale)
			resp, err = a.ChangeVault(ctx, authapi.VaultRequest{Forget: true})
			require.NoError(t, err)
			require.Len(t, resp.Keys, 1)
		})
		require.NotContains(t, c.safes[0].keys, first)
		c.auths[1].Start()
		nodetest.Sleep(20 * time.Second)
		var got authapi.HookResponse
		c.do(c.patrick, func(ctx context.Context, env node.Env) {
			var err error
			got, err = authapi.Hook.Call(ctx, env.Wire, c.auths[1].Peer(), authapi.Named{Name: r.Hook})
			require.NoError(t, err)
		})
		require.Equal(t, []string{canary}, got.Secrets)
		require.Contains(t, c.safes[1].keys, c.safes[0].keys[0])
	})
}

// TestRepositoriesAreOfOneProject: nobody takes another project's, a project with repositories stays, and what is deleted has no hook.
// TestDomains: a host is of one project at most, until that lets it go or is gone.
func TestDomains(t *testing.T) {
	inCity(t, 1, func(c *city) {
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			put := func(host, project string) transport.Kind {
				_, err := a.PutDomain(ctx, host, project)
				return transport.KindOf(err)
			}
			require.Equal(t, transport.Conflict, put("shop.example.com", "shop"), "there is no such project")
			for _, name := range []string{"shop", "other"} {
				_, err := a.PutProject(ctx, name)
				require.NoError(t, err)
			}
			require.Zero(t, put("Shop.Example.com.", "shop"))
			require.Zero(t, put("shop.example.com", "shop"), "again")
			require.Equal(t, transport.Conflict, put("SHOP.example.com", "other"))
			for _, bad := range []string{"", "*.example.com", "shop.example.com:80", "a/b.example.com", strings.Repeat("a.", 200) + "com"} {
				require.Equal(t, transport.Invalid, put(bad, "shop"), bad)
			}
			require.Zero(t, put("other.example.com", "other"))
			list, err := a.Domains(ctx, "")
			require.NoError(t, err)
			require.Len(t, list, 2)
			require.Equal(t, "other.example.com", list[0].Host)
			list, err = a.Domains(ctx, "shop")
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.Equal(t, "shop", list[0].Project)
			require.NotZero(t, list[0].Made)
			_, err = a.DeleteDomain(ctx, "nobody.example.com")
			require.Equal(t, transport.NotFound, transport.KindOf(err))
			_, err = a.DeleteDomain(ctx, "shop.example.com")
			require.NoError(t, err)
			require.Zero(t, put("shop.example.com", "other"))
			_, err = a.DeleteProject(ctx, "other")
			require.NoError(t, err)
			list, err = a.Domains(ctx, "")
			require.NoError(t, err)
			require.Empty(t, list)
		})
	})
}

func TestRepositoriesAreOfOneProject(t *testing.T) {
	inCity(t, 1, func(c *city) {
		r := c.settle()
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			_, err := a.PutProject(ctx, "other")
			require.NoError(t, err)
			stolen := site("site")
			stolen.Project = "other"
			_, err = a.PutRepository(ctx, stolen)
			require.Equal(t, transport.Conflict, transport.KindOf(err))
			changed := site("site")
			changed.Branches = []string{"release/*"}
			resp, err := a.PutRepository(ctx, changed)
			require.NoError(t, err)
			require.Equal(t, r.Hook, resp.Repository.Hook)
			_, err = a.DeleteProject(ctx, "shop")
			require.Equal(t, transport.Conflict, transport.KindOf(err))
			_, err = a.DeleteRepository(ctx, "site")
			require.NoError(t, err)
			_, err = a.DeleteProject(ctx, "shop")
			require.NoError(t, err)
			_, err = a.DeleteProject(ctx, "shop")
			require.Equal(t, transport.NotFound, transport.KindOf(err))
			projects, err := a.Projects(ctx)
			require.NoError(t, err)
			require.Len(t, projects, 1)
			left, err := a.Secrets(ctx, "site")
			require.NoError(t, err)
			require.Empty(t, left)
			for _, bad := range []func(r *authapi.Repository){
				func(r *authapi.Repository) { r.Name = "a/b" },
				func(r *authapi.Repository) { r.URL = "https://u:secret@forge.example.com/a" },
				func(r *authapi.Repository) { r.URL = "--upload-pack=x" },
				func(r *authapi.Repository) { r.Forge = "sourceforge" },
				func(r *authapi.Repository) { r.Branches = nil },
				func(r *authapi.Repository) { r.Branches = []string{"["} },
			} {
				r := site("x")
				r.Project = "other"
				bad(&r)
				_, err := a.PutRepository(ctx, r)
				require.Equal(t, transport.Invalid, transport.KindOf(err), "%+v", r)
			}
			for _, bad := range []authapi.SecretPutRequest{
				{ID: authapi.SecretID{Kind: "x", Owner: "other"}, Value: []byte("v")},
				{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: "other", Name: "A B"}, Value: []byte("v")},
				{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: "other", Name: "A"}},
				{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: "other", Name: "A"}, Value: []byte("a\x00b")},
				{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: "other", Name: "A"}, Value: []byte("v"), Overlap: -1},
				{ID: authapi.SecretID{Kind: authapi.HookSecret, Owner: "site"}, Value: []byte("short")},
			} {
				_, err := a.PutSecret(ctx, bad)
				require.Equal(t, transport.Invalid, transport.KindOf(err), "%+v", bad.ID)
			}
		})
		_, err := c.hookSecrets(r.Hook)
		require.Equal(t, transport.NotFound, transport.KindOf(err))
	})
}

// TestAnAuthWithoutAVaultKeepsNoSecrets: it refuses, and the other duties go on.
func TestAnAuthWithoutAVaultKeepsNoSecrets(t *testing.T) {
	inTown(t, 1, func(w *town) {
		nodetest.Sleep(10 * time.Second)
		w.do(w.auths[0], func(ctx context.Context, env node.Env) {
			a := authapi.NewClient(env.Wire)
			_, err := a.PutProject(ctx, "shop")
			assert.NoError(t, err)
			_, err = a.PutSecret(ctx, authapi.SecretPutRequest{ID: authapi.SecretID{Kind: authapi.BuildSecret, Owner: "shop", Name: "A"}, Value: []byte("v")})
			assert.Equal(t, transport.Refused, transport.KindOf(err))
		})
	})
}
