package hostcert

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Unix(1_800_000_000, 0)

func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(b)), ed25519.SeedSize)))
}

func pemOf(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

func keyPEM(t testing.TB, key ed25519.PrivateKey) []byte {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pemOf("PRIVATE KEY", raw)
}

// chainOf is a certificate of hosts, signed by an authority of the test's own, and that authority.
func chainOf(t testing.TB, key ed25519.PrivateKey, ends time.Time, hosts ...string) (leaf, authority []byte) {
	above := keyOf('z')
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(nil, ca, ca, above.Public(), above)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	one := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "x"}, DNSNames: hosts, NotBefore: now.Add(-time.Hour), NotAfter: ends}
	leafRaw, err := x509.CreateCertificate(nil, one, parsed, key.Public(), above)
	require.NoError(t, err)
	return pemOf("CERTIFICATE", leafRaw), pemOf("CERTIFICATE", raw)
}

// shaped is a certificate that is made otherwise than usual, by an authority that ends then.
func shaped(t *testing.T, key crypto.Signer, authorityEnds time.Time, change func(*x509.Certificate)) []byte {
	above := keyOf('z')
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: now.Add(-time.Hour), NotAfter: authorityEnds, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(nil, ca, ca, above.Public(), above)
	require.NoError(t, err)
	one := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"shop.example.com"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	change(one)
	leaf, err := x509.CreateCertificate(nil, one, ca, key.Public(), above)
	require.NoError(t, err)
	return append(pemOf("CERTIFICATE", leaf), pemOf("CERTIFICATE", raw)...)
}

