package pebbledisk

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
)

// quota is a file system of a limited size.
type quota struct {
	vfs.FS
	mu    sync.Mutex
	limit int64
	// noTables: there is no room for tables; tables counts how many were begun all the same
	noTables atomic.Bool
	tables   atomic.Int64
	noLogs   atomic.Bool // a new log meets a broken cable
}

func (q *quota) used() (sum int64) {
	names, _ := q.FS.List("disk")
	for _, name := range names {
		if info, err := q.FS.Stat(q.PathJoin("disk", name)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

func (q *quota) room(bytes int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used()+int64(bytes) > q.limit {
		return syscall.ENOSPC
	}
	return nil
}

func (q *quota) setLimit(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = n
}

func (q *quota) GetDiskUsage(string) (vfs.DiskUsage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: uint64(max(0, q.limit-q.used())), TotalBytes: uint64(q.limit)}, nil
}

func (q *quota) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") && q.noTables.Load() {
		q.tables.Add(1)
		return nil, syscall.ENOSPC
	}
	if strings.HasSuffix(name, ".log") && q.noLogs.Load() {
		return nil, syscall.EIO
	}
	f, err := q.FS.Create(name, c)
	return &quotaFile{f, q, name}, err
}

func (q *quota) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if q.noLogs.Load() {
		return nil, syscall.EIO
	}
	f, err := q.FS.ReuseForWrite(old, name, c)
	return &quotaFile{f, q, name}, err
}

type quotaFile struct {
	vfs.File
	q    *quota
	name string
}

func (f *quotaFile) Write(p []byte) (int, error) {
	if err := f.q.room(len(p)); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *quotaFile) Preallocate(_, length int64) error {
	if !strings.HasSuffix(f.name, "BALLAST") {
		return nil
	}
	_, err := f.Write(make([]byte, length))
	return err
}

// noise cannot be compressed.
func noise(n int) []byte {
	value := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	return value
}

// openQuota opens a disk in a file system of 6 MiB, of which 2 are kept in reserve.
func openQuota(t *testing.T) (*Disk, *quota) {
	q := &quota{FS: vfs.NewMem(), limit: 6 << 20}
	d, err := Open("disk", Options{FS: q, Reserve: 2 << 20, tune: small})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, q
}

// lookNow makes the next write look at what is free.
func (d *Disk) lookNow() {
	d.room.mu.Lock()
	defer d.room.mu.Unlock()
	d.room.looked = time.Time{}
}

// fill writes until there is no room, and returns how many values of 32 KiB were taken.
func fill(t *testing.T, d *Disk, from int) (n int) {
	for n = from; ; n++ {
		d.lookNow()
		err := d.Put(ctx, key(n), noise(32<<10))
		if err == nil {
			require.Less(t, n, 1000)
			continue
		}
		require.ErrorIs(t, err, storage.ErrFull)
		require.ErrorContains(t, err, "make room")
		return n
	}
}

// TestAFullDisk refuses what is new, serves the rest, and goes on by itself when there is room.
func TestAFullDisk(t *testing.T) {
	d, q := openQuota(t)
	n := fill(t, d, 0)
	require.Greater(t, n, 10)
	require.NoError(t, flush(d))
	for i := range n {
		got, err := d.Get(ctx, key(i))
		require.NoError(t, err)
		require.Len(t, got, 32<<10)
	}
	_, err := d.Get(ctx, key(n))
	require.Error(t, err, "what was refused is not there")
	require.NoError(t, d.Put(ctx, key(n), []byte("a certificate")), "small things use half of the reserve")
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Put(ctx, key(n+1), noise(32<<10)))
	require.ErrorIs(t, b.Commit(ctx), storage.ErrFull)

	require.NoError(t, d.db.Flush())
	q.setLimit(q.used() + 1<<18)
	d.lookNow()
	require.ErrorIs(t, d.Put(ctx, key(n), []byte("a certificate")), storage.ErrFull, "there is less than half")
	require.NoError(t, d.Delete(ctx, key(0)), "who deletes makes room")
	require.NoError(t, flush(d))

	q.setLimit(10 << 20)
	d.lookNow()
	require.NoError(t, b.Commit(ctx), "the batch that was refused before")
	require.NoError(t, d.Put(ctx, key(n+2), noise(32<<10)))
	require.NoError(t, flush(d))
	require.Greater(t, fill(t, d, n+3), n+10)
}

