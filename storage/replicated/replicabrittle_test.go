package replicated

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestReplicasAreOpenedOnABrittleDisk fails each single operation of an open of a
// sound disk: it says so, or finds the same.
func TestReplicasAreOpenedOnABrittleDisk(t *testing.T) {
	at := storage.K("kv", "test", "main")
	writer := uint64(0)
	newWriter := func() uint64 { writer++; return writer }
	start := memdisk.New()
	r, err := openReplica(start, at, newWriter, noPause)
	require.NoError(t, err)
	for i := range 5 {
		_, err := r.commit(writesOf(storage.Write{Key: storage.K("k", fmt.Sprint(i%3)), Value: fmt.Append(nil, i)}))
		require.NoError(t, err)
		require.NoError(t, r.save())
	}
	r.close()
	state := func(disk storage.Disk) (string, error) {
		r, err := openReplica(disk, at, newWriter, noPause)
		if err != nil {
			return "", err
		}
		defer r.close()
		return fmt.Sprint(r.index.vector.sum, r.index.sum, r.index.tail.len, len(r.index.heads)), nil
	}
	want, err := state(start.Clone())
	require.NoError(t, err)
	for _, times := range []int{1, ondisk.ReadingsMax} {
		for failAt := 0; ; failAt++ {
			disk := &brittledisk.Disk{Disk: start.Clone(), FailAt: failAt, Times: times}
			got, err := state(disk)
			if disk.Failed == "" {
				require.Greater(t, failAt, 5)
				break
			}
			if err != nil {
				require.ErrorIs(t, err, brittledisk.ErrBroken)
			} else {
				require.NotContains(t, []string{"query", "result"}, disk.Failed, "at %d", failAt)
				require.Equal(t, want, got, "at %d", failAt)
			}
			got, err = state(disk.Disk)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s failed at %d", disk.Failed, failAt)
		}
	}
	pauses := 0
	_, err = readReplica(start, at, func() error { pauses++; return brittledisk.ErrBroken })
	require.NoError(t, err)
	require.Zero(t, pauses, "it is short")
	many := memdisk.New()
	for i := range readEach {
		require.NoError(t, many.Put(context.Background(), datastore.RawKey(string(storage.K("many", fmt.Sprint(i)))), nil))
	}
	_, err = readReplica(many, storage.K("many"), func() error { return brittledisk.ErrBroken })
	require.ErrorIs(t, err, brittledisk.ErrBroken)
}

// TestPagesOfFolds are full to the byte, and together the fold.
func TestPagesOfFolds(t *testing.T) {
	r, err := openReplica(memdisk.New(), storage.K("kv", "test", "main"), func() uint64 { return 1 }, noPause)
	require.NoError(t, err)
	defer r.close()
	for i := range 4 {
		_, err := r.commit(writesOf(storage.Write{Key: storage.K("k", fmt.Sprint(i)), Value: bytes.Repeat([]byte{byte(i)}, 10*i)}))
		require.NoError(t, err)
	}
	source := r.freeze(1)
	all, end, done := source.page(foldCursor{}, 1<<20)
	require.True(t, done)
	for size := 1; size <= len(all); size++ {
		var got []byte
		var at foldCursor
		for done := false; !done; {
			var raw []byte
			raw, at, done = source.page(at, size)
			if !done {
				require.Len(t, raw, size)
			}
			got = append(got, raw...)
		}
		require.Equal(t, all, got)
		require.Equal(t, end, at)
	}
	raw, next, done := source.page(foldCursor{}, len(source.item(0)))
	require.Equal(t, source.item(0), raw)
	require.Equal(t, foldCursor{Item: 1}, next)
	require.False(t, done)
	for _, bad := range []foldCursor{{Item: -1}, {Skip: -1}, {Item: 100}} {
		raw, next, done := source.page(bad, 10)
		require.Empty(t, raw)
		require.Equal(t, bad, next)
		require.True(t, done)
	}
}
