package blocks

import (
	"errors"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// loadOwners reads the owners of the roots, which are in the keys alone.
func (s *blockStore) loadOwners() error {
	return ondisk.Scan(s.disk, ownersAt, func(k storage.Key, _ []byte) error {
		parts := storage.Key(k[len(ownersAt):]).Parts()
		if len(parts) != 2 {
			return nil // not ours
		}
		if root, err := cid.Decode(parts[0]); err == nil {
			s.own(root, parts[1])
		}
		return nil
	})
}

// loadRoots reads the lists of the roots. It reports whether all of them are intact: otherwise a
// block that no list names may belong to a corrupt list.
func (s *blockStore) loadRoots() (whole bool, err error) {
	var corrupt []storage.CID
	err = ondisk.Scan(s.disk, rootsAt, func(k storage.Key, sealed []byte) error {
		root, err := cid.Decode(string(k[len(rootsAt)+1:]))
		if err != nil {
			return nil // not ours
		}
		members, err := decodeRoot(k, sealed)
		if err != nil {
			corrupt = append(corrupt, root)
			return nil
		}
		s.keepRoot(root, members)
		return nil
	})
	whole = true
	for _, root := range corrupt {
		if err != nil {
			break
		}
		var all bool
		all, err = s.restoreRoot(root)
		whole = whole && all
	}
	return whole, err
}

func (s *blockStore) keepRoot(root storage.CID, members []storage.CID) {
	s.roots[root] = members
	s.refer(members, 1)
}

// restoreRoot rebuilds a corrupt list from the blocks that are here. A missing block stays in the
// list: so Has returns false, Fetch repairs the DAG, and a part is never taken for the whole. It
// reports whether the list names every block of the DAG.
func (s *blockStore) restoreRoot(root storage.CID) (whole bool, err error) {
	var members []storage.CID
	k := rootKey(root)
	err = ondisk.ReadSound(s.disk, k, func(sealed []byte) (err error) {
		members, err = decodeRoot(k, sealed)
		return err
	})
	switch {
	case err == nil: // only the reading went wrong
		s.keepRoot(root, members)
		return true, nil
	case !errors.Is(err, storage.ErrCorrupt):
		return false, err
	}
	if members, whole, err = s.walkHere(root); err != nil {
		return false, err
	}
	s.keepRoot(root, members)
	if whole {
		_ = s.saveRoot(root, members) // otherwise the next open does all this again
	}
	return whole, nil
}

// walkHere lists the blocks of a DAG as far as they are here, and those that
// these link to. An inner block that is corrupt counts as lost from now on.
func (s *blockStore) walkHere(root storage.CID) (members []storage.CID, whole bool, err error) {
	whole = true
	members, err = walkDAG(root, func(c storage.CID) ([]storage.CID, error) {
		if c.Type() == cid.Raw {
			return nil, nil // reading it is for Verify
		}
		links, err := s.readLinks(c)
		if errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
			s.discard(c)
			whole = false
			return nil, nil
		}
		return links, err
	})
	return members, whole, err
}
