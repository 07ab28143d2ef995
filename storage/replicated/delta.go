package replicated

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ipfs/boxo/ipld/merkledag"
	blockformat "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/protobound"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// deltaRawMax bounds a delta, in bytes: the writes of a turn, and as much again for the
	// elements that it supersedes.
	deltaRawMax = 4 << 20
	// deltaKeysMax bounds the elements and tombstones of a delta, deltaLinksMax
	// its links. They are counted before anything is decoded.
	deltaKeysMax  = 1 << 16
	deltaLinksMax = 1 << 14
	// heightMax bounds heights, which grow by one.
	heightMax = 1 << 62
	// dotKey is a key that no user can have, as K escapes its second byte. Each delta sets it to
	// its own dot and those of its links, in their order.
	dotKey = "/%dot"
)

// delta is one node of the Merkle DAG that go-ds-crdt builds: what one turn of
// one replica wrote, linked to the heads that it knew. It never changes.
type delta struct {
	*stub
	raw      []byte
	node     *merkledag.ProtoNode
	light    *merkledag.ProtoNode // the same without content except for the height
	links    []storage.CID
	linkIDs  []string   // of links
	deps     []dot      // of links
	head     *head      // the delta as a head, while no other links to it
	elements []*element // by key, each once

	mu       sync.Mutex
	outcomes []outcome // results of merging it, see remember
	saved    shared    // the delta itself
}

