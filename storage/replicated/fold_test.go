package replicated

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// foldOf is a fold of a small replica, in one page.
func foldOf(t testing.TB) []byte {
	r := newReplica(t, memdisk.New())
	defer r.close()
	for i := range 4 {
		_, err := r.commit(put(storage.K("k", fmt.Sprint(i)), fmt.Sprint("value ", i)))
		require.NoError(t, err)
	}
	raw, _, done := r.freeze(1).page(foldCursor{}, 1<<20)
	require.True(t, done)
	return raw
}

// FuzzFold: whatever arrives, a fold is refused or whole, in pages of any size.
func FuzzFold(f *testing.F) {
	whole := foldOf(f)
	f.Add(whole, 7)
	f.Add(whole[:len(whole)/2], 1)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 3)
	f.Fuzz(func(t *testing.T, raw []byte, pageSize int) {
		pageSize = 1 + int(uint(pageSize)%1000)
		sink := &foldSink{}
		for rest := raw; len(rest) > 0; {
			n := min(pageSize, len(rest))
			if sink.take(rest[:n]) != nil {
				return
			}
			require.LessOrEqual(t, len(sink.rest), foldHeaderMax+pageSize)
			rest = rest[n:]
		}
		if sink.check() != nil {
			return
		}
		r := newReplica(t, memdisk.New())
		defer r.close()
		require.NoError(t, r.join(sink, false, noPause))
		require.Equal(t, int(sink.len), r.index.elements.Len())
	})
}

// FuzzDelta: whatever arrives, a delta is refused or processed as a whole.
func FuzzDelta(f *testing.F) {
	source := newReplica(f, memdisk.New())
	defer source.close()
	for i := range 3 {
		d, err := source.commit(put(storage.K("k", fmt.Sprint(i)), "value"))
		require.NoError(f, err)
		f.Add(d.raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := newReplica(t, memdisk.New())
		defer r.close()
		if r.ingest([][]byte{raw}) == nil {
			require.Equal(t, 1, r.index.tail.len)
			stillOnDisk(t, r, r.index.disk.(*memdisk.Disk))
		} else {
			require.True(t, r.isEmpty())
		}
	})
}

// FuzzVector: an encoded vector is refused or equals what is encoded of it.
func FuzzVector(f *testing.F) {
	v := newVector()
	v.add(dot{7, 1})
	v.add(dot{9, 1 << 40})
	f.Add(v.encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := decodeVector(raw)
		if err != nil {
			return
		}
		again, err := decodeVector(v.encode())
		require.NoError(t, err)
		require.Equal(t, v, again)
		sum := uint64(0)
		for _, d := range v.dots() {
			sum += d.hash()
		}
		require.Equal(t, sum, v.sum)
	})
}

// TestFoldsAreBounded has folds announce more than may be.
func TestFoldsAreBounded(t *testing.T) {
	for name, raw := range map[string][]byte{
		"item":     appendBytes(appendBytes(nil, ""), "")[:1],
		"header":   {0xff, 0xff, 0xff, 0x7f},
		"no more":  append(foldOf(t), 0),
		"unending": append(foldOf(t), 0x80),
	} {
		sink := &foldSink{}
		err := sink.take(raw)
		if err == nil {
			err = sink.check()
		}
		require.Error(t, err, name)
	}
	sink := &foldSink{size: foldBytesMax}
	require.ErrorIs(t, sink.take([]byte{1}), storage.ErrTooLarge)
}

// TestFoldPages cuts a fold at every place.
func TestFoldPages(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	for i := range 20 {
		_, err := r.commit(put(storage.K("k", fmt.Sprint(i)), string(make([]byte, i*i))))
		require.NoError(t, err)
	}
	f := r.freeze(1)
	whole, _, done := f.page(foldCursor{}, 1<<20)
	require.True(t, done)
	for size := 1; size < 300; size += 13 {
		var raw, page []byte
		for at, done := (foldCursor{}), false; !done; {
			page, at, done = f.page(at, size)
			require.LessOrEqual(t, len(page), size)
			raw = append(raw, page...)
		}
		require.Equal(t, whole, raw, "pages of %d bytes", size)
	}
	for _, at := range []foldCursor{{-1, 0}, {0, -1}, {1 << 40, 0}, {3, 1 << 40}} {
		page, _, done := f.page(at, 10)
		require.True(t, done || len(page) > 0, "%v", at)
	}
}

