package libp2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taucloud/tau/transport"
)

// PeerID is libp2p's name of a peer.
func PeerID(p transport.Peer) peer.ID {
	key, err := crypto.UnmarshalEd25519PublicKey(p[:])
	if err == nil {
		var id peer.ID
		if id, err = peer.IDFromPublicKey(key); err == nil {
			return id
		}
	}
	panic(fmt.Sprintf("libp2p: peer ID of %x: %v", p[:], err)) // any 32 bytes have one
}

// FromPeerID is the inverse of PeerID. It refuses IDs that are not an ed25519
// key.
func FromPeerID(id peer.ID) (p transport.Peer, err error) {
	var raw []byte
	if key, err := id.ExtractPublicKey(); err == nil && key.Type() == crypto.Ed25519 {
		raw, _ = key.Raw()
	}
	if len(raw) != len(p) {
		return p, fmt.Errorf("libp2p: peer %s is not an ed25519 key", id)
	}
	copy(p[:], raw)
	return p, nil
}

// PrivateKey is libp2p's form of an identity.
func PrivateKey(id transport.Identity) crypto.PrivKey {
	key, err := crypto.UnmarshalEd25519PrivateKey(id.PrivateKey())
	if err != nil {
		panic(fmt.Sprintf("libp2p: private key of %s: %v", id.Peer(), err))
	}
	return key
}
