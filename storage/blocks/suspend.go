package blocks

import (
	"slices"
	"time"

	"github.com/taucloud/tau/storage"
)

const (
	// The last suspendedMax failed fetches keep their blocks for suspendedFor, up to
	// suspendedSizeMax bytes each: the next fetch of the root continues from there.
	suspendedMax     = 2
	suspendedSizeMax = 8 << 20
	suspendedFor     = 2 * time.Minute
)

// resume returns a fetch of root that failed, or a new one.
func (b *Store) resume(root storage.CID) *fetch {
	for i, f := range b.suspended {
		if f.root == root {
			if slices.ContainsFunc(f.held, func(c storage.CID) bool { return !b.store.hasBlock(c) }) {
				b.drop(f) // a block of it has become corrupt since
				break
			}
			b.suspended = slices.Delete(b.suspended, i, i+1)
			f.over, f.holders = false, nil
			return f
		}
	}
	return &fetch{blocks: b, root: root, links: map[storage.CID][]storage.CID{}, parts: map[storage.CID]*blockPart{}}
}

// suspend keeps the blocks of a failed fetch, if another fetch may continue.
func (b *Store) suspend(f *fetch) {
	size := f.size
	for _, part := range f.parts {
		size += int64(len(part.raw))
	}
	if f.failed != nil || size > suspendedSizeMax || len(f.held)+len(f.parts) == 0 {
		b.release(f.held)
		return
	}
	if len(b.suspended) >= suspendedMax {
		b.drop(b.suspended[0])
	}
	b.suspended = append(b.suspended, f)
	f.suspensions++
	n := f.suspensions
	b.loop.AfterFunc(suspendedFor, func() {
		if f.suspensions == n {
			b.drop(f)
		}
	})
}

// drop forgets a suspended fetch.
func (b *Store) drop(f *fetch) {
	if i := slices.Index(b.suspended, f); i >= 0 {
		b.suspended = slices.Delete(b.suspended, i, i+1)
		b.release(f.held)
	}
}
