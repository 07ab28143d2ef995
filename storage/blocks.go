package storage

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// CID names content by its hash (CIDv1).
type CID = cid.Cid

// offloadSizeMin is from when hashing leaves the turn, in bytes.
const offloadSizeMin = 1 << 20

// Blocks is a node's store of content-addressed blocks: unixfs DAGs by boxo.
// All services of a node share one; each sees it through its own loop.
type Blocks struct {
	blocks
}

type blocks struct {
	store    *blockStore
	owner    string
	loop     clock.Loop
	endpoint *transport.Endpoint
	paces    paces
	served   servedBlocks // of the node's own
	// suspended are fetches that failed, the oldest first.
	suspended []*fetch
}

// OpenBlocks opens the node's block store on disk and serves its blocks to
// others over endpoint, which is the node's own (not a service's).
func OpenBlocks(endpoint *transport.Endpoint, disk Disk) (*Blocks, error) {
	store, err := openBlockStore(disk)
	if err != nil {
		return nil, fmt.Errorf("storage: open blocks: %w", err)
	}
	b := &Blocks{blocks{store: store}}
	getBlocks.Serve(endpoint, b.onGet)
	return b.On("node", endpoint.Loop(), endpoint), nil
}

// On returns the same blocks for a service on loop, fetching through endpoint.
// The service is the owner of what it adds and fetches: it sees as roots, and
// removes, only that, and what several services own is kept until the last one
// has removed it.
func (b *Blocks) On(owner string, loop clock.Loop, endpoint *transport.Endpoint) *Blocks {
	return &Blocks{blocks{store: b.store, owner: owner, loop: loop, endpoint: endpoint}}
}

// Add stores data as a unixfs DAG (256 KiB chunks, sha2-256, CIDv1) and returns
// its root. It does not sync.
func (b *Blocks) Add(ctx context.Context, data []byte) (CID, error) {
	sink := newBlockSink(nil)
	var root CID
	err := b.heavy(ctx, int64(len(data)), func() (err error) {
		root, err = buildDAG(bytes.NewReader(data), sink)
		return err
	})
	if err != nil {
		return cid.Undef, fmt.Errorf("storage: add: %w", err)
	}
	if err := b.store.put(sink.list); err != nil {
		return cid.Undef, err
	}
	members := cidsOf(sink.list)
	err = b.store.addRoot(root, members, b.owner)
	b.store.release(members)
	return root, err
}

// Read returns the content of the DAG at root, up to lenMax bytes, from local
// blocks only; ErrNotFound if any block is not here, ErrTooLarge if there is
// more. Every block that is read is verified.
func (b *Blocks) Read(ctx context.Context, root CID, lenMax int) ([]byte, error) {
	size, err := b.store.size(root)
	if err != nil {
		return nil, err
	}
	var content []byte
	err = b.heavy(ctx, size, func() (err error) {
		content, err = b.store.read(root, lenMax)
		return err
	})
	return content, err
}

// Has reports whether the whole DAG at root is here.
func (b *Blocks) Has(root CID) (bool, error) { return b.store.has(root) }

// Size is the stored size of the DAG at root in bytes, ErrNotFound if it is not
// wholly here.
func (b *Blocks) Size(root CID) (int64, error) { return b.store.size(root) }

// Verify reads the whole DAG at root from the disk and checks every block
// against its CID; a corrupted block is removed and reported as ErrNotFound.
func (b *Blocks) Verify(ctx context.Context, root CID) error {
	size, err := b.store.size(root)
	if err != nil {
		return err
	}
	return b.heavy(ctx, size, func() error { return b.store.verify(root) })
}

// heavy runs f, outside of the turn if it has much to hash.
func (b *Blocks) heavy(ctx context.Context, size int64, f func() error) error {
	if size < offloadSizeMin {
		return f()
	}
	var err error
	if offloadErr := clock.Offload(ctx, b.loop, func() { err = f() }); offloadErr != nil {
		return offloadErr
	}
	return err
}

// Remove ends the ownership of the DAG at root. With the last owner it goes,
// except blocks that another root still needs, and with it what fetches of it that
// failed have brought. What is not owned is removed already.
func (b *Blocks) Remove(root CID) error {
	for _, f := range slices.Clone(b.suspended) {
		if f.root == root {
			b.drop(f)
		}
	}
	return b.store.removeRoot(root, b.owner)
}

// Roots lists the roots that were added or fetched by this owner and not removed,
// in order. It reads memory, and cannot fail.
func (b *Blocks) Roots() []CID {
	roots := b.store.rootList(b.owner)
	slices.SortFunc(roots, compareCIDs)
	return roots
}

// Sync waits until everything stored before survives a crash.
func (b *Blocks) Sync(ctx context.Context) error { return flush(ctx, b.loop, b.store.disk) }
