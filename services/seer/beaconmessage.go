package seer

import (
	"encoding/binary"
	"time"

	"github.com/taucloud/tau/transport"
)

// beaconMessage says that its sender lives.
type beaconMessage struct {
	// Life identifies this run of the node. The incarnation would not: a node that lost its disk
	// counts from 1 again.
	Life uint64
	// At is the node's own monotonic clock, from which the receiver sees how much longer than the
	// others this message was in transit.
	At time.Duration
	// Revision counts the changes of the announcement within a life.
	Revision uint64
	// Announcement is left out of most beacons when it has not changed.
	Announcement *announcement
}

// headLen is the length of the three numbers.
const headLen = 24

// encode returns the wire form.
func (m beaconMessage) encode() []byte {
	raw := make([]byte, 0, headLen)
	raw = binary.BigEndian.AppendUint64(raw, m.Life)
	raw = binary.BigEndian.AppendUint64(raw, uint64(m.At))
	raw = binary.BigEndian.AppendUint64(raw, m.Revision)
	if m.Announcement != nil {
		raw = append(raw, transport.Encode(m.Announcement)...)
	}
	return raw
}

// decodeBeacon is the inverse of encode, for bytes of any origin. An error has
// Kind Invalid.
func decodeBeacon(raw []byte) (m beaconMessage, err error) {
	if len(raw) < headLen {
		return m, transport.New(transport.Invalid, beaconNote.Name, "too short")
	}
	m.Life = binary.BigEndian.Uint64(raw)
	m.At = time.Duration(binary.BigEndian.Uint64(raw[8:]))
	m.Revision = binary.BigEndian.Uint64(raw[16:])
	if m.Life == 0 {
		return m, transport.New(transport.Invalid, beaconNote.Name, "no life has the number 0")
	}
	if len(raw) > headLen {
		m.Announcement = new(announcement)
		err = transport.Decode(raw[headLen:], m.Announcement)
	}
	return m, err
}
