package hoarder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// What hoarders share, one entry a key, no key with two writers that could
// disagree:
//
//	/marks/<root>/<mark>/<epoch>      markRecord; equal marks have equal keys
//	/withdrawn/<root>/<mark>/<epoch>  covers the mark of the same path
//	/claims/<root>/<peer>             claimRecord, written by that peer alone
//	/demand/<root>/<peer>             demandRecord, written by that peer alone
//
// A mark is never deleted: that it is withdrawn is an entry of its own, so a
// replica that has not seen a mark yet cannot take it for withdrawn, and what
// it does not know of it never drops.
const (
	marksPart     = "marks"
	withdrawnPart = "withdrawn"
	claimsPart    = "claims"
	demandPart    = "demand"
)

// heldPart is where, on the local disk only, a hoarder records what it holds:
// /held/<root>, a heldRecord.
const heldPart = "held"

// heldRecord is a copy and the marks that it is kept for: should the replicated
// store lose those (a rotten disk that had the only record), they are written
// again.
type heldRecord struct {
	Bytes int64
	Marks []heldMark
}

type heldMark struct {
	ID    string
	Epoch int
	Mark  markRecord
}

// markRecord is a mark as stored. Of marks with one key the one that wins may
// differ from the others in Size and Sources only: both are hints.
type markRecord struct {
	Kind    hoarderapi.Kind
	Target  int
	Size    int64
	Sources []transport.Peer
	Owner   string
	Name    string
	Version uint64
}

type claimRecord struct{ Bytes int64 }

type demandRecord struct{ Total uint64 }

// withdrawal is the value of a withdrawn entry: not empty, since nil is absence.
var withdrawal = []byte{1}

// markID names a mark within its root.
func markID(m markRecord) string {
	m.Size, m.Sources = 0, nil
	sum := sha256.Sum256(transport.Encode(m))
	return hex.EncodeToString(sum[:8])
}

// markKey names one mark of a root; epoch counts how often it was withdrawn and
// made again.
type markKey struct {
	id    string
	epoch int
}

func (m markKey) under(part, root string) storage.Key {
	return storage.K(part, root, m.id, fmt.Sprintf("%08d", m.epoch))
}

func claimKey(root string, p transport.Peer) storage.Key {
	return storage.K(claimsPart, root, p.String())
}

func demandKey(root string, p transport.Peer) storage.Key {
	return storage.K(demandPart, root, p.String())
}

func heldKey(root string) storage.Key { return storage.K(heldPart, root) }
