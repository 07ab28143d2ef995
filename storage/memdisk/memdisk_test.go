package memdisk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var ctx = context.Background()

func contents(t require.TestingT, d *Disk) map[string]string {
	results, err := d.Query(ctx, query.Query{})
	require.NoError(t, err)
	entries, err := results.Rest()
	require.NoError(t, err)
	m := map[string]string{}
	for i, e := range entries {
		m[e.Key] = string(e.Value)
		require.True(t, i == 0 || entries[i-1].Key < e.Key, "order")
	}
	return m
}

// TestCrashLeavesAPrefix compares with a list of all states there were.
func TestCrashLeavesAPrefix(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) datastore.Key {
		return datastore.NewKey(fmt.Sprint("/", rapid.IntRange(0, 5).Draw(t, "key")))
	})
	value := rapid.SliceOfN(rapid.Byte(), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		d := New()
		states := []map[string]string{{}}
		flushed := 0
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			next := maps.Clone(states[len(states)-1])
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0:
				k, v := key.Draw(t, "k"), value.Draw(t, "v")
				require.NoError(t, d.Put(ctx, k, v))
				next[k.String()] = string(v)
			case 1:
				k := key.Draw(t, "k")
				require.NoError(t, d.Delete(ctx, k))
				delete(next, k.String())
			case 2:
				b, err := d.Batch(ctx)
				require.NoError(t, err)
				for range rapid.IntRange(1, 4).Draw(t, "batch") {
					k, v := key.Draw(t, "k"), value.Draw(t, "v")
					require.NoError(t, b.Put(ctx, k, v))
					next[k.String()] = string(v)
					if k = key.Draw(t, "k"); len(v) == 0 {
						require.NoError(t, b.Delete(ctx, k))
						delete(next, k.String())
					}
				}
				require.NoError(t, b.Commit(ctx))
			case 3:
				upTo := rapid.IntRange(flushed, len(states)-1).Draw(t, "flush")
				require.NoError(t, d.FlushUpTo(uint64(upTo)))
				flushed = upTo
				continue
			}
			states = append(states, next)
			require.Equal(t, next, contents(t, d))
		}
		require.Equal(t, len(states)-1-flushed, d.Unsynced())
		keep := rapid.IntRange(0, d.Unsynced()).Draw(t, "keep")
		next := d.Crash(keep, false)
		require.ErrorIs(t, d.Put(ctx, datastore.NewKey("/0"), nil), ErrCrashed)
		require.Equal(t, states[flushed+keep], contents(t, next))
		require.Zero(t, next.Unsynced())
		size := 0
		for k, v := range states[flushed+keep] {
			size += len(k) + len(v)
		}
		require.Equal(t, size, next.Bytes())
		require.Equal(t, states[flushed+keep], contents(t, next.Clone()))
		require.Empty(t, contents(t, next.Wipe()))
	})
}

func TestCrashTearsTheLastPut(t *testing.T) {
	k := datastore.NewKey("/k")
	d := New()
	require.NoError(t, d.Put(ctx, k, []byte("0123456789")))
	require.NoError(t, d.Put(ctx, datastore.NewKey("/later"), []byte("x")))
	d = d.Crash(1, true)
	require.Equal(t, map[string]string{"/k": "01234"}, contents(t, d))
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Put(ctx, k, []byte("whole")))
	require.NoError(t, b.Commit(ctx))
	require.Equal(t, map[string]string{"/k": "whole"}, contents(t, d.Crash(1, true)))
}

func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	d := New()
	k := datastore.NewKey("/a/b")
	require.NoError(t, d.Put(ctx, k, []byte("good")))
	d.SetFaults(Faults{
		Fail: func(op Op, key string) error {
			if op == OpWrite && key == "/a/b" || op == OpFlush {
				return broken
			}
			return nil
		},
		Read: func(_ string, value []byte) []byte { return append([]byte("not "), value...) },
	})
	require.ErrorIs(t, d.Delete(ctx, k), broken)
	d.Flush(func(err error) { require.ErrorIs(t, err, broken) })
	require.NoError(t, d.Put(ctx, datastore.NewKey("/a/c"), nil))
	got, err := d.Get(ctx, k)
	require.NoError(t, err)
	require.Equal(t, "not good", string(got))
	require.Equal(t, 2, d.Unsynced())
}

