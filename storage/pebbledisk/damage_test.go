package pebbledisk

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
)

// flip changes one byte in the middle of a part of a file.
func flip(t *testing.T, path string, part []byte) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(raw, part)
	require.Positive(t, at, "%s has %q", path, part)
	raw[at+len(part)/2] ^= 0x40
	require.NoError(t, os.WriteFile(path, raw, 0o600))
}

// theFile is the newest file of a kind in a directory.
func theFile(t *testing.T, dir, pattern string) string {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found[len(found)-1]
}

// TestDamageIsTold: in each kind of file that a disk has, with what to do about it; what a power cut has cut short
// is none.
func TestDamageIsTold(t *testing.T) {
	value := []byte("a value that was acknowledged")
	made := func(t *testing.T, written bool) string {
		dir := t.TempDir()
		d, err := Open(dir, Options{})
		require.NoError(t, err)
		require.NoError(t, d.Put(ctx, key(1), value))
		require.NoError(t, d.Put(ctx, key(2), append(noise(8<<10), value...)))
		require.NoError(t, flush(d))
		if written {
			require.NoError(t, d.db.Flush())
		}
		require.NoError(t, d.Close())
		return dir
	}
	told := func(t *testing.T, dir string) {
		_, err := Open(dir, Options{})
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, "--accept-empty-disk")
		require.ErrorContains(t, err, dir)
	}
	t.Run("the end of the log", func(t *testing.T) {
		dir := made(t, false)
		flip(t, theFile(t, dir, "*.log"), value)
		told(t, dir)
	})
	t.Run("a log that was cut short", func(t *testing.T) {
		dir := made(t, false)
		log := theFile(t, dir, "*.log")
		raw, err := os.ReadFile(log)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(log, raw[:bytes.Index(raw, value)+3], 0o600))
		told(t, dir)
		require.NoError(t, os.Remove(filepath.Join(dir, cleanName)), "as after a power cut")
		d, err := Open(dir, Options{})
		require.NoError(t, err)
		require.NoError(t, d.Close())
	})
	t.Run("the manifest", func(t *testing.T) {
		dir := made(t, true)
		require.NoError(t, os.Truncate(theFile(t, dir, "MANIFEST-*"), 20))
		told(t, dir)
	})
	t.Run("a table that is gone", func(t *testing.T) {
		dir := made(t, true)
		require.NoError(t, os.Remove(theFile(t, dir, "*.sst")))
		told(t, dir)
	})
	t.Run("a table or a blob", func(t *testing.T) {
		for _, pattern := range []string{"*.sst", "*.blob"} {
			dir := made(t, true)
			file := theFile(t, dir, pattern)
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			raw[20] ^= 0x40
			require.NoError(t, os.WriteFile(file, raw, 0o600))
			var log bytes.Buffer
			d, err := Open(dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				require.ErrorIs(t, err, ErrDamaged)
				continue
			}
			damaged := 1 // the key of what lies in the file
			if pattern == "*.blob" {
				damaged = 2
			}
			for range 2 {
				_, err = d.Get(ctx, key(damaged))
				require.Error(t, err, pattern)
			}
			require.Equal(t, 1, strings.Count(log.String(), "tau doctor --deep"), "%s: %s", pattern, log.String())
			_ = d.Close() // it says so, too, if that has failed
		}
	})
}

// fullFS is a file system without room; brokenFS one on which pebble cannot read its manifest.
type (
	fullFS   struct{ vfs.FS }
	brokenFS struct{ vfs.FS }
)

func (fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 10}, nil
}

func (b brokenFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	if strings.Contains(name, "MANIFEST") {
		return nil, syscall.EIO
	}
	return b.FS.Open(name, o...)
}

// TestDamageIsToldAfterAStartThatFailed: a start that met a full or a broken file system does not make the next one believe
// that a log was cut short by a power cut.
func TestDamageIsToldAfterAStartThatFailed(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"full": fullFS{vfs.Default}, "broken": brokenFS{vfs.Default}} {
		t.Run(name, func(t *testing.T) {
			dir, value := t.TempDir(), []byte("a value that was acknowledged")
			d, err := Open(dir, Options{Reserve: 1 << 20})
			require.NoError(t, err)
			require.NoError(t, d.Put(ctx, key(1), value))
			require.NoError(t, flush(d))
			require.NoError(t, d.Close())
			for range 2 {
				_, err = Open(dir, Options{Reserve: 1 << 20, FS: fs})
				require.Error(t, err)
				require.FileExists(t, filepath.Join(dir, cleanName))
			}
			flip(t, theFile(t, dir, "*.log"), value)
			_, err = Open(dir, Options{Reserve: 1 << 20})
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, "ended in order")
		})
	}
}

// TestADiskIsOpenedWhenItIsFull: by what was kept for that; below the reserve it takes what is small, to begin with,
// and serves the rest. Without any room it says so at once.
func TestADiskIsOpenedWhenItIsFull(t *testing.T) {
	q := &quota{FS: vfs.NewMem(), limit: 24 << 20}
	d, err := Open("disk", Options{FS: q, Reserve: 8 << 20})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(1), noise(32<<10)))
	require.NoError(t, flush(d))
	require.NoError(t, d.Close())

	q.setLimit(q.used()) // others have taken all but the ballast
	d, err = Open("disk", Options{FS: q, Reserve: 8 << 20})
	require.NoError(t, err)
	got, err := d.Get(ctx, key(1))
	require.NoError(t, err)
	require.Len(t, got, 32<<10)
	require.NoError(t, d.Put(ctx, key(2), []byte("start 2")))
	require.NoError(t, flush(d))
	require.ErrorIs(t, d.Put(ctx, key(3), noise(5<<10)), storage.ErrFull)
	taken := 0
	for ; d.Put(ctx, key(4), noise(smallMax-100)) == nil; taken++ {
		require.Less(t, taken, openingMax/smallMax*2, "that ends")
	}
	require.NoError(t, d.Close())

	q.setLimit(q.used())
	began := time.Now()
	_, err = Open("disk", Options{FS: q, Reserve: 8 << 20})
	require.ErrorIs(t, err, storage.ErrFull)
	require.ErrorContains(t, err, "make room")
	require.Less(t, time.Since(began), 30*time.Second)
	q.setLimit(q.used() + 16<<20)
	d, err = Open("disk", Options{FS: q, Reserve: 8 << 20})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(3), noise(5<<10)))
	require.NoError(t, d.Close())
}

// TestPebbleIsNotInAHurryOnAFullDisk: neither with its files, nor with its complaints.
func TestPebbleIsNotInAHurryOnAFullDisk(t *testing.T) {
	q := &quota{FS: vfs.NewMem(), limit: 16 << 20}
	var log bytes.Buffer
	d, err := Open("disk", Options{FS: q, Reserve: 1 << 10, tune: small, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(0), noise(2<<10)))
	require.NoError(t, flush(d))
	q.noTables.Store(true)
	done, err := d.db.AsyncFlush()
	require.NoError(t, err)
	time.Sleep(300 * time.Millisecond)
	tried := q.tables.Load()
	require.Positive(t, tried)
	require.LessOrEqual(t, tried, int64(2), "once a second")
	q.noTables.Store(false)
	<-done
	require.NoError(t, d.Close())
	require.Equal(t, 1, strings.Count(log.String(), "tries again"), log.String())
}