// TestOthersFillTheDisk: all of it, at once, while there is something to be written out. The file that
// was kept for that makes room, so that what was acknowledged is safe and nothing fails for good.
func TestOthersFillTheDisk(t *testing.T) {
	d, q := openQuota(t)
	for i := range 20 {
		require.NoError(t, d.Put(ctx, key(i), noise(3<<10)))
	}
	require.NoError(t, flush(d))
	_, err := q.Stat(d.room.ballastPath())
	require.NoError(t, err)
	q.setLimit(q.used())
	require.NoError(t, d.Put(ctx, key(20), noise(3<<10)), "nobody has looked yet")
	require.NoError(t, flush(d))
	require.NoError(t, d.db.Flush())
	_, err = q.Stat(d.room.ballastPath())
	require.Error(t, err, "it was given up")
	d.lookNow()
	require.ErrorIs(t, d.Put(ctx, key(21), noise(8<<10)), storage.ErrFull)
	require.NoError(t, flush(d))
	for i := range 21 {
		_, err := d.Get(ctx, key(i))
		require.NoError(t, err)
	}
	q.setLimit(10 << 20)
	d.lookNow()
	require.NoError(t, d.Put(ctx, key(21), noise(8<<10)))
	info, err := q.Stat(d.room.ballastPath())
	require.NoError(t, err, "there is one again")
	require.EqualValues(t, d.room.ballastSize(), info.Size())
}

// openSmallReserve opens a disk that has no ballast to speak of, and keeps something in it.
func openSmallReserve(t *testing.T) (*Disk, *quota) {
	q := &quota{FS: vfs.NewMem(), limit: 16 << 20}
	d, err := Open("disk", Options{FS: q, Reserve: 1 << 10, tune: small})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(0), []byte("safe")))
	require.NoError(t, flush(d))
	return d, q
}

// stuckFlush takes all room away, writes, and returns what a flush will say when it has ended, which it does not now.
func stuckFlush(t *testing.T, d *Disk, q *quota) chan error {
	q.setLimit(1)
	require.NoError(t, d.Put(ctx, key(1), noise(3<<10)), "nobody has looked yet")
	flushed := make(chan error, 1)
	d.Flush(func(err error) { flushed <- err })
	require.Eventually(t, func() bool { return errors.Is(d.Put(ctx, key(2), []byte("new")), storage.ErrFull) }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return errors.Is(d.Delete(ctx, key(0)), storage.ErrFull) }, time.Minute, time.Millisecond,
		"not even what deletes can be written")
	got, err := d.Get(ctx, key(0))
	require.NoError(t, err)
	require.Equal(t, "safe", string(got))
	require.True(t, d.Stats().Full)
	require.Empty(t, flushed, "what is not durable is not said to be")
	return flushed
}

// TestNoRoomAtAll: without a ballast that is left what is new is refused and reads are served; what was taken before is
// flushed when there is room, and the disk goes on by itself.
func TestNoRoomAtAll(t *testing.T) {
	d, q := openSmallReserve(t)
	flushed := stuckFlush(t, d, q)
	q.setLimit(16 << 20)
	require.NoError(t, <-flushed)
	require.Eventually(t, func() bool { return d.Put(ctx, key(2), noise(3<<10)) == nil }, time.Minute, time.Millisecond)
	require.NoError(t, flush(d))
	require.NoError(t, d.Close())
	d, err := Open("disk", Options{FS: q})
	require.NoError(t, err)
	defer d.Close()
	for i := range 3 {
		_, err := d.Get(ctx, key(i))
		require.NoError(t, err)
	}
}

// TestClosedWithoutRoom: who closes a disk that waits for room does not wait, and hears that not all of it is durable; the next
// start has what was acknowledged.
func TestClosedWithoutRoom(t *testing.T) {
	d, q := openSmallReserve(t)
	flushed := stuckFlush(t, d, q)
	require.Error(t, d.Close())
	require.Error(t, <-flushed)
	q.setLimit(16 << 20)
	d, err := Open("disk", Options{FS: q})
	require.NoError(t, err)
	defer d.Close()
	got, err := d.Get(ctx, key(0))
	require.NoError(t, err)
	require.Equal(t, "safe", string(got))
}

// TestANewLogCannotBeMade: pebble would panic at that. The disk has failed, the process lives, and the next start has what was
// acknowledged.
func TestANewLogCannotBeMade(t *testing.T) {
	d, q := openSmallReserve(t)
	q.noLogs.Store(true)
	var failure error
	for i := 1; failure == nil && i < 1000; i++ {
		failure = d.Put(ctx, key(i), noise(3<<10))
	}
	require.ErrorContains(t, failure, "the disk has failed")
	require.True(t, d.Stats().Failed)
	require.ErrorContains(t, flush(d), "the disk has failed")
	got, err := d.Get(ctx, key(0))
	require.NoError(t, err)
	require.Equal(t, "safe", string(got))
	require.ErrorContains(t, d.Close(), "the disk has failed")
	q.noLogs.Store(false)
	d, err = Open("disk", Options{FS: q})
	require.NoError(t, err)
	defer d.Close()
	got, err = d.Get(ctx, key(0))
	require.NoError(t, err)
	require.Equal(t, "safe", string(got))
}