// TestDurableIsWhatACrashLeaves compares with a crash that keeps nothing.
func TestDurableIsWhatACrashLeaves(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) datastore.Key {
		return datastore.NewKey(fmt.Sprint("/", rapid.IntRange(0, 12).Draw(t, "key")))
	})
	rapid.Check(t, func(t *rapid.T) {
		d := New()
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				require.NoError(t, d.Put(ctx, key.Draw(t, "key"), rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")))
			},
			"delete": func(t *rapid.T) { require.NoError(t, d.Delete(ctx, key.Draw(t, "key"))) },
			"batch": func(t *rapid.T) {
				b, err := d.Batch(ctx)
				require.NoError(t, err)
				require.NoError(t, b.Put(ctx, key.Draw(t, "key"), []byte("b")))
				require.NoError(t, b.Delete(ctx, key.Draw(t, "key")))
				require.NoError(t, b.Commit(ctx))
			},
			"flush": func(t *rapid.T) {
				n := rapid.Uint64Range(0, d.Writes()).Draw(t, "up to")
				require.NoError(t, d.FlushUpTo(n))
			},
			"": func(t *rapid.T) {
				left := contents(t, d.Clone())
				all := map[string]string{}
				d.DurableBelow("/1", func(k string, v []byte) bool { all[k] = string(v); return true })
				d.DurableBelow("/", func(k string, v []byte) bool { left[k] = string(v); return true })
				for k := range left {
					v, found := d.Durable(k)
					if !found {
						delete(left, k)
						continue
					}
					require.Equal(t, left[k], string(v), k)
					if k[:2] == "/1" {
						require.Equal(t, all[k], string(v), k)
						delete(all, k)
					}
				}
				require.Empty(t, all)
				d.SetFaults(Faults{})
				require.Equal(t, left, contents(t, crashedCopy(t, d)))
			},
		})
	})
}

// crashedCopy is what a crash leaves of a copy: the journal is copied too.
func crashedCopy(t require.TestingT, d *Disk) *Disk {
	c := d.Clone()
	c.journal, c.writes = append([]change(nil), d.journal...), d.writes
	return c.Crash(0, false)
}

// TestEachOperationMayFail: with the error that is told, and without an effect; after a crash all do.
func TestEachOperationMayFail(t *testing.T) {
	broken := errors.New("broken")
	k := datastore.NewKey("/a")
	operations := map[string]struct {
		op  Op
		key string
		do  func(d *Disk) error
	}{
		"get":    {OpGet, "/a", func(d *Disk) error { v, err := d.Get(ctx, k); require.Equal(t, err == nil, v != nil); return err }},
		"has":    {OpGet, "/a", func(d *Disk) error { has, err := d.Has(ctx, k); require.Equal(t, err == nil, has); return err }},
		"size":   {OpGet, "/a", func(d *Disk) error { n, err := d.GetSize(ctx, k); require.Equal(t, err == nil, n == 1); return err }},
		"query":  {OpQuery, "/x", func(d *Disk) error { _, err := d.Query(ctx, query.Query{Prefix: "/x"}); return err }},
		"put":    {OpWrite, "/a", func(d *Disk) error { return d.Put(ctx, k, nil) }},
		"delete": {OpWrite, "/a", func(d *Disk) error { return d.Delete(ctx, k) }},
		"commit": {OpWrite, "/a", func(d *Disk) error {
			b, _ := d.Batch(ctx)
			_ = b.Put(ctx, k, nil)
			_ = b.Delete(ctx, datastore.NewKey("/b"))
			return b.Commit(ctx)
		}},
		"flush": {OpFlush, "", func(d *Disk) error { return d.FlushUpTo(d.Writes()) }},
		"sync":  {OpFlush, "", func(d *Disk) error { return d.Sync(ctx, k) }},
	}
	for name, o := range operations {
		d := New()
		require.NoError(t, d.Put(ctx, k, []byte("v")))
		d.SetFaults(Faults{Fail: func(op Op, key string) error {
			require.Equal(t, o.key, key, name)
			if op == o.op {
				return broken
			}
			return nil
		}})
		require.ErrorIs(t, o.do(d), broken, name)
		require.Equal(t, 1, d.Unsynced(), name)
		require.Equal(t, uint64(1), d.Writes(), name)
		d.SetFaults(Faults{})
		require.Equal(t, map[string]string{"/a": "v"}, contents(t, d), name)
		next := d.Crash(1, false)
		require.ErrorIs(t, o.do(d), ErrCrashed, name)
		require.Equal(t, map[string]string{"/a": "v"}, contents(t, next))
		require.NotErrorIs(t, o.do(next), ErrCrashed, name)
	}
}

// TestAWipedDiskIsOver, and the next one is empty, with the same faults.
func TestAWipedDiskIsOver(t *testing.T) {
	d := New()
	put(t, d, "/a", "v")
	d.SetFaults(Faults{Read: func(string, []byte) []byte { return []byte("read") }})
	next := d.Wipe()
	require.ErrorIs(t, d.Put(ctx, datastore.NewKey("/a"), nil), ErrCrashed)
	require.Empty(t, contents(t, next))
	require.Zero(t, next.Bytes())
	put(t, next, "/a", "v")
	require.Equal(t, map[string]string{"/a": "read"}, contents(t, next))
}

