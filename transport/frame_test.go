package transport

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// frames is one of each type, and what it decodes to.
var frames = []struct {
	name string
	data []byte
	want frame
}{
	{"request", encodeRequest(300, 1500*time.Millisecond, "a/b", []byte("hi")), frame{typ: frameRequest, id: 300, left: 1500 * time.Millisecond, name: []byte("a/b"), message: []byte("hi")}},
	{"request rounds up to 1ms", encodeRequest(1, time.Microsecond, "m", nil), frame{typ: frameRequest, id: 1, left: time.Millisecond, name: []byte("m"), message: []byte{}}},
	{"request is capped", encodeRequest(1, 1<<62, "m", nil), frame{typ: frameRequest, id: 1, left: (1<<32 - 1) * time.Millisecond, name: []byte("m"), message: []byte{}}},
	{"response", encodeMessage(frameResponse, 7, []byte("ok")), frame{typ: frameResponse, id: 7, message: []byte("ok")}},
	{"failure", encodeFailure(frameFailure, 8, &Error{Kind: Conflict, Op: "a/b", Text: "stale"}), frame{typ: frameFailure, id: 8, kind: Conflict, name: []byte("a/b"), text: []byte("stale")}},
	{"cancel", encodeID(frameCancel, 9), frame{typ: frameCancel, id: 9}},
	{"note", encodeNamed(frameNote, "a/n", []byte("x")), frame{typ: frameNote, name: []byte("a/n"), message: []byte("x")}},
	{"publication", encodeNamed(framePublication, "a/t", nil), frame{typ: framePublication, name: []byte("a/t"), message: []byte{}}},
	{"open", encodeOpen(1, "a/s", []byte("hello")), frame{typ: frameOpen, id: 1, name: []byte("a/s"), message: []byte("hello")}},
	{"data", encodeMessage(frameData, 2, nil), frame{typ: frameData, id: 2, message: []byte{}}},
	{"credit", []byte{9, 2, 32, 0x80, 0x80, 0x40}, frame{typ: frameCredit, id: 2, credit: 1 << 20}},
	{"end", encodeID(frameEnd, 3), frame{typ: frameEnd, id: 3}},
	{"begin", encodeBegin(300, 1<<20, []byte("x")), frame{typ: frameBegin, id: 300, length: 1 << 20, message: []byte("x")}},
	{"part", encodeMessage(framePart, 300, []byte("y")), frame{typ: framePart, id: 300, message: []byte("y")}},
	{"drop", encodeID(frameDrop, 300), frame{typ: frameDrop, id: 300}},
	{"decline", encodeID(frameDecline, 9), frame{typ: frameDecline, id: 9}},
	{"ask", encodeID(frameAsk, 1<<40), frame{typ: frameAsk, id: 1 << 40}},
	{"ack", encodeID(frameAck, 1<<40), frame{typ: frameAck, id: 1 << 40}},
	{"reset", encodeFailure(frameReset, 4, &Error{Kind: Refused}), frame{typ: frameReset, id: 4, kind: Refused, name: []byte{}, text: []byte{}}},
	{"hello", encodeHello(Encode(Hello{VersionMin: 1, VersionMax: 2, Class: Bulk})), frame{typ: frameHello, message: Encode(Hello{VersionMin: 1, VersionMax: 2, Class: Bulk})}},
	{"credit of bytes only", encodeCredit(2, 1<<20), frame{typ: frameCredit, id: 2, credit: 1 << 20}},
	{"retire", []byte{byte(frameRetire)}, frame{typ: frameRetire}},
	{"credentials", encodeCredentials([]byte("me")), frame{typ: frameCredentials, message: []byte("me")}},
}

func TestFrames(t *testing.T) {
	for _, row := range frames {
		t.Run(row.name, func(t *testing.T) {
			got, err := decodeFrame(row.data)
			require.NoError(t, err)
			require.Equal(t, row.want, got)
			require.LessOrEqual(t, len(row.data)-len(got.message), headerLenMax)
			require.LessOrEqual(t, cap(row.data)-len(row.data), 32, "room is wasted")
			carriesRest := row.want.message != nil
			for n := range len(row.data) - len(got.message) {
				_, err := decodeFrame(row.data[:n])
				require.Error(t, err, "%d of %d bytes", n, len(row.data))
			}
			_, err = decodeFrame(append(bytes.Clone(row.data), 0))
			require.Equal(t, carriesRest, err == nil, "one byte more")
		})
	}
}

// framesGolden is what the frames above look like in release 1. It never changes:
// a new layout needs a new type.
const framesGolden = "testdata/golden/v1.txt"

func TestFramesGolden(t *testing.T) {
	text, err := os.ReadFile(framesGolden)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, row := range frames {
		if i >= len(lines) {
			require.Fail(t, "no golden line", "append to %s:\n%s %x", framesGolden, row.name, row.data)
		}
		require.Equal(t, lines[i], fmt.Sprintf("%s %x", row.name, row.data))
	}
	require.Len(t, lines, len(frames))
}

