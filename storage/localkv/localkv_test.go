package localkv_test

import (
	"context"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/storage/memdisk"
)

var ctx = context.Background()

func open(t *testing.T, disk storage.Disk) *localkv.Store {
	s, err := localkv.Open(nil, disk, "/ns") // only Sync needs the loop
	require.NoError(t, err)
	return s
}

// brittle is a disk with two entries of the store, and one beside it.
func brittle(t *testing.T) *brittledisk.Disk {
	d := &brittledisk.Disk{Disk: memdisk.New()}
	s := open(t, d)
	require.NoError(t, s.Apply(new(storage.Batch).Put("/b", []byte("2")).Put("/a", []byte("1")).Put("/a/x", []byte("3"))))
	require.NoError(t, storage.Put(mustOpen(t, d, "/ns2"), "/a", []byte("other")))
	d.Flush(func(err error) { require.NoError(t, err) })
	d.Count, d.Failed = 0, ""
	return d
}

func mustOpen(t *testing.T, disk storage.Disk, namespace storage.Key) *localkv.Store {
	s, err := localkv.Open(nil, disk, namespace)
	require.NoError(t, err)
	return s
}

// TestEachFailureIsTold: wherever the disk fails while it is written, nothing is written.
func TestEachFailureIsTold(t *testing.T) {
	for at := 0; ; at++ {
		d := brittle(t)
		s := open(t, d)
		d.Count, d.FailAt, d.Times = 0, at, 1
		err := s.Apply(new(storage.Batch).Put("/a", []byte("new")).Delete("/b"))
		if d.Failed == "" {
			require.NoError(t, err)
			require.Greater(t, at, 3)
			break
		}
		require.ErrorIs(t, err, brittledisk.ErrBroken, d.Failed)
		list, err := s.List("")
		require.NoError(t, err)
		require.Len(t, list, 3)
		require.Equal(t, "1", string(list[0].Value))
	}
}

// TestReadingsThatFail: one may, of each value and of the list; what stays is an error.
func TestReadingsThatFail(t *testing.T) {
	d := brittle(t)
	s := open(t, d)
	d.Count, d.FailAt, d.Times = 0, 0, ondisk.ReadingsMax
	_, err := s.Get("/a")
	require.ErrorIs(t, err, brittledisk.ErrBroken)
	value, err := s.Get("/a")
	require.NoError(t, err)
	require.Equal(t, "1", string(value))
	for at := range 3 { // the key itself, the query, a result
		d.Count, d.FailAt, d.Times = 0, at, 1
		if at == 0 {
			d.Times = ondisk.ReadingsMax
		}
		list, err := s.List("/a")
		require.ErrorIs(t, err, brittledisk.ErrBroken, "at %d", at)
		require.Nil(t, list)
	}
	d.Count, d.FailAt, d.Times = 0, 0, 1
	_, err = localkv.Open(nil, d, "/ns")
	require.ErrorIs(t, err, brittledisk.ErrBroken)
}

// TestListsOfPrefixes begin with the key itself, if there is one, in order.
func TestListsOfPrefixes(t *testing.T) {
	s := open(t, brittle(t))
	for prefix, want := range map[storage.Key][]storage.Key{
		"": {"/a", "/a/x", "/b"}, "/": {"/a", "/a/x", "/b"}, "/a": {"/a", "/a/x"}, "/a/x": {"/a/x"}, "/c": nil, "/b": {"/b"},
	} {
		list, err := s.List(prefix)
		require.NoError(t, err)
		var keys []storage.Key
		for _, e := range list {
			keys = append(keys, e.Key)
		}
		require.Equal(t, want, keys, prefix)
	}
}

// TestAReadingThatIsWrongOnce drops nothing and is read again.
func TestAReadingThatIsWrongOnce(t *testing.T) {
	d := brittle(t).Disk
	wrong := 0
	d.SetFaults(memdisk.Faults{Read: func(key string, value []byte) []byte {
		if wrong--; wrong >= 0 {
			return append([]byte{value[0] ^ 1}, value[1:]...)
		}
		return value
	}})
	wrong = 1
	s := open(t, d)
	require.Empty(t, s.Dropped())
	wrong = 1
	list, err := s.List("/b")
	require.NoError(t, err)
	require.Equal(t, []storage.Entry{{Key: "/b", Value: []byte("2")}}, list)
	wrong = 1
	list, err = s.List("")
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.Equal(t, "1", string(list[0].Value))
	wrong = len(list) + ondisk.ReadingsMax // the query reads them all
	_, err = s.List("")
	require.ErrorIs(t, err, storage.ErrCorrupt)
	wrong = ondisk.ReadingsMax
	_, err = s.Get("/a")
	require.ErrorIs(t, err, storage.ErrCorrupt)
}

