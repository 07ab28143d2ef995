// Package blocks is a node's store of content-addressed blocks: unixfs DAGs by boxo, fetched from
// several holders at once, verified, and kept as long as somebody owns a root that needs them. It
// does not interpret the content.
package blocks

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

// offloadSizeMin is the size in bytes from which hashing leaves the turn.
const offloadSizeMin = 1 << 20

// Store is the storage.Blocks of one service of a node.
// All services of a node share one; each sees it through its own loop.
type Store struct {
	blocks
}

type blocks struct {
	store    *blockStore
	owner    string
	loop     clock.Loop
	endpoint *transport.Endpoint
	paces    pacing.Paces
	served   servedBlocks // of the node's own
	// suspended are fetches that failed, the oldest first.
	suspended []*fetch
	sweeping  bool // a timer for sweep is set
}

// sweepEach is the delay before the disk's failed deletions of unneeded blocks are tried again.
const sweepEach = 10 * time.Second

// release gives up blocks that were held.
func (b *Store) release(cids []storage.CID) {
	if !b.store.release(cids) {
		b.sweepLater()
	}
}

func (b *Store) sweepLater() {
	if b.sweeping {
		return
	}
	b.sweeping = true
	b.loop.AfterFunc(sweepEach, func() {
		if b.sweeping = false; !b.store.sweep() {
			b.sweepLater()
		}
	})
}

// Open opens the node's block store on disk and serves its blocks to
// others over endpoint, which is the node's own (not a service's).
func Open(endpoint *transport.Endpoint, disk storage.Disk) (*Store, error) {
	store, err := openBlockStore(disk)
	if err != nil {
		return nil, fmt.Errorf("storage: open blocks: %w", err)
	}
	b := &Store{blocks{store: store}}
	getBlocks.Serve(endpoint, b.onGet)
	return b.On("node", endpoint.Loop(), endpoint), nil
}

// On returns the same blocks for a service on loop, fetching through endpoint. The service owns the
// roots that it adds and fetches: it lists and removes only those, and a root with several owners
// is kept until the last one has removed it.
func (b *Store) On(owner string, loop clock.Loop, endpoint *transport.Endpoint) *Store {
	return &Store{blocks{store: b.store, owner: owner, loop: loop, endpoint: endpoint}}
}

// Add implements storage.Blocks.
func (b *Store) Add(ctx context.Context, data []byte) (storage.CID, error) {
	sink := newBlockSink(nil)
	var root storage.CID
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
	b.release(members)
	return root, err
}

// Read implements storage.Blocks.
func (b *Store) Read(ctx context.Context, root storage.CID, lenMax int) ([]byte, error) {
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

// Has implements storage.Blocks.
func (b *Store) Has(root storage.CID) (bool, error) { return b.store.has(root) }

// Owns implements storage.Blocks.
func (b *Store) Owns(root storage.CID) (bool, error) {
	if !b.store.owned(root, b.owner) {
		return false, nil
	}
	return b.store.has(root)
}

// Size implements storage.Blocks.
func (b *Store) Size(root storage.CID) (int64, error) { return b.store.size(root) }

// Verify implements storage.Blocks.
func (b *Store) Verify(ctx context.Context, root storage.CID) error {
	size, err := b.store.size(root)
	if err != nil {
		return err
	}
	return b.heavy(ctx, size, func() error { return b.store.verify(root) })
}

// Digest implements storage.Blocks.
func (b *Store) Digest(ctx context.Context, root storage.CID, salt []byte) (sum []byte, err error) {
	size, err := b.store.size(root)
	if err != nil {
		return nil, err
	}
	salt = bytes.Clone(salt) // it may be read outside of the turn
	err = b.heavy(ctx, size, func() (err error) {
		sum, err = b.store.digest(root, salt)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sum, nil
}

// heavy runs f, outside of the turn if it has much to hash.
func (b *Store) heavy(ctx context.Context, size int64, f func() error) error {
	if size < offloadSizeMin {
		return f()
	}
	var err error
	if offloadErr := clock.Offload(ctx, b.loop, func() { err = f() }); offloadErr != nil {
		return offloadErr
	}
	return err
}

// Remove implements storage.Blocks.
func (b *Store) Remove(root storage.CID) error {
	for _, f := range slices.Clone(b.suspended) {
		if f.root == root {
			b.drop(f)
		}
	}
	return b.store.removeRoot(root, b.owner)
}

// Roots implements storage.Blocks.
func (b *Store) Roots() []storage.CID {
	roots := b.store.rootList(b.owner)
	slices.SortFunc(roots, storage.CompareCIDs)
	return roots
}

// Sync implements storage.Blocks.
func (b *Store) Sync(ctx context.Context) error { return ondisk.Flush(ctx, b.loop, b.store.disk) }
