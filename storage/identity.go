package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Identity hashes the identity of a stored record. The fields are listed by the caller, in an order
// that never changes; each is hashed with its length, so that no two lists run together. It never
// comes from the record's encoding: a release that adds a field would change the identities of
// records that older ones have stored.
type Identity struct{ sum hash.Hash }

// NewIdentity returns the identity of no fields.
func NewIdentity() *Identity { return &Identity{sum: sha256.New()} }

// Text adds a field.
func (i *Identity) Text(s string) *Identity { return i.Bytes([]byte(s)) }

// Bytes adds a field.
func (i *Identity) Bytes(b []byte) *Identity {
	i.uint64(uint64(len(b)))
	i.sum.Write(b)
	return i
}

// Number adds a field.
func (i *Identity) Number(n uint64) *Identity {
	i.uint64(8)
	i.uint64(n)
	return i
}

func (i *Identity) uint64(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	i.sum.Write(b[:])
}

// Sum is the SHA-256 of the fields so far.
func (i *Identity) Sum() []byte { return i.sum.Sum(nil) }
