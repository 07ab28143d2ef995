package storage

import (
	"context"
	"io"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/transport"
)

// CID names content by its hash (CIDv1).
type CID = cid.Cid

// CompareCIDs orders CIDs by their bytes.
func CompareCIDs(a, b CID) int { return strings.Compare(a.KeyString(), b.KeyString()) }

// Blocks is a node's store of content-addressed blocks, unixfs DAGs by boxo, as one service of the
// node sees it. All services of a node share the blocks, but each owns the roots that it adds and
// fetches: it lists and removes only those, and a root with several owners is kept until the last
// one has removed it.
type Blocks interface {
	// Add stores data as a unixfs DAG (256 KiB chunks, sha2-256, CIDv1) and returns
	// its root. It does not sync.
	Add(ctx context.Context, data []byte) (CID, error)
	// AddReader stores the content of r, up to sizeMax bytes, as Add does, and returns its root. It
	// reads r outside of the turn, until it ends; memory does not grow with the content, but for
	// about 50 bytes a block. ErrTooLarge: there is more, and nothing is kept. It does not sync.
	AddReader(ctx context.Context, r io.Reader, sizeMax int64) (CID, error)
	// Fetch makes the whole DAG at root local, asking several holders in parallel and verifying
	// every block against its CID. A holder that lies or fails is left out. It does not sync.
	// sizeMax bounds the DAG. The blocks of a failed fetch are kept for two minutes, for the next
	// fetch of this root.
	//
	// It returns ErrNotFound when no holder that answers has all of it, and
	// otherwise the error of a holder.
	Fetch(ctx context.Context, root CID, holders []transport.Peer, sizeMax int64) error

	// Read returns the content of the DAG at root, up to lenMax bytes, from local
	// blocks only; ErrNotFound if any block is not here, ErrTooLarge if there is
	// more. Every block that is read is checked: by its CRC-32C if it was put or
	// verified since the node started, otherwise by its CID.
	Read(ctx context.Context, root CID, lenMax int) ([]byte, error)
	// Open returns the content of the DAG at root, from local blocks only. It may be read from any
	// goroutine, by one at a time; each block is read when it is needed and checked as by Read, and
	// only one leaf is in memory. It keeps the DAG from being removed until it is closed.
	// ErrNotFound: the DAG is not wholly here.
	Open(root CID) (io.ReadSeekCloser, error)
	// Has reports whether the whole DAG at root is here, whoever of this node's services keeps it:
	// it may be gone when they need it no longer.
	Has(root CID) (bool, error)
	// Owns reports whether the whole DAG at root is here and this service keeps it: it stays until
	// this service removes it.
	Owns(root CID) (bool, error)
	// Size is the stored size of the DAG at root in bytes, ErrNotFound if it is not
	// wholly here.
	Size(root CID) (int64, error)
	// Verify reads the whole DAG at root from the disk and checks every block
	// against its CID; a corrupted block is removed and reported as ErrNotFound.
	Verify(ctx context.Context, root CID) error
	// Digest does what Verify does and returns the SHA-256 of salt and of all blocks of the DAG, each
	// once, in the order of their CIDs: the CID, the length as 8 bytes, the content. It is the same
	// wherever the whole DAG is, and with a salt that was not known before only there. One block at a
	// time is in memory.
	Digest(ctx context.Context, root CID, salt []byte) ([]byte, error)

	// Roots lists the roots that were added or fetched by this owner and not removed,
	// in order. It reads memory, and cannot fail.
	Roots() []CID
	// Remove ends the ownership of the DAG at root. With the last owner its blocks are removed,
	// except those that another root needs, including those of its failed fetches. It is no error
	// if the root is not owned.
	Remove(root CID) error
	// Sync waits until everything stored before survives a crash.
	Sync(ctx context.Context) error
}
