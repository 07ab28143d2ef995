package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ipfs/boxo/ipld/merkledag"
	blockformat "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"google.golang.org/protobuf/proto"
)

// dagCacheLenMax is how many decoded deltas are kept in memory.
const dagCacheLenMax = 128

// delta is one node of the Merkle DAG that go-ds-crdt builds: what one turn of
// one replica wrote, linked to the heads that it knew.
type delta struct {
	cid    CID
	id     string // as go-ds-crdt names it in keys, "/CIQ..."
	raw    []byte
	node   ipld.Node
	height uint64
	links  []CID
}

// decodeDelta checks everything that go-ds-crdt takes for granted. The CID is
// computed, so it is right.
func decodeDelta(raw []byte) (*delta, error) {
	c, err := merkledag.V1CidPrefix().Sum(raw)
	if err != nil {
		return nil, err
	}
	block, err := blockformat.NewBlockWithCid(raw, c)
	if err != nil {
		return nil, err
	}
	node, err := merkledag.DecodeProtobufBlock(block)
	if err != nil {
		return nil, err
	}
	return newDelta(node)
}

func newDelta(node ipld.Node) (*delta, error) {
	proton, ok := node.(*merkledag.ProtoNode)
	if !ok {
		return nil, fmt.Errorf("storage: delta is a %T", node)
	}
	var content pb.Delta
	if err := proto.Unmarshal(proton.Data(), &content); err != nil {
		return nil, fmt.Errorf("storage: delta: %w", err)
	}
	if err := checkDelta(&content); err != nil {
		return nil, err
	}
	d := &delta{
		cid:    node.Cid(),
		id:     deltaID(node.Cid()),
		raw:    node.RawData(),
		node:   node,
		height: content.GetPriority(),
	}
	for _, l := range node.Links() {
		d.links = append(d.links, l.Cid)
	}
	return d, nil
}

func deltaID(c CID) string { return dshelp.MultihashToDsKey(c.Hash()).String() }

var errBadDelta = errors.New("storage: delta: malformed key or value")

// checkDelta keeps foreign keys within their name space.
func checkDelta(content *pb.Delta) error {
	for _, e := range content.GetElements() {
		if !isKey(e.GetKey()) || len(e.GetValue()) == 0 {
			return errBadDelta
		}
	}
	for _, e := range content.GetTombstones() {
		if !isKey(e.GetKey()) || !isKey(e.GetId()) || len(Key(e.GetId()).Parts()) != 1 {
			return errBadDelta
		}
	}
	return nil
}

// compareDeltas orders ancestors before descendants, and is the same everywhere.
func compareDeltas(a, b *delta) int {
	switch {
	case a.height < b.height:
		return -1
	case a.height > b.height:
		return 1
	}
	return compareCIDs(a.cid, b.cid)
}

// dag gives go-ds-crdt its deltas: from memory or this node's disk, never from
// the network, because an operation is given to go-ds-crdt only when it has all
// that it needs.
type dag struct {
	overlay *overlay

	mu      sync.Mutex
	unsaved map[CID]*delta // not on the disk yet
	fresh   []*delta       // the same, in the order in which they came
	cache   map[CID]*delta
	oldest  []CID // ring of what is in cache
	at      int
	added   []*delta // by go-ds-crdt since takeAdded
}

var _ ipld.DAGService = (*dag)(nil)

func newDAG(o *overlay) *dag {
	return &dag{overlay: o, unsaved: map[CID]*delta{}, cache: map[CID]*delta{}}
}

// put adds a delta to the operation.
func (g *dag) put(d *delta) {
	g.overlay.saveDelta(d.id, d.raw)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsaved[d.cid] = d
	g.fresh = append(g.fresh, d)
}

// saved says that all deltas are on the disk now.
func (g *dag) saved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.fresh {
		g.keep(d)
	}
	clear(g.unsaved)
	clear(g.fresh)
	g.fresh = g.fresh[:0]
}

// keep caches a delta, in the place of the one that came first.
func (g *dag) keep(d *delta) {
	if _, found := g.cache[d.cid]; found {
		return
	}
	g.cache[d.cid] = d
	if len(g.oldest) < dagCacheLenMax {
		g.oldest = append(g.oldest, d.cid)
		return
	}
	delete(g.cache, g.oldest[g.at])
	g.oldest[g.at] = d.cid
	g.at = (g.at + 1) % dagCacheLenMax
}

// get returns a delta that is part of the state. It is verified when it comes
// from the disk.
func (g *dag) get(c CID) (*delta, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.unsaved[c]; d != nil {
		return d, nil
	}
	if d := g.cache[c]; d != nil {
		return d, nil
	}
	d, err := readDelta(g.overlay.disk, g.overlay.at+diskDeltas+Key(deltaID(c)), c)
	if err == nil {
		g.keep(d)
	}
	return d, err
}

// readDelta reads a delta from the disk and verifies it.
func readDelta(disk Disk, k Key, c CID) (d *delta, err error) {
	err = readSound(disk, k, func(raw []byte) error {
		d, err = decodeDelta(raw)
		if err != nil || d.cid != c {
			return fmt.Errorf("%w: delta %s", ErrCorrupt, c)
		}
		return nil
	})
	return d, err
}

// takeAdded returns the deltas that go-ds-crdt made since it was last called.
func (g *dag) takeAdded() []*delta {
	g.mu.Lock()
	defer g.mu.Unlock()
	added := g.added
	g.added = nil
	return added
}

// Add implements ipld.DAGService: go-ds-crdt made a delta.
func (g *dag) Add(_ context.Context, node ipld.Node) error {
	d, err := newDelta(node)
	if err != nil {
		return err
	}
	g.put(d)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.added = append(g.added, d)
	return nil
}

// AddMany implements ipld.DAGService.
func (g *dag) AddMany(ctx context.Context, nodes []ipld.Node) error {
	for _, n := range nodes {
		if err := g.Add(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// Get implements ipld.DAGService.
func (g *dag) Get(_ context.Context, c CID) (ipld.Node, error) {
	d, err := g.get(c)
	if err != nil {
		return nil, err
	}
	return d.node, nil
}

// GetMany implements ipld.DAGService, in the order of cids. It ends with the
// first error: go-ds-crdt stops listening then, and whoever passes more on to it
// would wait for ever.
func (g *dag) GetMany(ctx context.Context, cids []cid.Cid) <-chan *ipld.NodeOption {
	options := make(chan *ipld.NodeOption, len(cids))
	for _, c := range cids {
		node, err := g.Get(ctx, c)
		options <- &ipld.NodeOption{Node: node, Err: err}
		if err != nil {
			break
		}
	}
	close(options)
	return options
}

// Remove implements ipld.DAGService; deltas are kept.
func (g *dag) Remove(context.Context, cid.Cid) error { return nil }

// RemoveMany implements ipld.DAGService; deltas are kept.
func (g *dag) RemoveMany(context.Context, []cid.Cid) error { return nil }
