package replicated

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// Each bound is what it says: as much is taken, and one more is not.

func TestBoundsOfDeltas(t *testing.T) {
	_, err := decodeDelta(make([]byte, deltaRawMax))
	require.NotErrorIs(t, err, storage.ErrTooLarge)
	_, err = decodeDelta(make([]byte, deltaRawMax+1))
	require.ErrorIs(t, err, storage.ErrTooLarge)

	field, err := proto.Marshal(&pb.Delta{Priority: heightMax}) // the last of several counts
	require.NoError(t, err)
	for n, good := range map[int]bool{1: true, deltaKeysMax + 1: true, deltaKeysMax + 2: false} {
		content, err := contentOf(merkledag.NodeWithData(bytes.Repeat(field, n)))
		require.Equal(t, good, err == nil, "%d fields: %v", n, err)
		if good {
			require.Equal(t, uint64(heightMax), content.GetPriority())
		}
	}
	require.ErrorIs(t, checkDelta(&pb.Delta{Priority: heightMax + 1}), errBadHeight)
	require.NoError(t, checkDelta(&pb.Delta{Priority: 1, Elements: []*pb.Element{{Key: "/k", Value: []byte(valueTag)}}}))

	link := cidFor("x")
	node := merkledag.NodeWithData(field)
	for range deltaLinksMax {
		require.NoError(t, node.AddRawLink("", &ipld.Link{Cid: link}))
	}
	dots := appendDot(nil, dot{1, 1})
	for range deltaLinksMax {
		dots = appendDot(dots, dot{2, 1})
	}
	content, err := proto.Marshal(&pb.Delta{Priority: 2, Elements: []*pb.Element{{Key: dotKey, Value: dots}}})
	require.NoError(t, err)
	node.SetData(content)
	d, err := newDelta(node)
	require.NoError(t, err)
	require.Len(t, d.deps, deltaLinksMax)
	require.NoError(t, node.AddRawLink("", &ipld.Link{Cid: link}))
	node.SetData(mustMarshal(t, &pb.Delta{Priority: 2, Elements: []*pb.Element{{Key: dotKey, Value: appendDot(dots, dot{2, 1})}}}))
	_, err = newDelta(node)
	require.ErrorIs(t, err, errBadDelta)
}

func mustMarshal(t *testing.T, m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	require.NoError(t, err)
	return raw
}

func TestDeltaIDs(t *testing.T) {
	good := deltaID(cidFor("x"))
	require.Len(t, good, deltaIDLen)
	for id, is := range map[string]bool{
		good: true, good[1:] + "A": false, good + "A": false, good[:deltaIDLen-1]: false, "": false,
		"//" + good[2:]: false, good[:9] + "/" + good[10:]: false, good[:deltaIDLen-1] + "/": false,
	} {
		require.Equal(t, is, isDeltaID(id), id)
	}
}

func TestBoundsOfCodecs(t *testing.T) {
	source, _ := sourceOf(t)
	defer source.close()
	h := source.index.headList()[0]
	got, _, err := cutHead((&head{id: h.id, dot: h.dot, height: heightMax}).encode())
	require.NoError(t, err)
	require.Equal(t, uint64(heightMax), got.height)
	e := *source.index.record("/k/1")[0]
	e.height, e.of, e.value = heightMax, deltaKeysMax, []byte(valueTag)
	list, err := decodeRecord("/k/1", encodeRecord([]*element{&e}))
	require.NoError(t, err)
	require.Equal(t, []any{e.height, e.of, e.value}, []any{list[0].height, list[0].of, list[0].value})
	e.value = make([]byte, deltaRawMax)
	_, err = decodeRecord("/k/1", encodeRecord([]*element{&e}))
	require.NoError(t, err)

	_, err = decodeVector(make([]byte, dotLenMin*(writersMax+1)-1))
	require.ErrorIs(t, err, storage.ErrCorrupt)
	require.NotErrorIs(t, err, storage.ErrTooLarge)

	heads := make([][]byte, headsLenMax+1)
	for i := range heads {
		heads[i] = foreignHead(t, uint64(i+1))
	}
	named, err := decodeHeads(heads[:headsLenMax])
	require.NoError(t, err)
	require.Equal(t, dot{uint64(headsLenMax), 1}, named[headsLenMax-1].dot)
	_, err = decodeHeads(heads)
	require.Error(t, err)
	for n := range heads[0] {
		_, err := decodeHeads([][]byte{heads[0][:n]})
		require.Error(t, err, "%d of %d bytes", n, len(heads[0]))
	}
}

