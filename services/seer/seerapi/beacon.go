package seerapi

import (
	"encoding/binary"
	"time"

	"github.com/taucloud/tau/transport"
)

// Beacon is the name of the note that carries a BeaconMessage. It is the most
// frequent message of a cloud, one a second from every node to several seers,
// and so the only one with an encoding of its own: three numbers of 8 bytes, in
// network order, and then the encoded announcement if there is one.
const Beacon = "seer/beacon"

// BeaconMessage says that its sender lives.
type BeaconMessage struct {
	// Life identifies this run of the node. The incarnation would not: a node that lost its disk
	// counts from 1 again.
	Life uint64
	// At is the node's own monotonic clock, from which the receiver sees how much longer than the
	// others this message was in transit.
	At time.Duration
	// Revision counts the changes of the announcement within a life.
	Revision uint64
	// Announcement is left out of most beacons when it has not changed.
	Announcement *Announcement
}

// headLen is the length of the three numbers.
const headLen = 24

// Encode returns the wire form.
func (m BeaconMessage) Encode() []byte {
	raw := make([]byte, 0, headLen)
	raw = binary.BigEndian.AppendUint64(raw, m.Life)
	raw = binary.BigEndian.AppendUint64(raw, uint64(m.At))
	raw = binary.BigEndian.AppendUint64(raw, m.Revision)
	if m.Announcement != nil {
		raw = append(raw, transport.Encode(m.Announcement)...)
	}
	return raw
}

// DecodeBeacon is the inverse of Encode, for bytes of any origin. An error has
// Kind Invalid.
func DecodeBeacon(raw []byte) (m BeaconMessage, err error) {
	if len(raw) < headLen {
		return m, transport.New(transport.Invalid, Beacon, "too short")
	}
	m.Life = binary.BigEndian.Uint64(raw)
	m.At = time.Duration(binary.BigEndian.Uint64(raw[8:]))
	m.Revision = binary.BigEndian.Uint64(raw[16:])
	if m.Life == 0 {
		return m, transport.New(transport.Invalid, Beacon, "no life has the number 0")
	}
	if len(raw) > headLen {
		m.Announcement = new(Announcement)
		err = transport.Decode(raw[headLen:], m.Announcement)
	}
	return m, err
}
