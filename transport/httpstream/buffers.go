package httpstream

import (
	"bufio"
	"io"
	"sync"
)

// Buffers of ends that are over are used again, by those whose turn it is next. Who gives one back must be the last to know it:
// an end that somebody may still read or write keeps its own.
var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferLen) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferLen) }}
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