func TestSumsOnTheDisk(t *testing.T) {
	want := diskSums{gen: generationB, elements: count{300, 1}, heads: count{1, 2}, tail: count{7, 3}, cuts: count{0, 1 << 60}}
	raw := want.encode()
	got, err := decodeSums(raw)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for n := range raw {
		_, err := decodeSums(raw[:n])
		require.ErrorIs(t, err, storage.ErrCorrupt, "%d of %d bytes", n, len(raw))
	}
	want.gen = "/c"
	_, err = decodeSums(want.encode())
	require.ErrorIs(t, err, storage.ErrCorrupt)
	require.Equal(t, generationA, generationB.other())
	require.Equal(t, generationB, generationA.other())
}

func TestBoundsOfFolds(t *testing.T) {
	announce := func(size uint64) []byte { return binary.AppendUvarint(nil, size) }
	for _, x := range []struct {
		header bool
		most   uint64
	}{{true, foldHeaderMax}, {false, foldItemMax}} {
		sink := &foldSink{}
		if !x.header {
			sink.vector = newVector()
		}
		_, _, complete, err := sink.cutItem(announce(x.most))
		require.NoError(t, err)
		require.False(t, complete)
		_, _, _, err = sink.cutItem(announce(x.most + 1))
		require.ErrorIs(t, err, storage.ErrTooLarge)
	}
	sink := &foldSink{size: foldBytesMax - 1}
	require.NoError(t, sink.take([]byte{9}))
	require.ErrorIs(t, sink.take([]byte{9}), storage.ErrTooLarge)

	header := func(len uint64, tail ...byte) []byte {
		raw := binary.AppendUvarint(append(appendBytes(nil, ""), 0), len) // no context, no heads
		return append(binary.LittleEndian.AppendUint64(raw, 77), tail...)
	}
	sink = &foldSink{}
	require.NoError(t, sink.takeHeader(header(foldLenMax)))
	require.Equal(t, []any{uint64(foldLenMax), uint64(77)}, []any{sink.len, sink.sum})
	for name, raw := range map[string][]byte{"too many": header(foldLenMax + 1), "one byte more": header(1, 0), "one less": header(1)[:10]} {
		sink := &foldSink{}
		require.ErrorIs(t, sink.takeHeader(raw), storage.ErrCorrupt, name)
		require.Nil(t, sink.vector, name)
	}
}

// TestBoundsOfPages: a page has as many deltas, and as many bytes, as it may.
func TestBoundsOfPages(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	have := newVector()
	have.add(dot{1, 1})
	for i := range pageLenMax + 2 {
		_, err := r.commit(put("/k", fmt.Sprint(i)))
		require.NoError(t, err)
	}
	p, err := r.missing(have, 1<<30)
	require.NoError(t, err)
	require.Len(t, p.raws, pageLenMax)
	require.True(t, p.more)
	lane := r.index.tail.lanes[r.writer]
	two := lane[0].size + lane[1].size
	for size, want := range map[int]int{two - 1: 1, two: 2, lane[0].size: 1, lane[0].size - 1: 0} {
		p, err := r.missing(have, size)
		require.NoError(t, err)
		require.Len(t, p.raws, want, size)
		require.True(t, p.more)
		require.Equal(t, want == 0, p.large != nil, size)
	}
	have.add(lane[1].dot)
	p, err = r.missing(have, 1<<30)
	require.NoError(t, err)
	require.Len(t, p.raws, pageLenMax)
	require.False(t, p.more, "that was the last")
}

// TestWritersAreBounded, those of others and one's own.
func TestWritersAreBounded(t *testing.T) {
	other, second := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer other.close()
	defer second.close()
	d, err := other.commit(put("/k", "v"))
	require.NoError(t, err)
	e, err := second.commit(put("/k", "v"))
	require.NoError(t, err)
	r := newReplica(t, memdisk.New())
	defer r.close()
	for w := range uint64(writersMax - 2) {
		r.index.vector.last[w+1] = 1
	}
	require.NoError(t, r.check([]*delta{d, e}))
	r.index.vector.last[writersMax] = 1
	require.ErrorIs(t, r.check([]*delta{d, e}), storage.ErrTooLarge)
	require.NoError(t, r.check([]*delta{d}))
	r.index.vector.last[writersMax+1] = 1
	_, err = r.commit(put("/k", "v"))
	require.ErrorIs(t, err, storage.ErrTooLarge)
	require.Zero(t, r.writer)
	delete(r.index.vector.last, writersMax+1)
	_, err = r.commit(put("/k", "v"))
	require.NoError(t, err)
}

