package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/transport"
)

// On the disk: blocks under their CID, and for each root a sealed list of the
// blocks of its DAG, so that opening reads no block.
var (
	blocksAt = K("blocks", "b")
	rootsAt  = K("blocks", "r")
)

// blockStore is the blocks of a node. It is used by all loops of the node: the
// lock is never held while something waits.
//
// A block is kept as long as a root needs it or somebody who is putting blocks
// holds it. About 200 bytes of memory a block.
type blockStore struct {
	disk Disk

	mu    sync.Mutex
	index map[CID]*blockInfo // of the blocks that are here or needed
	roots map[CID][]CID      // the blocks of each DAG
}

type blockInfo struct {
	here bool
	size int
	refs int // roots and holders
}

func openBlockStore(disk Disk) (*blockStore, error) {
	s := &blockStore{disk: disk, index: map[CID]*blockInfo{}, roots: map[CID][]CID{}}
	if err := s.loadIndex(); err != nil {
		return nil, err
	}
	if err := s.loadRoots(); err != nil {
		return nil, err
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

// loadRoots reads the lists of the roots; one that is corrupt is made anew from
// the blocks.
func (s *blockStore) loadRoots() error {
	return scanDisk(s.disk, rootsAt, func(k Key, sealed []byte) error {
		root, err := cid.Decode(string(k[len(rootsAt)+1:]))
		if err != nil {
			return nil // not ours
		}
		members, err := decodeRoot(k, sealed)
		if err != nil {
			if members, err = walkDAG(root, s.readBlock); err != nil {
				members = []CID{root} // Has says no, and the next Fetch repairs it
			}
		}
		s.roots[root] = members
		s.refer(members, 1)
		return nil
	})
}

func encodeRoot(k Key, members []CID) []byte {
	return seal(string(k), transport.Encode(encodeCIDs(members)))
}

func decodeRoot(k Key, sealed []byte) ([]CID, error) {
	raw, err := unseal(string(k), sealed)
	if err != nil {
		return nil, err
	}
	var raws [][]byte
	if err := transport.Decode(raw, &raws); err != nil {
		return nil, err
	}
	members := make([]CID, len(raws))
	for i, raw := range raws {
		if members[i], err = cid.Cast(raw); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// dropUnreferenced removes what a crash left of fetches that never ended.
func (s *blockStore) dropUnreferenced() error {
	var garbage []CID
	for c, info := range s.index {
		if info.refs == 0 {
			garbage = append(garbage, c)
		}
	}
	if len(garbage) == 0 {
		return nil
	}
	slices.SortFunc(garbage, compareCIDs)
	return s.write(func(b datastore.Batch) error { return s.deleteBlocks(b, garbage) })
}

// put stores blocks and holds all of them, new or not: release them.
func (s *blockStore) put(list []block) error {
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
	for _, b := range list {
		info := s.index[b.cid]
		if info == nil {
			info = &blockInfo{}
			s.index[b.cid] = info
		}
		info.here, info.size = true, len(b.raw)
	}
	s.refer(cidsOf(list), 1)
	return nil
}

func (s *blockStore) isHere(c CID) bool {
	info := s.index[c]
	return info != nil && info.here
}

// hold keeps a block that is here from being removed, until it is released. It
// returns the size of the block and whether it is here.
func (s *blockStore) hold(c CID) (size int, here bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isHere(c) {
		return 0, false
	}
	info := s.index[c]
	info.refs++
	return info.size, true
}

// release undoes put or hold, and removes what nobody needs.
func (s *blockStore) release(cids []CID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	garbage := s.refer(cids, -1)
	if len(garbage) == 0 {
		return
	}
	// What stays on the disk now is removed by the next open.
	_ = s.write(func(b datastore.Batch) error { return s.deleteBlocks(b, garbage) })
}

// addRoot makes members, which are held, the blocks of root.
func (s *blockStore) addRoot(root CID, members []CID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.roots[root]
	if slices.Equal(old, members) {
		return nil
	}
	k := rootKey(root)
	err := s.write(func(b datastore.Batch) error {
		return b.Put(context.Background(), datastore.RawKey(string(k)), encodeRoot(k, members))
	})
	if err != nil {
		return fmt.Errorf("storage: add root: %w", err)
	}
	s.roots[root] = slices.Clone(members)
	s.refer(members, 1)
	s.refer(old, -1)
	return nil
}

func (s *blockStore) removeRoot(root CID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	members, found := s.roots[root]
	if !found {
		return nil
	}
	garbage := s.refer(members, -1)
	err := s.write(func(b datastore.Batch) error {
		if err := b.Delete(context.Background(), datastore.RawKey(string(rootKey(root)))); err != nil {
			return err
		}
		return s.deleteBlocks(b, garbage)
	})
	if err != nil {
		s.refer(members, 1)
		return fmt.Errorf("storage: remove root: %w", err)
	}
	delete(s.roots, root)
	return nil
}

// refer counts references and returns the blocks that are left without.
func (s *blockStore) refer(cids []CID, by int) (garbage []CID) {
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

// deleteBlocks adds the deletions to batch. That the index forgets at once is
// right even if the batch fails: the blocks are garbage.
func (s *blockStore) deleteBlocks(batch datastore.Batch, garbage []CID) error {
	for _, c := range garbage {
		if err := batch.Delete(context.Background(), blockKey(c)); err != nil {
			return err
		}
	}
	for _, c := range garbage {
		delete(s.index, c)
	}
	return nil
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

// has reports whether a DAG is wholly here, as a root or as a part of one.
func (s *blockStore) has(root CID) (bool, error) {
	_, err := s.size(root)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// size is the size of a DAG that is wholly here.
func (s *blockStore) size(root CID) (int64, error) {
	members, err := s.members(root)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var size int64
	for _, c := range members {
		if !s.isHere(c) {
			return 0, ErrNotFound
		}
		size += int64(s.index[c].size)
	}
	return size, nil
}

// members are the blocks of a DAG; if it is no root, it is walked.
func (s *blockStore) members(root CID) ([]CID, error) {
	s.mu.Lock()
	members, found := s.roots[root]
	here := s.isHere(root)
	s.mu.Unlock()
	switch {
	case found:
		return members, nil
	case !here:
		return nil, ErrNotFound
	}
	return walkDAG(root, s.readBlock)
}

// read returns the content of a DAG.
func (s *blockStore) read(root CID, lenMax int) ([]byte, error) {
	content := []byte{}
	err := readDAG(root, s.readBlock, func(part []byte) error {
		if len(content)+len(part) > lenMax {
			return fmt.Errorf("%w: %s has over %d bytes", ErrTooLarge, root, lenMax)
		}
		content = append(content, part...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

// readBlock reads one block and verifies it.
func (s *blockStore) readBlock(c CID) (raw []byte, err error) {
	s.mu.Lock()
	here := s.isHere(c)
	s.mu.Unlock()
	if !here {
		return nil, ErrNotFound
	}
	err = readSound(s.disk, Key(blockKey(c).String()), func(found []byte) error {
		raw = found
		return verifyBlock(c, found)
	})
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// verify reads a DAG and removes the blocks that are corrupt.
func (s *blockStore) verify(root CID) error {
	members, err := s.members(root)
	if err != nil {
		return err
	}
	var lost error
	for _, c := range members {
		_, err := s.readBlock(c)
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNotFound):
			s.discard(c)
			lost = fmt.Errorf("%w: block %s of %s was corrupt", ErrNotFound, c, root)
		case err != nil:
			return err
		}
	}
	return lost
}

// discard removes a block that roots need: they are not whole any more.
func (s *blockStore) discard(c CID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isHere(c) {
		s.index[c].here = false
		_ = s.disk.Delete(context.Background(), blockKey(c)) // a put overwrites it
	}
}

func (s *blockStore) rootList() []CID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.roots))
}

func blockKey(c CID) datastore.Key { return datastore.RawKey(string(blocksAt) + "/" + c.String()) }

func rootKey(c CID) Key { return rootsAt + Key("/"+c.String()) }
