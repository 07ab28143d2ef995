package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
)

// shown is what hosts show the world.
type shown struct {
	texts map[string][]string
	pages map[string]string
}

func (s *shown) TXT(_ context.Context, name string) ([]string, error) { return s.texts[name], nil }

func (s *shown) Page(_ context.Context, address string) ([]byte, error) {
	if page, there := s.pages[address]; there {
		return []byte(page), nil
	}
	return nil, errors.New("no answer")
}

// signed is a certificate of a host that ends after a while, and its key.
func signed(t *testing.T, host string, serial int64, now time.Time, life time.Duration) (chain, key []byte) {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+serial)), ed25519.SeedSize)))
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life)}
	raw, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// TestCertificatesOfHosts: gateways get the newest, with its key, while the host is the project's that it was stored for and it has not ended;
// nobody else gets a key, and no disk has one.
func TestCertificatesOfHosts(t *testing.T) {
	inCity(t, 2, func(c *city) {
		const host = "shop.example.com"
		gateway := c.member("gateway", node.Configured{Spec: nodetest.Part("gateway", func(node.Env) {})}).Start()
		chain, key := signed(t, host, 1, time.Now(), 2*time.Minute)
		newer, newerKey := signed(t, host, 2, time.Now(), 4*time.Minute)
		nodetest.Sleep(10 * time.Second)
		of := func(m *nodetest.Machine) (resp authapi.CertificateOfResponse, kind transport.Kind) {
			c.as(m, func(ctx context.Context, a *authapi.Client) {
				var err error
				resp, err = a.CertificateOf(ctx, host)
				kind = transport.KindOf(err)
			})
			return resp, kind
		}
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			put := func(host string, chain, key []byte) transport.Kind {
				_, err := a.PutCertificate(ctx, authapi.CertificatePutRequest{Host: host, Chain: chain, Key: key})
				if err != nil {
					require.NotContains(t, err.Error(), "PRIVATE")
				}
				return transport.KindOf(err)
			}
			for _, name := range []string{"shop", "other"} {
				_, err := a.PutProject(ctx, name)
				require.NoError(t, err)
			}
			require.Equal(t, transport.Conflict, put(host, chain, key), "nobody's host")
			_, err := a.PutDomain(ctx, host, "shop")
			require.NoError(t, err)
			require.Equal(t, transport.Invalid, put(host, chain, newerKey), "another key")
			require.Equal(t, transport.Invalid, put("other.example.com", chain, key), "another host")
			require.Zero(t, put(host, chain, key))
			require.Zero(t, put(host, newer, newerKey))
			list, err := a.Certificates(ctx, "shop")
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.EqualValues(t, 2, list[0].Version)
			list, err = a.Certificates(ctx, "other")
			require.NoError(t, err)
			require.Empty(t, list)
			audit, err := a.Audit(ctx, "shop", 100)
			require.NoError(t, err)
			require.Equal(t, "certificate-stored", audit[0].What)
			_, err = a.ChangeVault(ctx, authapi.VaultRequest{})
			require.NoError(t, err)
			_, err = a.ChangeVault(ctx, authapi.VaultRequest{Forget: true})
			require.NoError(t, err)
		})
		nodetest.Sleep(10 * time.Second)
		got, kind := of(gateway)
		require.Zero(t, kind)
		require.Equal(t, string(newer), string(got.Chain))
		require.Equal(t, string(newerKey), string(got.Key))
		for _, m := range []*nodetest.Machine{c.auths[1], c.patrick, c.monkey} {
			_, kind := of(m)
			require.NotZero(t, kind, m.Name)
		}
		c.onNoDisk(key, newerKey)

		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			_, err := a.DeleteDomain(ctx, host)
			require.NoError(t, err)
			_, err = a.PutDomain(ctx, host, "other")
			require.NoError(t, err)
			list, err := a.Certificates(ctx, "")
			require.NoError(t, err)
			require.Empty(t, list, "it went with the host")
			_, err = a.PutCertificate(ctx, authapi.CertificatePutRequest{Host: host, Chain: newer, Key: newerKey})
			require.NoError(t, err)
		})
		nodetest.Sleep(5 * time.Minute)
		_, kind = of(gateway)
		require.Equal(t, transport.NotFound, kind, "it has ended")
		c.as(c.auths[1], func(ctx context.Context, a *authapi.Client) {
			_, err := a.DeleteCertificate(ctx, host)
			require.NoError(t, err)
			_, err = a.DeleteCertificate(ctx, host)
			require.Equal(t, transport.NotFound, transport.KindOf(err))
		})
	})
}

