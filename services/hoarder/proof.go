package hoarder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A proof of a copy is
//
//	SHA-256(proofDomain, prover, SHA-256(contentDomain, nonce, root, all blocks in the order of their CIDs))
//
// The nonce makes an old proof useless. The prover's name makes another's useless: a hoarder proves
// for itself only, and the inner hash, of which others' proofs could be made, is never sent. Who asks
// reads its own copy once, however many it asks with one nonce.
const (
	contentDomain = "tau/hoarder/content/1"
	proofDomain   = "tau/hoarder/proof/1"
)

// contentDigest is the inner hash. It reads and verifies every block.
func contentDigest(ctx context.Context, blocks storage.Blocks, root storage.CID, nonce []byte) ([]byte, error) {
	return blocks.Digest(ctx, root, framed([]byte(contentDomain), nonce, root.Bytes()))
}

// proofBy is the proof of one prover.
func proofBy(prover transport.Peer, digest []byte) []byte {
	sum := sha256.Sum256(framed([]byte(proofDomain), prover[:], digest))
	return sum[:]
}

// framed joins parts, each with its length before it, so that no two lists of parts are joined to the same.
func framed(parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		b.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		b.Write(p)
	}
	return b.Bytes()
}

// validNonce reports whether a request's nonce is one, or none.
func validNonce(nonce []byte) bool { return len(nonce) == 0 || len(nonce) == hoarderapi.NonceLen }

// prove reads every block of a copy, and proves it if there is a nonce.
func (s *Service) prove(ctx context.Context, root storage.CID, nonce []byte) (proof []byte, err error) {
	if len(nonce) == 0 {
		return nil, s.env.Blocks.Verify(ctx, root)
	}
	digest, err := contentDigest(ctx, s.env.Blocks, root, nonce)
	if err != nil {
		return nil, err
	}
	return proofBy(s.env.Self, digest), nil
}

// challenge is what the holders of an item are asked with, and what their proofs are compared with.
type challenge struct {
	nonce []byte
	// digest is nil if the item is not held here: proofs cannot be judged, and words count.
	digest []byte
}

// challenge draws a nonce and reads the copy here, if there is one. A copy that turns out to be bad
// is mended, and nobody is asked.
func (s *Service) challenge(ctx context.Context, root string) (ch challenge, err error) {
	for range hoarderapi.NonceLen / 8 {
		ch.nonce = binary.BigEndian.AppendUint64(ch.nonce, s.env.Rand.Uint64())
	}
	if !s.holdings.holds(root) {
		return ch, nil
	}
	c, err := cid.Decode(root)
	if err != nil {
		return ch, err
	}
	if ch.digest, err = contentDigest(ctx, s.env.Blocks, c, ch.nonce); err != nil && ctx.Err() == nil {
		s.mendSoon(root)
	}
	return ch, err
}

// proves reports whether a proof is that of a prover for the challenge.
func (ch challenge) proves(prover transport.Peer, proof []byte) bool {
	return ch.digest == nil || subtle.ConstantTimeCompare(proof, proofBy(prover, ch.digest)) == 1
}

// proved judges the proof of a hoarder that says that it holds an item. One that lies is not believed
// any more as long as this hoarder runs: its claims do not count, for anything.
func (s *Service) proved(ch challenge, root string, prover transport.Peer, proof []byte) bool {
	if ch.proves(prover, proof) {
		return true
	}
	s.env.Observe("proof-wrong", node.F("root", root), node.F("whom", prover.Short()))
	if m := s.roster.member(prover); !m.liar {
		m.liar = true
		for _, root := range m.roots() {
			s.evaluate(root)
		}
	}
	return false
}