func TestTheCacheOfDeltas(t *testing.T) {
	c := &deltaCache{byCID: map[storage.CID]*delta{}, byRaw: map[string]*delta{}}
	of := func(i, size int) *delta {
		return &delta{stub: &stub{cid: cidFor(fmt.Sprint(i, size))}, raw: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2)}
	}
	long, longer := of(1, deltaCacheSizeMax), of(2, deltaCacheSizeMax+2)
	c.keep(long)
	c.keep(longer)
	require.Same(t, long, c.get(long.cid))
	require.Same(t, long, c.equalTo(long.raw))
	require.Nil(t, c.get(longer.cid))
	require.Nil(t, c.equalTo(longer.raw))
	c.keep(long)
	for i := range deltaCacheLen - 1 {
		c.keep(of(3+i, 8))
	}
	require.Len(t, c.byCID, deltaCacheLen)
	require.Same(t, long, c.get(long.cid), "the oldest")
	c.keep(of(3+deltaCacheLen, 8))
	require.Nil(t, c.get(long.cid))
	require.Nil(t, c.equalTo(long.raw))
	require.Len(t, c.byCID, deltaCacheLen)
	require.Len(t, c.byRaw, deltaCacheLen)
}

func TestOutcomesAreBounded(t *testing.T) {
	d := &delta{}
	for range outcomesMax + 3 {
		d.remember(&operation{cells: map[string]*cell{"/k": {}}})
	}
	require.Len(t, d.recalled(), outcomesMax)
}

// TestWhenATailIsCut: when it is a quarter longer than it should be, to what it should be.
func TestWhenATailIsCut(t *testing.T) {
	for _, x := range []struct {
		len, bytes int
		exceeds    bool
	}{{0, 0, false}, {10, 0, false}, {11, 0, true}, {0, 125, false}, {0, 126, true}, {10, 125, false}, {11, 126, true}} {
		tl := &tail{len: x.len, bytes: x.bytes}
		require.Equal(t, x.exceeds, tl.exceeds(storage.History{Deltas: 8, Bytes: 100}), "%+v", x)
	}
	stubs := func() *tail {
		tl := newTail()
		for i := range 4 {
			tl.add(&stub{dot: dot{1, uint64(i + 1)}, height: uint64(i + 1), size: 10, id: fmt.Sprint(i)})
		}
		return tl
	}
	for _, x := range []struct{ len, bytes, cut int }{{4, 40, 0}, {3, 40, 1}, {4, 39, 1}, {4, 30, 1}, {4, 29, 2}, {0, 40, 4}, {1, 25, 3}} {
		tl := stubs()
		require.Len(t, tl.prune(x.len, x.bytes), x.cut, "%+v", x)
		require.Equal(t, 4-x.cut, tl.len)
		require.Equal(t, 40-10*x.cut, tl.bytes)
		require.Equal(t, uint64(x.cut), tl.cut.last[1])
		var sum uint64
		for _, s := range tl.lanes[1] {
			sum += s.hash()
		}
		require.Equal(t, sum, tl.sum)
	}
}

// TestASaveCutsTheTail and lets go of a go-ds-crdt that remembers it; only then.
func TestASaveCutsTheTail(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	r.history = storage.History{Deltas: 4, Bytes: 1 << 20}
	for i := range 6 {
		_, err := r.commit(put("/k", fmt.Sprint(i)))
		require.NoError(t, err)
		require.Equal(t, i < 5, r.crdt != nil)
	}
	require.Equal(t, 4, r.index.tail.len)
	require.False(t, r.index.prune(4, 1<<20), "there is nothing to cut")
	context := newVector()
	context.add(dot{r.writer, 2})
	require.False(t, r.index.raiseCut(context), "it was cut already")
	context.add(dot{r.writer, 3})
	require.True(t, r.index.raiseCut(context))
	context.add(dot{99, 3})
	require.True(t, r.index.raiseCut(context), "of a writer of which nothing is here")
	require.False(t, r.index.raiseCut(context))
}