// What no client would take is not kept, least of all in place of what it takes.
func TestWhatNoClientTakes(t *testing.T) {
	key, later, none := keyOf('a'), now.Add(1000*time.Hour), func(*x509.Certificate) {}
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(weak)
	require.NoError(t, err)
	for want, c := range map[string]struct{ chain, key []byte }{
		"": {shaped(t, key, later, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		}), keyPEM(t, key)},
		"certificate 2 of the chain has ended": {shaped(t, key, now.Add(-time.Minute), none), keyPEM(t, key)},
		"begins on":                            {shaped(t, key, later, func(c *x509.Certificate) { c.NotBefore = now.Add(2 * time.Hour); c.NotAfter = later }), keyPEM(t, key)},
		"not for servers":                      {shaped(t, key, later, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), keyPEM(t, key)},
		"P-256 and up":                         {shaped(t, weak, later, none), pemOf("PRIVATE KEY", raw)},
	} {
		_, err := Read("shop.example.com", c.chain, c.key, now)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestRead(t *testing.T) {
	key := keyOf('a')
	leaf, authority := chainOf(t, key, now.Add(time.Hour), "shop.example.com", "*.shop.example.com")
	f, err := Read("shop.example.com", append(append([]byte("words before are skipped\n"), leaf...), authority...), append([]byte("\n"), keyPEM(t, key)...), now)
	require.NoError(t, err)
	require.Equal(t, Facts{NotBefore: now.Add(-time.Hour).Unix(), NotAfter: now.Add(time.Hour).Unix(), Issuer: "CN=an authority", Fingerprint: f.Fingerprint, Chain: append(leaf, authority...), Key: keyPEM(t, key)}, f)
	_, err = Read("a.shop.example.com", leaf, keyPEM(t, key), now)
	require.NoError(t, err, "by its wildcard, and without the authority")
	stranger, _ := chainOf(t, keyOf('b'), now.Add(time.Hour), "shop.example.com")
	for want, c := range map[string]struct {
		host       string
		chain, key []byte
		now        time.Time
	}{
		"not for other.example.com":    {"other.example.com", leaf, keyPEM(t, key), now},
		"has ended":                    {"shop.example.com", leaf, keyPEM(t, key), now.Add(2 * time.Hour)},
		"not that of the first":        {"shop.example.com", leaf, keyPEM(t, keyOf('b')), now},
		"is not signed by the next":    {"shop.example.com", append(append([]byte{}, leaf...), stranger...), keyPEM(t, key), now},
		"the chain has no certificate": {"shop.example.com", nil, keyPEM(t, key), now},
		"expected certificates in PEM": {"shop.example.com", []byte("x"), keyPEM(t, key), now},
		"the chain holds a":            {"shop.example.com", append(keyPEM(t, key), leaf...), keyPEM(t, key), now},
		"at most 8 certificates":       {"shop.example.com", []byte(strings.Repeat(string(authority), 9)), keyPEM(t, key), now},
		"at most 32 KiB":               {"shop.example.com", make([]byte, ChainLenMax+1), keyPEM(t, key), now},
		"cannot be read":               {"shop.example.com", pemOf("CERTIFICATE", []byte("x")), keyPEM(t, key), now},
		"expected one private key":     {"shop.example.com", leaf, leaf, now},
	} {
		_, err := Read(c.host, c.chain, c.key, c.now)
		require.ErrorContains(t, err, want)
	}
	for _, bad := range [][]byte{nil, append(keyPEM(t, key), keyPEM(t, key)...), pemOf("PRIVATE KEY", []byte("x")), pemOf("EC PRIVATE KEY", []byte("x")), make([]byte, KeyLenMax+1)} {
		_, err := Read("shop.example.com", leaf, bad, now)
		require.ErrorIs(t, err, errKey)
	}
}

// FuzzRead: whatever is brought, what is kept is read again as the same.
func FuzzRead(f *testing.F) {
	key := keyOf('a')
	leaf, authority := chainOf(f, key, now.Add(time.Hour), "shop.example.com")
	f.Add("shop.example.com", append(leaf, authority...), keyPEM(f, key))
	f.Fuzz(func(t *testing.T, host string, chain, key []byte) {
		one, err := Read(host, chain, key, now)
		if err != nil {
			return
		}
		two, err := Read(host, one.Chain, one.Key, now)
		require.NoError(t, err)
		require.Equal(t, one, two)
	})
}

// TestKinds of keys: those that are taken are, in each form in which they come, and what is kept is one form of all.
func TestKinds(t *testing.T) {
	strong, weak := rsaKey(t, 2048), rsaKey(t, 1024)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(curve)
	require.NoError(t, err)
	pkcs8 := func(key any) []byte {
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		return pemOf("PRIVATE KEY", raw)
	}
	other, err := ecdh.X25519().NewPrivateKey([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	parameters := pemOf("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for name, c := range map[string]struct {
		text []byte
		want any // nil: it is refused
	}{
		"Ed25519":              {keyPEM(t, keyOf('a')), keyOf('a')},
		"RSA":                  {pkcs8(strong), strong},
		"RSA, PKCS #1":         {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(strong)), strong},
		"RSA of too few bits":  {pkcs8(weak), nil},
		"ECDSA":                {pkcs8(curve), curve},
		"ECDSA, SEC 1":         {pemOf("EC PRIVATE KEY", sec1), curve},
		"with parameters":      {append(parameters, pemOf("EC PRIVATE KEY", sec1)...), curve},
		"parameters only":      {parameters, nil},
		"for no signatures":    {pkcs8(other), nil},
		"SEC 1, called PKCS 8": {pemOf("PRIVATE KEY", sec1), nil},
		"of another type":      {pemOf("PUBLIC KEY", sec1), nil},
	} {
		key, err := readKey(c.text)
		if c.want == nil {
			require.ErrorIs(t, err, errKey, name)
			continue
		}
		require.NoError(t, err, name)
		require.True(t, key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(c.want), name)
	}
	require.Equal(t, strings.Repeat("n", issuerLenMax), shortened(strings.Repeat("n", issuerLenMax)))
	require.Equal(t, strings.Repeat("n", issuerLenMax), shortened(strings.Repeat("n", issuerLenMax+1)))
	require.Equal(t, strings.Repeat("n", issuerLenMax-1), shortened(strings.Repeat("n", issuerLenMax-1)+"ä"), "no half of a letter")
	_, authority := chainOf(t, keyOf('a'), now.Add(time.Hour), "shop.example.com")
	_, err = Read("shop.example.com", authority, keyPEM(t, keyOf('z')), now)
	require.Error(t, err, "an authority's is no host's")
}

// rsaKey is a key of two primes that are no secret.
func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}
