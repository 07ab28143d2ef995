// Package localkv is the local key-value store: a storage.Local over the node's
// disk, with a checksum for each value.
package localkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ipfs/go-datastore"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// Store is a storage.Local: what is below one namespace of a disk. Each value
// carries a checksum; those that are corrupt are looked for at the open.
type Store struct {
	local
}

type local struct {
	loop    clock.Loop
	disk    storage.Disk
	at      storage.Key
	dropped map[storage.Key]bool // corrupt since before the open, and not written since
}

// Open opens the store below namespace. loop is the caller's.
func Open(loop clock.Loop, disk storage.Disk, namespace storage.Key) (*Store, error) {
	storage.MustBeKey(namespace)
	s := &Store{local{loop: loop, disk: disk, at: namespace, dropped: map[storage.Key]bool{}}}
	if err := s.findTorn(); err != nil {
		return nil, fmt.Errorf("storage: open %s: %w", namespace, err)
	}
	return s, nil
}

// Dropped implements storage.Local.
func (s *Store) Dropped() []storage.Key {
	return slices.SortedFunc(maps.Keys(s.dropped), storage.Key.Compare)
}

// findTorn drops the values whose checksum stays wrong when read repeatedly.
func (s *Store) findTorn() error {
	var suspects []storage.Key
	err := s.scan("", func(k storage.Key, sealed []byte) error {
		if _, err := ondisk.Unseal(string(s.at+k), sealed); err != nil {
			suspects = append(suspects, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range suspects {
		if _, err := s.Get(k); errors.Is(err, storage.ErrCorrupt) {
			s.dropped[k] = true
		}
	}
	return nil
}

// Get implements Store.
func (s *Store) Get(k storage.Key) (value []byte, err error) {
	storage.MustBeKey(k)
	if s.dropped[k] {
		return nil, storage.ErrNotFound
	}
	at := s.at + k
	err = ondisk.ReadSound(s.disk, at, func(sealed []byte) error {
		found, err := ondisk.Unseal(string(at), sealed)
		value = bytes.Clone(found)
		return err
	})
	return value, err
}

// List implements Store. A corrupt value is an error of the whole.
func (s *Store) List(prefix storage.Key) ([]storage.Entry, error) {
	var list []storage.Entry
	add := func(k storage.Key, sealed []byte) error {
		if s.dropped[k] {
			return nil
		}
		value, err := ondisk.Unseal(string(s.at+k), sealed)
		value = bytes.Clone(value)
		if err != nil { // perhaps only the reading went wrong
			value, err = s.Get(k)
		}
		list = append(list, storage.Entry{Key: k, Value: value})
		return err
	}
	if prefix == "/" {
		prefix = ""
	}
	if prefix != "" { // a query finds what is strictly below
		switch value, err := s.Get(prefix); {
		case err == nil:
			list = append(list, storage.Entry{Key: prefix, Value: value})
		case !errors.Is(err, storage.ErrNotFound):
			return nil, err
		}
	}
	if err := s.scan(prefix, add); err != nil {
		return nil, fmt.Errorf("storage: list %s: %w", prefix, err)
	}
	// A disk orders by bytes, or not at all.
	if !slices.IsSortedFunc(list, storage.Entry.Compare) {
		slices.SortFunc(list, storage.Entry.Compare)
	}
	return list, nil
}

// Apply implements Store. It is always a batch of the disk, also for a single
// write, so that nothing of ours is ever torn.
func (s *Store) Apply(b *storage.Batch) error {
	ctx := context.Background()
	batch, err := s.disk.Batch(ctx)
	if err != nil {
		return fmt.Errorf("storage: apply: %w", err)
	}
	for _, w := range b.Writes() {
		storage.MustBeKey(w.Key)
		if w.Delete {
			err = batch.Delete(ctx, s.diskKey(w.Key))
		} else {
			err = batch.Put(ctx, s.diskKey(w.Key), ondisk.Seal(string(s.at+w.Key), w.Value))
		}
		if err != nil {
			return fmt.Errorf("storage: apply %s: %w", w.Key, err)
		}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("storage: apply: %w", err)
	}
	for _, w := range b.Writes() {
		delete(s.dropped, w.Key)
	}
	return nil
}

// Sync implements Store.
func (s *Store) Sync(ctx context.Context) error { return ondisk.Flush(ctx, s.loop, s.disk) }

func (s *Store) diskKey(k storage.Key) datastore.Key { return datastore.RawKey(string(s.at + k)) }

// scan calls f for everything strictly below prefix, in the disk's order.
func (s *Store) scan(prefix storage.Key, f func(k storage.Key, sealed []byte) error) error {
	return ondisk.Scan(s.disk, s.at+prefix, func(k storage.Key, value []byte) error {
		return f(k[len(s.at):], value)
	})
}
