package storage

import (
	"context"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// CID names content by its hash (CIDv1).
type CID = cid.Cid

// Blocks is a node's store of content-addressed blocks: unixfs DAGs by boxo.
// All services of a node share one; each sees it through its own loop.
type Blocks struct {
	blocks
}

type blocks struct{}

// OpenBlocks opens the node's block store on disk and serves its blocks to
// others over endpoint, which is the node's own (not a service's).
func OpenBlocks(endpoint *transport.Endpoint, disk Disk) (*Blocks, error) { panic("not built yet") }

// On returns the same blocks for a service on loop, fetching through endpoint.
func (b *Blocks) On(loop clock.Loop, endpoint *transport.Endpoint) *Blocks {
	panic("not built yet")
}

// Add stores data as a unixfs DAG (256 KiB chunks, sha2-256, CIDv1) and returns
// its root. It does not sync.
func (b *Blocks) Add(ctx context.Context, data []byte) (CID, error) { panic("not built yet") }

// Read returns the content of the DAG at root, up to lenMax bytes, from local
// blocks only; ErrNotFound if any block is not here.
func (b *Blocks) Read(ctx context.Context, root CID, lenMax int) ([]byte, error) {
	panic("not built yet")
}

// Has reports whether the whole DAG at root is here.
func (b *Blocks) Has(root CID) (bool, error) { panic("not built yet") }

// Size is the stored size of the DAG at root in bytes, ErrNotFound if it is not
// wholly here.
func (b *Blocks) Size(root CID) (int64, error) { panic("not built yet") }

// Fetch makes the whole DAG at root local, asking several holders in parallel
// and verifying every block against its CID. A holder that lies or fails is
// left out. It does not sync. sizeMax bounds the DAG.
func (b *Blocks) Fetch(ctx context.Context, root CID, holders []transport.Peer, sizeMax int64) error {
	panic("not built yet")
}

// Verify reads the whole DAG at root from the disk and checks every block
// against its CID; a corrupted block is removed and reported as ErrNotFound.
func (b *Blocks) Verify(ctx context.Context, root CID) error { panic("not built yet") }

// Remove deletes the DAG at root, except blocks that another root that was
// added or fetched here still needs.
func (b *Blocks) Remove(root CID) error { panic("not built yet") }

// Roots lists the roots that were added or fetched here and not removed, in
// order.
func (b *Blocks) Roots() ([]CID, error) { panic("not built yet") }

// Sync waits until everything stored before survives a crash.
func (b *Blocks) Sync(ctx context.Context) error { panic("not built yet") }
