package engine

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tracker finds pages of a private mapping of a file that were written: they are anonymous, the others are the file's. Of
// anonymous memory it finds what is there at all.
type tracker struct {
	regions []pageRegion
	entries []byte
}

// How pages are found. The best that works is found out once.
const (
	byScan    = iota // the call PAGEMAP_SCAN, since Linux 6.7: the written ranges only
	byPagemap        // 8 bytes for each page from /proc/self/pagemap
	byNone           // all pages are taken for written
)

var pagemap = sync.OnceValue(func() *os.File {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil
	}
	return f
})

// trackBy is what works here.
var trackBy = sync.OnceValue(func() int {
	for way := byScan; way < byNone; way++ {
		if tracks(way) {
			return way
		}
	}
	return byNone
})

// forceTrack, for tests: a way to use in place of the best, or -1.
var forceTrack = -1

// tracks tries a way out on four pages of which one is read and one is written.
func tracks(way int) bool {
	size := 4 * pageSize
	memory := make([]byte, size)
	for i := range memory {
		memory[i] = 1
	}
	i, err := newImage(memory)
	if err != nil || i.file < 0 {
		return false
	}
	defer i.close()
	l, err := newLinear(uint64(size), i)
	if err != nil {
		return false
	}
	defer l.close()
	m := l.(*mapped)
	m.buf[2*pageSize] += m.buf[pageSize]
	var from, to uint64
	pages, ok := m.found.find(way, m.buf, func(f, t uint64) { from, to = f, t })
	return ok && pages == 1 && from == uint64(2*pageSize) && to == uint64(3*pageSize)
}

// written calls do with ranges of a mapping that hold all pages which were written, and returns how many pages those are.
func (t *tracker) written(buf []byte, do func(from, to uint64)) int {
	way := trackBy()
	if forceTrack >= 0 {
		way = forceTrack
	}
	if way != byNone {
		if pages, ok := t.find(way, buf, do); ok {
			return pages
		}
	}
	do(0, uint64(len(buf)))
	return len(buf) / pageSize
}

func (t *tracker) find(way int, buf []byte, do func(from, to uint64)) (pages int, ok bool) {
	if pagemap() == nil {
		return 0, false
	}
	if way == byScan {
		return t.scan(buf, do)
	}
	return t.read(buf, do)
}

// pageScan is the argument of PAGEMAP_SCAN (include/uapi/linux/fs.h).
type pageScan struct {
	size, flags, start, end, walkEnd, regions, regionsLen, pagesMax, inverted, mask, anyOf, returned uint64
}

type pageRegion struct{ start, end, categories uint64 }

const (
	pagemapScan = 0xc0606610
	isFile      = 1 << 2
	isPresent   = 1 << 3
	isSwapped   = 1 << 4
)

func (t *tracker) scan(buf []byte, do func(from, to uint64)) (pages int, ok bool) {
	if t.regions == nil {
		t.regions = make([]pageRegion, 64)
	}
	base := uint64(uintptr(unsafe.Pointer(&buf[0])))
	end := base + uint64(len(buf))
	for at := base; at < end; {
		arg := pageScan{size: uint64(unsafe.Sizeof(pageScan{})), start: at, end: end,
			regions: uint64(uintptr(unsafe.Pointer(&t.regions[0]))), regionsLen: uint64(len(t.regions)),
			inverted: isFile, mask: isFile, anyOf: isPresent | isSwapped, returned: isPresent}
		// Raw: it takes 2 microseconds, and telling the scheduler of it would cost more.
		n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, pagemap().Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 {
			return pages, false
		}
		for _, r := range t.regions[:n] {
			do(r.start-base, r.end-base)
			pages += int(r.end-r.start) / pageSize
		}
		if arg.walkEnd <= at {
			return pages, false
		}
		at = arg.walkEnd
	}
	return pages, true
}

func (t *tracker) read(buf []byte, do func(from, to uint64)) (pages int, ok bool) {
	n := (len(buf) + pageSize - 1) / pageSize
	if len(t.entries) < n*8 {
		t.entries = make([]byte, n*8)
	}
	entries := t.entries[:n*8]
	at := int64(uintptr(unsafe.Pointer(&buf[0]))) / int64(pageSize) * 8
	if got, err := unix.Pread(int(pagemap().Fd()), entries, at); err != nil || got != len(entries) {
		return 0, false
	}
	for i := range n {
		entry := *(*uint64)(unsafe.Pointer(&entries[i*8]))
		const present, file = 3 << 62, 1 << 61 // present or swapped
		if entry&present != 0 && entry&file == 0 {
			do(uint64(i*pageSize), uint64(min((i+1)*pageSize, len(buf))))
			pages++
		}
	}
	return pages, true
}
