package seer

import (
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// Bounds of what a node may say about itself.
const (
	nameLenMax     = 128 // bytes of a name, of a service's and of an address
	servicesLenMax = 64  // services of a node
	addressesMax   = 16  // addresses of a node
	gaugesMax      = 64  // capacities, and as many usages
)

// announcement is what a node says about itself.
type announcement struct {
	Name        string
	Incarnation uint64
	Services    []string
	Addresses   []string         `cbor:",omitempty"`
	Capacity    map[string]int64 `cbor:",omitempty"`
	Usage       map[string]int64 `cbor:",omitempty"`
}

// askMessage asks a node to announce itself at once: its beacon was not
// understood, or came late and may be of the past.
type askMessage struct {
	// Seer names this run of the seer, and At is its monotonic clock; the answer
	// gives both back.
	Seer uint64
	At   time.Duration
}

// answerMessage answers an askMessage. It was sent after the question, and so
// tells more than a beacon, whatever the clocks: its sender was alive at Ask.At.
type answerMessage struct {
	Ask          askMessage
	Life         uint64
	At           time.Duration
	Revision     uint64
	Announcement *announcement
}

// beacon is the same without the question.
func (m answerMessage) beacon() beaconMessage {
	return beaconMessage{Life: m.Life, At: m.At, Revision: m.Revision, Announcement: m.Announcement}
}

// leaveMessage says that this life of the sender ends in order.
type leaveMessage struct {
	Life uint64
}

// digestRequest asks another seer for what it heard, after the peer After.
type digestRequest struct {
	After transport.Peer
}

// sighting says how long ago a seer heard of a life of a peer.
type sighting struct {
	_        struct{} `cbor:",toarray"`
	Peer     transport.Peer
	Life     uint64
	Revision uint64
	Age      time.Duration
	// Left: the life ended in order.
	Left bool
}

// digestResponse holds at most seerapi.PageLenMax entries in canonical order.
type digestResponse struct {
	Heard []sighting
	More  bool
	// Register is up to where the register goes of whoever answers; zero: it does not say.
	Register seerapi.Cursor `cbor:",omitempty"`
}

// recordsRequest asks another seer for the announcements of at most seerapi.PageLenMax
// peers.
type recordsRequest struct {
	Peers []transport.Peer
}

// record is an announcement as it was heard.
type record struct {
	Peer         transport.Peer
	Life         uint64
	Revision     uint64
	Announcement announcement
}

// recordsResponse holds those of the records that are known.
type recordsResponse struct {
	Records []record
}
