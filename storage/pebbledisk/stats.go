package pebbledisk

import (
	"context"
	"fmt"
)

// Stats are figures about a disk. Sizes are in bytes; counts are since it was opened.
type Stats struct {
	// Free is what the file system has left for this disk: the ballast counts, which is given up when there is nothing else.
	// Reserve is kept of it.
	Free, Reserve uint64
	// Full: what is new is refused.
	Full bool
	// Failed: nothing is written any more.
	Failed bool
	// Used is all that the disk's files take, without the ballast; Log is the part of it that is the log, old segments
	// included.
	Used, Log uint64
	// LogWritten is what was written to the log, Flushed and Compacted what was written to tables, first and again.
	LogWritten, Flushed, Compacted uint64
	Compactions                    uint64
}

// Stats returns them; the zero Stats of a disk that is closed.
func (d *Disk) Stats() (s Stats) {
	if d.enter() != nil {
		return s
	}
	defer d.mu.RUnlock()
	m := d.db.Metrics()
	total := m.Total()
	s = Stats{
		Failed: d.failed() != nil, Used: m.DiskSpaceUsage(), Log: m.WAL.PhysicalSize + m.WAL.ObsoletePhysicalSize, LogWritten: m.WAL.BytesWritten,
		Flushed: total.TableBytesFlushed + total.BlobBytesFlushed, Compacted: total.TableBytesCompacted + total.BlobBytesCompacted, Compactions: uint64(m.Compact.Count),
	}
	d.room.mu.Lock()
	defer d.room.mu.Unlock()
	s.Free, s.Reserve, s.Full = d.room.left(), d.room.reserve, d.room.full
	return s
}

// SetReserve changes how much stays free.
func (d *Disk) SetReserve(bytes uint64) {
	d.room.mu.Lock()
	defer d.room.mu.Unlock()
	if d.room.reserve == bytes {
		return
	}
	if d.room.ballast && d.room.fs.Remove(d.room.ballastPath()) == nil {
		d.room.ballast = false // made anew, of the size that fits
	}
	d.room.reserve = bytes
	d.room.looked = d.room.looked.Add(-lookEvery)
}

// Compact writes out what is in memory and all tables anew, without what was deleted; that takes as long as the disk
// takes.
func (d *Disk) Compact(ctx context.Context) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	if err := d.db.Flush(); err != nil {
		return fmt.Errorf("storage: compact: %w", err)
	}
	if err := d.db.Compact(ctx, []byte("/"), []byte("0"), false); err != nil { // each key begins with /
		return fmt.Errorf("storage: compact: %w", err)
	}
	return d.failed()
}

// Limits are those of a disk with such a reserve, in words for whoever runs it.
func Limits(reserve uint64) string {
	return fmt.Sprintf("what is new is refused below %d MiB free, of which a ballast of %d MiB is given up for what is under way then; %d MiB of memory for what was read and at most %d for what is written; %d open files",
		reserve>>20, reserve/ballastPart>>20, cacheSize>>20, memTablesMax*memTableSize>>20, openFilesMax)
}
