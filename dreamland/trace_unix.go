//go:build unix

package dreamland

import (
	"bytes"
	"os"
	"syscall"
)

// mappedTrace is a file that is written through a window of memory that the system
// owns: what was written is there whatever becomes of this process. Whoever sees
// a process die cuts off what it has not filled, see [trimTrace].
type mappedTrace struct {
	file   *os.File
	window []byte
	at     int64 // of the window in the file
	used   int
	err    error
}

// windowSize is in bytes, a multiple of all page sizes.
const windowSize = 4 << 20

// mapTrace takes over an empty file.
func mapTrace(f *os.File) (traceWriter, error) {
	t := &mappedTrace{file: f}
	return t, t.open()
}

func (t *mappedTrace) open() (err error) {
	if err = t.file.Truncate(t.at + windowSize); err == nil {
		t.window, err = syscall.Mmap(int(t.file.Fd()), t.at, windowSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	}
	t.used = 0
	return err
}

// Write implements io.Writer. After an error nothing more is written.
func (t *mappedTrace) Write(line []byte) (n int, err error) {
	for n < len(line) && t.err == nil {
		if t.used == windowSize {
			t.at += windowSize
			if t.err = syscall.Munmap(t.window); t.err == nil {
				t.err = t.open()
			}
			continue
		}
		copied := copy(t.window[t.used:], line[n:])
		n, t.used = n+copied, t.used+copied
	}
	return n, t.err
}

func (t *mappedTrace) close() error {
	if t.err == nil {
		t.err = t.file.Truncate(t.at + int64(t.used))
	}
	if err := t.file.Close(); t.err == nil {
		t.err = err
	}
	return t.err
}

// trimTrace cuts off what a process that died has not filled of its trace.
func trimTrace(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, min(info.Size(), windowSize))
	from := info.Size() - int64(len(tail))
	if _, err := f.ReadAt(tail, from); err != nil {
		return err
	}
	tail = bytes.TrimRight(tail, "\x00")
	if whole := bytes.LastIndexByte(tail, '\n') + 1; whole > 0 { // it may have died within a line
		tail = tail[:whole]
	}
	return f.Truncate(from + int64(len(tail)))
}
