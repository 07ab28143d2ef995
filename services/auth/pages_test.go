package auth

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A list is told whole, a page at a time, in order and nothing twice, also when its last page is full; and of one project only what is its.
func TestListsArePagesInOrder(t *testing.T) {
	for _, n := range []int{0, 1, authapi.RecordPageMax, authapi.RecordPageMax + 1, 2 * authapi.RecordPageMax} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			atDesk(t, func(d *desk) {
				d.turn(func(ctx context.Context, s *Service) {
					b := new(storage.Batch)
					var want []string
					for i := range n {
						name, of := fmt.Sprintf("z%05d", i), []string{"shop", "other"}[i%2]
						want = append(want, name)
						b.Put(projectKey(name), transport.Encode(authapi.Project{Name: name}))
						b.Put(repositoryKey(name), transport.Encode(authapi.Repository{Name: name, Project: of}))
						b.Put(domainKey(name), transport.Encode(authapi.Domain{Host: name, Project: of}))
						for v := range uint64(2) {
							b.Put(certificateKey(name, v+1, guest), transport.Encode(sealedCertificate{Project: of, Made: int64(v + 1)}))
						}
						b.Put(tokenKey(name), transport.Encode(token.Record{ID: name}))
						b.Put(storage.K(auditPart, name, "by", "1"), transport.Encode(authapi.AuditEntry{ID: name + "/by/1", Project: of, What: name}))
					}
					for _, part := range []string{projectPart, repositoryPart, domainPart, certificatePart, tokenPart, auditPart, secretPart} { // what is no record is no end of a list
						b.Put(storage.K(part, "z00000x"), []byte("x")).Put(storage.K(part, "z00000x", "y", "z"), []byte("x")).Put(storage.K(part, "z00000x", "1", "z"), []byte("x"))
						b.Put(storage.K(part, "z00000x", "build", "-", "1", "x"), []byte("x")).Put(storage.K(part, "z00000x", "build", "N-", "y", "x"), []byte("x"))
					}
					require.NoError(t, s.store.Apply(b))
					require.Empty(t, s.allSecrets())
					some := func(of string) (list []string) {
						for i, name := range want {
							if of == "" || of == []string{"shop", "other"}[i%2] {
								list = append(list, name)
							}
						}
						return list
					}
					all := func(what, of string, page func(after string) (list []string, more bool, err error)) {
						var got []string
						for after := ""; ; {
							list, more, err := page(after)
							require.NoError(t, err)
							got = append(got, list...)
							require.LessOrEqual(t, len(list), authapi.RecordPageMax)
							if !more {
								break
							}
							require.Len(t, list, authapi.RecordPageMax, what)
							after = got[len(got)-1]
						}
						require.Equal(t, some(of), got, what)
					}
					for _, of := range []string{"", "shop", "other"} {
						if of == "" {
							all("projects", of, func(after string) ([]string, bool, error) {
								resp, err := s.listProjects(ctx, guest, authapi.PageRequest{After: after})
								return names(resp.List, func(p authapi.Project) string { return p.Name }), resp.More, err
							})
							all("tokens", of, func(after string) ([]string, bool, error) {
								resp, err := s.listTokens(ctx, guest, authapi.TokenListRequest{After: after})
								return names(resp.List, func(t authapi.TokenState) string { return t.ID }), resp.More, err
							})
						}
						all("repositories", of, func(after string) ([]string, bool, error) {
							resp, err := s.listRepositories(ctx, guest, authapi.PageRequest{After: after, Project: of})
							return names(resp.List, func(r authapi.Repository) string { return r.Name }), resp.More, err
						})
						all("domains", of, func(after string) ([]string, bool, error) {
							resp, err := s.listDomains(ctx, guest, authapi.PageRequest{After: after, Project: of})
							return names(resp.List, func(d authapi.Domain) string { return d.Host }), resp.More, err
						})
						all("certificates", of, func(after string) ([]string, bool, error) {
							resp, err := s.listCertificates(ctx, guest, authapi.PageRequest{After: after, Project: of})
							return names(resp.List, func(c authapi.HostCertificate) string { require.EqualValues(t, 2, c.Made); return c.Host }), resp.More, err
						})
						var got []string
						for before := ""; ; {
							resp, err := s.listAudit(ctx, guest, authapi.AuditRequest{Before: before, Project: of})
							require.NoError(t, err)
							for _, a := range resp.List {
								got = append([]string{a.What}, got...)
								before = a.ID
							}
							if !resp.More {
								break
							}
							require.Len(t, resp.List, authapi.RecordPageMax)
						}
						require.Equal(t, some(of), got, "the audit, newest first")
					}
				})
			})
		})
	}
}