func TestMalformedFrames(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty":              {},
		"type 0":             {0, 1},
		"critical type":      {byte(frameCritical), 1},
		"endless uvarint":    append([]byte{byte(frameCancel)}, bytes.Repeat([]byte{0xff}, 12)...),
		"no method":          append([]byte{byte(frameNote), 0}, "x"...),
		"long method":        append([]byte{byte(frameNote), 0x80, 0x02}, make([]byte, 300)...),
		"long text":          append([]byte{byte(frameFailure), 1, 1, 0, 0x81, 0x08}, make([]byte, 1025)...),
		"huge credit":        encodeCredit(1, 2*ConnWindowMax+1),
		"negative credit":    encodeCredit(1, -1),
		"message of 4 MiB":   encodeMessage(frameData, 1, make([]byte, MessageLenMax+1)),
		"frame above bounds": make([]byte, wholeLenMax+1),
		"hello of 16 KiB":    encodeHello(make([]byte, greetingLenMax+1)),
		"endless frame":      encodeBegin(1, wholeLenMax+1, nil),
	} {
		_, err := decodeFrame(data)
		require.Error(t, err, name)
	}
}

func TestUnknownFramesDecode(t *testing.T) {
	for typ := frameUnknown; typ < frameCritical; typ++ {
		f, err := decodeFrame([]byte{byte(typ), 1, 2, 3})
		require.NoError(t, err)
		require.Equal(t, frame{typ: typ}, f)
	}
}

func TestErrorsFromTheWire(t *testing.T) {
	for _, row := range []struct{ sent, want Error }{
		{Error{Kind: NotFound, Op: "a", Text: "b"}, Error{Kind: NotFound, Op: "a", Text: "b"}},
		{Error{Kind: Stopped}, Error{Kind: Unreachable}},
		{Error{Kind: 0}, Error{Kind: Internal}},
		{Error{Kind: 200}, Error{Kind: Internal}},
		{Error{Kind: Invalid, Text: "a\xffb"}, Error{Kind: Invalid, Text: "a?b"}},
		{Error{Kind: Invalid, Op: strings.Repeat("o", 300), Text: strings.Repeat("t", 2000)}, Error{Kind: Invalid, Op: strings.Repeat("o", 255), Text: strings.Repeat("t", 1024)}},
	} {
		f, err := decodeFrame(encodeFailure(frameFailure, 1, &row.sent))
		require.NoError(t, err)
		row.want.answered = row.sent.Kind != Stopped
		require.Equal(t, &row.want, f.err())
	}
}

func TestRequestsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Uint64().Draw(t, "id")
		method := rapid.StringN(1, 60, nameLenMax).Draw(t, "method")
		message := rapid.SliceOf(rapid.Byte()).Draw(t, "message")
		left := time.Duration(rapid.Int64Range(1, 1<<31).Draw(t, "ms")) * time.Millisecond
		f, err := decodeFrame(encodeRequest(id, left, method, message))
		if err != nil || f.id != id || f.left != left || string(f.name) != method || !bytes.Equal(f.message, message) {
			t.Fatalf("%+v, %v", f, err)
		}
	})
}

// FuzzDecodeFrame: no bytes make it panic, what it returns is within bounds and
// means the same when it is encoded again.
func FuzzDecodeFrame(f *testing.F) {
	for _, row := range frames {
		f.Add(row.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeFrame(data)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(got.name), nameLenMax)
		require.LessOrEqual(t, len(got.text), textLenMax)
		require.LessOrEqual(t, len(got.message), MessageLenMax)
		require.NotZero(t, got.err().Kind)
		if got.typ == frameRequest && got.left == 0 || got.typ >= frameUnknown {
			return // nobody sends that
		}
		again, err := decodeFrame(encodeAgain(got))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

func encodeAgain(f frame) []byte {
	switch f.typ {
	case frameRequest:
		return encodeRequest(f.id, f.left, string(f.name), f.message)
	case frameBegin:
		return encodeBegin(f.id, f.length, f.message)
	case frameResponse, frameData, framePart:
		return encodeMessage(f.typ, f.id, f.message)
	case frameFailure, frameReset:
		return encodeFailure(f.typ, f.id, &Error{Kind: f.kind, Op: string(f.name), Text: string(f.text)})
	case frameNote, framePublication:
		return encodeNamed(f.typ, string(f.name), f.message)
	case frameOpen:
		return encodeOpen(f.id, string(f.name), f.message)
	case frameCredit:
		return encodeCredit(f.id, f.credit)
	case frameHello:
		return encodeHello(f.message)
	case frameCredentials:
		return encodeCredentials(f.message)
	case frameRetire:
		return []byte{byte(frameRetire)}
	}
	return encodeID(f.typ, f.id)
}

// TestAnyNumberIsAnID: numbers go up to the end of 64 bits.
func TestAnyNumberIsAnID(t *testing.T) {
	const last = math.MaxUint64
	for _, raw := range [][]byte{
		encodeRequest(last, time.Second, "m", nil), encodeBegin(last, 100, []byte("x")), encodeOpen(last, "m", nil), encodeCredit(last, 0),
		encodeMessage(frameResponse, last, nil), encodeMessage(frameData, last, nil), encodeMessage(framePart, last, nil),
		encodeFailure(frameFailure, last, &Error{Kind: Refused}), encodeFailure(frameReset, last, &Error{Kind: Refused}),
		encodeID(frameCancel, last), encodeID(frameEnd, last), encodeID(frameDrop, last), encodeID(frameAsk, last), encodeID(frameAck, last), encodeID(frameDecline, last),
	} {
		f, err := decodeFrame(raw)
		require.NoError(t, err, "type %d", raw[0])
		require.EqualValues(t, uint64(last), f.id, "type %d", raw[0])
	}
}