// decodeDelta checks everything that go-ds-crdt assumes. The CID is computed, not claimed.
func decodeDelta(raw []byte) (*delta, error) {
	if len(raw) > deltaRawMax {
		return nil, fmt.Errorf("%w: a delta of %d bytes", storage.ErrTooLarge, len(raw))
	}
	if d := deltas.equalTo(raw); d != nil {
		return d, nil
	}
	c, err := merkledag.V1CidPrefix().Sum(raw)
	if err != nil {
		return nil, err
	}
	if err := protobound.Check(raw); err != nil {
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
	d, err := newDelta(node)
	if err == nil {
		deltas.keep(d)
	}
	return d, err
}

// newDelta decodes a node that was decoded, or has just been made.
func newDelta(node ipld.Node) (*delta, error) {
	proton, ok := node.(*merkledag.ProtoNode)
	if !ok {
		return nil, fmt.Errorf("storage: delta is a %T", node)
	}
	content, err := contentOf(proton)
	if err != nil {
		return nil, err
	}
	c, raw := node.Cid(), node.RawData()
	d := &delta{
		stub: &stub{cid: c, id: deltaID(c), height: content.GetPriority(), size: len(raw)},
		raw:  raw,
		node: proton,
	}
	links := node.Links()
	if len(links) > deltaLinksMax {
		return nil, errBadDelta
	}
	for _, l := range links {
		d.links = append(d.links, l.Cid)
		d.linkIDs = append(d.linkIDs, deltaID(l.Cid))
	}
	values, err := d.takeDots(content.GetElements())
	if err != nil {
		return nil, err
	}
	d.setElements(values)
	d.head = newHead(d.cid, d.id, d.dot, d.height)
	d.light, err = lightNode(&pb.Delta{Priority: d.height})
	return d, err
}

// contentOf decodes and checks what go-ds-crdt wrote into a node.
func contentOf(node *merkledag.ProtoNode) (*pb.Delta, error) {
	for n, rest := 0, node.Data(); len(rest) > 0; n++ {
		_, _, size := protowire.ConsumeField(rest)
		if size < 0 || n > deltaKeysMax {
			return nil, errBadDelta
		}
		rest = rest[size:]
	}
	var content pb.Delta
	if err := proto.Unmarshal(node.Data(), &content); err != nil {
		return nil, fmt.Errorf("storage: delta: %w", err)
	}
	return &content, checkDelta(&content)
}

// lightNode is a node with this content. Its encoding is made at once, as it may
// be read by several goroutines.
func lightNode(content *pb.Delta) (*merkledag.ProtoNode, error) {
	raw, err := proto.Marshal(content)
	if err != nil {
		return nil, err
	}
	node := merkledag.NodeWithData(raw)
	_, err = node.EncodeProtobuf(false)
	return node, err
}

// takeDots reads the dots and returns the other elements.
func (d *delta) takeDots(list []*pb.Element) (values []*pb.Element, err error) {
	var raw []byte
	for _, e := range list {
		if e.GetKey() != dotKey {
			values = append(values, e)
		} else if raw != nil {
			return nil, errBadDelta
		} else {
			raw = e.GetValue()
		}
	}
	if d.dot, raw, err = cutDot(raw); err != nil {
		return nil, errBadDelta
	}
	for range d.links {
		var dep dot
		if dep, raw, err = cutDot(raw); err != nil {
			return nil, errBadDelta
		}
		d.deps = append(d.deps, dep)
	}
	if len(raw) > 0 {
		return nil, errBadDelta
	}
	return values, nil
}

// setElements makes one element of each key: of several values the greatest.
func (d *delta) setElements(values []*pb.Element) {
	slices.SortFunc(values, func(a, b *pb.Element) int {
		return cmp.Or(storage.CompareKeys(a.GetKey(), b.GetKey()), bytes.Compare(b.GetValue(), a.GetValue()))
	})
	values = slices.CompactFunc(values, func(a, b *pb.Element) bool { return a.GetKey() == b.GetKey() })
	d.elements = make([]*element, len(values))
	for i, v := range values {
		e := &element{key: v.GetKey(), id: d.id, dot: d.dot, height: d.height, value: v.GetValue(), of: uint32(len(values))}
		d.elements[i] = e.share()
	}
}

// element returns what the delta sets a key to, nil if it does not.
func (d *delta) element(key string) *element {
	i, found := slices.BinarySearchFunc(d.elements, key, func(e *element, key string) int { return storage.CompareKeys(e.key, key) })
	if !found {
		return nil
	}
	return d.elements[i]
}

func deltaID(c storage.CID) string { return dshelp.MultihashToDsKey(c.Hash()).String() }

// deltaIDLen is the length of the base32 form of a sha2-256 multihash, with its
// slash.
const deltaIDLen = 1 + 55

func isDeltaID(id string) bool {
	return len(id) == deltaIDLen && id[0] == '/' && strings.IndexByte(id[1:], '/') < 0
}

// cidOf is the inverse of deltaID.
func cidOf(id string) (storage.CID, error) {
	return dshelp.DsKeyToCidV1(datastore.RawKey(id), cid.DagProtobuf)
}

var errBadDelta = errors.New("storage: malformed delta")

// checkDelta keeps foreign keys within their name space.
func checkDelta(content *pb.Delta) error {
	if content.GetPriority() == 0 || content.GetPriority() > heightMax {
		return errBadHeight
	}
	for _, e := range content.GetElements() {
		if !storage.IsKey(e.GetKey()) || len(e.GetValue()) < len(valueTag) {
			return errBadDelta
		}
	}
	for _, e := range content.GetTombstones() {
		if !storage.IsKey(e.GetKey()) || !isDeltaID(e.GetId()) {
			return errBadDelta
		}
	}
	return nil
}

func compareDeltas(a, b *delta) int { return compareStubs(a.stub, b.stub) }

// deltas is a cache of recently used deltas: in a simulated world each is decoded once for all
// replicas, in a real one pages are served from memory.
var deltas = deltaCache{byCID: map[storage.CID]*delta{}, byRaw: map[string]*delta{}}

const (
	deltaCacheLen     = 1 << 10
	deltaCacheSizeMax = 16 << 10 // of one of them, in bytes
)

type deltaCache struct {
	mu    sync.Mutex
	byCID map[storage.CID]*delta
	byRaw map[string]*delta // the same, by their encoding
	ring  [deltaCacheLen]storage.CID
	next  int
}

func (c *deltaCache) get(id storage.CID) *delta {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byCID[id]
}

// equalTo returns the delta of this encoding, which costs less than to hash it.
func (c *deltaCache) equalTo(raw []byte) *delta {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byRaw[string(raw)]
}

// keep caches a delta in place of the oldest one.
func (c *deltaCache) keep(d *delta) {
	if len(d.raw) > deltaCacheSizeMax {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byCID[d.cid] != nil {
		return
	}
	if old := c.byCID[c.ring[c.next]]; old != nil {
		delete(c.byCID, old.cid)
		delete(c.byRaw, string(old.raw))
	}
	c.ring[c.next] = d.cid
	c.byCID[d.cid], c.byRaw[string(d.raw)] = d, d
	c.next = (c.next + 1) % deltaCacheLen
}
