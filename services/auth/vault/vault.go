// Package vault seals secrets so that they can be stored and replicated: who reads a disk, or a replica, without the
// cloud's vault key reads nothing. It is pure: keys are given to it, and it draws nothing at random.
//
// A secret is bound to its place (project, name, version): what is sealed for one place does not open at another, so that
// nobody who can write records can pass one secret off as another one.
//
// What it does not hide is how long a secret is, and whether the same one was sealed for the same place before.
package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// KeyLen is the length of a vault key, in bytes.
	KeyLen = 32
	// KeysMax bounds the keys of a ring: the one of today, the next one, and those that they replace.
	KeysMax = 8
	// SecretLenMax bounds a secret, in bytes.
	SecretLenMax = 16 << 10
	// placeLenMax bounds each part of a place, in bytes.
	placeLenMax = 256
	keyIDLen    = 8
)

// ErrNoKey says that a secret was sealed with a key that the ring does not have.
var ErrNoKey = errors.New("vault: sealed with a key that is not here")

// ErrNotGenuine says that a sealed secret was changed, or is of another place.
var ErrNotGenuine = errors.New("vault: changed since it was sealed, or sealed for another place")

// Place is what a secret is for. Each part has at most 256 bytes.
type Place struct {
	Project, Name string
	// Version differs for each value that the secret ever had.
	Version uint64
}

func (p Place) encode() []byte {
	var out []byte
	for _, part := range []string{p.Project, p.Name} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return binary.BigEndian.AppendUint64(out, p.Version)
}

// Sealed is a secret as it may be stored.
type Sealed struct {
	Key   []byte `cbor:"1,keyasint"` // the id of the key
	Nonce []byte `cbor:"2,keyasint"`
	Data  []byte `cbor:"3,keyasint"`
}

// Ring is the vault keys that a node has: the first one seals, all open. The zero value has none.
type Ring struct{ keys []key }

// key is what is derived of a vault key.
type key struct{ id, seal, nonce []byte }

// NewRing makes a ring. To replace a key, first add the new one behind it everywhere, then move it to the front, then
// seal anew what has another key (Stale), then leave the old one out.
func NewRing(keys ...[]byte) (Ring, error) {
	if len(keys) > KeysMax {
		return Ring{}, fmt.Errorf("vault: %d keys, at most %d", len(keys), KeysMax)
	}
	var r Ring
	for i, raw := range keys {
		if len(raw) != KeyLen {
			return Ring{}, fmt.Errorf("vault: key %d has %d bytes instead of %d", i+1, len(raw), KeyLen)
		}
		k, err := derive(raw)
		if err != nil {
			return Ring{}, fmt.Errorf("vault: key %d: %w", i+1, err)
		}
		if r.find(k.id) != nil {
			return Ring{}, fmt.Errorf("vault: key %d is there twice", i+1)
		}
		r.keys = append(r.keys, *k)
	}
	return r, nil
}

// ParseRing reads a ring from text: a key a line, in base64; empty lines and those that begin with # are skipped. Errors name
// the line and say nothing of its content.
func ParseRing(text string) (Ring, error) {
	var keys [][]byte
	at := 0
	for line := range strings.Lines(text) {
		at++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != KeyLen {
			return Ring{}, fmt.Errorf("vault: line %d is no key: expected %d bytes in base64", at, KeyLen)
		}
		keys = append(keys, raw)
	}
	return NewRing(keys...)
}

// derive gives each use of a vault key a key of its own.
func derive(raw []byte) (*key, error) {
	var k key
	for _, part := range []struct {
		into *[]byte
		use  string
		n    int
	}{{&k.id, "tau vault id", keyIDLen}, {&k.seal, "tau vault seal", chacha20poly1305.KeySize}, {&k.nonce, "tau vault nonce", sha256.Size}} {
		out, err := hkdf.Expand(sha256.New, raw, part.use, part.n)
		if err != nil {
			return nil, err
		}
		*part.into = out
	}
	return &k, nil
}

func (r Ring) find(id []byte) *key {
	for i := range r.keys {
		if slices.Equal(r.keys[i].id, id) {
			return &r.keys[i]
		}
	}
	return nil
}

// Empty reports whether there is no key, so that nothing can be sealed or opened.
func (r Ring) Empty() bool { return len(r.keys) == 0 }

// IDs name the keys, the one that seals first: for people, who compare those of two nodes.
func (r Ring) IDs() (ids []string) {
	for _, k := range r.keys {
		ids = append(ids, hex.EncodeToString(k.id))
	}
	return ids
}

// Stale reports whether a secret should be sealed anew, because the key of today is another one.
func (r Ring) Stale(s Sealed) bool { return !r.Empty() && !slices.Equal(s.Key, r.keys[0].id) }

// Seal seals a secret for a place with the first key. The nonce follows from key, place and secret (a synthetic one, as in
// RFC 5297's SIV, of 192 bits), so it is never the same for two different messages, however poor a world's chance is.
func (r Ring) Seal(at Place, secret []byte) (Sealed, error) {
	switch {
	case r.Empty():
		return Sealed{}, ErrNoKey
	case len(secret) > SecretLenMax:
		return Sealed{}, fmt.Errorf("vault: a secret has at most %d bytes", SecretLenMax)
	case len(at.Project) > placeLenMax || len(at.Name) > placeLenMax:
		return Sealed{}, fmt.Errorf("vault: the names of a secret have at most %d bytes", placeLenMax)
	}
	k := r.keys[0]
	aead, err := chacha20poly1305.NewX(k.seal)
	if err != nil {
		return Sealed{}, err
	}
	mac := hmac.New(sha256.New, k.nonce)
	mac.Write(at.encode()) // it says how long it is
	mac.Write(secret)
	nonce := mac.Sum(nil)[:aead.NonceSize()]
	return Sealed{Key: slices.Clone(k.id), Nonce: nonce, Data: aead.Seal(nil, nonce, secret, at.encode())}, nil
}

// Open is the inverse of Seal. Errors are ErrNoKey and ErrNotGenuine.
func (r Ring) Open(at Place, s Sealed) ([]byte, error) {
	k := r.find(s.Key)
	if k == nil {
		return nil, ErrNoKey
	}
	aead, err := chacha20poly1305.NewX(k.seal)
	if err != nil || len(s.Nonce) != aead.NonceSize() || len(s.Data) > SecretLenMax+aead.Overhead() {
		return nil, ErrNotGenuine
	}
	secret, err := aead.Open(nil, s.Nonce, s.Data, at.encode())
	if err != nil {
		return nil, ErrNotGenuine
	}
	return secret, nil
}
