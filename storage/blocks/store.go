package blocks

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// On the disk: blocks under their CID; for each root a sealed list of the blocks
// of its DAG, so that opening reads no block; and for each owner of a root a key
// without content.
var (
	blocksAt = storage.K("blocks", "b")
	rootsAt  = storage.K("blocks", "r")
	ownersAt = storage.K("blocks", "o")
)

// blockStore holds the blocks of a node. It is used by all loops of the node: the lock is never
// held across a wait.
//
// A block is kept as long as a root needs it or a task that is putting blocks holds it. About 210
// bytes of memory a block.
type blockStore struct {
	disk storage.Disk

	mu    sync.Mutex
	index map[storage.CID]*blockInfo    // of the blocks that are here or needed
	roots map[storage.CID][]storage.CID // the blocks of each DAG
	// owners are the services that own a root, in order. A root without owners, whose entries the
	// disk has lost, belongs to all.
	owners map[storage.CID][]string
	// litter are unneeded blocks that the disk failed to delete.
	litter map[storage.CID]bool
}

type blockInfo struct {
	here bool
	size int
	refs int // roots and holders
	// sum is the CRC-32C of the block, if it is known: of what was put or verified
	// in this life of the node.
	sum    uint32
	summed bool
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// summary is the checksum for blockInfo.sum.
func summary(raw []byte) uint32 { return crc32.Checksum(raw, castagnoli) }

func openBlockStore(disk storage.Disk) (*blockStore, error) {
	s := &blockStore{disk: disk, index: map[storage.CID]*blockInfo{}, roots: map[storage.CID][]storage.CID{}, owners: map[storage.CID][]string{}, litter: map[storage.CID]bool{}}
	if err := s.loadIndex(); err != nil {
		return nil, err
	}
	if err := s.loadOwners(); err != nil {
		return nil, err
	}
	whole, err := s.loadRoots()
	if err != nil || !whole {
		return s, err
	}
	return s, s.dropUnreferenced()
}

func (s *blockStore) loadIndex() error {
	results, err := s.disk.Query(context.Background(), query.Query{
		Prefix: string(blocksAt), KeysOnly: true, ReturnsSizes: true,
	})
	if err != nil {
		return err
	}
	defer results.Close()
	for {
		r, ok := results.NextSync()
		if !ok {
			return nil
		}
		if r.Error != nil {
			return r.Error
		}
		if c, err := cid.Decode(r.Key[len(blocksAt)+1:]); err == nil {
			s.index[c] = &blockInfo{here: true, size: r.Size}
		}
	}
}

// dropUnreferenced removes the blocks of fetches that a crash has ended.
func (s *blockStore) dropUnreferenced() error {
	var garbage []storage.CID
	for c, info := range s.index {
		if info.refs == 0 {
			garbage = append(garbage, c)
		}
	}
	if len(garbage) == 0 {
		return nil
	}
	slices.SortFunc(garbage, storage.CompareCIDs)
	if err := s.write(func(b datastore.Batch) error { return deleteBlocks(b, garbage) }); err != nil {
		return err
	}
	s.forget(garbage)
	return nil
}

// put stores blocks and holds all of them, new or not: release them.
func (s *blockStore) put(list []block) error {
	sums := make([]uint32, len(list))
	for i, b := range list {
		sums[i] = summary(b.raw)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := context.Background()
	err := s.write(func(batch datastore.Batch) error {
		for _, b := range list {
			if s.isHere(b.cid) {
				continue
			}
			if err := batch.Put(ctx, blockKey(b.cid), b.raw); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storage: put blocks: %w", err)
	}
	for i, b := range list {
		info := s.index[b.cid]
		if info == nil {
			info = &blockInfo{}
			s.index[b.cid] = info
		}
		info.here, info.size = true, len(b.raw)
		delete(s.litter, b.cid)
		info.sum, info.summed = sums[i], true
	}
	s.refer(cidsOf(list), 1)
	return nil
}

func (s *blockStore) isHere(c storage.CID) bool {
	info := s.index[c]
	return info != nil && info.here
}

// hasBlock reports whether a block is here.
func (s *blockStore) hasBlock(c storage.CID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isHere(c)
}

// hold keeps a block that is here from being removed, until it is released. It
// returns the size of the block and whether it is here.
func (s *blockStore) hold(c storage.CID) (size int, here bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isHere(c) {
		return 0, false
	}
	info := s.index[c]
	info.refs++
	return info.size, true
}

// release undoes put or hold, and removes unneeded blocks. It reports whether all of them are off
// the disk; the others are litter, for sweep or the next open.
func (s *blockStore) release(cids []storage.CID) (clean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	garbage := s.refer(cids, -1)
	if len(garbage) == 0 {
		return len(s.litter) == 0
	}
	s.forget(garbage)
	for _, c := range garbage {
		s.litter[c] = true
	}
	return s.deleteLitter()
}

// sweep tries again to delete litter and reports whether none is left.
func (s *blockStore) sweep() (clean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deleteLitter()
}

func (s *blockStore) deleteLitter() (clean bool) {
	garbage := slices.SortedFunc(maps.Keys(s.litter), storage.CompareCIDs)
	if len(garbage) > 0 && s.write(func(b datastore.Batch) error { return deleteBlocks(b, garbage) }) == nil {
		clear(s.litter)
	}
	return len(s.litter) == 0
}

// refer counts references and returns the blocks without any.
func (s *blockStore) refer(cids []storage.CID, by int) (garbage []storage.CID) {
	for _, c := range cids {
		info := s.index[c]
		if info == nil {
			info = &blockInfo{}
			s.index[c] = info
		}
		if info.refs += by; info.refs == 0 {
			garbage = append(garbage, c)
		}
	}
	return garbage
}

func deleteBlocks(batch datastore.Batch, garbage []storage.CID) error {
	for _, c := range garbage {
		if err := batch.Delete(context.Background(), blockKey(c)); err != nil {
			return err
		}
	}
	return nil
}

// forget takes blocks out of the index, which are deleted.
func (s *blockStore) forget(garbage []storage.CID) {
	for _, c := range garbage {
		delete(s.index, c)
	}
}

func (s *blockStore) write(fill func(b datastore.Batch) error) error {
	batch, err := s.disk.Batch(context.Background())
	if err != nil {
		return err
	}
	if err := fill(batch); err != nil {
		return err
	}
	return batch.Commit(context.Background())
}

// readBlock reads one block and checks that it is what was put: by its CRC if that
// is known, otherwise by its CID.
func (s *blockStore) readBlock(c storage.CID) (raw []byte, err error) {
	s.mu.Lock()
	info := s.index[c]
	summed, sum := info != nil && info.summed, uint32(0)
	if summed {
		sum = info.sum
	}
	s.mu.Unlock()
	if !summed {
		return s.verifiedBlock(c)
	}
	return s.readChecked(c, func(found []byte) error {
		if !soundMemory.has(c, found) && summary(found) != sum {
			return fmt.Errorf("%w: block %s", storage.ErrCorrupt, c)
		}
		return nil
	})
}

// verifiedBlock reads one block and verifies it.
func (s *blockStore) verifiedBlock(c storage.CID) (raw []byte, err error) {
	raw, err = s.readChecked(c, func(found []byte) error { return verifyBlock(c, found) })
	if err != nil {
		return nil, err
	}
	sum := summary(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if info := s.index[c]; info != nil {
		info.sum, info.summed = sum, true
	}
	return raw, nil
}

func (s *blockStore) readChecked(c storage.CID, check func(raw []byte) error) (raw []byte, err error) {
	if !s.hasBlock(c) {
		return nil, storage.ErrNotFound
	}
	err = ondisk.ReadSound(s.disk, storage.Key(blockKey(c).String()), func(found []byte) error {
		raw = found
		return check(found)
	})
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// discard removes a block that roots need: they are not whole any more.
func (s *blockStore) discard(c storage.CID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isHere(c) {
		s.index[c].here = false
		_ = s.disk.Delete(context.Background(), blockKey(c)) // a put overwrites it
	}
}

func blockKey(c storage.CID) datastore.Key {
	return datastore.RawKey(string(blocksAt) + "/" + c.String())
}
