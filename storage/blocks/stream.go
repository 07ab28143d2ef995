package blocks

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
)

// streamPending is how many bytes of blocks a stream collects before it writes
// them, so that content of any size passes through little memory.
const streamPending = 4 << 20

// AddReader implements storage.Blocks.
func (b *Store) AddReader(ctx context.Context, r io.Reader, sizeMax int64) (storage.CID, error) {
	sink := newBlockSink(b.store.put)
	defer func() { b.release(sink.held) }()
	limited := &limitedReader{r: r, left: sizeMax}
	var root storage.CID
	var err error
	if offErr := clock.Offload(ctx, b.loop, func() {
		if root, err = buildDAG(limited, sink); err == nil {
			err = sink.flush()
		}
	}); offErr != nil {
		return cid.Undef, offErr
	}
	if err != nil {
		return cid.Undef, fmt.Errorf("storage: add: %w", err)
	}
	return root, b.store.addRoot(root, sink.held, b.owner)
}

// limitedReader ends with an error where there is more than was allowed.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, storage.ErrTooLarge
	}
	return n, err
}

// Open implements storage.Blocks.
func (b *Store) Open(root storage.CID) (io.ReadSeekCloser, error) {
	members, err := b.store.members(root)
	if err != nil {
		return nil, err
	}
	c := &content{store: b, root: root}
	for _, m := range members {
		if _, here := b.store.hold(m); !here {
			_ = c.Close()
			return nil, storage.ErrNotFound
		}
		c.held = append(c.held, m)
	}
	top, err := c.node(0, root)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.size = top.size
	return c, nil
}

// content reads a DAG.
type content struct {
	store *Store
	root  storage.CID
	held  []storage.CID
	size  int64
	at    int64
	path  []fileNode // the nodes that were read last, from the root down
}

// fileNode is a block of a file, decoded.
type fileNode struct {
	cid   storage.CID
	size  int64 // of all below
	data  []byte
	links []storage.CID
	sizes []int64 // of links
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	switch {
	case c.path == nil:
		return 0, errClosed
	case len(p) == 0:
		return 0, nil
	case c.at >= c.size:
		return 0, io.EOF
	}
	data, err := c.find(c.at)
	if err != nil {
		return 0, err
	}
	n := copy(p, data)
	c.at += int64(n)
	return n, nil
}

var errClosed = errors.New("storage: the content is closed")

// Seek implements io.Seeker.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	case io.SeekStart:
	default:
		return 0, fmt.Errorf("storage: whence %d", whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("storage: seek to %d", offset)
	}
	c.at = offset
	return offset, nil
}

// Close implements io.Closer.
func (c *content) Close() error {
	c.store.release(c.held)
	c.held, c.path = nil, nil
	return nil
}

// find returns the content from offset at to the end of the block that has it.
func (c *content) find(at int64) ([]byte, error) {
	next := c.root
	for depth := 0; depth < depthMax; depth++ {
		n, err := c.node(depth, next)
		if err != nil {
			return nil, err
		}
		if at < int64(len(n.data)) {
			return n.data[at:], nil
		}
		at -= int64(len(n.data))
		child := 0
		for child < len(n.links) && at >= n.sizes[child] {
			at -= n.sizes[child]
			child++
		}
		if child == len(n.links) {
			return nil, fmt.Errorf("%w: block %s is shorter than it is said to be", storage.ErrCorrupt, next)
		}
		next = n.links[child]
	}
	return nil, errDeep
}

// node reads a block of the path from the root, unless it is the one that was
// read there last.
func (c *content) node(depth int, id storage.CID) (fileNode, error) {
	if depth < len(c.path) && c.path[depth].cid == id {
		return c.path[depth], nil
	}
	raw, err := c.store.store.readBlock(id)
	if err != nil {
		return fileNode{}, err
	}
	n, err := decodeFileNode(id, raw)
	if err != nil {
		return n, err
	}
	c.path = append(c.path[:depth], n)
	return n, nil
}

func decodeFileNode(id storage.CID, raw []byte) (fileNode, error) {
	n := fileNode{cid: id, size: int64(len(raw)), data: raw}
	if id.Type() == cid.Raw {
		return n, nil
	}
	links, file, err := decodeNode(block{cid: id, raw: raw})
	if err != nil {
		return n, err
	}
	if file.NumChildren() != len(links) {
		return n, fmt.Errorf("%w: block %s has %d links and %d sizes", storage.ErrCorrupt, id, len(links), file.NumChildren())
	}
	n.data, n.links, n.size = file.Data(), links, int64(len(file.Data()))
	for i := range links {
		size := int64(file.BlockSize(i))
		if size < 0 || n.size+size < n.size {
			return n, fmt.Errorf("%w: block %s has a size out of bounds", storage.ErrCorrupt, id)
		}
		n.sizes, n.size = append(n.sizes, size), n.size+size
	}
	return n, nil
}
