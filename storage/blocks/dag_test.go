package blocks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestNamesOfBlocks: only what buildDAG makes is accepted.
func TestNamesOfBlocks(t *testing.T) {
	sum := func(version, codec, hash uint64, length int) storage.CID {
		c, err := cid.Prefix{Version: version, Codec: codec, MhType: hash, MhLength: length}.Sum([]byte("content"))
		require.NoError(t, err)
		return c
	}
	for _, c := range []storage.CID{leafOf("x").cid, innerOf("x", nil).cid, sum(1, cid.Raw, multihash.SHA2_256, 32)} {
		require.NoError(t, checkCID(c))
	}
	for name, c := range map[string]storage.CID{
		"none": cid.Undef, "version 0": sum(0, cid.DagProtobuf, multihash.SHA2_256, 32),
		"another codec": sum(1, cid.DagCBOR, multihash.SHA2_256, 32), "another hash": sum(1, cid.Raw, multihash.SHA3_256, 32),
		"no hash": sum(1, cid.Raw, multihash.IDENTITY, -1), "a short hash": sum(1, cid.Raw, multihash.SHA2_256, 20),
	} {
		require.ErrorContains(t, checkCID(c), "storage: ", name)
	}
}

// malformed are blocks of which no content can be read.
func malformed() map[string]block {
	inner := func(raw []byte) block {
		c, err := merkledag.V1CidPrefix().Sum(raw)
		if err != nil {
			panic(err)
		}
		return block{c, raw}
	}
	node := merkledag.NodeWithData([]byte("no file"))
	return map[string]block{
		"no protobuf": inner([]byte{0xff}),
		"no node":     inner([]byte{0x08, 0x01}),
		"many fields": inner(bytes.Repeat([]byte{0x12, 0}, 100_000)),
		"no file":     inner(node.RawData()),
		"a bad link":  innerOf("", []uint64{1}, block{cid.NewCidV0(leafOf("x").cid.Hash()), nil}),
		"links":       innerOf("", []uint64{1}, leafOf("x"), leafOf("y")),
		"sizes":       innerOf("", []uint64{1, 1}, leafOf("x")),
		"a minus":     innerOf("", []uint64{math.MaxUint64}, leafOf("x")),
		"too much":    innerOf("x", []uint64{math.MaxInt64, 1}, leafOf("x"), leafOf("y")),
	}
}

func TestMalformedBlocks(t *testing.T) {
	for name, b := range malformed() {
		_, err := decodeFileNode(b.cid, b.raw)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "%!")
		links, content, err := linksOf(b)
		switch name {
		case "links", "sizes", "a minus", "too much": // for reading at random only
			require.NoError(t, err, name)
			require.ErrorIs(t, func() error { _, err := decodeFileNode(b.cid, b.raw); return err }(), storage.ErrCorrupt, name)
		default:
			require.Error(t, err, name)
			require.Empty(t, links)
			require.Empty(t, content)
			require.Error(t, readDAG(b.cid, func(storage.CID) ([]byte, error) { return b.raw, nil }, func([]byte) error { return nil }))
		}
	}
	for _, b := range []block{leafOf("leaf"), innerOf("own", []uint64{2, 0}, leafOf("ab"), leafOf(""))} {
		n, err := decodeFileNode(b.cid, b.raw)
		require.NoError(t, err)
		links, content, err := linksOf(b)
		require.NoError(t, err)
		require.Equal(t, links, n.links)
		require.Equal(t, content, n.data)
		require.Equal(t, map[bool]int64{true: 4, false: 5}[len(links) == 0], n.size)
	}
}

// graph is blocks by name.
type graph map[storage.CID][]byte

func (g graph) add(b block) block {
	g[b.cid] = b.raw
	return b
}

func (g graph) get(c storage.CID) ([]byte, error) {
	raw, found := g[c]
	if !found {
		return nil, storage.ErrNotFound
	}
	return raw, nil
}

// file makes a file of random depth, and returns its content.
func (g graph) file(t *rapid.T, depth int) (top block, content string) {
	text := rapid.SampledFrom([]string{"", "a", "bc", "def"}).Draw(t, "own")
	if depth == 0 {
		return g.add(leafOf(text)), text
	}
	var below []block
	var sizes []uint64
	content = text
	for range rapid.IntRange(0, 4).Draw(t, "children") {
		b, part := g.file(t, rapid.IntRange(0, depth-1).Draw(t, "depth"))
		below, sizes, content = append(below, b), append(sizes, uint64(len(part))), content+part
	}
	return g.add(innerOf(text, sizes, below...)), content
}

func (g graph) store(t require.TestingT) *blockStore {
	s, err := openBlockStore(memdisk.New())
	require.NoError(t, err)
	var list []block
	for c, raw := range g {
		list = append(list, block{c, raw})
	}
	require.NoError(t, s.put(list))
	return s
}