func TestVectors(t *testing.T) {
	v := newVector()
	v.add(dot{1, 3})
	sum := v.sum
	v.add(dot{1, 3})
	v.add(dot{1, 2})
	require.Equal(t, sum, v.sum)
	require.True(t, v.has(dot{1, 3}) && v.has(dot{1, 1}) && v.has(dot{7, 0}))
	require.False(t, v.has(dot{1, 4}) || v.has(dot{2, 1}))
	w := v.clone()
	w.add(dot{2, 1})
	require.False(t, v.has(dot{2, 1}))
	require.True(t, w.covers(v) && w.covers(w))
	require.False(t, v.covers(w))
	v.add(dot{1, 4})
	require.False(t, w.covers(v))
	v.join(w)
	require.Equal(t, []dot{{1, 4}, {2, 1}}, v.dots())
	again := newVector()
	again.add(dot{2, 1})
	again.add(dot{1, 4})
	require.Equal(t, again, v)
}

// TestTheKeysOfGoDsCrdt: which are entries of a key, and what the rest is.
func TestTheKeysOfGoDsCrdt(t *testing.T) {
	for text, want := range map[string]entry{
		"/s/k/a/b/v": {partValue, "/a/b", "/v"}, "/s/k/a/p": {partPriority, "/a", "/p"}, "/s/s/a/ID": {partElement, "/a", "/ID"},
		"/s/t/a/ID": {partTomb, "/a", "/ID"}, "/s/x/a/v": {partNone, "/a", "/v"}, "/x/k/a/v": {}, "/s/k": {}, "/s/": {}, "": {}, "/s/ka": {},
	} {
		require.Equal(t, want, parseEntry(text), text)
	}
	for text, want := range map[string]string{"/b/id": "/id", "/b/": "/", "/b": "", "/c/id": "", "/bb/id": "", "": ""} {
		id, ok := cutPart(text, crdtProcessed)
		require.Equal(t, want != "", ok, text)
		require.Equal(t, want, id, text)
	}
}

// TestTheIndexOutsideOfAnOperation takes no writes of entries, and keeps go-ds-crdt's own.
func TestTheIndexOutsideOfAnOperation(t *testing.T) {
	ctx, r := context.Background(), newReplica(t, memdisk.New())
	defer r.close()
	_, err := r.commit(put("/a", "1"))
	require.NoError(t, err)
	o := r.index
	key := func(k string) datastore.Key { return datastore.RawKey(k) }
	for _, k := range []string{"/s/k/a/v", "/s/k/a/p", "/s/s/a/ID", "/s/t/a/ID"} {
		require.Error(t, o.Put(ctx, key(k), []byte("x")), k)
		require.Error(t, o.Delete(ctx, key(k)), k)
	}
	require.NoError(t, o.Put(ctx, key("/s/k"+dotKey+"/v"), []byte("x")))
	require.NoError(t, o.Delete(ctx, key("/s/k"+dotKey+"/v")))
	_, err = o.Get(ctx, key("/s/k"+dotKey+"/v"))
	require.ErrorIs(t, err, datastore.ErrNotFound)
	value, err := o.Get(ctx, key("/s/k/a/v"))
	require.NoError(t, err)
	require.Equal(t, valueTag+"1", string(value))
	require.NoError(t, o.Put(ctx, key("/mine"), []byte("x")))
	has, err := o.Has(ctx, key("/mine"))
	require.NoError(t, err)
	require.True(t, has)
	require.NoError(t, o.Delete(ctx, key("/mine")))
	has, err = o.Has(ctx, key("/mine"))
	require.NoError(t, err)
	require.False(t, has)

	o.begin()
	require.Error(t, o.Put(ctx, key("/s/s/a/ID"), nil), "of no delta")
	require.Error(t, o.Put(ctx, key("/h/ID"), nil), "of no delta")
	require.NoError(t, o.Delete(ctx, key("/s/k/a/v")))
	require.ErrorIs(t, o.op.check(), errMergeDiffers, "there is an element")
	require.NoError(t, o.Delete(ctx, key("/s/k/a/p")))
	o.op.cells["/a"].list = nil
	require.NoError(t, o.op.check())
	o.op.cells["/a"].priority = []byte{1}
	require.ErrorIs(t, o.op.check(), errMergeDiffers)
	o.op.cells["/a"].priority, o.op.cells["/a"].value = nil, []byte{1}
	require.ErrorIs(t, o.op.check(), errMergeDiffers)
	list := o.record("/a")
	for name, c := range map[string]struct {
		entry entry
		found bool
	}{
		"its element": {entry{part: partElement, key: "/a", id: list[0].id}, true}, "another element": {entry{part: partElement, key: "/a", id: "/other"}, false},
		"its value": {entry{part: partValue, key: "/a"}, true}, "its priority": {entry{part: partPriority, key: "/a"}, true}, "a tombstone": {entry{part: partTomb, key: "/a", id: list[0].id}, false},
	} {
		_, found := (&cell{list: list, value: []byte{1}, priority: []byte{2}}).get(c.entry)
		require.Equal(t, c.found, found, name)
		_, found = (&cell{}).get(c.entry)
		require.False(t, found, name)
	}
	for name, c := range map[string]*cell{
		"another value": {list: list, value: []byte("x"), priority: priorityOf(list[0])}, "another height": {list: list, value: list[0].value, priority: []byte{9}},
	} {
		require.ErrorIs(t, c.check(), errMergeDiffers, name)
	}
	_, err = o.Get(ctx, key("/s/k"+dotKey+"/v"))
	require.ErrorIs(t, err, datastore.ErrNotFound)
	require.NotContains(t, o.op.cells, dotKey)
	o.abort()
	for name, q := range map[string]query.Query{
		"filters": {Prefix: crdtHeads, Filters: []query.Filter{query.FilterKeyPrefix{}}}, "orders": {Prefix: crdtHeads, Orders: []query.Order{query.OrderByKey{}}},
		"limit": {Prefix: crdtHeads, Limit: 1}, "offset": {Prefix: crdtHeads, Offset: 1}, "prefix": {Prefix: "/s/k/a"},
		"both": {Prefix: crdtHeads, Filters: []query.Filter{query.FilterKeyPrefix{}}, Orders: []query.Order{query.OrderByKey{}}},
	} {
		_, err := o.Query(ctx, q)
		require.ErrorIs(t, err, errUnsupportedQuery, name)
	}
	results, err := o.Query(ctx, query.Query{Prefix: crdtHeads})
	require.NoError(t, err)
	heads, err := results.Rest()
	require.NoError(t, err)
	require.Len(t, heads, 1)
	require.Equal(t, []any{crdtHeads + r.headIDs()[0], []byte{1}, 1}, []any{heads[0].Key, heads[0].Value, heads[0].Size})
	<-results.Done()
	one, ok := results.NextSync()
	require.True(t, ok)
	require.Equal(t, heads[0], one.Entry)
	_, ok = results.NextSync()
	require.False(t, ok)
}

