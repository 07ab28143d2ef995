package transport

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"
)

// A frame is one unit on a Conn: a type byte, the fields of that type, and for
// the types that carry a message the message as the rest of the frame. Integers
// are uvarints, strings are length-prefixed; only the time left of a request has
// a fixed width and place, so that it can be brought up to date after a dial.
//
//	request     left(4 bytes, ms) id method message
//	response    id message
//	failure     id kind(1 byte) op text
//	cancel      id
//	note        method message
//	publication topic message
//	open        id method message
//	data        id message
//	credit      id 0 bytes
//	end         id
//	reset       id kind(1 byte) op text
//	begin       number length part
//	part        number part
//	drop        number
//	decline     id
//	ask         position
//	ack         position
//	hello       message (see Hello)
//	retire
//	credentials message (see Authority)
//
// A long frame is sent in parts: its length and first part, then the others, with other frames
// between them; drop abandons the parts that were not sent yet. Numbers count up in each direction.
// Positions count the bytes of all frames that are not urgent (see outbox), without what begin and
// part add. Credit for stream 0 is for all streams of the session.
//
// Cancel ends the handler of a request; decline only says that nobody waits for the response any
// more: the rest of it need not be sent.
//
// Each end's first frame is its hello. Retire says that its sender begins nothing
// new on this conn. Credentials take the place of those in the hello.
//
// Call ids are chosen by the caller, stream ids by the opener: odd on the side
// that dialed the conn, even on the other.
//
// Releases meet on one conn. Frames of a type that is not known are skipped if it
// is below frameCritical: a later release may send them to anybody. One that must
// not be skipped, because the sender counts on it, has a type above, and ends the
// conn of a peer that does not know it.
type frameType byte

const frameCritical frameType = 0x80

const (
	frameRequest frameType = iota + 1
	frameResponse
	frameFailure
	frameCancel
	frameNote
	framePublication
	frameOpen
	frameData
	frameCredit
	frameEnd
	frameReset
	frameBegin
	framePart
	frameDrop
	frameAsk
	frameAck
	frameDecline
	frameHello
	frameRetire
	frameCredentials
	frameUnknown // and above: of a later release
)

const (
	// nameLenMax bounds the name of a method or topic, in bytes.
	nameLenMax = 255
	// textLenMax bounds the text of an error on the wire, in bytes.
	textLenMax = 1 << 10
	// creditMessagesMax bounds the number in a credit frame that once counted messages.
	creditMessagesMax = 64
	// headerLenMax bounds everything in a frame but the message.
	headerLenMax = 512
	// wholeLenMax bounds a frame that comes in parts.
	wholeLenMax = 4 << 20
	// leftOffset is where a request has its time left.
	leftOffset = 1
)

// MessageLenMax bounds a request, response, note, publication or stream
// message, in bytes.
const MessageLenMax = wholeLenMax - headerLenMax

// frame is a decoded frame. name, text and message are views of its bytes.
type frame struct {
	kind    Kind
	typ     frameType
	id      uint64
	left    time.Duration
	name    []byte
	text    []byte
	message []byte
	credit  int // bytes, see cost
	length  int // of the frame that begins

	// What is found out of a hello or credentials before the engine is locked, see examine.
	hello Hello
	doubt error // why the peer has not proven that it is a member
}

var errMalformed = errors.New("malformed frame")

// decodeFrame never fails on a frame made by the encoders below, and never panics.
func decodeFrame(data []byte) (frame, error) {
	if len(data) == 0 || len(data) > wholeLenMax {
		return frame{}, errMalformed
	}
	r := frameReader{rest: data[1:]}
	f := frame{typ: frameType(data[0])}
	switch f.typ {
	case frameRequest:
		f.left = r.milliseconds()
		f.id = r.uvarint(math.MaxUint64)
		f.name = r.name()
		f.message = r.message()
	case frameBegin:
		f.id = r.uvarint(math.MaxUint64)
		f.length = int(r.uvarint(wholeLenMax))
		f.message = r.message()
	case frameResponse, frameData, framePart:
		f.id = r.uvarint(math.MaxUint64)
		f.message = r.message()
	case frameFailure, frameReset:
		f.id = r.uvarint(math.MaxUint64)
		f.kind = Kind(r.oneByte())
		f.name = r.bytes(nameLenMax)
		f.text = r.bytes(textLenMax)
	case frameCancel, frameEnd, frameDrop, frameAsk, frameAck, frameDecline:
		f.id = r.uvarint(math.MaxUint64)
	case frameNote, framePublication:
		f.name = r.name()
		f.message = r.message()
	case frameOpen:
		f.id = r.uvarint(math.MaxUint64)
		f.name = r.name()
		f.message = r.message()
	case frameHello:
		f.message = r.message()
		r.bad = r.bad || len(f.message) > greetingLenMax
	case frameCredentials:
		f.message = r.message()
		r.bad = r.bad || len(f.message) > CredentialsLenMax
	case frameRetire:
	case frameCredit:
		f.id = r.uvarint(math.MaxUint64)
		r.uvarint(creditMessagesMax)
		f.credit = int(r.uvarint(2 * ConnWindowMax))
	default:
		r.bad = f.typ == 0 || f.typ >= frameCritical
		r.rest = nil
	}
	if r.bad || len(r.rest) > 0 {
		return frame{}, errMalformed
	}
	return f, nil
}