// TestFilesOfAnyShape reads files in pieces and from any place, whatever tree
// they are, as they read as a whole.
func TestFilesOfAnyShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graph{}
		top, content := g.file(t, 3)
		var whole []byte
		require.NoError(t, readDAG(top.cid, g.get, func(part []byte) error {
			whole = append(whole, part...)
			return nil
		}))
		require.Equal(t, content, string(whole))
		b := &Store{blocks{store: g.store(t)}}
		before := inside(b.store)
		read, err := b.store.read(top.cid, len(content))
		require.NoError(t, err)
		require.Equal(t, content, string(read))
		if len(content) > 0 {
			_, err = b.store.read(top.cid, len(content)-1)
			require.ErrorIs(t, err, storage.ErrTooLarge)
		}
		c, err := b.Open(top.cid)
		require.NoError(t, err)
		oracle := strings.NewReader(content)
		for range rapid.IntRange(1, 10).Draw(t, "operations") {
			if rapid.Bool().Draw(t, "seek") {
				offset, whence := rapid.Int64Range(-3, 12).Draw(t, "offset"), rapid.IntRange(0, 3).Draw(t, "whence")
				got, err := c.Seek(offset, whence)
				want, wantErr := oracle.Seek(offset, whence)
				require.Equal(t, wantErr != nil, err != nil, "%v, %v", wantErr, err)
				require.Equal(t, want, got)
				continue
			}
			p := make([]byte, rapid.IntRange(0, 5).Draw(t, "size"))
			n, err := c.Read(p)
			if oracle.Len() > 0 && len(p) > 0 {
				require.NoError(t, err)
				require.Positive(t, n)
			} else if len(p) > 0 {
				require.Equal(t, io.EOF, err)
			}
			q := make([]byte, n)
			_, _ = io.ReadFull(oracle, q)
			require.Equal(t, string(q), string(p[:n]))
		}
		require.NoError(t, c.Close())
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, errClosed)
		require.Equal(t, before, inside(b.store), "it holds what it reads until it is closed")
	})
}

// TestFilesThatAreNone: what a file says of itself may be wrong, and it may be
// without end.
func TestFilesThatAreNone(t *testing.T) {
	g := graph{}
	short := g.add(innerOf("ab", []uint64{5}, g.add(leafOf("cde"))))
	lost := g.add(innerOf("ab", []uint64{1}, leafOf("z")))
	chain := []block{g.add(leafOf("end"))} // by depth
	for len(chain) <= depthMax {
		chain = append(chain, g.add(innerOf("", []uint64{3}, chain[len(chain)-1])))
	}
	deepest, tooDeep := chain[depthMax-1], chain[depthMax]
	b := &Store{blocks{store: g.store(t)}}
	before := inside(b.store)
	read := func(top block) (string, error) {
		c, err := b.Open(top.cid)
		if err != nil {
			return "", err
		}
		defer c.Close()
		raw, err := io.ReadAll(c)
		return string(raw), err
	}
	for name, row := range map[string]struct {
		top  block
		want string
		err  error
	}{
		"shorter than it says": {short, "abcde", storage.ErrCorrupt},
		"a block is missing":   {lost, "", storage.ErrNotFound},
		"deep":                 {deepest, "end", nil},
		"too deep":             {tooDeep, "", errDeep},
	} {
		got, err := read(row.top)
		require.ErrorIs(t, err, row.err, name)
		require.Equal(t, row.want, got, name)
		require.Equal(t, before, inside(b.store), name)
	}
	_, err := b.store.read(tooDeep.cid, 100)
	require.ErrorIs(t, err, errDeep)
	got, err := b.store.read(deepest.cid, 3)
	require.NoError(t, err)
	require.Equal(t, "end", string(got))
	_, err = b.store.read(lost.cid, 100)
	require.ErrorIs(t, err, storage.ErrNotFound)
	for name, bad := range malformed() {
		if name == "a bad link" || name == "links" || name == "sizes" || name == "a minus" || name == "too much" {
			continue
		}
		require.NoError(t, b.store.put([]block{bad}))
		before := inside(b.store)
		_, err := b.Open(bad.cid)
		require.Error(t, err, name)
		require.Equal(t, before, inside(b.store), name)
	}
}

