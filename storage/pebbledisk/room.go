package pebbledisk

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/taucloud/tau/storage"
)

// DefaultReserve is how much stays free by default.
const DefaultReserve = 256 << 20

const (
	// lookEvery and lookAfter are how long, and how many bytes, writes go on before the free room is
	// looked at again.
	lookEvery = 100 * time.Millisecond
	lookAfter = 1 << 20
	// writtenTimes is how often a byte may be written before it has its place: to the log, and when a
	// memtable and a level are written out.
	writtenTimes = 3
	// smallMax is the size of what is still written in the upper half of the reserve: that a node
	// counts its starts, renews its certificate and says how a job has ended.
	smallMax = 4 << 10
	// openingMax is how much a disk that was full when it was opened takes of what is small, whatever is in reserve: a
	// node that starts on it counts its start, or it could not serve what it has. openingMin is what must be left then.
	openingMax = 256 << 10
	openingMin = 1 << 20
	// ballastPart is the part of the reserve that is a file, BALLAST.
	ballastPart = 4
)

// room keeps a disk from meeting the end of its file system, which pebble does not survive. New writes are
// refused while less than the reserve is free; deletions are not. Since others may use up what is free, a
// quarter of the reserve is a file that is removed when the file system is full all the same, so that
// what is under way ends well. If even that is not enough, or there is no such file, what is under way waits: paced.go.
type room struct {
	fs      vfs.FS
	dir     string
	reserve uint64
	log     *slog.Logger
	fail    func(error) // the log cannot be written: the disk has failed

	mu       sync.Mutex
	measured bool // the file system tells how much is free
	free     uint64
	written  uint64 // since free was measured
	looked   time.Time
	full     bool
	ballast  bool      // the file is there
	opening  int       // bytes of what is small that are still taken
	hit      time.Time // when the file system was full last
	opened   bool      // the disk is: what does not fit into the log waits
	closing  bool      // and not any more
	stuck    bool      // something waits
	logFails bool      // fail was called
}

func newRoom(o Options, dir string) *room {
	r := &room{fs: o.FS, dir: dir, reserve: o.Reserve, log: o.Log}
	if r.reserve == 0 {
		r.reserve = DefaultReserve
	}
	return r
}

// open makes room for opening the disk, which writes its logs out once more: if need be of the file that was kept
// for that. ErrFull: that is not enough.
func (r *room) open() error {
	need := uint64(openingMin)
	names, err := r.fs.List(r.dir)
	if err != nil {
		return fmt.Errorf("storage: list %s: %w", r.dir, err)
	}
	for _, name := range names {
		if info, err := r.fs.Stat(r.fs.PathJoin(r.dir, name)); err == nil && strings.HasSuffix(name, ".log") {
			need += 2 * uint64(info.Size())
		}
	}
	usage, err := r.fs.GetDiskUsage(r.dir)
	if err != nil || usage.AvailBytes >= need {
		return nil
	}
	if r.fs.Remove(r.ballastPath()) == nil {
		usage, err = r.fs.GetDiskUsage(r.dir)
	}
	if err != nil || usage.AvailBytes >= need {
		return nil
	}
	return fmt.Errorf("%w: %d KiB are free for %s and opening it takes %d: make room, or give the node a larger disk; what is on it is not harmed",
		storage.ErrFull, usage.AvailBytes>>10, r.dir, need>>10)
}

// pause waits for a moment if the file system was full just now.
func (r *room) pause() {
	r.mu.Lock()
	recent := !r.hit.IsZero() && time.Since(r.hit) < pauseWhenFull
	r.mu.Unlock()
	if recent {
		time.Sleep(pauseWhenFull)
	}
}

// start looks at what there is, once the directory is open.
func (r *room) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.fs.Stat(r.ballastPath())
	r.ballast = err == nil
	r.opened = true
	if r.look(time.Now()); r.full {
		r.opening = openingMax
	}
}

func (r *room) ballastPath() string { return r.fs.PathJoin(r.dir, "BALLAST") }
func (r *room) ballastSize() uint64 { return r.reserve / ballastPart }

// admit lets so many bytes be written, or says that there is no room.
func (r *room) admit(size int, puts bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written += uint64(size) * writtenTimes
	if now := time.Now(); r.written >= lookAfter || now.Sub(r.looked) >= lookEvery {
		r.look(now)
	}
	if r.stuck { // not even what deletes has a place
		return fmt.Errorf("%w: the file system of %s has no room at all: make some", storage.ErrFull, r.dir)
	}
	if !puts || !r.full || size <= smallMax && r.left() >= r.reserve/2 {
		return nil
	}
	if size <= smallMax && size <= r.opening && r.left() >= openingMin/2 {
		r.opening -= size
		return nil
	}
	return fmt.Errorf("%w: %d MiB are free for %s and %d MiB are kept in reserve: make room, or give the node a larger disk",
		storage.ErrFull, r.left()>>20, r.dir, r.reserve>>20)
}

// left is what is free, as far as is known.
func (r *room) left() uint64 { return r.free - min(r.free, r.written) }

// look measures. The disk is full below the reserve, and has room again at five quarters of it.
func (r *room) look(now time.Time) {
	r.looked = now
	usage, err := r.fs.GetDiskUsage(r.dir)
	if r.measured = err == nil; !r.measured {
		return
	}
	r.free, r.written = usage.AvailBytes, 0
	if r.ballast {
		r.free += r.ballastSize()
	}
	switch {
	case !r.full && r.free < r.reserve:
		r.full = true
		r.log.Warn("the disk is full: what is new is refused until there is room", slog.String("dir", r.dir), slog.Uint64("free", r.free), slog.Uint64("reserve", r.reserve))
	case r.full && r.free >= r.reserve+r.reserve/4:
		r.full = false
		r.log.Info("the disk has room again", slog.String("dir", r.dir), slog.Uint64("free", r.free))
	}
	if !r.full && !r.ballast {
		r.ballast = r.fillBallast()
	}
}

// fillBallast makes the file. On a file system that cannot allocate there is none.
func (r *room) fillBallast() bool {
	f, err := r.fs.Create(r.ballastPath(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return false
	}
	err = f.Preallocate(0, int64(r.ballastSize()))
	if closed := f.Close(); err != nil || closed != nil {
		_ = r.fs.Remove(r.ballastPath())
		return false
	}
	return true
}

// exhausted is called by the file system when it is full in the middle of a write, which is tried once
// more afterwards.
func (r *room) exhausted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hit = time.Now()
	if !r.full {
		r.full = true
		r.log.Warn("the file system is full: what is new is refused until there is room", slog.String("dir", r.dir))
	}
	if r.ballast && r.fs.Remove(r.ballastPath()) == nil {
		r.ballast = false
	}
}
