// Package hostcert reads the certificate of a host - X.509, for TLS - and its private key, as somebody has brought them: it says what is
// wrong with them before they are kept. It is pure: it signs nothing, and trusts no authority more than another one.
package hostcert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bounds of what is read.
const (
	// ChainLenMax bounds a chain, in bytes of PEM, chainMax its certificates.
	ChainLenMax = 32 << 10
	chainMax    = 8
	// KeyLenMax bounds a private key, in bytes of PEM.
	KeyLenMax = 8 << 10
	// SkewMax is by how much the clock of who has signed a certificate may be ahead.
	SkewMax    = time.Hour
	rsaBitsMin = 2048
	rsaBitsMax = 8192
)

// Facts are what a certificate says of itself.
type Facts struct {
	// NotBefore and NotAfter are when it begins and ends, in seconds since 1970.
	NotBefore, NotAfter int64
	// Issuer is who has signed it, for people.
	Issuer string
	// Fingerprint is the SHA-256 of the certificate, in hexadecimal digits.
	Fingerprint string
	// Chain is what was read of it, anew: certificates and nothing else, the host's first.
	Chain []byte
	// Key is what was read of the private key, anew, in PKCS #8.
	Key []byte
}

// Read reads the chain of a host, whose first certificate is the host's own, and the private key of that. Texts of errors hold nothing of
// the key.
func Read(host string, chain, key []byte, now time.Time) (f Facts, err error) {
	certificates, err := readChain(chain)
	if err != nil {
		return f, err
	}
	leaf := certificates[0]
	switch err := leaf.VerifyHostname(host); {
	case err != nil:
		return f, fmt.Errorf("the first certificate is not for %s", host)
	case now.After(leaf.NotAfter):
		return f, fmt.Errorf("the certificate has ended, on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case leaf.NotBefore.After(now.Add(SkewMax)):
		return f, fmt.Errorf("the certificate begins on %s: bring it then, for it would replace the one before at once", leaf.NotBefore.UTC().Format(time.DateTime))
	case leaf.IsCA:
		return f, errors.New("the first certificate is an authority's: the host's own comes first")
	case len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return f, errors.New("the first certificate is not for servers: it says what else it is for")
	}
	for i, c := range certificates[1:] {
		if now.After(c.NotAfter) {
			return f, fmt.Errorf("certificate %d of the chain has ended, on %s: nobody would believe the first any more", i+2, c.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	for i, c := range certificates[:len(certificates)-1] {
		if c.CheckSignatureFrom(certificates[i+1]) != nil {
			return f, fmt.Errorf("certificate %d of the chain is not signed by the next one: the host's comes first, then who has signed it", i+1)
		}
	}
	private, err := readKey(key)
	if err != nil {
		return f, err
	}
	if public, is := private.Public().(interface{ Equal(crypto.PublicKey) bool }); !is || !public.Equal(leaf.PublicKey) {
		return f, errors.New("the private key is not that of the first certificate")
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return f, errors.New("the private key is of a kind that is not known here")
	}
	sum := sha256.Sum256(leaf.Raw)
	f = Facts{
		NotBefore: leaf.NotBefore.Unix(), NotAfter: leaf.NotAfter.Unix(), Issuer: shortened(leaf.Issuer.String()), Fingerprint: hex.EncodeToString(sum[:]),
		Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}),
	}
	for _, c := range certificates {
		f.Chain = append(f.Chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return f, nil
}

// issuerLenMax bounds the name of an issuer that is shown, in bytes.
const issuerLenMax = 200

func shortened(name string) string {
	if len(name) > issuerLenMax {
		name = name[:issuerLenMax]
	}
	return string(bytes.ToValidUTF8([]byte(name), nil))
}

func readChain(chain []byte) (list []*x509.Certificate, err error) {
	if len(chain) > ChainLenMax {
		return nil, fmt.Errorf("a chain has at most %d KiB", ChainLenMax>>10)
	}
	for len(bytes.TrimSpace(chain)) > 0 {
		var block *pem.Block
		block, chain = pem.Decode(chain)
		switch {
		case block == nil:
			return nil, errors.New("expected certificates in PEM: -----BEGIN CERTIFICATE-----")
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("the chain holds a %.40q: it has certificates only, and the key is a file of its own", block.Type)
		case len(list) == chainMax:
			return nil, fmt.Errorf("a chain has at most %d certificates", chainMax)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain cannot be read", len(list)+1)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("the chain has no certificate")
	}
	return list, nil
}

var errKey = errors.New("expected one private key in PEM, not encrypted: PKCS #8, PKCS #1 or SEC 1; of RSA with 2,048 to 8,192 bits, ECDSA of P-256 and up, or Ed25519")

func readKey(text []byte) (crypto.Signer, error) {
	if len(text) > KeyLenMax {
		return nil, errKey
	}
	block, rest := pem.Decode(text)
	for block != nil && block.Type == "EC PARAMETERS" { // as openssl writes before a key
		block, rest = pem.Decode(rest)
	}
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errKey
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errKey
	}
	if err != nil {
		return nil, errKey
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P224() { // which TLS has no signatures of
			return key, nil
		}
	case ed25519.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits >= rsaBitsMin && bits <= rsaBitsMax {
			return key, nil
		}
	}
	return nil, errKey
}