func names[T any](list []T, name func(T) string) (all []string) {
	for _, x := range list {
		all = append(all, name(x))
	}
	return all
}

// Of more entries than are kept the oldest go, and no others.
func TestTheAuditKeepsTheNewest(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(_ context.Context, s *Service) {
			b := new(storage.Batch)
			for i := range authapi.AuditMax - 1 {
				b.Put(storage.K(auditPart, fmt.Sprintf("%020d", i), "by", "1"), transport.Encode(authapi.AuditEntry{}))
			}
			require.NoError(t, s.store.Apply(b))
			for i, oldest := range []int{0, 1, 2} {
				require.NoError(t, s.audit(guest, "x", "", fmt.Sprint(i)))
				entries := s.store.Entries(storage.K(auditPart))
				require.Len(t, entries, authapi.AuditMax)
				require.Equal(t, fmt.Sprintf("%020d", oldest), entries[0].Key.Parts()[1])
				var a authapi.AuditEntry
				require.NoError(t, transport.Decode(entries[len(entries)-1].Value, &a))
				require.Equal(t, fmt.Sprint(i), a.Object, "of one instant, too, in the order in which it was done")
			}
		})
	})
}

// Secrets that ended a day ago are shown no more, and forgotten with the next version; what is not of the repository or project any more is given to nobody.
func TestWhatOfSecretsIsKept(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			now, id := time.Now().Unix(), deskSecret(authapi.HookSecret)
			ended := map[uint64]int64{2: now - secretKept - 1, 3: now - secretKept, 4: now, 5: now + 1}
			for version, until := range ended {
				k := secretKey(id, version, guest)
				x := secret{id: id, version: version}
				sealed, err := s.keyring.ring.Seal(x.place(), fmt.Append(nil, "v", version))
				require.NoError(t, err)
				require.NoError(t, s.store.Apply(new(storage.Batch).Put(k, transport.Encode(sealedSecret{Sealed: sealed})).Put(secretEndKey(k, until+9), nil).Put(secretEndKey(k, until), nil)))
			}
			shown := func() (list []uint64) {
				resp, err := s.listSecrets(ctx, guest, authapi.SecretsRequest{Owner: "site"})
				require.NoError(t, err)
				for _, state := range resp.List {
					if state.ID == id {
						list = append(list, state.Version)
						require.Equal(t, ended[state.Version], state.Until)
					}
				}
				return list
			}
			require.Equal(t, []uint64{5, 4, 3, 1}, shown())
			values, err := s.values(ctx, id)
			require.NoError(t, err)
			require.Equal(t, "v5", string(values[0]))
			require.Len(t, values, 2, "it counts before its last second is over, and no longer")
			_, err = s.revokeSecret(ctx, guest, authapi.SecretRevokeRequest{ID: id, Version: 1})
			require.NoError(t, err)
			ended[1] = now
			_, err = s.putSecret(ctx, guest, authapi.SecretPutRequest{ID: id, Value: make([]byte, 32), Overlap: 9})
			require.NoError(t, err)
			require.Equal(t, []uint64{6, 5, 4, 3, 1}, shown())
			left := map[string]int{}
			for _, e := range s.store.Entries(storage.K(secretEndPart, "site", string(authapi.HookSecret))) {
				left[strings.TrimLeft(e.Key.Parts()[4], "0")]++
			}
			require.Equal(t, map[string]int{"1": 1, "3": 2, "4": 2, "5": 2}, left, "with what was said of its end")

			forge, err := s.forge(ctx, guest, authapi.Named{Name: "site"})
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("s", 32), forge.Token)
			require.Len(t, forge.Keys, 1)
			_, err = s.forge(ctx, guest, authapi.Named{Name: "nothing"})
			require.Equal(t, transport.NotFound, kindOf(err))
			require.NoError(t, s.store.Apply(new(storage.Batch).Delete(repositoryKey("site"))))
			repository, err := s.hook(ctx, guest, authapi.Named{Name: hookOfSite(s)})
			require.Equal(t, transport.NotFound, kindOf(err))
			require.Empty(t, repository.Secrets)
		})
	})
}

func hookOfSite(s *Service) string { return s.store.Entries(storage.K(hookPart))[0].Key.Parts()[1] }

