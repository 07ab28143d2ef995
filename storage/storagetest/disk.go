package storagetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
)

// DiskMaker makes an empty disk. crash ends it as a power cut does and opens what is left: all
// that was flushed, and a part of the writes since, drawn from r.
type DiskMaker func(t *testing.T) (disk storage.Disk, crash func(r *rand.Rand) storage.Disk)

// RunDisk checks an implementation of storage.Disk.
func RunDisk(t *testing.T, make DiskMaker) {
	for name, run := range map[string]func(*testing.T, DiskMaker){
		"values": diskKeepsValues, "queries": diskAnswersQueries, "snapshots": diskQueriesAreSnapshots,
		"batches": diskBatchesAreAtomic, "flushes": diskFlushesReportOnce, "crashes": diskCrashesLeaveAPrefix,
	} {
		t.Run(name, func(t *testing.T) { run(t, make) })
	}
}

func rawKey(k string) datastore.Key { return datastore.RawKey(k) }

func putOn(t *testing.T, d storage.Disk, key, value string) {
	require.NoError(t, d.Put(context.Background(), rawKey(key), []byte(value)))
}

// flush waits until the disk has reported.
func flush(t *testing.T, d storage.Disk) {
	done := make(chan error, 1)
	d.Flush(func(err error) { done <- err })
	require.NoError(t, <-done)
}

func diskKeepsValues(t *testing.T, make DiskMaker) {
	ctx := context.Background()
	d, _ := make(t)
	large := strings.Repeat("large", 100<<10)
	for _, value := range []string{"", "v", large, "again", large} {
		putOn(t, d, "/k", value)
		got, err := d.Get(ctx, rawKey("/k"))
		require.NoError(t, err)
		require.Equal(t, value, string(got))
		has, err := d.Has(ctx, rawKey("/k"))
		require.NoError(t, err)
		require.True(t, has)
		size, err := d.GetSize(ctx, rawKey("/k"))
		require.NoError(t, err)
		require.Equal(t, len(value), size)
	}
	require.NoError(t, d.Delete(ctx, rawKey("/k")))
	require.NoError(t, d.Delete(ctx, rawKey("/never was")))
	for _, k := range []string{"/k", "/k/below"} {
		_, err := d.Get(ctx, rawKey(k))
		require.ErrorIs(t, err, datastore.ErrNotFound)
		_, err = d.GetSize(ctx, rawKey(k))
		require.ErrorIs(t, err, datastore.ErrNotFound)
		has, err := d.Has(ctx, rawKey(k))
		require.NoError(t, err)
		require.False(t, has)
	}
}

func keysBelow(t *testing.T, d storage.Disk, q query.Query) (keys []string) {
	results, err := d.Query(context.Background(), q)
	require.NoError(t, err)
	entries, err := results.Rest()
	require.NoError(t, err)
	require.NoError(t, results.Close())
	for _, e := range entries {
		keys = append(keys, e.Key)
		require.Equal(t, len(e.Key)+1, e.Size)
		require.Equal(t, q.KeysOnly, e.Value == nil)
		if !q.KeysOnly {
			require.Equal(t, e.Key+"!", string(e.Value))
		}
	}
	return keys
}

func diskAnswersQueries(t *testing.T, make DiskMaker) {
	d, _ := make(t)
	require.Empty(t, keysBelow(t, d, query.Query{}))
	all := []string{"/a", "/a!", "/a-b", "/a/b", "/a/c", "/a0", "/ab", "/b", "/\xff/\xff"}
	for i := range all {
		k := all[(i*7)%len(all)]
		putOn(t, d, k, k+"!")
	}
	for prefix, want := range map[string][]string{
		"": all, "/": all, "/a": {"/a/b", "/a/c"}, "/a/": {"/a/b", "/a/c"}, "/b": nil, "/c": nil, "/\xff": {"/\xff/\xff"},
	} {
		require.Equal(t, want, keysBelow(t, d, query.Query{Prefix: prefix}), prefix)
		require.Equal(t, want, keysBelow(t, d, query.Query{Prefix: prefix, KeysOnly: true, ReturnsSizes: true, Orders: []query.Order{query.OrderByKey{}}}), prefix)
	}
	require.Equal(t, all[2:5], keysBelow(t, d, query.Query{Offset: 2, Limit: 3}))
	last := keysBelow(t, d, query.Query{Orders: []query.Order{query.OrderByKeyDescending{}}, Limit: 2, KeysOnly: true})
	require.Equal(t, []string{"/\xff/\xff", "/b"}, last)
	results, err := d.Query(context.Background(), query.Query{})
	require.NoError(t, err)
	_, found := results.NextSync()
	require.True(t, found)
	require.NoError(t, results.Close(), "before its end")
}

