package pebbledisk

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"
)

// counting is a file system that counts the bytes that are written, and the syncs of logs.
type counting struct {
	vfs.FS
	bytes, syncs atomic.Int64
}

func (c *counting) Create(name string, w vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, w)
	return &countingFile{f, c}, err
}

func (c *counting) ReuseForWrite(old, name string, w vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, w)
	return &countingFile{f, c}, err
}

type countingFile struct {
	vfs.File
	c *counting
}

func (f *countingFile) Write(p []byte) (int, error) {
	f.c.bytes.Add(int64(len(p)))
	return f.File.Write(p)
}

func (f *countingFile) SyncData() error {
	f.c.syncs.Add(1)
	return f.File.SyncData()
}

func (f *countingFile) Sync() error {
	f.c.syncs.Add(1)
	return f.File.Sync()
}

// acknowledged has writers write and flush until n writes are acknowledged, and returns the syncs.
func acknowledged(t testing.TB, d *Disk, c *counting, writers, n int) (syncs int64) {
	before := c.syncs.Load()
	var next atomic.Int64
	var ended sync.WaitGroup
	for range writers {
		ended.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := d.Put(ctx, key(i), noise(300)); err != nil {
					t.Error(err)
				}
				if err := flush(d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended.Wait()
	return c.syncs.Load() - before
}

// slowSync makes each sync take as long as that of a real disk.
type slowSync struct{ vfs.FS }

func (s slowSync) Create(name string, w vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, w)
	return slowFile{f}, err
}

type slowFile struct{ vfs.File }

func (f slowFile) SyncData() error { time.Sleep(time.Millisecond); return f.File.SyncData() }
func (f slowFile) Sync() error     { time.Sleep(time.Millisecond); return f.File.Sync() }

// TestFlushesShareASync: 64 writers need few more syncs than one of them would.
func TestFlushesShareASync(t *testing.T) {
	c := &counting{FS: slowSync{vfs.NewMem()}}
	d, err := Open("disk", Options{FS: c})
	require.NoError(t, err)
	defer d.Close()
	require.InDelta(t, 50, acknowledged(t, d, c, 1, 50), 10, "one after the other")
	require.Less(t, acknowledged(t, d, c, 64, 64*20), int64(64*20/8))
}

// BenchmarkAcknowledged: writes of 300 bytes, each acknowledged when it is durable, on a real disk.
func BenchmarkAcknowledged(b *testing.B) {
	for _, writers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			c := &counting{FS: vfs.Default}
			d, err := Open(b.TempDir(), Options{FS: c})
			require.NoError(b, err)
			b.ResetTimer()
			syncs := acknowledged(b, d, c, writers, b.N)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/float64(max(1, syncs)), "writes/fsync")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			require.NoError(b, d.Close())
		})
	}
}

// BenchmarkBlocks writes b.N blocks of 256 KiB and has everything written out and compacted: how often was a
// byte written? whole: with values within the tree.
func BenchmarkBlocks(b *testing.B) {
	for _, whole := range []bool{false, true} {
		b.Run(fmt.Sprintf("whole=%t", whole), func(b *testing.B) {
			c := &counting{FS: vfs.Default}
			d, err := Open(b.TempDir(), Options{FS: c, tune: func(o *pebble.Options) {
				if whole {
					o.Experimental.ValueSeparationPolicy = nil
				}
			}})
			require.NoError(b, err)
			block := noise(256 << 10)
			b.SetBytes(int64(len(block)))
			b.ResetTimer()
			for i := range b.N {
				copy(block, fmt.Sprint(i))
				require.NoError(b, d.Put(ctx, key(i*7919%b.N), block))
				if i%16 == 15 {
					require.NoError(b, flush(d))
				}
			}
			require.NoError(b, d.db.Flush())
			require.NoError(b, d.db.Compact(ctx, []byte("/"), []byte("0"), false))
			b.StopTimer()
			b.ReportMetric(float64(c.bytes.Load())/float64(b.N*len(block)), "written/byte")
			require.NoError(b, d.Close())
		})
	}
}

// BenchmarkSizes lists the sizes of 20,000 blocks of a disk that was just opened, as a node does at its start.
func BenchmarkSizes(b *testing.B) {
	const blocks, size = 20_000, 16 << 10
	dir := b.TempDir()
	d, err := Open(dir, Options{})
	require.NoError(b, err)
	block := noise(size)
	for i := range blocks {
		require.NoError(b, d.Put(ctx, key(i), block))
	}
	require.NoError(b, d.db.Flush())
	require.NoError(b, d.Close())
	for b.Loop() {
		d, err := Open(dir, Options{})
		require.NoError(b, err)
		results, err := d.Query(ctx, query.Query{KeysOnly: true, ReturnsSizes: true})
		require.NoError(b, err)
		entries, err := results.Rest()
		require.NoError(b, err)
		require.Len(b, entries, blocks)
		require.NoError(b, d.Close())
	}
}
