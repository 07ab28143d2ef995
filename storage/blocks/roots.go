package blocks

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/transport"
)

// addRoot makes members, which are held, the blocks of root, and owner one of
// its owners.
func (s *blockStore) addRoot(root storage.CID, members []storage.CID, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.roots[root]
	same, owned := slices.Equal(old, members), slices.Contains(s.owners[root], owner)
	if same && owned {
		return nil
	}
	err := s.write(func(b datastore.Batch) error {
		if err := putOwner(b, root, owner); err != nil || same {
			return err
		}
		return putRoot(b, root, members)
	})
	if err != nil {
		return fmt.Errorf("storage: add root: %w", err)
	}
	if !owned {
		s.own(root, owner)
	}
	if !same {
		s.keepRoot(root, slices.Clone(members))
		s.refer(old, -1)
	}
	return nil
}

func (s *blockStore) own(root storage.CID, owner string) {
	s.owners[root] = append(s.owners[root], owner)
	slices.Sort(s.owners[root])
}

func (s *blockStore) saveRoot(root storage.CID, members []storage.CID) error {
	return s.write(func(b datastore.Batch) error { return putRoot(b, root, members) })
}

func putRoot(b datastore.Batch, root storage.CID, members []storage.CID) error {
	k := rootKey(root)
	return b.Put(context.Background(), datastore.RawKey(string(k)), encodeRoot(k, members))
}

func putOwner(b datastore.Batch, root storage.CID, owner string) error {
	k := ownerKey(root, owner)
	return b.Put(context.Background(), datastore.RawKey(string(k)), ondisk.Seal(string(k), nil))
}

// removeRoot ends an ownership, and with the last one the root.
func (s *blockStore) removeRoot(root storage.CID, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	owners := s.owners[root]
	i := slices.Index(owners, owner)
	if _, found := s.roots[root]; i < 0 && (len(owners) > 0 || !found) {
		return nil
	}
	if len(owners) > 1 {
		err := s.write(func(b datastore.Batch) error {
			return b.Delete(context.Background(), datastore.RawKey(string(ownerKey(root, owner))))
		})
		if err != nil {
			return fmt.Errorf("storage: remove root: %w", err)
		}
		s.owners[root] = slices.Delete(slices.Clone(owners), i, i+1)
		return nil
	}
	members := s.roots[root]
	garbage := s.refer(members, -1)
	err := s.write(func(b datastore.Batch) error {
		if err := b.Delete(context.Background(), datastore.RawKey(string(ownerKey(root, owner)))); err != nil {
			return err
		}
		if err := b.Delete(context.Background(), datastore.RawKey(string(rootKey(root)))); err != nil {
			return err
		}
		return deleteBlocks(b, garbage)
	})
	if err != nil {
		s.refer(members, 1)
		return fmt.Errorf("storage: remove root: %w", err)
	}
	s.forget(garbage)
	delete(s.roots, root)
	delete(s.owners, root)
	return nil
}

// rootList lists the roots of an owner, and those without owner.
func (s *blockStore) rootList(owner string) (list []storage.CID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for root := range s.roots {
		if s.ownedBy(root, owner) {
			list = append(list, root)
		}
	}
	return list
}

// owned reports whether a root is kept by an owner.
func (s *blockStore) owned(root storage.CID, owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, kept := s.roots[root]
	return kept && s.ownedBy(root, owner)
}

// ownedBy is owned of a root, with s.mu held. One without owners is everybody's.
func (s *blockStore) ownedBy(root storage.CID, owner string) bool {
	owners := s.owners[root]
	return len(owners) == 0 || slices.Contains(owners, owner)
}

