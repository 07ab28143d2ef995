package storagetest

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
)

// The keys of Blocks on a disk: lists of roots, and blocks, of which the leaves
// are raw.
func isList(key string) bool  { return strings.HasPrefix(key, "/blocks/r/") }
func isBlock(key string) bool { return strings.HasPrefix(key, "/blocks/b/") }
func isLeaf(key string) bool  { return strings.HasPrefix(key, "/blocks/b/bafk") }

// first changes, or removes, the first value on the disk of node i of which the
// key is as wanted.
func (s *suite) first(i int, wanted func(key string) bool, change func(raw []byte) []byte) {
	s.Do(i, func(ctx context.Context) {
		disk := s.Node(i).Disk
		keys, err := datastoreKeys(ctx, disk)
		assert.NoError(s, err)
		slices.Sort(keys)
		at := slices.IndexFunc(keys, wanted)
		if !assert.NotEqual(s, -1, at, "no such key") {
			return
		}
		key := datastore.RawKey(keys[at])
		raw, err := disk.Get(ctx, key)
		assert.NoError(s, err)
		if raw = change(bytes.Clone(raw)); raw == nil {
			assert.NoError(s, disk.Delete(ctx, key))
		} else {
			assert.NoError(s, disk.Put(ctx, key, raw))
		}
	})
}

// reopen restarts node i, which forgets nothing, and opens its blocks.
func (s *suite) reopen(i int) *blocks.Store {
	s.Restart(i, 1000)
	return s.openBlocks(i)
}

func rot(raw []byte) []byte {
	raw[len(raw)/2] ^= 1
	return raw
}

func remove([]byte) []byte { return nil }

// listsAreRestored opens with a list of blocks that is corrupt: nothing is lost.
func listsAreRestored(s *suite) {
	b := s.openBlocks(0)
	data := content(2<<20, 8)
	root := s.add(0, b, data)
	s.first(0, isList, rot)
	for range 2 {
		b = s.reopen(0)
		s.reads(0, b, root, data)
	}
	s.Do(0, func(context.Context) { assert.NoError(s, b.Remove(root)) })
	assert.Zero(s, s.diskSize(0))
}

// partsAreNotTheWhole opens with a list that is corrupt and a block that is lost, or corrupt: the
// other blocks stay, and are not taken for the whole.
func partsAreNotTheWhole(s *suite, which func(key string) bool) {
	data := content(2<<20, 9)
	b1 := s.openBlocks(1)
	root := s.add(1, b1, data)
	b := s.openBlocks(0)
	for _, damage := range []func([]byte) []byte{remove, rot} {
		s.add(0, b, data)
		before := s.diskSize(0)
		s.first(0, isList, rot)
		s.first(0, func(k string) bool { return isBlock(k) && which(k) }, damage)
		for range 2 {
			b = s.reopen(0)
			assert.GreaterOrEqual(s, s.diskSize(0), before-1, "sound blocks were removed")
			s.Do(0, func(ctx context.Context) {
				assert.ErrorIs(s, b.Verify(ctx, root), storage.ErrNotFound)
				_, err := b.Digest(ctx, root, nil)
				assert.ErrorIs(s, err, storage.ErrNotFound)
				has, err := b.Has(root)
				assert.NoError(s, err)
				assert.False(s, has)
			})
		}
		s.Do(0, func(ctx context.Context) {
			assert.NoError(s, b.Fetch(ctx, root, []transport.Peer{s.Node(1).Endpoint.Self()}, big))
		})
		s.reads(0, b, root, data)
		b = s.reopen(0)
		s.reads(0, b, root, data)
		s.Do(0, func(context.Context) { assert.NoError(s, b.Remove(root)) })
	}
}