// TestTheDAGOfAnOperation has the deltas of the operation and no others, and ends with the first
// that it has not.
func TestTheDAGOfAnOperation(t *testing.T) {
	ctx, r, other := context.Background(), newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer r.close()
	defer other.close()
	d, err := other.commit(put("/a", "1"))
	require.NoError(t, err)
	g := &dag{r.index}
	_, err = g.Get(ctx, d.cid)
	require.Error(t, err, "there is no operation")
	require.Error(t, g.Add(ctx, d.node), "there is none")
	r.index.begin()
	_, err = g.Get(ctx, d.cid)
	require.Error(t, err)
	require.Error(t, g.AddMany(ctx, []ipld.Node{merkledag.NewRawNode(nil)}), "no delta")
	require.NoError(t, g.AddMany(ctx, []ipld.Node{d.node}))
	require.Error(t, g.Add(ctx, d.node), "it makes one alone")
	node, err := g.Get(ctx, d.cid)
	require.NoError(t, err)
	require.NotEqual(t, d.cid, node.Cid(), "only its height")
	var got []*ipld.NodeOption
	for option := range g.GetMany(ctx, []cid.Cid{d.cid, cidFor("x"), d.cid}) {
		got = append(got, option)
	}
	require.Len(t, got, 2)
	require.Equal(t, d.cid, got[0].Node.Cid())
	require.Error(t, got[1].Err)
	r.index.abort()
}

// TestPartsOfWrites: some hundred at once, with a pause after each part; whoever pauses may end it.
func TestPartsOfWrites(t *testing.T) {
	enough := errors.New("enough")
	for n, parts := range map[int]int{0: 0, 1: 1, readEach: 1, readEach + 1: 2, 3 * readEach: 3} {
		disk := memdisk.New()
		o, pauses := newStagedIndex(disk, "/at"), 0
		write := func(pause yield) error {
			return o.writeParts(n, pause, func(i int) diskWrite { return diskWrite{key: fmt.Sprint("/", i)} })
		}
		require.NoError(t, write(func() error { pauses++; return nil }))
		require.Equal(t, []int{parts, parts}, []int{pauses, int(disk.Writes())}, n)
		if n > 0 {
			require.ErrorIs(t, write(func() error { return enough }), enough)
			require.Equal(t, parts+1, int(disk.Writes()))
		}
	}
}

