package memdisk

import (
	"fmt"
	"maps"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func put(t require.TestingT, d *Disk, key, value string) {
	require.NoError(t, d.Put(ctx, datastore.NewKey(key), []byte(value)))
}

// fate makes all writes have a fate from now on.
func fate(d *Disk, f Fate, draw uint64) {
	d.SetFaults(Faults{Record: func(string) (Fate, uint64) { return f, draw }})
}

func TestALostWriteIsSeenUntilTheCachesAreGone(t *testing.T) {
	d := New()
	put(t, d, "/a", "old")
	fate(d, Lost, 0)
	put(t, d, "/a", "new")
	put(t, d, "/b", "new")
	require.NoError(t, d.Delete(ctx, datastore.NewKey("/a")))
	require.NoError(t, d.FlushUpTo(d.Writes()))
	require.Equal(t, map[string]string{"/b": "new"}, contents(t, d))
	d = d.Crash(0, false)
	require.Equal(t, map[string]string{"/b": "new"}, contents(t, d))
	require.Equal(t, 2, d.DropCaches())
	require.Equal(t, map[string]string{"/a": "old"}, contents(t, d))
	require.Equal(t, len("/aold"), d.Bytes())
	require.Zero(t, d.DropCaches())
}

func TestAGoodWriteRepairsALostOne(t *testing.T) {
	d := New()
	fate(d, Lost, 0)
	put(t, d, "/a", "lost")
	fate(d, Landed, 0)
	put(t, d, "/a", "good")
	require.NoError(t, d.FlushUpTo(d.Writes()))
	require.Zero(t, d.DropCaches())
	require.Equal(t, map[string]string{"/a": "good"}, contents(t, d))
}

func TestAMisdirectedWriteHitsAnother(t *testing.T) {
	d := New()
	put(t, d, "/a", "a")
	put(t, d, "/b", "b")
	fate(d, Misdirected, 1)
	put(t, d, "/a", "new")
	require.Equal(t, map[string]string{"/a": "new", "/b": "b"}, contents(t, d))
	require.Equal(t, 2, d.DropCaches())
	require.Equal(t, map[string]string{"/a": "a", "/b": "new"}, contents(t, d))
}

func TestAFailedFlushForgetsWhatWasDirty(t *testing.T) {
	d := New()
	put(t, d, "/a", "old")
	require.NoError(t, d.FlushUpTo(d.Writes()))
	put(t, d, "/a", "gone")
	put(t, d, "/b", "gone")
	n := d.Writes()
	put(t, d, "/b", "later")
	d.FailFlush(n)
	require.NoError(t, d.FlushUpTo(d.Writes()))
	require.Zero(t, d.Unsynced())
	require.Equal(t, map[string]string{"/a": "gone", "/b": "later"}, contents(t, d))
	d = d.Crash(0, false)
	require.Zero(t, d.DropCaches(), "the flush had said so")
	require.Equal(t, map[string]string{"/a": "old", "/b": "later"}, contents(t, d))
}

// operation is a write of the model: what a record says, and what the medium
// makes of it.
type operation struct {
	key, value string
	put        bool
	fate       Fate
	victim     string
}

func (o operation) on(m map[string]string, honest bool) {
	key := o.key
	switch {
	case honest || o.fate == Landed:
	case o.fate == Misdirected && o.put && o.victim != "":
		key = o.victim
	default:
		return
	}
	if o.put {
		m[key] = o.value
	} else {
		delete(m, key)
	}
}

// TestLiesAreWhatAMediumWouldHave compares with two plain maps, caches and
// medium, and a list of what is dirty.
func TestLiesAreWhatAMediumWouldHave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := New()
		caches, medium := map[string]string{}, map[string]string{}
		var dirty [][]operation
		key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("/", rapid.IntRange(0, 4).Draw(t, "key")) })
		clean := func(n int) {
			for _, write := range dirty[:n] {
				for _, o := range write {
					o.on(medium, false)
				}
			}
			dirty = dirty[n:]
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			default:
				var write []operation
				d.SetFaults(Faults{Record: func(k string) (Fate, uint64) {
					o := &write[0] // the model knows what comes, in order
					for i := range write {
						if write[i].victim == "?" {
							o = &write[i]
							break
						}
					}
					draw := rapid.Uint64Range(0, 9).Draw(t, "draw")
					o.victim = d.victim(k, draw)
					return o.fate, draw
				}})
				b, err := d.Batch(ctx)
				require.NoError(t, err)
				for range rapid.IntRange(1, 3).Draw(t, "records") {
					o := operation{key: key.Draw(t, "k"), value: rapid.StringN(0, 2, 2).Draw(t, "v"), put: rapid.Bool().Draw(t, "put"),
						fate: Fate(rapid.IntRange(0, 2).Draw(t, "fate")), victim: "?"}
					write = append(write, o)
					if o.put {
						require.NoError(t, b.Put(ctx, datastore.NewKey(o.key), []byte(o.value)))
					} else {
						require.NoError(t, b.Delete(ctx, datastore.NewKey(o.key)))
					}
				}
				require.NoError(t, b.Commit(ctx))
				dirty = append(dirty, write)
				for _, o := range write {
					o.on(caches, true)
				}
				if rapid.Bool().Draw(t, "honest again") {
					d.SetFaults(Faults{})
				}
			case 3:
				n := rapid.IntRange(0, len(dirty)).Draw(t, "flush")
				require.NoError(t, d.FlushUpTo(d.Writes()-uint64(len(dirty)-n)))
				clean(n)
			case 4:
				n := rapid.IntRange(0, len(dirty)).Draw(t, "fail")
				d.FailFlush(d.Writes() - uint64(len(dirty)-n))
				dirty = dirty[n:]
			case 5:
				n := rapid.IntRange(0, len(dirty)).Draw(t, "kept")
				d = d.Crash(n, false)
				clean(n)
				dirty = nil
				d.DropCaches()
				caches = maps.Clone(medium)
			case 6:
				require.NoError(t, d.FlushUpTo(d.Writes()))
				clean(len(dirty))
				d.DropCaches()
				caches = maps.Clone(medium)
			}
			require.Equal(t, caches, contents(t, d))
		}
		d = d.Crash(len(dirty), false)
		clean(len(dirty))
		d.DropCaches()
		require.Equal(t, medium, contents(t, d))
	})
}

