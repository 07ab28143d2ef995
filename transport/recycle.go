package transport

import (
	"encoding/binary"
	"sync"
)

const (
	// recycledMin is from which length on, in bytes, the messages of streams are put into frames that are used again: shorter ones are cheap, and would take
	// much more memory than windows count. recycledMax is the room that such a frame has at least for a message and what is before it.
	recycledMin, recycledMax = 24 << 10, StreamMessageLenMax + 1 + binary.MaxVarintLen64
)

// frameRoom is that of frames of streams of this node to itself that were read to their end: the bulk of a website of which the gateway is on the node that serves it.
// Each time one is used again its room begins a little further back.
var frameRoom = sync.Pool{New: func() any { return &recycled{make([]byte, FrameLenMax)} }}

type recycled struct{ frame []byte }

// encodeData makes a data frame.
func (s *Stream) encodeData(message []byte) []byte {
	if len(message) < recycledMin || !s.own() {
		return encodeMessage(frameData, s.id, message)
	}
	b := append(frameRoom.Get().(*recycled).frame[:0], byte(frameData))
	return append(binary.AppendUvarint(b, s.id), message...)
}

// recycle takes back a message that was read, and that nobody reads again.
func (s *Stream) recycle(message []byte) {
	if len(message) >= recycledMin && cap(message) >= recycledMax && s.own() {
		frameRoom.Put(&recycled{message[:0]})
	}
}

// own reports whether the frames of a stream are seen by this engine alone.
func (s *Stream) own() bool {
	_, own := s.session.conn.(*loopConn)
	return own && s.ep.engine.meddler == nil
}
