package storage

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage/memdisk"
)

// TestReplicasAreOpenedOnABrittleDisk fails each single operation of an open of a
// sound disk: it says so, or finds the same.
func TestReplicasAreOpenedOnABrittleDisk(t *testing.T) {
	at := K("kv", "test", "main")
	writer := uint64(0)
	newWriter := func() uint64 { writer++; return writer }
	start := memdisk.New()
	r, err := openReplica(start, at, newWriter, noPause)
	require.NoError(t, err)
	for i := range 5 {
		_, err := r.commit(writesOf(write{key: K("k", fmt.Sprint(i%3)), value: fmt.Append(nil, i)}))
		require.NoError(t, err)
		require.NoError(t, r.save())
	}
	r.close()
	state := func(disk Disk) (string, error) {
		r, err := openReplica(disk, at, newWriter, noPause)
		if err != nil {
			return "", err
		}
		defer r.close()
		return fmt.Sprint(r.overlay.vector.sum, r.overlay.sum, r.overlay.tail.len, len(r.overlay.heads)), nil
	}
	want, err := state(start.Clone())
	require.NoError(t, err)
	for _, times := range []int{1, readingsMax} {
		for failAt := 0; ; failAt++ {
			disk := &brittleDisk{Disk: start.Clone(), failAt: failAt, times: times}
			got, err := state(disk)
			if disk.failed == "" {
				require.Greater(t, failAt, 5)
				break
			}
			if err != nil {
				require.ErrorIs(t, err, errBroken)
			} else {
				require.NotContains(t, []string{"query", "result"}, disk.failed, "at %d", failAt)
				require.Equal(t, want, got, "at %d", failAt)
			}
			got, err = state(disk.Disk)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s failed at %d", disk.failed, failAt)
		}
	}
	pauses := 0
	_, err = readReplica(start, at, func() error { pauses++; return errBroken })
	require.NoError(t, err)
	require.Zero(t, pauses, "it is short")
	many := memdisk.New()
	for i := range readEach {
		require.NoError(t, many.Put(context.Background(), blockKey(leafOf(fmt.Sprint(i)).cid), nil))
	}
	_, err = readReplica(many, blocksAt, func() error { return errBroken })
	require.ErrorIs(t, err, errBroken)
}

// TestPagesOfFolds are full to the byte, and together the fold.
func TestPagesOfFolds(t *testing.T) {
	r, err := openReplica(memdisk.New(), K("kv", "test", "main"), func() uint64 { return 1 }, noPause)
	require.NoError(t, err)
	defer r.close()
	for i := range 4 {
		_, err := r.commit(writesOf(write{key: K("k", fmt.Sprint(i)), value: []byte(bytesOf(10 * i))}))
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
