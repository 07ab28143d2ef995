package ondisk

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestSeal: what is stored has these checksums, CRC-32C over the key and the value.
func TestSeal(t *testing.T) {
	require.Equal(t, "839206e3", hex.EncodeToString(Seal("1234", []byte("56789"))[:4]), "the check value of CRC-32C")
	require.Equal(t, "00000000", hex.EncodeToString(Seal("", nil)))
	long := strings.Repeat("k", 200)
	for _, key := range []string{"", "/k", long} {
		for _, value := range []string{"", "v", long} {
			sealed := Seal(key, []byte(value))
			require.Len(t, sealed, 4+len(value))
			got, err := Unseal(key, sealed)
			require.NoError(t, err)
			require.Equal(t, value, string(got))
			_, err = Unseal(key+"x", sealed)
			require.ErrorIs(t, err, storage.ErrCorrupt, "under another key")
			for i := range sealed {
				for _, bit := range []byte{1, 128} {
					sealed[i] ^= bit
					_, err := Unseal(key, sealed)
					require.ErrorIs(t, err, storage.ErrCorrupt)
					sealed[i] ^= bit
				}
			}
			for n := range min(4, len(sealed)) {
				got, err := Unseal(key, sealed[:n])
				require.ErrorIs(t, err, storage.ErrCorrupt, "%d bytes", n)
				require.Nil(t, got)
			}
		}
	}
}

func brittle(t *testing.T) *brittledisk.Disk {
	d := &brittledisk.Disk{Disk: memdisk.New()}
	require.NoError(t, d.Put(context.Background(), datastore.NewKey("/a/k"), []byte("v")))
	d.Count = 0
	return d
}

// TestReadSound: a fault that passes does not matter, one that stays is told.
func TestReadSound(t *testing.T) {
	bad := errors.New("bad")
	for _, x := range []struct {
		failures, refusals int // of the disk, and then of the check
		want               error
		readings           int
	}{
		{0, 0, nil, 1}, {1, 0, nil, 2}, {2, 0, nil, 3}, {3, 0, brittledisk.ErrBroken, 3},
		{0, 1, nil, 2}, {0, 2, nil, 3}, {0, 3, bad, 3}, {1, 1, nil, 3}, {1, 2, bad, 3}, {2, 1, bad, 3},
	} {
		d := brittle(t)
		d.Times = x.failures
		err := ReadSound(d, "/a/k", func(raw []byte) error {
			require.Equal(t, "v", string(raw))
			if x.refusals--; x.refusals >= 0 {
				return bad
			}
			return nil
		})
		require.ErrorIs(t, err, x.want, "%+v", x)
		require.Equal(t, x.readings, d.Count, "%+v", x)
	}
	d := brittle(t)
	err := ReadSound(d, "/a/none", func([]byte) error { panic("there is nothing") })
	require.Equal(t, storage.ErrNotFound, err)
	require.Equal(t, 1, d.Count)
}

// TestScan: each error ends a scan, and is its own.
func TestScan(t *testing.T) {
	enough := errors.New("enough")
	for at, want := range map[int][]string{0: nil, 1: nil, 2: {"/a/k"}, 3: {"/a/k", "/a/l"}} {
		d := brittle(t)
		require.NoError(t, d.Put(context.Background(), datastore.NewKey("/a/l"), []byte("v")))
		d.Count, d.FailAt, d.Times = 0, at, 1
		var got []string
		err := Scan(d, "/a", func(k storage.Key, value []byte) error {
			require.Equal(t, "v", string(value))
			got = append(got, string(k))
			return nil
		})
		require.ErrorIs(t, err, brittledisk.ErrBroken, "at %d", at)
		require.Equal(t, want, got, "at %d", at)
	}
	n := 0
	err := Scan(brittle(t), "/a", func(storage.Key, []byte) error { n++; return enough })
	require.ErrorIs(t, err, enough)
	require.Equal(t, 1, n)
}

// never is a disk whose flushes do not end.
type never struct{ storage.Disk }

func (never) Flush(func(error)) {}

// TestFlush reports what the disk does, and ends with the context.
func TestFlush(t *testing.T) {
	loop := clock.NewLive()
	defer loop.Stop(time.Minute)
	d := brittle(t)
	require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) {
		require.Equal(t, 1, d.Unsynced())
		d.FailAt, d.Times = 0, 1
		require.ErrorIs(t, Flush(ctx, loop, d), brittledisk.ErrBroken)
		require.Equal(t, 1, d.Unsynced())
		require.NoError(t, Flush(ctx, loop, d))
		require.Zero(t, d.Unsynced())
		gone, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorIs(t, Flush(gone, loop, d), context.Canceled)
		soon, cancel := clock.WithTimeout(ctx, loop, time.Millisecond)
		defer cancel()
		require.ErrorIs(t, Flush(soon, loop, never{d}), context.DeadlineExceeded)
	}))
}
