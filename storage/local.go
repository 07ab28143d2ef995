package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/clock"
)

// Local is a Store on this node's disk only, below one namespace. Each value
// carries a checksum: one that the disk tore or corrupted is reported as such
// once read (ErrCorrupt), and is absent after OpenLocal; Dropped lists those.
type Local struct {
	local
}

type local struct {
	loop    clock.Loop
	disk    Disk
	at      Key
	dropped map[Key]bool // corrupt since before the open, and not written since
}

// OpenLocal opens the store below namespace. loop is the caller's.
func OpenLocal(loop clock.Loop, disk Disk, namespace Key) (*Local, error) {
	mustBeKey(namespace)
	s := &Local{local{loop: loop, disk: disk, at: namespace, dropped: map[Key]bool{}}}
	if err := s.findTorn(); err != nil {
		return nil, fmt.Errorf("storage: open %s: %w", namespace, err)
	}
	return s, nil
}

// Dropped lists the keys, in order, of which the value was corrupt when the
// store was opened, as long as nothing else is written there: after a crash,
// too, the owner learns of what it has lost.
func (s *Local) Dropped() []Key { return slices.SortedFunc(maps.Keys(s.dropped), Key.Compare) }

// findTorn drops the values whose checksum is wrong, however often it is read.
func (s *Local) findTorn() error {
	var suspects []Key
	err := s.scan("", func(k Key, sealed []byte) error {
		if _, err := unseal(string(s.at+k), sealed); err != nil {
			suspects = append(suspects, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range suspects {
		if _, err := s.Get(k); errors.Is(err, ErrCorrupt) {
			s.dropped[k] = true
		}
	}
	return nil
}

// Get implements Store.
func (s *Local) Get(k Key) (value []byte, err error) {
	mustBeKey(k)
	if s.dropped[k] {
		return nil, ErrNotFound
	}
	at := s.at + k
	err = readSound(s.disk, at, func(sealed []byte) error {
		found, err := unseal(string(at), sealed)
		value = bytes.Clone(found)
		return err
	})
	return value, err
}

// List implements Store. A corrupt value is an error of the whole.
func (s *Local) List(prefix Key) ([]Entry, error) {
	var list []Entry
	add := func(k Key, sealed []byte) error {
		if s.dropped[k] {
			return nil
		}
		value, err := unseal(string(s.at+k), sealed)
		value = bytes.Clone(value)
		if err != nil { // perhaps only the reading went wrong
			value, err = s.Get(k)
		}
		list = append(list, Entry{Key: k, Value: value})
		return err
	}
	if prefix == "/" {
		prefix = ""
	}
	if prefix != "" { // a query finds what is strictly below
		switch value, err := s.Get(prefix); {
		case err == nil:
			list = append(list, Entry{Key: prefix, Value: value})
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	if err := s.scan(prefix, add); err != nil {
		return nil, fmt.Errorf("storage: list %s: %w", prefix, err)
	}
	// A disk orders by bytes, or not at all.
	if !slices.IsSortedFunc(list, compareEntries) {
		slices.SortFunc(list, compareEntries)
	}
	return list, nil
}

func compareEntries(a, b Entry) int { return a.Key.Compare(b.Key) }

// Apply implements Store. It is always a batch of the disk, also for a single
// write, so that nothing of ours is ever torn.
func (s *Local) Apply(b *Batch) error {
	ctx := context.Background()
	batch, err := s.disk.Batch(ctx)
	if err != nil {
		return fmt.Errorf("storage: apply: %w", err)
	}
	for _, w := range b.writes {
		mustBeKey(w.key)
		if w.delete {
			err = batch.Delete(ctx, s.diskKey(w.key))
		} else {
			err = batch.Put(ctx, s.diskKey(w.key), seal(string(s.at+w.key), w.value))
		}
		if err != nil {
			return fmt.Errorf("storage: apply %s: %w", w.key, err)
		}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("storage: apply: %w", err)
	}
	for _, w := range b.writes {
		delete(s.dropped, w.key)
	}
	return nil
}

// Sync implements Store.
func (s *Local) Sync(ctx context.Context) error { return flush(ctx, s.loop, s.disk) }

func (s *Local) diskKey(k Key) datastore.Key { return datastore.RawKey(string(s.at + k)) }

// scan calls f for everything strictly below prefix, in the disk's order.
func (s *Local) scan(prefix Key, f func(k Key, sealed []byte) error) error {
	return scanDisk(s.disk, s.at+prefix, func(k Key, value []byte) error {
		return f(k[len(s.at):], value)
	})
}

// scanDisk calls f for everything strictly below prefix, in the disk's order.
func scanDisk(disk Disk, prefix Key, f func(k Key, value []byte) error) error {
	results, err := disk.Query(context.Background(), query.Query{Prefix: string(prefix)})
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
		if err := f(Key(r.Key), r.Value); err != nil {
			return err
		}
	}
}