// TestTail compares cuts and pages with a sorted list.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tl, all := newTail(), []*stub{}
		for i := range rapid.IntRange(0, 60).Draw(t, "deltas") {
			w := rapid.Uint64Range(1, 4).Draw(t, "writer")
			s := &stub{dot: dot{w, tl.cut.last[w] + uint64(len(tl.lanes[w])) + 1}, height: uint64(i + 1), size: rapid.IntRange(1, 9).Draw(t, "size"), id: fmt.Sprint(i)}
			tl.add(s)
			all = append(all, s)
			if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
				keep := rapid.IntRange(0, len(all)).Draw(t, "keep")
				require.Equal(t, all[:len(all)-keep], append([]*stub{}, tl.prune(keep, 1<<20)...))
				all = all[len(all)-keep:]
			}
		}
		have := tl.cut.clone()
		for _, s := range all {
			if rapid.Bool().Draw(t, "had") {
				have.add(s.dot)
			}
			require.Same(t, s, tl.get(s.dot))
		}
		var got []*stub
		tl.after(have, func(s *stub) bool { got = append(got, s); return true })
		var want []*stub
		bytes := 0
		for _, s := range all {
			if !have.has(s.dot) {
				want = append(want, s)
			}
			bytes += s.size
		}
		require.Equal(t, want, got)
		require.Equal(t, len(all), tl.len)
		require.Equal(t, bytes, tl.bytes)
		tl.prune(1<<20, bytes/2)
		require.LessOrEqual(t, tl.bytes, bytes/2)
	})
}

// TestEqualVectorsDifferentContents: one of two replicas has lost an entry that it
// processed; they merge, and both have it.
func TestEqualVectorsDifferentContents(t *testing.T) {
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	for i := range 3 {
		_, err := a.commit(put(storage.K("k", fmt.Sprint(i)), "v"))
		require.NoError(t, err)
	}
	b.pullFrom(t, a, 1<<20)
	b.index.setRecord("/k/1", b.index.record("/k/1"), nil, nil)
	require.Equal(t, a.index.vector.sum, b.index.vector.sum)
	require.NotEqual(t, a.index.sum, b.index.sum)
	b.joinFold(t, a.freeze(1), 100, true)
	a.joinFold(t, b.freeze(1), 100, true)
	require.Equal(t, a.contents(), b.contents())
	require.Len(t, b.contents(), 3)
	require.Equal(t, a.index.sum, b.index.sum)
	stillOnDisk(t, b, b.index.disk.(*memdisk.Disk))
}

// TestJoinsHeedWhatHappensMeanwhile: what comes to a replica while it joins a fold
// that has it too, and is deleted or overwritten there, does not come back.
func TestJoinsHeedWhatHappensMeanwhile(t *testing.T) {
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	var raws [][]byte
	for i := range 3 {
		d, err := a.commit(put(storage.K("k", fmt.Sprint(i)), "v"))
		require.NoError(t, err)
		raws = append(raws, d.raw)
	}
	pauses := 0
	b.between = func() {
		if pauses++; pauses > 1 {
			return
		}
		require.NoError(t, b.ingest(raws))
		_, err := b.commit(writesOf(storage.Write{Key: storage.K("k", "1"), Delete: true}, storage.Write{Key: storage.K("k", "2"), Value: []byte("new")}))
		require.NoError(t, err)
	}
	b.joinFold(t, a.freeze(1), 1<<20, false)
	require.Positive(t, pauses)
	require.Equal(t, map[storage.Key]string{storage.K("k", "0"): "v", storage.K("k", "2"): "new"}, b.contents())
	require.Equal(t, 2, b.index.elements.Len(), "nor does it lie below what has overwritten it")
	stillOnDisk(t, b, b.index.disk.(*memdisk.Disk))
	a.pullFrom(t, b, 1<<20)
	require.Equal(t, b.contents(), a.contents())
	require.Equal(t, a.index.sum, b.index.sum)
}

// TestManyKeys joins a large state in turns that do not grow with it.
func TestManyKeys(t *testing.T) {
	const keys = 20_000
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	for i := 0; i < keys; i += 500 {
		writes := map[storage.Key]storage.Write{}
		for j := range 500 {
			k := storage.K("k", fmt.Sprint(i+j))
			writes[k] = storage.Write{Key: k, Value: []byte("value")}
		}
		_, err := a.commit(writes)
		require.NoError(t, err)
	}
	turns := 0
	b.between = func() { turns++ }
	b.pullFrom(t, a, 1<<20)
	require.GreaterOrEqual(t, turns, keys/readEach)
	require.Equal(t, a.index.state().elements, b.index.state().elements)
	require.Equal(t, a.headIDs(), b.headIDs())
}
