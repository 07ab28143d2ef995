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