// TestDroppedKeys are listed in order, and are there again once they are written.
func TestDroppedKeys(t *testing.T) {
	d := brittle(t)
	for _, k := range []string{"/ns/b", "/ns/a", "/ns/a/x"} {
		require.NoError(t, d.Put(ctx, datastore.RawKey(k), []byte("torn")))
	}
	s := open(t, d)
	require.Equal(t, []storage.Key{"/a", "/a/x", "/b"}, s.Dropped())
	_, err := s.Get("/a")
	require.Equal(t, storage.ErrNotFound, err)
	require.NoError(t, s.Apply(new(storage.Batch).Put("/a", []byte("new")).Delete("/b")))
	require.Equal(t, []storage.Key{"/a/x"}, s.Dropped())
	list, err := s.List("")
	require.NoError(t, err)
	require.Equal(t, []storage.Entry{{Key: "/a", Value: []byte("new")}}, list)
}

// TestTheCallerOwnsWhatItReads: to change it changes nothing here.
func TestTheCallerOwnsWhatItReads(t *testing.T) {
	s := open(t, brittle(t))
	for range 2 {
		value, err := s.Get("/a")
		require.NoError(t, err)
		require.Equal(t, "1", string(value))
		value[0] = 'x'
		list, err := s.List("")
		require.NoError(t, err)
		require.Equal(t, "1", string(list[0].Value))
		list[0].Value[0] = 'x'
	}
}

// TestKeysThatAreNone panic: a datastore would make another key of them.
func TestKeysThatAreNone(t *testing.T) {
	s := open(t, brittle(t))
	require.Panics(t, func() { _, _ = s.Get("a") })
	require.Panics(t, func() { _ = storage.Put(s, "/a/", nil) })
	require.Panics(t, func() { _, _ = localkv.Open(nil, memdisk.New(), "ns") })
}

// TestOnDisk is what would survive and is sound, of this store and below this key.
func TestOnDisk(t *testing.T) {
	d := brittle(t)
	s := open(t, d)
	require.NoError(t, storage.Put(s, "/a", []byte("not flushed")))
	require.NoError(t, storage.Put(s, "/new", []byte("not flushed")))
	require.NoError(t, storage.Put(s, "/ab", []byte("flushed")))
	all := localkv.OnDisk(d.Disk, "/ns", "")
	require.Equal(t, []storage.Entry{{Key: "/a", Value: []byte("1")}, {Key: "/a/x", Value: []byte("3")}, {Key: "/b", Value: []byte("2")}}, all)
	require.True(t, localkv.HasOnDisk(d.Disk, "/ns", "/a"))
	require.False(t, localkv.HasOnDisk(d.Disk, "/ns", "/new"))
	d.Disk.Flush(func(err error) { require.NoError(t, err) })
	require.Len(t, localkv.OnDisk(d.Disk, "/ns", ""), 5)
	require.NoError(t, storage.Put(s, "/a-b", []byte("x")))
	d.Disk.Flush(func(err error) { require.NoError(t, err) })
	require.Equal(t, storage.Key("/a/x"), localkv.OnDisk(d.Disk, "/ns", "")[1].Key, "what is below comes first")
	require.Len(t, localkv.OnDisk(d.Disk, "/ns", "/a"), 2, "not /ab")
	require.NoError(t, d.Put(ctx, datastore.RawKey("/ns/a/x"), []byte("torn")))
	d.Disk.Flush(func(err error) { require.NoError(t, err) })
	require.Len(t, localkv.OnDisk(d.Disk, "/ns", "/a"), 1)
	require.False(t, localkv.HasOnDisk(d.Disk, "/ns", "/a/x"))
	require.True(t, localkv.HasOnDisk(d.Disk, "/ns", "/new"))
}
