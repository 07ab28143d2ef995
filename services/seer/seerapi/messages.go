package seerapi

import (
	"cmp"
	"time"

	"github.com/taucloud/tau/transport"
)

// PageLenMax bounds one answer, in members.
const PageLenMax = 1024

// Member is a node that a seer believes to be alive.
type Member struct {
	Peer        transport.Peer
	Name        string
	Incarnation uint64
	Services    []string // in the order in which the node starts them
	Addresses   []string
	Capacity    map[string]int64 // gauges whose name ends in "-max"
	Usage       map[string]int64 // all other gauges
	// Age is the time since somebody heard the node itself, an upper bound: what
	// a relay or the wire added is in it.
	Age time.Duration
	// History is in answers to Lookup only.
	History *History `cbor:",omitempty"`
}

// History is what the seers remember of a member's past, also when it has been silent for long. Who has left for ever, and comes back,
// begins a new one.
type History struct {
	// FirstSeen is when a seer first heard of it, by that one's clock, in seconds since 1970; 0 if nobody says.
	FirstSeen int64 `cbor:"1,keyasint"`
	// AdmittedBy has signed the certificate that it showed then: an auth, or the cloud key. Zero where there are none.
	AdmittedBy transport.Peer `cbor:"2,keyasint"`
}

// Compare orders histories of one member, the one that counts first.
func (h History) Compare(o History) int {
	return cmp.Or(cmp.Compare(h.FirstSeen, o.FirstSeen), h.AdmittedBy.Compare(o.AdmittedBy))
}

// LookupRequest asks for live members that offer Service, "" for all, after the
// peer After in canonical order.
type LookupRequest struct {
	Service string
	After   transport.Peer
}

// LookupResponse holds at most PageLenMax members in canonical order.
type LookupResponse struct {
	Members []Member
	More    bool
}

// Cursor says up to where somebody knows the changes that a seer told. It is
// given back as it was received; the zero Cursor knows nothing.
type Cursor struct {
	Run     uint64 // of a seer, from its start to its end
	Version uint64 // of its table
	Began   uint64 // the version when the last full list was begun
}

// ChangesRequest asks which members that offer Service, "" for all, changed
// since Cursor.
type ChangesRequest struct {
	Service string
	Cursor  Cursor
}

// ChangesResponse holds at most PageLenMax peers, each once, in the order in
// which they last changed.
type ChangesResponse struct {
	Cursor Cursor // from which to go on
	// Full: what was known before is void, all members are listed from here on.
	// The asker knew nothing, or only what another run told, or less than what
	// this seer remembers.
	Full    bool             `cbor:",omitempty"`
	Changed []Member         `cbor:",omitempty"` // new, or with something new to say
	Gone    []transport.Peer `cbor:",omitempty"` // no longer alive or offering; perhaps never known
	More    bool             `cbor:",omitempty"`
}