// TestADomainIsProven by what its owner shows, and is taken from nobody.
func TestADomainIsProven(t *testing.T) {
	inCity(t, 2, func(c *city) {
		c.as(c.auths[0], func(ctx context.Context, a *authapi.Client) {
			for _, name := range []string{"shop", "other"} {
				_, err := a.PutProject(ctx, name)
				require.NoError(t, err)
			}
			prove := func(host, project string) authapi.DomainProveResponse {
				resp, err := a.ProveDomain(ctx, authapi.DomainProveRequest{Host: host, Project: project})
				require.NoError(t, err)
				return resp
			}
			want, err := a.ProveDomain(ctx, authapi.DomainProveRequest{Host: "Shop.example.com", Project: "shop", Show: true})
			require.NoError(t, err)
			require.Equal(t, "_tau-domain.shop.example.com", want.Record)
			require.Equal(t, "http://shop.example.com/.well-known/tau-domain", want.Page)
			other, err := a.ProveDomain(ctx, authapi.DomainProveRequest{Host: "shop.example.com", Project: "other", Show: true})
			require.NoError(t, err)
			require.NotEqual(t, want.Value, other.Value)

			require.Empty(t, prove("shop.example.com", "shop").Proof)
			c.shown.texts[want.Record] = []string{"v=spf1", other.Value}
			got := prove("shop.example.com", "shop")
			require.Empty(t, got.Proof, "it says another project")
			require.Equal(t, "DNS has other texts for _tau-domain.shop.example.com; http://shop.example.com/.well-known/tau-domain: no answer", got.Why)
			list, err := a.Domains(ctx, "")
			require.NoError(t, err)
			require.Empty(t, list)

			c.shown.texts[want.Record] = []string{"v=spf1", want.Value + " "}
			require.Equal(t, authapi.ProofDNS, prove("shop.example.com", "shop").Proof)
			delete(c.shown.texts, want.Record)
			c.shown.pages[want.Page] = want.Value + "\n"
			require.Equal(t, authapi.ProofHTTP, prove("shop.example.com", "shop").Proof)
			list, err = a.Domains(ctx, "shop")
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.Equal(t, authapi.ProofHTTP, list[0].Proof)
			require.NotZero(t, list[0].Proven)

			c.shown.pages[want.Page] = other.Value
			_, err = a.ProveDomain(ctx, authapi.DomainProveRequest{Host: "shop.example.com", Project: "other"})
			require.Equal(t, transport.Conflict, transport.KindOf(err), "it is taken from nobody")
			_, err = a.ProveDomain(ctx, authapi.DomainProveRequest{Host: "shop.example.com", Project: "nobody"})
			require.Equal(t, transport.Conflict, transport.KindOf(err))
			_, err = a.ProveDomain(ctx, authapi.DomainProveRequest{Host: "127.0.0.1", Project: "shop"})
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		})
	})
}

// onNoDisk requires that no auth's disk has what is secret, as it is or as a part of something else.
func (c *city) onNoDisk(secrets ...[]byte) {
	for i, m := range c.auths {
		m.Disk.DurableBelow("", func(key string, value []byte) bool {
			for _, secret := range secrets {
				block, _ := pem.Decode(secret)
				require.NotContains(c.t, key+string(value), string(secret), "auth-%d", i+1)
				require.NotContains(c.t, key+string(value), string(block.Bytes[len(block.Bytes)-ed25519.SeedSize:]), "auth-%d", i+1)
			}
			return true
		})
	}
}
