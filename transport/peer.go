package transport

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"github.com/mr-tron/base58"
)

// Peer names a node: its ed25519 public key. It is comparable and small.
type Peer [ed25519.PublicKeySize]byte

// peerIDPrefix makes the text form of a Peer equal to libp2p's peer ID of the
// same key: an identity multihash (00 24) of a protobuf public key (08 01 12 20).
var peerIDPrefix = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// String is the base58 libp2p peer ID ("12D3KooW...").
func (p Peer) String() string {
	return base58.Encode(append(bytes.Clone(peerIDPrefix), p[:]...))
}

// Short is an abbreviation for log lines.
func (p Peer) Short() string {
	s := p.String()
	return s[len(s)-6:]
}

// ParsePeer is the inverse of String.
func ParsePeer(s string) (Peer, error) {
	var p Peer
	raw, err := base58.Decode(s)
	if err != nil || len(raw) != len(peerIDPrefix)+len(p) || !bytes.HasPrefix(raw, peerIDPrefix) {
		return p, fmt.Errorf("transport: %q is not an ed25519 peer ID", s)
	}
	copy(p[:], raw[len(peerIDPrefix):])
	return p, nil
}

// Compare is the canonical order of peers: by key bytes.
func (p Peer) Compare(q Peer) int { return bytes.Compare(p[:], q[:]) }

// IsZero reports whether p is the zero value, which is no peer.
func (p Peer) IsZero() bool { return p == Peer{} }

// MarshalText implements encoding.TextMarshaler.
func (p Peer) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Peer) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePeer(string(text))
	return err
}

// MarshalBinary makes a Peer 32 bytes on the wire.
func (p Peer) MarshalBinary() ([]byte, error) { return p[:], nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (p *Peer) UnmarshalBinary(data []byte) error {
	if len(data) != len(p) {
		return fmt.Errorf("transport: a peer has %d bytes, not %d", len(p), len(data))
	}
	copy(p[:], data)
	return nil
}

// Verify reports whether sig is p's signature of message.
func (p Peer) Verify(message, sig []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(p[:]), message, sig)
}

// Identity is a node's key pair.
type Identity struct {
	private ed25519.PrivateKey
}

// NewIdentity derives an identity from any seed bytes, always the same from the
// same seed. A real node seeds it with 32 bytes of crypto/rand, once.
func NewIdentity(seed []byte) Identity {
	sum := sha256.Sum256(append([]byte("tau identity:"), seed...))
	return Identity{private: ed25519.NewKeyFromSeed(sum[:])}
}

// Peer is the public side.
func (id Identity) Peer() Peer { return Peer(id.private.Public().(ed25519.PublicKey)) }

// Sign signs message.
func (id Identity) Sign(message []byte) []byte { return ed25519.Sign(id.private, message) }

// PrivateKey is for the adapter that builds a real host. Never log it.
func (id Identity) PrivateKey() ed25519.PrivateKey { return id.private }
