package replicated

import (
	"context"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// dag gives go-ds-crdt the deltas of the current operation, which are in memory. When go-ds-crdt
// compares the elements of a key it asks for the deltas that set the key, and reads only that key
// and their heights; those deltas are synthesised from the elements.
type dag struct {
	index *stagedIndex
}

var _ ipld.DAGService = (*dag)(nil)

// readDelta reads a delta from the disk and verifies it.
func readDelta(disk storage.Disk, k storage.Key, c storage.CID) (d *delta, err error) {
	err = ondisk.ReadSound(disk, k, func(raw []byte) error {
		d, err = decodeDelta(raw)
		if err != nil || d.cid != c {
			return fmt.Errorf("%w: delta %s", storage.ErrCorrupt, c)
		}
		return nil
	})
	return d, err
}

// Add implements ipld.DAGService: go-ds-crdt made a delta.
func (g *dag) Add(_ context.Context, node ipld.Node) error {
	d, err := newDelta(node)
	if err != nil {
		return err
	}
	deltas.keep(d)
	return g.index.made(d)
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

// Get implements ipld.DAGService. Values are needed of the compared elements only, of others just
// the height.
func (g *dag) Get(_ context.Context, c storage.CID) (ipld.Node, error) {
	id := deltaID(c)
	if e := g.index.compared(id); e != nil {
		return lightNode(&pb.Delta{
			Elements: []*pb.Element{{Key: e.key, Value: e.value}},
			Priority: e.height,
		})
	}
	if d := g.index.delta(id); d != nil {
		return d.light, nil
	}
	return nil, fmt.Errorf("storage: delta %s is not of the operation", c)
}

// GetMany implements ipld.DAGService, in the order of cids. It ends with the first error:
// go-ds-crdt stops receiving then, and a further send would block for ever.
func (g *dag) GetMany(_ context.Context, cids []cid.Cid) <-chan *ipld.NodeOption {
	options := make(chan *ipld.NodeOption, len(cids))
	defer close(options)
	for _, c := range cids {
		d := g.index.delta(deltaID(c))
		if d == nil {
			options <- &ipld.NodeOption{Err: fmt.Errorf("storage: delta %s is not of the operation", c)}
			break
		}
		options <- &ipld.NodeOption{Node: d.node}
	}
	return options
}

// Remove implements ipld.DAGService; it is the tail that is cut.
func (g *dag) Remove(context.Context, cid.Cid) error { return nil }

// RemoveMany implements ipld.DAGService.
func (g *dag) RemoveMany(context.Context, []cid.Cid) error { return nil }
