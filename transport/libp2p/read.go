package libp2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// firstReadLen is how much memory a frame gets before any of it has arrived; it grows fourfold
	// as data arrives. A peer that has sent much gets more at once, in proportion.
	firstReadLen = 4 << 10
	trustedPart  = 16
)

// deadliner is a stream with a read deadline.
type deadliner interface{ SetReadDeadline(time.Time) error }

// readFrame reads a frame and the uvarint of its length before it. It waits any time for the first
// byte, and then at most limit for the rest. before is how much the peer has sent earlier.
func readFrame(r *bufio.Reader, d deadliner, limit time.Duration, before int64) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	if !complete(r) {
		// mocknet's streams have no deadlines, and need none: its frames come whole.
		_ = d.SetReadDeadline(time.Now().Add(limit))
		defer func() { _ = d.SetReadDeadline(time.Time{}) }()
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if size == 0 || size > transport.FrameLenMax {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	return readGrowing(r, int(size), int(max(firstReadLen, before/trustedPart)))
}

// complete reports whether a whole frame has been read ahead.
func complete(r *bufio.Reader) bool {
	ahead, _ := r.Peek(min(r.Buffered(), binary.MaxVarintLen64))
	size, n := binary.Uvarint(ahead)
	return n > 0 && size <= uint64(r.Buffered()-n)
}

// readGrowing reads size bytes into memory that begins with first bytes and is at most four times
// the data read.
func readGrowing(r io.Reader, size, first int) ([]byte, error) {
	data := make([]byte, min(size, first))
	for got := 0; ; {
		n, err := io.ReadFull(r, data[got:])
		if err != nil {
			return nil, err
		}
		if got += n; got == size {
			return data, nil
		}
		grown := make([]byte, min(size, 4*got))
		copy(grown, data)
		data = grown
	}
}