// TestAPauseMayEndAnOpening, of a sound disk and of a damaged one.
func TestAPauseMayEndAnOpening(t *testing.T) {
	disk, enough := memdisk.New(), errors.New("enough")
	r := newReplica(t, disk)
	for i := range 2 {
		writes := map[storage.Key]storage.Write{}
		for j := range readEach {
			k := storage.K("k", fmt.Sprint(i*readEach+j))
			writes[k] = storage.Write{Key: k, Value: []byte("v")}
		}
		_, err := r.commit(writes)
		require.NoError(t, err)
	}
	whole := r.contents()
	r.close()
	damaged := disk.Clone()
	damages["missing"](t, damaged, storage.K("kv", "test")+diskKeys+"/a"+storage.K("k", "1"), nil)
	for name, start := range map[string]*memdisk.Disk{"sound": disk, "damaged": damaged} {
		pauses := 0
		for at := 1; ; at++ {
			n := 0
			r, err := openReplica(start.Clone(), "/kv/test", func() uint64 { return 9 }, func() error {
				if n++; n == at {
					return enough
				}
				return nil
			})
			if n < at {
				require.NoError(t, err)
				require.NoError(t, r.restore(noPause))
				require.Equal(t, whole, (&testReplica{replica: r}).contents(), name)
				r.close()
				break
			}
			require.ErrorIs(t, err, enough, name)
			pauses++
		}
		require.GreaterOrEqual(t, pauses, 4, name)
		require.LessOrEqual(t, pauses, 12, name)
	}
}

// TestApplyIsBounded: a turn's writes are one delta as long as they fit into one.
func TestApplyIsBounded(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		batch := func(key string, size int) *storage.Batch {
			return new(storage.Batch).Put(storage.Key(key), make([]byte, size-len(key)-writeOverhead))
		}
		m.In(func(context.Context) {
			require.ErrorIs(t, m.r.Apply(batch("/a", deltaSizeMax+1)), storage.ErrTooLarge)
			_, err := m.r.Get("/a")
			require.ErrorIs(t, err, storage.ErrNotFound)
			require.NoError(t, m.r.Apply(batch("/a", deltaSizeMax)))
			require.NoError(t, m.r.commit())
			require.Equal(t, 1, m.r.Stats().Deltas)
			require.NoError(t, m.r.Apply(batch("/a", deltaSizeMax/2)))
			require.NoError(t, m.r.Apply(batch("/b", deltaSizeMax/2)))
			require.Equal(t, 1, m.r.Stats().Deltas, "both are pending")
			require.NoError(t, m.r.Apply(batch("/c", writeOverhead+2)))
			require.Equal(t, 2, m.r.Stats().Deltas, "there was no room for the third")
			require.Len(t, m.r.pending, 1)
			require.NoError(t, m.r.Apply(new(storage.Batch).Delete("/b")))
			require.Len(t, m.r.Entries(""), 2)
		})
		time.Sleep(time.Millisecond)
		m.In(func(context.Context) {
			require.Equal(t, 3, m.r.Stats().Deltas, "the end of the turn")
			require.NoError(t, m.r.Apply(batch("/d", deltaSizeMax)), "what was committed does not count")
			require.NoError(t, m.r.commit())
			require.Equal(t, 4, m.r.Stats().Deltas)
		})
	})
}

// TestWatchersAreToldInParts: of so many keys in one turn.
func TestWatchersAreToldInParts(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		var left []int // to be told of in later turns, at each key
		m.In(func(context.Context) {
			m.r.Watch("/k", func(storage.Key) { left = append(left, len(m.r.changed)) })
			for i := range notifyEach + 3 {
				require.NoError(t, storage.Put(m.r, storage.K("k", fmt.Sprint(i)), nil))
			}
		})
		time.Sleep(time.Millisecond)
		require.Len(t, left, notifyEach+3)
		for i, n := range left {
			if i < notifyEach {
				require.Equal(t, 3, n, i)
			} else {
				require.Zero(t, n)
			}
		}
	})
}
