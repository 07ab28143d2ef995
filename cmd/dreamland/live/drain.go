package live

import (
	"os"
	"sync/atomic"
)

// drain reads the facts of a process, and knows whether it has read all that was written.
type drain struct {
	pipe    *os.File
	waiting atomic.Bool // in a read, with nothing left of the one before
	over    atomic.Bool
}

// Read implements io.Reader.
func (d *drain) Read(into []byte) (int, error) {
	d.waiting.Store(true)
	n, err := d.pipe.Read(into)
	d.waiting.Store(false)
	return n, err
}

// empty reports whether nothing is left that was written a moment ago.
func (d *drain) empty() bool {
	return d.over.Load() || d.waiting.Load() && unread(d.pipe) == 0
}
