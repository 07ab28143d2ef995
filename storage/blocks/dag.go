package blocks

import (
	"context"
	"errors"
	"fmt"
	"io"

	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multihash"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/protobound"
)

const (
	chunkSize   = 256 << 10
	linksLenMax = 174 // of an inner node, the usual number
	// blockSizeMax bounds a block from another node, blocksLenMax a DAG.
	blockSizeMax = 2 << 20
	blocksLenMax = 1 << 16
	depthMax     = 32
	// readsMax bounds a reading: a few blocks can form an enormous file.
	readsMax = 1 << 20
)

// block is content and its CID.
type block struct {
	cid storage.CID
	raw []byte
}

func cidsOf(list []block) []storage.CID {
	cids := make([]storage.CID, len(list))
	for i, b := range list {
		cids[i] = b.cid
	}
	return cids
}

// checkCID accepts what buildDAG makes: other hashes are weaker, or would let a
// name carry content.
func checkCID(c storage.CID) error {
	if !c.Defined() {
		return fmt.Errorf("storage: the undefined CID")
	}
	p := c.Prefix()
	codec := p.Codec == cid.Raw || p.Codec == cid.DagProtobuf
	if p.Version != 1 || !codec || p.MhType != multihash.SHA2_256 || p.MhLength != 32 {
		return fmt.Errorf("storage: %s is not a sha2-256 CIDv1 of raw or dag-pb", c)
	}
	return nil
}

// verifyBlock checks raw against c.
func verifyBlock(c storage.CID, raw []byte) error {
	if soundMemory.has(c, raw) {
		return nil
	}
	got, err := c.Prefix().Sum(raw)
	if err != nil {
		return fmt.Errorf("storage: hash: %w", err)
	}
	if got != c {
		return fmt.Errorf("%w: block %s", storage.ErrCorrupt, c)
	}
	soundMemory.add(c, raw)
	return nil
}

// buildDAG makes a balanced unixfs DAG of what r has: each block once and after
// those that it links to.
func buildDAG(r io.Reader, sink *blockSink) (root storage.CID, err error) {
	params := helpers.DagBuilderParams{
		Dagserv:    sink,
		Maxlinks:   linksLenMax,
		RawLeaves:  true,
		CidBuilder: merkledag.V1CidPrefix(),
	}
	builder, err := params.New(chunk.NewSizeSplitter(r, chunkSize))
	if err != nil {
		return cid.Undef, err
	}
	node, err := balanced.Layout(builder)
	if err != nil {
		return cid.Undef, err
	}
	return node.Cid(), nil
}

// blockSink is the part of a DAGService that the balanced layout needs: Add. It collects blocks and, if put is
// given, passes them on; held are those passed on.
type blockSink struct {
	ipld.DAGService
	list  []block
	bytes int
	seen  map[storage.CID]bool
	put   func([]block) error
	held  []storage.CID
}

func newBlockSink(put func([]block) error) *blockSink {
	return &blockSink{seen: map[storage.CID]bool{}, put: put}
}

// Add implements ipld.NodeAdder.
func (s *blockSink) Add(_ context.Context, n ipld.Node) error {
	c := n.Cid()
	if s.seen[c] {
		return nil
	}
	s.seen[c] = true
	if len(s.seen) > blocksLenMax {
		return fmt.Errorf("%w: a DAG of over %d blocks", storage.ErrTooLarge, blocksLenMax)
	}
	s.list = append(s.list, block{cid: c, raw: n.RawData()})
	if s.bytes += len(n.RawData()); s.put != nil && s.bytes >= streamPending {
		return s.flush()
	}
	return nil
}

// flush passes on what was collected.
func (s *blockSink) flush() error {
	if err := s.put(s.list); err != nil {
		return err
	}
	s.held = append(s.held, cidsOf(s.list)...)
	clear(s.list)
	s.list, s.bytes = s.list[:0], 0
	return nil
}

// linksOf returns the links of a block and its own content.
func linksOf(b block) (links []storage.CID, content []byte, err error) {
	if b.cid.Type() == cid.Raw {
		return nil, b.raw, nil
	}
	links, file, err := decodeNode(b)
	if err != nil {
		return nil, nil, err
	}
	return links, file.Data(), nil
}

// decodeNode decodes a block that is no raw leaf.
func decodeNode(b block) (links []storage.CID, file *unixfs.FSNode, err error) {
	if err := protobound.Check(b.raw); err != nil {
		return nil, nil, err
	}
	node, err := merkledag.DecodeProtobuf(b.raw)
	if err != nil {
		return nil, nil, fmt.Errorf("storage: block %s: %w", b.cid, err)
	}
	if file, err = unixfs.FSNodeFromBytes(node.Data()); err != nil {
		return nil, nil, fmt.Errorf("storage: block %s: %w", b.cid, err)
	}
	for _, l := range node.Links() {
		if err := checkCID(l.Cid); err != nil {
			return nil, nil, err
		}
		links = append(links, l.Cid)
	}
	return links, file, nil
}

// readDAG calls f with every block's own content, in the order of the file: a
// block that occurs more than once is read more than once.
func readDAG(root storage.CID, get func(storage.CID) ([]byte, error), f func(content []byte) error) error {
	reads := 0
	bounded := func(c storage.CID) ([]byte, error) {
		if reads++; reads > readsMax {
			return nil, fmt.Errorf("%w: over %d blocks to read", storage.ErrTooLarge, readsMax)
		}
		return get(c)
	}
	return readBelow(root, depthMax, bounded, f)
}

var errDeep = errors.New("storage: DAG is too deep")

func readBelow(c storage.CID, depth int, get func(storage.CID) ([]byte, error), f func(content []byte) error) error {
	if depth == 0 {
		return errDeep
	}
	raw, err := get(c)
	if err != nil {
		return err
	}
	links, content, err := linksOf(block{cid: c, raw: raw})
	if err != nil {
		return err
	}
	if err := f(content); err != nil {
		return err
	}
	for _, l := range links {
		if err := readBelow(l, depth-1, get, f); err != nil {
			return err
		}
	}
	return nil
}

// walkDAG returns all blocks of a DAG, each once, parents first.
func walkDAG(root storage.CID, links func(storage.CID) ([]storage.CID, error)) ([]storage.CID, error) {
	list, seen := []storage.CID{root}, map[storage.CID]bool{root: true}
	for i := 0; i < len(list); i++ {
		if len(list) > blocksLenMax {
			return nil, fmt.Errorf("%w: a DAG of over %d blocks", storage.ErrTooLarge, blocksLenMax)
		}
		below, err := links(list[i])
		if err != nil {
			return nil, err
		}
		for _, l := range below {
			if !seen[l] {
				seen[l] = true
				list = append(list, l)
			}
		}
	}
	return list, nil
}