// A secret that cannot be opened is an error of all that would give it, and nothing is given in its place.
func TestSecretsThatDoNotOpen(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			hook := hookOfSite(s)
			require.NoError(t, s.useKeys([][]byte{make([]byte, 32)}))
			for what, do := range map[string]func() (int, error){
				"a webhook":  func() (int, error) { return reads(s.hook(ctx, guest, authapi.Named{Name: hook})) },
				"a forge":    func() (int, error) { return reads(s.forge(ctx, guest, authapi.Named{Name: "site"})) },
				"a function": func() (int, error) { return reads(s.functionSecrets(ctx, guest, authapi.Named{Name: "shop"})) },
				"a host":     func() (int, error) { return reads(s.certificateFor(ctx, guest, authapi.Named{Name: deskHost})) },
				"other parts": func() (int, error) {
					return reads(s.parts(ctx, authapi.Repository{Name: "x", Project: "shop", Holds: build.Resource}))
				},
				"builds": func() (int, error) { return reads(s.named(ctx, authapi.BuildSecret, "shop")) },
			} {
				_, err := do()
				require.Equal(t, transport.Refused, kindOf(err), what)
				require.ErrorContains(t, err, "could not be opened", what)
			}
			_, err := s.changeVault(ctx, guest, authapi.VaultRequest{Forget: true})
			require.Equal(t, transport.Conflict, kindOf(err), "what opens them may be needed yet")
			require.ErrorContains(t, err, vault.ErrNoKey.Error())
		})
	})
}

// The vault key is replaced only a few times before old ones have to be forgotten, which needs what is sealed with them sealed anew.
func TestHowManyVaultKeysThereAre(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			settled(t, ctx, s)
			kept := s.keyring.vault.(*shelf)
			for n := 2; n <= vault.KeysMax; n++ {
				resp, err := s.changeVault(ctx, guest, authapi.VaultRequest{})
				require.NoError(t, err)
				require.Len(t, resp.Keys, n)
				require.Zero(t, resp.Stale)
				require.Equal(t, kept.keys, s.keyring.keys)
				require.Equal(t, byte(n-1+10), kept.keys[0][0], "the new one seals")
			}
			_, err := s.changeVault(ctx, guest, authapi.VaultRequest{})
			require.Equal(t, transport.Conflict, kindOf(err))
			require.ErrorContains(t, err, "forget the old ones first")
			require.NoError(t, s.useKeys(append([][]byte{make([]byte, 32)}, kept.keys[:2]...)))
			require.Equal(t, 6, s.staleSecrets(), "5 secrets and the key of a host")
			kept.broken = errBrittle
			_, err = s.changeVault(ctx, guest, authapi.VaultRequest{Forget: true})
			require.Equal(t, transport.Conflict, kindOf(err))
			require.Len(t, s.keyring.ring.IDs(), 3, "what is not kept is not used")
			_, err = s.changeVault(ctx, guest, authapi.VaultRequest{})
			require.Equal(t, transport.Conflict, kindOf(err))
			_, err = s.giveKeys(ctx, guest, vaultKeysRequest{Keys: [][]byte{{1}}})
			require.Equal(t, transport.Invalid, kindOf(err))
			kept.broken = nil
			resp, err := s.changeVault(ctx, guest, authapi.VaultRequest{Forget: true})
			require.NoError(t, err)
			require.Len(t, resp.Keys, 1)
			require.Equal(t, [][]byte{make([]byte, 32)}, kept.keys)
			require.Len(t, d.Facts("vault-keys"), vault.KeysMax)
			audit, err := s.listAudit(ctx, guest, authapi.AuditRequest{})
			require.NoError(t, err)
			require.Equal(t, []string{"vault-keys-forgotten", "vault-key-replaced"}, []string{audit.List[0].What, audit.List[1].What})
			values, err := s.values(ctx, deskSecret(authapi.HookSecret))
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("s", 32), string(values[0]))
			got, err := s.certificateFor(ctx, guest, authapi.Named{Name: deskHost})
			require.NoError(t, err)
			require.Equal(t, string(certificateOf(t, deskHost).Key), string(got.Key))
			given, err := s.giveKeys(ctx, guest, vaultKeysRequest{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}})
			require.NoError(t, err)
			require.Len(t, given.Keys, 2)
			require.Equal(t, byte('k'), given.Keys[0][0], "what another auth says comes first seals")
			require.Equal(t, given.Keys, kept.keys)
		})
	})
}

// An auth whose vault cannot be read does not start, and neither does one with keys that are none.
func TestAVaultThatCannotBeRead(t *testing.T) {
	for _, broken := range []*shelf{{broken: errBrittle}, {keys: [][]byte{{1}}}} {
		nodetest.Run(t, func(c *nodetest.Cloud) {
			c.Key, c.Issuer = &deskCloud, authapi.Service
			m := c.Add("auth", node.Configured{Spec: Spec(Ends{Vault: func(node.Env) Vault { return broken }})})
			require.Error(t, m.TryStart())
		})
	}
}