// has reports whether a DAG is wholly here, as a root or as a part of one.
func (s *blockStore) has(root storage.CID) (bool, error) {
	_, err := s.size(root)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// size is the size of a DAG that is wholly here.
func (s *blockStore) size(root storage.CID) (int64, error) {
	members, err := s.members(root)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var size int64
	for _, c := range members {
		if !s.isHere(c) {
			return 0, storage.ErrNotFound
		}
		size += int64(s.index[c].size)
	}
	return size, nil
}

// members are the blocks of a DAG; if it is no root, it is walked.
func (s *blockStore) members(root storage.CID) ([]storage.CID, error) {
	s.mu.Lock()
	members, found := s.roots[root]
	here := s.isHere(root)
	s.mu.Unlock()
	switch {
	case found:
		return members, nil
	case !here:
		return nil, storage.ErrNotFound
	}
	return walkDAG(root, s.readLinks)
}

// readLinks reads a block and returns its links.
func (s *blockStore) readLinks(c storage.CID) ([]storage.CID, error) {
	raw, err := s.readBlock(c)
	if err != nil {
		return nil, err
	}
	links, _, err := linksOf(block{cid: c, raw: raw})
	return links, err
}

// read returns the content of a DAG.
func (s *blockStore) read(root storage.CID, lenMax int) ([]byte, error) {
	content := []byte{}
	err := readDAG(root, s.readBlock, func(part []byte) error {
		if len(content)+len(part) > lenMax {
			return fmt.Errorf("%w: %s has over %d bytes", storage.ErrTooLarge, root, lenMax)
		}
		content = append(content, part...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

// verify reads a DAG and removes the blocks that are corrupt.
func (s *blockStore) verify(root storage.CID) error {
	members, err := s.members(root)
	if err != nil {
		return err
	}
	return s.verifyEach(root, members, func(storage.CID, []byte) {})
}

// digest is the SHA-256 of salt and of all blocks, in the order of their CIDs: the order of the list
// is another one where the DAG was made than where it was fetched.
func (s *blockStore) digest(root storage.CID, salt []byte) ([]byte, error) {
	members, err := s.members(root)
	if err != nil {
		return nil, err
	}
	members = slices.SortedFunc(slices.Values(members), storage.CompareCIDs)
	h := sha256.New()
	h.Write(salt)
	err = s.verifyEach(root, members, func(c storage.CID, raw []byte) {
		h.Write(c.Bytes())
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(raw))))
		h.Write(raw)
	})
	if err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// verifyEach reads and verifies blocks of a DAG and calls f with each that is sound. Others are
// discarded.
func (s *blockStore) verifyEach(root storage.CID, members []storage.CID, f func(c storage.CID, raw []byte)) error {
	var lost error
	for _, c := range members {
		raw, err := s.verifiedBlock(c)
		switch {
		case err == nil:
			f(c, raw)
		case errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrNotFound):
			s.discard(c)
			lost = fmt.Errorf("%w: block %s of %s was corrupt", storage.ErrNotFound, c, root)
		case err != nil:
			return err
		}
	}
	return lost
}

func encodeRoot(k storage.Key, members []storage.CID) []byte {
	return ondisk.Seal(string(k), transport.Encode(encodeCIDs(members)))
}

func decodeRoot(k storage.Key, sealed []byte) ([]storage.CID, error) {
	raw, err := ondisk.Unseal(string(k), sealed)
	if err != nil {
		return nil, err
	}
	var raws [][]byte
	if err := transport.Decode(raw, &raws); err != nil {
		return nil, fmt.Errorf("%w: root: %w", storage.ErrCorrupt, err)
	}
	members := make([]storage.CID, len(raws))
	for i, raw := range raws {
		if members[i], err = cid.Cast(raw); err != nil {
			return nil, fmt.Errorf("%w: root: %w", storage.ErrCorrupt, err)
		}
	}
	return members, nil
}

func rootKey(c storage.CID) storage.Key { return rootsAt + storage.Key("/"+c.String()) }

func ownerKey(c storage.CID, owner string) storage.Key {
	return ownersAt + storage.K(c.String(), owner)
}
