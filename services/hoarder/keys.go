package hoarder

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// The state that hoarders share. Each entry has a key of its own, and no key has two writers that
// could disagree:
//
//	/pins/<root>/<owner>/<seq>/<pin>  pinRecord; equal pins have equal keys
//	/withdrawn/<root>/<owner>/<seq>     covers that owner's pins up to seq
//	/claims/<root>/<peer>               claimRecord, written by that peer alone
//	/demand/<root>/<peer>               demandRecord, written by that peer alone
//
// Of one owner's entries for a root the one with the highest seq counts, and the withdrawal among
// equals. So the order of arrival does not matter; an entry covered by a higher one may be deleted,
// and does no harm if it comes back. A withdrawal is an entry of its own, so an absent pin never
// looks like a withdrawn one.
const (
	pinsPart      = "pins"
	withdrawnPart = "withdrawn"
	claimsPart    = "claims"
	demandPart    = "demand"
)

// heldPart is where, on the local disk only, a hoarder records what it holds:
// /held/<root>, a heldRecord.
const heldPart = "held"

// remainsPart is where, likewise, it records that leftover blocks of a root may be here although no
// copy is held: /remains/<root>, written before the first block of a transfer, so that no crash
// leaves unrecorded blocks.
const remainsPart = "remains"

// heldRecord records a copy and the pins that it is kept for: if the replicated store loses the
// pins (their only replica was on a corrupt disk), they are written again.
type heldRecord struct {
	Bytes int64
	Pins  []pinRecord
}

// pinRecord is a pin as stored. Of pins with one key the one that wins may
// differ from the others in Size, Demand and Sources only: all three are hints.
type pinRecord struct {
	Kind    hoarderapi.Kind
	Target  int
	Seq     uint64
	For     time.Duration
	Size    int64
	Demand  int
	Sources []transport.Peer
	Owner   string
	Name    string
	Version uint64
}

type claimRecord struct{ Bytes int64 }

type demandRecord struct{ Total uint64 }

// withdrawal is the value of a withdrawn entry: not empty, since nil is absence.
var withdrawal = []byte{1}

// pin is a pinRecord and its place. It is never changed.
type pin struct {
	pinRecord
	owner string // ownerID
	id    string // pinID
}

func newPin(rec pinRecord) *pin {
	return &pin{pinRecord: rec, owner: ownerID(rec.Owner, rec.Name), id: pinID(rec)}
}

// equal reports whether two pins have the same key.
func (m *pin) equal(o *pin) bool { return m.owner == o.owner && m.Seq == o.Seq && m.id == o.id }

// after is the order of one owner's pins: the greatest counts.
func (m *pin) after(o *pin) bool {
	return cmp.Or(cmp.Compare(m.Seq, o.Seq), cmp.Compare(m.Version, o.Version), cmp.Compare(m.Target, o.Target), cmp.Compare(m.id, o.id)) > 0
}

func (m *pin) key(root string) storage.Key {
	return storage.K(pinsPart, root, m.owner, seqPart(m.Seq), m.id)
}

func withdrawnKey(root, owner string, seq uint64) storage.Key {
	return storage.K(withdrawnPart, root, owner, seqPart(seq))
}

func seqPart(seq uint64) string { return fmt.Sprintf("%016x", seq) }

func parseSeq(part string) (uint64, error) {
	if len(part) != 16 {
		return 0, fmt.Errorf("%q is not a seq", part)
	}
	return strconv.ParseUint(part, 16, 64)
}

// ownerID names an owner within a root, in 16 letters: 96 bits, so that nobody
// makes a name that withdraws what another has pinned.
func ownerID(owner, name string) string {
	return base64.RawURLEncoding.EncodeToString(storage.NewIdentity().Text(owner).Text(name).Sum()[:12])
}

// pinID names a pin within its owner, who alone could cause a collision. The hashed fields never
// change.
func pinID(m pinRecord) string {
	id := storage.NewIdentity().Text(string(m.Kind)).Number(uint64(m.Target)).Number(m.Seq).Number(uint64(m.For)).
		Text(m.Owner).Text(m.Name).Number(m.Version)
	return base64.RawURLEncoding.EncodeToString(id.Sum()[:6])
}

func claimKey(root string, p transport.Peer) storage.Key {
	return storage.K(claimsPart, root, p.String())
}

func demandKey(root string, p transport.Peer) storage.Key {
	return storage.K(demandPart, root, p.String())
}

func remainsKey(root string) storage.Key { return storage.K(remainsPart, root) }

func heldKey(root string) storage.Key { return storage.K(heldPart, root) }