// diskQueriesAreSnapshots: what is written while somebody reads does not change what is read.
func diskQueriesAreSnapshots(t *testing.T, make DiskMaker) {
	ctx := context.Background()
	d, _ := make(t)
	for i := range 100 {
		putOn(t, d, fmt.Sprintf("/k/%02d", i), "old")
	}
	results, err := d.Query(ctx, query.Query{Prefix: "/k"})
	require.NoError(t, err)
	n := 0
	for {
		r, ok := results.NextSync()
		if !ok {
			break
		}
		require.NoError(t, r.Error)
		require.Equal(t, "old", string(r.Value))
		putOn(t, d, fmt.Sprintf("/k/%02d", n+1), "new")
		putOn(t, d, fmt.Sprintf("/k/%02d+", n), "new")
		require.NoError(t, d.Delete(ctx, rawKey(fmt.Sprintf("/k/%02d", 99-n))))
		n++
	}
	require.NoError(t, results.Close())
	require.Equal(t, 100, n)
}

func diskBatchesAreAtomic(t *testing.T, make DiskMaker) {
	ctx := context.Background()
	d, crash := make(t)
	putOn(t, d, "/gone", "/gone!")
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Commit(ctx), "of nothing")
	require.NoError(t, b.Put(ctx, rawKey("/a"), []byte("1")))
	require.NoError(t, b.Delete(ctx, rawKey("/a")))
	require.NoError(t, b.Put(ctx, rawKey("/a"), []byte("/a!")))
	require.NoError(t, b.Put(ctx, rawKey("/b"), []byte("/b!")))
	require.NoError(t, b.Delete(ctx, rawKey("/b")))
	require.NoError(t, b.Delete(ctx, rawKey("/gone")))
	require.Equal(t, []string{"/gone"}, keysBelow(t, d, query.Query{}), "before the commit")
	require.NoError(t, b.Commit(ctx))
	require.Equal(t, []string{"/a"}, keysBelow(t, d, query.Query{}))
	require.NoError(t, d.Delete(ctx, rawKey("/a")))
	require.NoError(t, b.Commit(ctx))
	require.Empty(t, keysBelow(t, d, query.Query{}), "what was committed is in the batch no more")
	require.NoError(t, b.Put(ctx, rawKey("/c"), []byte("/c!")))
	require.NoError(t, b.Commit(ctx))
	flush(t, d)
	d = crash(rand.New(rand.NewPCG(1, 1)))
	require.Equal(t, []string{"/c"}, keysBelow(t, d, query.Query{}))
}

// diskFlushesReportOnce, each of many at a time, and only when what was written before is safe.
func diskFlushesReportOnce(t *testing.T, newDisk DiskMaker) {
	const writers, each = 8, 20
	d, crash := newDisk(t)
	var mu sync.Mutex
	reports := map[string]int{}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				key := fmt.Sprintf("/%d/%d", w, i)
				if err := d.Put(context.Background(), rawKey(key), []byte(key+"!")); err != nil {
					t.Error(err)
				}
				reported := make(chan bool, 2)
				d.Flush(func(err error) {
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						reports[key]++
					}
					reported <- true
				})
				<-reported
			}
		})
	}
	all.Wait()
	require.Len(t, reports, writers*each)
	d = crash(rand.New(rand.NewPCG(1, 1)))
	keys := keysBelow(t, d, query.Query{})
	require.Len(t, keys, writers*each)
	for _, k := range keys {
		require.Equal(t, 1, reports[k])
	}
}

// diskCrashesLeaveAPrefix: of numbered batches there are the first ones, all those that were
// flushed and none in part; and what a crash has left stays, also over the next one.
func diskCrashesLeaveAPrefix(t *testing.T, make DiskMaker) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(2, 2))
	d, crash := make(t)
	written := 0
	for round := range 12 {
		flushed := written
		for range r.IntN(20) {
			b, err := d.Batch(ctx)
			require.NoError(t, err)
			size := 10
			if r.IntN(4) == 0 {
				size = 20 << 10
			}
			require.NoError(t, b.Put(ctx, rawKey(fmt.Sprintf("/first/%03d", written)), slices.Repeat([]byte("f"), size)))
			require.NoError(t, b.Put(ctx, rawKey(fmt.Sprintf("/second/%03d", written)), []byte("s")))
			require.NoError(t, b.Commit(ctx))
			written++
			if r.IntN(8) == 0 {
				flush(t, d)
				flushed = written
			}
		}
		d = crash(r)
		results, err := d.Query(ctx, query.Query{KeysOnly: true})
		require.NoError(t, err)
		entries, err := results.Rest()
		require.NoError(t, err)
		n := len(entries) / 2
		require.GreaterOrEqual(t, n, flushed, "round %d: what was flushed is lost", round)
		require.LessOrEqual(t, n, written)
		for i, e := range entries {
			want := fmt.Sprintf("/first/%03d", i)
			if i >= n {
				want = fmt.Sprintf("/second/%03d", i-n)
			}
			require.Equal(t, want, e.Key, "round %d", round)
		}
		written = n
	}
}

// datastoreKeys lists all keys on a disk.
func datastoreKeys(ctx context.Context, disk storage.Disk) (keys []string, err error) {
	results, err := disk.Query(ctx, query.Query{KeysOnly: true, Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		return nil, err
	}
	entries, err := results.Rest()
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys, err
}
