package pebbledisk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
)

var ctx = context.Background()

func key(i int) datastore.Key { return datastore.RawKey(fmt.Sprintf("/k/%06d", i)) }

func flush(d storage.Disk) error {
	done := make(chan error, 1)
	d.Flush(func(err error) { done <- err })
	return <-done
}

// TestNothingIsDoneAfterClose: each operation says so, and queries end.
func TestNothingIsDoneAfterClose(t *testing.T) {
	d, err := Open(t.TempDir(), Options{})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(1), []byte("v")))
	require.NoError(t, d.Put(ctx, key(2), []byte("v")))
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Put(ctx, key(1), nil))
	results, err := d.Query(ctx, query.Query{})
	require.NoError(t, err)
	_, found := results.NextSync()
	require.True(t, found)
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())

	r, found := results.NextSync()
	require.True(t, found)
	require.ErrorIs(t, r.Error, ErrClosed)
	_, found = results.NextSync()
	require.False(t, found)
	require.NoError(t, results.Close())
	_, got := d.Get(ctx, key(1))
	_, has := d.Has(ctx, key(1))
	_, size := d.GetSize(ctx, key(1))
	_, batched := d.Batch(ctx)
	_, queried := d.Query(ctx, query.Query{})
	for what, err := range map[string]error{
		"get": got, "has": has, "size": size, "batch": batched, "query": queried, "put": d.Put(ctx, key(1), nil), "delete": d.Delete(ctx, key(1)),
		"commit": b.Commit(ctx), "flush": flush(d), "sync": d.Sync(ctx, key(1)),
	} {
		require.ErrorIs(t, err, ErrClosed, what)
	}
}

// TestCloseWhileOthersAreBusy: whoever is within the disk ends well, whoever comes later is refused.
func TestCloseWhileOthersAreBusy(t *testing.T) {
	d, err := Open("disk", Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	ended := make(chan error, 8)
	for w := range cap(ended) {
		go func() {
			for i := 0; ; i++ {
				if err := d.Put(ctx, key(w), []byte("v")); err != nil {
					ended <- err
					return
				}
				if err := flush(d); err != nil {
					ended <- err
					return
				}
				if _, err := d.Get(ctx, key(w)); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for w := range cap(ended) {
		for has := false; !has; has, _ = d.Has(ctx, key(w)) {
		}
	}
	require.NoError(t, d.Close())
	for range cap(ended) {
		require.ErrorIs(t, <-ended, ErrClosed)
	}
}

// TestADirectoryHasOneProcess, and another one after that.
func TestADirectoryHasOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "disk")
	d, err := Open(dir, Options{})
	require.NoError(t, err)
	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	require.NoError(t, d.Put(ctx, key(1), []byte("v")))
	require.NoError(t, d.Close())
	d, err = Open(dir, Options{})
	require.NoError(t, err)
	defer d.Close()
	has, err := d.Has(ctx, key(1))
	require.NoError(t, err)
	require.True(t, has)
}

// TestFormats: a directory that another release wrote, or that is no disk, is left alone.
func TestFormats(t *testing.T) {
	for text, want := range map[string]string{
		"tau disk 2\n":                     "format 2, this release knows 1",
		"tau disk 0\n":                     "damaged",
		"tau disk x":                       "damaged",
		"":                                 "damaged",
		"something":                        "damaged",
		strings.Repeat("tau disk 1", 1000): "damaged",
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, formatName), []byte(text), 0o600))
		_, err := Open(dir, Options{})
		require.ErrorIs(t, err, ErrFormat, text)
		require.ErrorContains(t, err, want)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600))
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "thesis.txt")
	require.NoError(t, os.Remove(filepath.Join(dir, "thesis.txt")))
	d, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, d.Close())
	raw, err := os.ReadFile(filepath.Join(dir, formatName))
	require.NoError(t, err)
	require.Regexp(t, "^tau disk 1\n[0-9a-f]{32}\n$", string(raw))
	id, err := ID(dir)
	require.NoError(t, err)
	require.Len(t, id, 32)
	id, err = ID(t.TempDir())
	require.NoError(t, err)
	require.Empty(t, id)
	require.NoError(t, os.Remove(filepath.Join(dir, formatName)))
	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, ErrFormat, "what is there is not taken for an empty directory")
}

// TestAFailedSyncIsTheLastOne: the process lives, nothing is written and no sync succeeds any more, and what was
// there can be read.
func TestAFailedSyncIsTheLastOne(t *testing.T) {
	bad := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if bad && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.HasSuffix(op.Path, ".log") {
			return errorfs.ErrInjected
		}
		return nil
	}))
	d, err := Open("disk", Options{FS: fs})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(1), []byte("good")))
	require.NoError(t, flush(d))
	bad = true
	require.NoError(t, d.Put(ctx, key(2), []byte("lost")))
	require.ErrorIs(t, flush(d), errorfs.ErrInjected)
	bad = false
	require.ErrorIs(t, flush(d), errorfs.ErrInjected, "a later one")
	require.ErrorIs(t, d.Put(ctx, key(3), nil), errorfs.ErrInjected)
	got, err := d.Get(ctx, key(1))
	require.NoError(t, err)
	require.Equal(t, "good", string(got))
	require.ErrorIs(t, d.Close(), errorfs.ErrInjected)
}

// TestSizesAreKnownWithoutReading: the start of a node asks for the size of each block.
func TestSizesAreKnownWithoutReading(t *testing.T) {
	const blocks, size = 64, 256 << 10
	read := 0
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".blob") {
			read++
		}
		return nil
	}))
	open := func() *Disk {
		d, err := Open("disk", Options{FS: fs, tune: func(o *pebble.Options) { o.DisableAutomaticCompactions = true }})
		require.NoError(t, err)
		return d
	}
	d := open()
	for i := range blocks {
		require.NoError(t, d.Put(ctx, key(i), make([]byte, size)))
	}
	require.NoError(t, d.db.Flush())
	require.NoError(t, d.Close())
	d = open()
	defer d.Close()
	read = 0
	results, err := d.Query(ctx, query.Query{KeysOnly: true, ReturnsSizes: true})
	require.NoError(t, err)
	entries, err := results.Rest()
	require.NoError(t, err)
	require.Len(t, entries, blocks)
	for _, e := range entries {
		require.Equal(t, size, e.Size)
	}
	n, err := d.GetSize(ctx, key(7))
	require.NoError(t, err)
	require.Equal(t, size, n)
	has, err := d.Has(ctx, key(8))
	require.NoError(t, err)
	require.True(t, has)
	require.Zero(t, read, "of the values nothing was read")
	_, err = d.Get(ctx, key(7))
	require.NoError(t, err)
	require.Positive(t, read, "they lie beside the tree")
}

// TestADiskWithoutAnIDIsGivenOne: earlier releases have made such. What it holds stays, and so does the id.
func TestADiskWithoutAnIDIsGivenOne(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir, Options{Reserve: 1 << 20})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, key(1), []byte("kept")))
	require.NoError(t, d.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, formatName), []byte("tau disk 1\n"), 0o600))
	_, err = ID(dir)
	require.ErrorIs(t, err, ErrFormat)
	first := ""
	for range 2 {
		d, err = Open(dir, Options{Reserve: 1 << 20})
		require.NoError(t, err)
		got, err := d.Get(ctx, key(1))
		require.NoError(t, err)
		require.Equal(t, "kept", string(got))
		require.NoError(t, d.Close())
		id, err := ID(dir)
		require.NoError(t, err)
		require.Len(t, id, 32)
		if first == "" {
			first = id
		}
		require.Equal(t, first, id)
	}
}
