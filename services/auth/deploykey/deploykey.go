// Package deploykey writes ed25519 key pairs as SSH and forges have them. It is pure: the seed, 32 drawn bytes, is given to it, and
// equal seeds give equal bytes.
package deploykey

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"strings"
)

const keyType = "ssh-ed25519"

// Pair is a key pair.
type Pair struct {
	// Private is in OpenSSH's form, without a passphrase: a secret.
	Private []byte
	// Public is a line as forges take it, with a comment.
	Public string
}

// New makes the pair of a seed. The comment names it for people.
func New(seed []byte, comment string) (Pair, error) {
	if len(seed) != ed25519.SeedSize {
		return Pair{}, fmt.Errorf("deploykey: made of %d bytes instead of %d", len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := field(nil, keyType)
	public = field(public, string(private.Public().(ed25519.PublicKey)))

	// The two equal numbers in front would tell whether a passphrase was right. There is none, so they may be anything.
	secret := make([]byte, 8)
	secret = field(secret, keyType)
	secret = field(secret, string(private.Public().(ed25519.PublicKey)))
	secret = field(secret, string(private))
	secret = field(secret, comment)
	for i := byte(1); len(secret)%8 != 0; i++ {
		secret = append(secret, i)
	}
	out := []byte("openssh-key-v1\x00")
	out = field(field(field(out, "none"), "none"), "")
	out = binary.BigEndian.AppendUint32(out, 1)
	out = field(field(out, string(public)), string(secret))
	return Pair{
		Private: pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: out}),
		Public:  strings.TrimSpace(keyType + " " + base64.StdEncoding.EncodeToString(public) + " " + comment),
	}, nil
}

// field appends a string as SSH writes it.
func field(to []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(s))), s...)
}
