//go:build !linux

package engine

// image is a copy.
type image struct{ view []byte }

func newImage(memory []byte) (*image, error) { return &image{append([]byte(nil), memory...)}, nil }

func (i *image) size() uint64 { return uint64(len(i.view)) }
func (i *image) close()       {}

// copied is memory on the heap. All of it is copied back.
type copied struct {
	buf    []byte
	limit  uint64
	shrink int64
	image  *image
}

func newLinear(limit uint64, i *image) (linear, error) {
	m := &copied{limit: limit, shrink: -1, image: i}
	if i != nil {
		m.buf = append([]byte(nil), i.view...)
	}
	return m, nil
}

// Reallocate implements experimental.LinearMemory.
func (m *copied) Reallocate(size uint64) []byte {
	switch {
	case m.shrink >= 0:
		m.buf, m.shrink = m.buf[:m.shrink], -1
	case size > m.limit:
		return nil
	case size > uint64(cap(m.buf)):
		m.buf = append(make([]byte, 0, size), m.buf...)[:size]
	case size > uint64(len(m.buf)):
		was := len(m.buf)
		m.buf = m.buf[:size]
		clear(m.buf[was:])
	}
	return m.buf[:size:size]
}

// Free implements experimental.LinearMemory.
func (m *copied) Free() {}

func (m *copied) shrinkNext(size uint64) { m.shrink = int64(size) }
func (m *copied) length() uint64         { return uint64(len(m.buf)) }
func (m *copied) peak() uint64           { return uint64(len(m.buf)) }
func (m *copied) own() int64             { return int64(len(m.buf)) }
func (m *copied) close()                 {}

func (m *copied) reset(int) int {
	copy(m.buf, m.image.view)
	return len(m.buf) >> 12
}
