package seerapi

import (
	"time"

	"github.com/taucloud/tau/transport"
)

// Bounds of what a node may say about itself, and of one answer.
const (
	NameLenMax     = 128  // bytes of a name, of a service's and of an address
	ServicesLenMax = 64   // services of a node
	AddressesMax   = 16   // addresses of a node
	GaugesMax      = 64   // capacities, and as many usages
	PageLenMax     = 1024 // members in one answer
)

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
}

// Announcement is what a node says about itself.
type Announcement struct {
	Name        string
	Incarnation uint64
	Services    []string
	Addresses   []string         `cbor:",omitempty"`
	Capacity    map[string]int64 `cbor:",omitempty"`
	Usage       map[string]int64 `cbor:",omitempty"`
}

// AskMessage asks a node to announce itself at once: its beacon was not
// understood, or came late and may be of the past.
type AskMessage struct {
	// Seer names this run of the seer, and At is its monotonic clock; the answer
	// gives both back.
	Seer uint64
	At   time.Duration
}

// AnswerMessage answers an AskMessage. It was sent after the question, and so
// tells more than a beacon, whatever the clocks: its sender was alive at Ask.At.
type AnswerMessage struct {
	Ask          AskMessage
	Life         uint64
	At           time.Duration
	Revision     uint64
	Announcement *Announcement
}

// Beacon is the same without the question.
func (m AnswerMessage) Beacon() BeaconMessage {
	return BeaconMessage{Life: m.Life, At: m.At, Revision: m.Revision, Announcement: m.Announcement}
}

// LeaveMessage says that this life of the sender ends in order.
type LeaveMessage struct {
	Life uint64
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

// DigestRequest asks another seer for what it heard, after the peer After.
type DigestRequest struct {
	After transport.Peer
}

// Heard says how long ago a seer heard of a life of a peer.
type Heard struct {
	_        struct{} `cbor:",toarray"`
	Peer     transport.Peer
	Life     uint64
	Revision uint64
	Age      time.Duration
	// Left: the life ended in order.
	Left bool
}

// DigestResponse holds at most PageLenMax entries in canonical order.
type DigestResponse struct {
	Heard []Heard
	More  bool
}

// RecordsRequest asks another seer for the announcements of at most PageLenMax
// peers.
type RecordsRequest struct {
	Peers []transport.Peer
}

// Record is an announcement as it was heard.
type Record struct {
	Peer         transport.Peer
	Life         uint64
	Revision     uint64
	Announcement Announcement
}

// RecordsResponse holds those of the records that are known.
type RecordsResponse struct {
	Records []Record
}
