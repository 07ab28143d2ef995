package engine

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// image lies in a sealed file in memory, so that many instances share its pages until they write to them.
type image struct {
	file int // -1: there is none, and bytes is on the heap
	view []byte
}

var pageSize = os.Getpagesize()

func newImage(memory []byte) (*image, error) {
	if len(memory) == 0 {
		return &image{file: -1}, nil
	}
	file, err := unix.MemfdCreate("snapshot", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return &image{file: -1, view: append([]byte(nil), memory...)}, nil
	}
	i := &image{file: file}
	if err := i.fill(memory); err != nil {
		i.close()
		return nil, fmt.Errorf("engine: a snapshot: %w", err)
	}
	return i, nil
}

func (i *image) fill(memory []byte) error {
	if err := unix.Ftruncate(i.file, int64(len(memory))); err != nil {
		return err
	}
	for at := 0; at < len(memory); at += pageSize {
		page := memory[at:min(at+pageSize, len(memory))]
		if zero(page) { // a hole
			continue
		}
		if n, err := unix.Pwrite(i.file, page, int64(at)); err != nil || n != len(page) {
			return fmt.Errorf("writing: %w", err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(i.file), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return err
	}
	view, err := unix.Mmap(i.file, 0, len(memory), unix.PROT_READ, unix.MAP_PRIVATE)
	i.view = view
	return err
}

func zero(page []byte) bool {
	for len(page) >= 8 {
		if *(*uint64)(unsafe.Pointer(&page[0])) != 0 {
			return false
		}
		page = page[8:]
	}
	for _, b := range page {
		if b != 0 {
			return false
		}
	}
	return true
}

func (i *image) size() uint64 { return uint64(len(i.view)) }

func (i *image) close() {
	if i == nil || i.file < 0 {
		return
	}
	if i.view != nil {
		_ = unix.Munmap(i.view)
	}
	_ = unix.Close(i.file)
}

// mapped is memory at one address for all its life: address space for as much as it may become, of which the beginning
// is a private mapping of the image.
type mapped struct {
	buf    []byte
	now    uint64
	high   uint64 // the greatest length since the last reset
	shrink int64  // what the next Reallocate answers, or -1
	image  *image
	found  tracker
	pages  int // private ones, at the last reset
}

// newLinear makes memory of at most limit bytes. Without an image all of it is zero.
func newLinear(limit uint64, i *image) (linear, error) {
	m := &mapped{shrink: -1, image: i}
	if limit == 0 {
		return m, nil
	}
	buf, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("engine: memory of %d bytes: %w", limit, err)
	}
	m.buf = buf
	switch {
	case i == nil || i.size() == 0:
	case i.file < 0:
		copy(m.buf, i.view)
	default:
		_, _, errno := unix.Syscall6(unix.SYS_MMAP, uintptr(unsafe.Pointer(&m.buf[0])), uintptr(i.size()), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_FIXED, uintptr(i.file), 0)
		if errno != 0 {
			m.close()
			return nil, fmt.Errorf("engine: mapping a snapshot: %w", errno)
		}
	}
	return m, nil
}

// Reallocate implements experimental.LinearMemory.
func (m *mapped) Reallocate(size uint64) []byte {
	if m.shrink >= 0 {
		size, m.shrink = uint64(m.shrink), -1
	} else if size > uint64(len(m.buf)) {
		return nil
	}
	m.now, m.high = size, max(m.high, size)
	return m.buf[:size:size]
}

// Free implements experimental.LinearMemory: close frees.
func (m *mapped) Free() {}

func (m *mapped) shrinkNext(size uint64) { m.shrink = int64(size) }
func (m *mapped) length() uint64         { return m.now }
func (m *mapped) peak() uint64           { return m.high }
func (m *mapped) own() int64             { return int64(m.pages) * int64(pageSize) }

func (m *mapped) close() {
	if m.buf != nil {
		_ = unix.Munmap(m.buf)
		m.buf = nil
	}
}

func (m *mapped) reset(usual int) int {
	size := m.image.size()
	if m.high == 0 {
		return 0
	}
	pages := m.found.written(m.buf[:m.high], func(from, to uint64) {
		if from < size {
			copy(m.buf[from:min(to, size)], m.image.view[from:])
		}
		if to > size {
			clear(m.buf[max(from, size):to])
		}
	})
	if pages > pagesForgotten && pages > timesForgotten*usual && m.image.file >= 0 {
		if unix.Madvise(m.buf[:m.high], unix.MADV_DONTNEED) == nil { // back to the file, and to zero beyond it
			m.high, m.pages = size, 0
			return pages
		}
	}
	if m.high > size && (m.high-size) > pagesForgotten*uint64(pageSize) {
		_ = unix.Madvise(m.buf[size:m.high], unix.MADV_DONTNEED)
	}
	m.high, m.pages = size, pages
	return pages
}
