package httpstream

import (
	"bufio"
	"io"
	"sync"

	"github.com/taucloud/tau/transport"
)

// PartLen is a good length for the parts of a body, in bytes: they pass a window of whatever size in as few messages as may be.
const PartLen = 2 * transport.StreamPartLen

// Buffers of ends that are over are used again, by those whose turn it is next. Who gives one back must be the last to know it:
// an end that somebody may still read or write keeps its own.
var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferLen) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferLen) }}
	parts   = sync.Pool{New: func() any { return new([PartLen]byte) }}
)

func newReader(from io.Reader) *bufio.Reader {
	r := readers.Get().(*bufio.Reader)
	r.Reset(from)
	return r
}

func giveReader(r *bufio.Reader) {
	r.Reset(nil)
	readers.Put(r)
}

func newWriter(to io.Writer) *bufio.Writer {
	w := writers.Get().(*bufio.Writer)
	w.Reset(to)
	return w
}

func giveWriter(w *bufio.Writer) {
	w.Reset(nil)
	writers.Put(w)
}

// TakePart returns a buffer for parts of bodies. Who is the last to know it gives it back, by GivePart.
func TakePart() *[PartLen]byte { return parts.Get().(*[PartLen]byte) }

// GivePart gives one back.
func GivePart(part *[PartLen]byte) { parts.Put(part) }