// TestVictims: each key but the one that is written may be hit.
func TestVictims(t *testing.T) {
	d := New()
	require.Empty(t, d.victim("/a", 7), "there is none")
	put(t, d, "/a", "1")
	require.Empty(t, d.victim("/a", 7), "there is no other")
	require.Equal(t, "/a", d.victim("/b", 7))
	put(t, d, "/b", "1")
	put(t, d, "/c", "1")
	for key, want := range map[string][]string{
		"/a": {"/b", "/b", "/c"}, "/b": {"/a", "/a", "/c"}, "/c": {"/a", "/b", "/b"}, "/d": {"/a", "/b", "/c"},
	} {
		for draw := range uint64(9) {
			require.Equal(t, want[draw%3], d.victim(key, draw), "%s %d", key, draw)
		}
	}
}

// TestWhatAFlushHasSaidIsNotALie, also if it is lost once more; what the disk loses by itself is.
func TestWhatAFlushHasSaidIsNotALie(t *testing.T) {
	d := New()
	put(t, d, "/a", "old")
	require.NoError(t, d.FlushUpTo(d.Writes()))
	put(t, d, "/a", "gone")
	d.FailFlush(d.Writes())
	put(t, d, "/a", "gone too")
	d.FailFlush(d.Writes())
	require.Equal(t, map[string]string{"/a": "gone too"}, contents(t, d))
	require.Zero(t, d.DropCaches())
	require.Equal(t, map[string]string{"/a": "old"}, contents(t, d))
	fate(d, Lost, 0)
	put(t, d, "/a", "lost")
	fate(d, Landed, 0)
	put(t, d, "/a", "gone")
	d.FailFlush(d.Writes())
	require.Equal(t, 1, d.DropCaches(), "the lost write was not told of")
}

// TestBatchesAfterAFailedFlush: each key has what the medium had, as often as flushes fail.
func TestBatchesAfterAFailedFlush(t *testing.T) {
	for _, failures := range []int{1, 2} {
		d := New()
		put(t, d, "/a", "old a")
		put(t, d, "/b", "old b")
		require.NoError(t, d.FlushUpTo(d.Writes()))
		put(t, d, "/a", "gone")
		before := d.Writes()
		b, err := d.Batch(ctx)
		require.NoError(t, err)
		require.NoError(t, b.Put(ctx, datastore.NewKey("/a"), []byte("new a")))
		require.NoError(t, b.Put(ctx, datastore.NewKey("/b"), []byte("new b")))
		require.NoError(t, b.Commit(ctx))
		d.FailFlush(before)
		if failures == 2 {
			d.FailFlush(d.Writes())
			require.Zero(t, d.Unsynced())
		}
		d = d.Crash(0, false)
		if failures == 1 {
			require.Equal(t, map[string]string{"/a": "gone", "/b": "old b"}, contents(t, d), "the caches, without what was not flushed")
		} else {
			require.Equal(t, map[string]string{"/a": "new a", "/b": "new b"}, contents(t, d), "the caches")
		}
		require.Zero(t, d.DropCaches(), "%d failures were told", failures)
		require.Equal(t, map[string]string{"/a": "old a", "/b": "old b"}, contents(t, d), "%d failures", failures)
	}
}
