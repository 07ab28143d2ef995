package pebbledisk

import (
	"strings"
	"syscall"
	"time"

	"errors"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// pauseWhenFull is how long pebble waits before it tries again to write out what did not fit. By itself
// it does not wait at all. waitWhenFull is the pause of what cannot be tried again by pebble.
const (
	pauseWhenFull = time.Second
	waitWhenFull  = 50 * time.Millisecond
)

// pacedFS knows what becomes of pebble where the file system is full and there is no ballast that could be given up. Tables
// are tried again, after a pause where nothing is locked. An error of any other file, the log and the manifest first of
// all, is one that pebble does not get over; so what is to be written there waits, on pebble's goroutine, until it fits or
// the disk is closed. Meanwhile nothing is taken (room.admit), what was asked to be flushed is not yet, and reads are served.
type pacedFS struct {
	vfs.FS
	room *room
}

// Create implements vfs.FS.
func (p pacedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob") {
		p.room.pause()
		return p.FS.Create(name, c)
	}
	return p.waiting(name, func() (vfs.File, error) { return p.FS.Create(name, c) })
}

// ReuseForWrite implements vfs.FS: a log takes the place of one that is not needed any more.
func (p pacedFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.waiting(name, func() (vfs.File, error) { return p.FS.ReuseForWrite(old, name, c) })
}

func (p pacedFS) waiting(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	log := strings.HasSuffix(name, ".log")
	if log && p.room.logFailed() { // none begins after one that has no end
		return vfs.NewMem().Create("nowhere", vfs.WriteCategoryUnspecified)
	}
	err = p.room.waitFor(func() error { f, err = open(); return err })
	switch {
	case err == nil && log:
		return &logFile{waitingFile{f, p.room}}, nil
	case err == nil:
		return &waitingFile{f, p.room}, nil
	case log && p.room.failLog(err) == nil:
		return vfs.NewMem().Create("nowhere", vfs.WriteCategoryUnspecified)
	}
	return nil, err
}

// waitingFile is one whose writes wait.
type waitingFile struct {
	vfs.File
	room *room
}

// Write implements vfs.File.
func (f *waitingFile) Write(p []byte) (n int, err error) {
	err = f.room.waitFor(func() error {
		part, err := f.File.Write(p[n:])
		n += part
		return err
	})
	return n, err
}

// logFile is a log. Of an error of one that it has open pebble panics, sooner or later, with locks held; so it hears of none:
// the disk has failed by then, which whoever writes or waits for a flush is told, and nothing is durable any more.
type logFile struct{ waitingFile }

// Write implements vfs.File.
func (f *logFile) Write(p []byte) (int, error) {
	n, err := f.waitingFile.Write(p)
	if err != nil && f.room.failLog(err) == nil {
		return len(p), nil
	}
	return n, err
}

// Sync implements vfs.File.
func (f *logFile) Sync() error { return f.room.failLog(f.File.Sync()) }

// SyncData implements vfs.File.
func (f *logFile) SyncData() error { return f.room.failLog(f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *logFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.room.failLog(err)
}

// Close implements vfs.File.
func (f *logFile) Close() error { return f.room.failLog(f.File.Close()) }

// failLog has the disk fail of an error, and keeps it from pebble. One of a disk that is being opened is returned.
func (r *room) failLog(err error) error {
	r.mu.Lock()
	opened, first := r.opened, err != nil && !r.logFails
	r.logFails = r.logFails || err != nil && opened
	r.mu.Unlock()
	switch {
	case err == nil, !opened:
		return err
	case first:
		r.fail(err)
	}
	return nil
}

func (r *room) logFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logFails
}

// waitFor tries until there is room, or nobody waits for it any more. While the disk is being opened it tries once: who
// opens it tries again.
func (r *room) waitFor(try func() error) error {
	for {
		err := try()
		again := errors.Is(err, syscall.ENOSPC)
		r.mu.Lock()
		again = again && r.opened && !r.closing
		r.stuck = again
		r.mu.Unlock()
		if !again {
			return err
		}
		time.Sleep(waitWhenFull)
	}
}

// close ends all waiting.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
}