// err is the error that a failure or reset frame carries. An unknown kind is Internal; Stopped at
// the callee is Unreachable for its caller.
func (f frame) err() *Error {
	kind := f.kind
	switch {
	case kind == 0 || kind > NotAllowed:
		kind = Internal
	case kind == Stopped:
		kind = Unreachable
	}
	return &Error{Kind: kind, Op: printable(f.name), Text: printable(f.text), answered: f.kind != Stopped}
}

func printable(b []byte) string { return strings.ToValidUTF8(string(b), "?") }

// frameReader takes fields off the front; bad is sticky.
type frameReader struct {
	rest []byte
	bad  bool
}

func (r *frameReader) uvarint(atMost uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > atMost {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *frameReader) take(n int) []byte {
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *frameReader) milliseconds() time.Duration {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Millisecond
}

func (r *frameReader) oneByte() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *frameReader) bytes(lenMax uint64) []byte { return r.take(int(r.uvarint(lenMax))) }

func (r *frameReader) name() []byte {
	name := r.bytes(nameLenMax)
	r.bad = r.bad || len(name) == 0
	return name
}

func (r *frameReader) message() []byte {
	message := r.rest
	r.rest = nil
	r.bad = r.bad || len(message) > MessageLenMax
	return message
}

// newFrame returns a frame of a type with room for n more bytes.
func newFrame(typ frameType, n int) []byte {
	return append(make([]byte, 0, 1+n), byte(typ))
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func encodeRequest(id uint64, left time.Duration, method string, message []byte) []byte {
	b := newFrame(frameRequest, 4+2*binary.MaxVarintLen64+len(method)+len(message))
	b = binary.AppendUvarint(binary.BigEndian.AppendUint32(b, milliseconds(left)), id)
	return append(appendBytes(b, method), message...)
}

// setLeft writes the time left into a request, rounded down but never to zero.
func setLeft(request []byte, left time.Duration) {
	binary.BigEndian.PutUint32(request[leftOffset:], milliseconds(left))
}

func milliseconds(left time.Duration) uint32 {
	return uint32(min(max(left.Milliseconds(), 1), math.MaxUint32))
}

// encodeMessage makes a response, data or part frame.
func encodeMessage(typ frameType, id uint64, message []byte) []byte {
	b := newFrame(typ, binary.MaxVarintLen64+len(message))
	return append(binary.AppendUvarint(b, id), message...)
}

// encodeFailure makes a failure or reset frame.
func encodeFailure(typ frameType, id uint64, e *Error) []byte {
	op, text := e.Op[:min(len(e.Op), nameLenMax)], e.Text[:min(len(e.Text), textLenMax)]
	b := newFrame(typ, 2*binary.MaxVarintLen64+len(op)+len(text))
	b = append(binary.AppendUvarint(b, id), byte(e.Kind))
	return appendBytes(appendBytes(b, op), text)
}

// encodeBegin makes the frame with the first part of a frame of length bytes.
func encodeBegin(number uint64, length int, part []byte) []byte {
	b := newFrame(frameBegin, 2*binary.MaxVarintLen64+len(part))
	return append(binary.AppendUvarint(binary.AppendUvarint(b, number), uint64(length)), part...)
}

// encodeID makes a frame of a type that has an id, number or position only.
func encodeID(typ frameType, id uint64) []byte {
	return binary.AppendUvarint(newFrame(typ, binary.MaxVarintLen64), id)
}

// encodeNamed makes a note or publication frame.
func encodeNamed(typ frameType, name string, message []byte) []byte {
	b := newFrame(typ, 2+len(name)+len(message))
	return append(appendBytes(b, name), message...)
}

func encodeCredentials(shown []byte) []byte {
	return append(newFrame(frameCredentials, len(shown)), shown...)
}

func encodeHello(hello []byte) []byte { return append(newFrame(frameHello, len(hello)), hello...) }

func encodeOpen(id uint64, method string, hello []byte) []byte {
	b := newFrame(frameOpen, 2+binary.MaxVarintLen64+len(method)+len(hello))
	return append(appendBytes(binary.AppendUvarint(b, id), method), hello...)
}

// encodeCredit makes a frame of credit for a stream, or for all if id is 0.
func encodeCredit(id uint64, bytes int) []byte {
	b := binary.AppendUvarint(newFrame(frameCredit, 1+2*binary.MaxVarintLen64), id)
	return binary.AppendUvarint(append(b, 0), uint64(bytes))
}