// TestTornWrites: which are, and what is left of them.
func TestTornWrites(t *testing.T) {
	for name, x := range map[string]struct {
		keep int
		want map[string]string
	}{
		"a put":      {1, map[string]string{"/a": "12"}},
		"a deletion": {2, map[string]string{}},
		"a batch":    {3, map[string]string{"/a": "123", "/b": "12"}},
		"of many":    {4, map[string]string{"/a": "12345", "/b": "12"}},
		"more":       {9, map[string]string{"/a": "12345", "/b": "12"}},
		"nothing":    {0, map[string]string{"/a": "old"}},
	} {
		d := New()
		put(t, d, "/a", "old")
		d.Flush(func(err error) { require.NoError(t, err) })
		put(t, d, "/a", "1234")
		require.NoError(t, d.Delete(ctx, datastore.NewKey("/a")))
		b, err := d.Batch(ctx)
		require.NoError(t, err)
		require.NoError(t, b.Put(ctx, datastore.NewKey("/a"), []byte("123")))
		require.NoError(t, b.Put(ctx, datastore.NewKey("/b"), []byte("12")))
		require.NoError(t, b.Commit(ctx))
		put(t, d, "/a", "0123456789")
		next := d.Crash(x.keep, true)
		if x.keep >= 4 {
			x.want["/a"] = "01234"
		}
		require.Equal(t, x.want, contents(t, next), name)
	}
}

// TestBatches: the last write of a key counts, and a batch of nothing is no write.
func TestBatches(t *testing.T) {
	d := New()
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Commit(ctx))
	require.Zero(t, d.Writes())
	k := datastore.NewKey("/a")
	require.NoError(t, b.Put(ctx, k, []byte("1")))
	require.NoError(t, b.Delete(ctx, k))
	require.NoError(t, b.Put(ctx, k, []byte("23")))
	require.NoError(t, b.Commit(ctx))
	require.Equal(t, map[string]string{"/a": "23"}, contents(t, d))
	require.Equal(t, uint64(1), d.Writes())
	require.Equal(t, 4, d.Bytes())
	require.NoError(t, b.Commit(ctx))
	require.Equal(t, uint64(1), d.Writes(), "it was committed")
}

// TestQueries: of a prefix, of keys alone, of nothing.
func TestQueries(t *testing.T) {
	d := New()
	for _, k := range []string{"/a", "/a/b", "/a/c", "/ab", "/b"} {
		put(t, d, k, k+"!")
	}
	for prefix, want := range map[string][]string{
		"": {"/a", "/a/b", "/a/c", "/ab", "/b"}, "/": {"/a", "/a/b", "/a/c", "/ab", "/b"}, "/a": {"/a/b", "/a/c"}, "/a/": {"/a/b", "/a/c"}, "/b": nil, "/c": nil,
	} {
		for _, keysOnly := range []bool{false, true} {
			results, err := d.Query(ctx, query.Query{Prefix: prefix, KeysOnly: keysOnly})
			require.NoError(t, err)
			entries, err := results.Rest()
			require.NoError(t, err)
			var keys []string
			for _, e := range entries {
				keys = append(keys, e.Key)
				require.Equal(t, len(e.Key)+1, e.Size)
				require.Equal(t, keysOnly, e.Value == nil)
			}
			require.Equal(t, want, keys, prefix)
		}
	}
	results, err := d.Query(ctx, query.Query{Orders: []query.Order{query.OrderByKeyDescending{}}, Limit: 2})
	require.NoError(t, err)
	entries, err := results.Rest()
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, "/b", entries[0].Key)
}

// TestFlushesOfBefore: one that began earlier than another ended changes nothing.
func TestFlushesOfBefore(t *testing.T) {
	d := New()
	for i := range 4 {
		put(t, d, "/a", fmt.Sprint(i))
	}
	for n, unsynced := range map[uint64]int{0: 4, 1: 3, 3: 1, 4: 0} {
		c := d.Clone()
		c.journal, c.writes = append([]change(nil), d.journal...), d.writes
		for _, up := range []uint64{n, n / 2, n} {
			require.NoError(t, c.FlushUpTo(up))
			require.Equal(t, unsynced, c.Unsynced())
		}
		value, found := c.Durable("/a")
		require.Equal(t, n > 0, found)
		if n > 0 {
			require.Equal(t, fmt.Sprint(n-1), string(value))
		}
	}
}

// TestADurableClone has what would survive, and nothing in common.
func TestADurableClone(t *testing.T) {
	d := New()
	put(t, d, "/a", "1")
	put(t, d, "/b", "1")
	d.Flush(func(err error) { require.NoError(t, err) })
	put(t, d, "/a", "2")
	require.NoError(t, d.Delete(ctx, datastore.NewKey("/b")))
	put(t, d, "/c", "2")
	c := d.DurableClone()
	require.Equal(t, map[string]string{"/a": "1", "/b": "1"}, contents(t, c))
	require.Equal(t, 6, c.Bytes())
	require.Zero(t, c.Unsynced())
	put(t, c, "/a", "3")
	require.Equal(t, map[string]string{"/a": "2", "/c": "2"}, contents(t, d))
	n := 0
	d.DurableBelow("", func(string, []byte) bool { n++; return false })
	require.Equal(t, 1, n, "until it is told to end")
}