// TestReadingsAreBounded: a few blocks that occur again and again are a file of
// a million reads, and one more is too many.
func TestReadingsAreBounded(t *testing.T) {
	wide := func(n int, below block) block {
		list := make([]block, n)
		for i := range list {
			list[i] = below
		}
		return innerOf("", nil, list...)
	}
	leaf := leafOf("")
	g := graph{leaf.cid: leaf.raw}
	row := g.add(wide(1023, leaf))  // with itself 1024 reads
	rest := g.add(wide(1022, leaf)) // 1023
	fits := append(make([]block, 0, 1024), rest)
	for len(fits) < 1024 {
		fits = append(fits, row)
	}
	// 1 + 1023 + 1023*1024 are 1<<20 reads, and there is one more.
	more := g.add(innerOf("", nil, append(fits, leaf)...))
	count := 0
	get := func(c storage.CID) ([]byte, error) {
		count++
		return g.get(c)
	}
	require.ErrorIs(t, readDAG(more.cid, get, func([]byte) error { return nil }), storage.ErrTooLarge)
	require.Equal(t, readsMax, count)
	broken := errors.New("broken")
	require.ErrorIs(t, readDAG(more.cid, g.get, func([]byte) error { return broken }), broken)
}

// TestDAGsAreBounded: 65,536 blocks and no more, whoever counts them.
func TestDAGsAreBounded(t *testing.T) {
	links := func(n int) []storage.CID {
		list := make([]storage.CID, n)
		for i := range list {
			list[i] = leafOf(fmt.Sprint(i)).cid
		}
		return list
	}(blocksLenMax)
	root := innerOf("", nil).cid
	walk := func(n int) ([]storage.CID, error) {
		return walkDAG(root, func(c storage.CID) ([]storage.CID, error) {
			if c == root {
				return append(links[:n:n], links[0], root), nil // each once
			}
			return nil, nil
		})
	}
	list, err := walk(blocksLenMax - 1)
	require.NoError(t, err)
	require.Equal(t, append([]storage.CID{root}, links[:blocksLenMax-1]...), list)
	_, err = walk(blocksLenMax)
	require.ErrorIs(t, err, storage.ErrTooLarge)
	_, err = walkDAG(root, func(storage.CID) ([]storage.CID, error) { return nil, brittledisk.ErrBroken })
	require.ErrorIs(t, err, brittledisk.ErrBroken)

	f := &fetch{links: map[storage.CID][]storage.CID{root: links[:blocksLenMax-1]}, sizeMax: 1}
	for _, c := range links {
		f.links[c] = nil
	}
	list, err = f.run(t.Context(), root)
	require.NoError(t, err)
	require.Len(t, list, blocksLenMax)
	f.links[root] = links
	_, err = f.run(t.Context(), root)
	require.ErrorIs(t, err, storage.ErrTooLarge)

	sink := newBlockSink(nil)
	for i := range blocksLenMax {
		require.NoError(t, sink.Add(t.Context(), merkledag.NewRawNode(fmt.Append(nil, i))))
	}
	require.NoError(t, sink.Add(t.Context(), merkledag.NewRawNode([]byte("7"))), "it is there")
	require.Len(t, sink.list, blocksLenMax)
	require.ErrorIs(t, sink.Add(t.Context(), merkledag.NewRawNode([]byte("more"))), storage.ErrTooLarge)
}

// TestSinksPassOnWhatTheyCollect in pieces of 4 MiB, in order, each once.
func TestSinksPassOnWhatTheyCollect(t *testing.T) {
	var sizes []int
	var list []storage.CID
	fail := error(nil)
	sink := newBlockSink(func(blocks []block) error {
		n := 0
		for _, b := range blocks {
			n += len(b.raw)
			list = append(list, b.cid)
		}
		sizes = append(sizes, n)
		return fail
	})
	data := make([]byte, 6<<20)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16*31)
	}
	root, err := buildDAG(bytes.NewReader(data), sink)
	require.NoError(t, err)
	require.NoError(t, sink.flush())
	require.Equal(t, streamPending, sizes[0])
	require.Len(t, sizes, 2)
	require.Equal(t, list, sink.held)
	require.Equal(t, root, list[len(list)-1])
	require.Len(t, list, 6<<20/chunkSize+1)
	require.Zero(t, sink.bytes+len(sink.list))
	fail = brittledisk.ErrBroken
	_, err = buildDAG(bytes.NewReader(data), newBlockSink(sink.put))
	require.ErrorIs(t, err, brittledisk.ErrBroken)
	held := len(sink.held)
	require.NoError(t, sink.Add(t.Context(), merkledag.NewRawNode([]byte("more"))))
	require.ErrorIs(t, sink.flush(), brittledisk.ErrBroken)
	require.Len(t, sink.held, held, "what was not passed on is not held")
}

// TestLimitedReaders: what is as long as allowed is read, one byte more is an
// error, and no byte beyond that is asked for.
func TestLimitedReaders(t *testing.T) {
	for _, size := range []int{0, 1, 10, 4096} {
		for more := range 3 {
			source := strings.NewReader(strings.Repeat("x", size+more))
			got, err := io.ReadAll(&limitedReader{r: source, left: int64(size)})
			if more == 0 {
				require.NoError(t, err)
				require.Len(t, got, size)
				continue
			}
			require.ErrorIs(t, err, storage.ErrTooLarge)
			require.Equal(t, more-1, source.Len())
		}
	}
}
