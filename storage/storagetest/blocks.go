package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/assert"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
)

// RunBlocks checks storage.Blocks in the worlds of make.
func RunBlocks(t *testing.T, make Maker) {
	for _, c := range []testCase{
		{"add", 1, blocksAreAdded},
		{"fetch", 3, blocksAreFetched},
		{"fetch/missing", 2, fetchOfNothing},
		{"fetch/lies", 3, liarsAreLeftOut},
		{"fetch/repair", 2, fetchRepairs},
		{"remove", 1, sharedBlocksStay},
		{"owners", 1, ownersKeepWhatTheyWant},
		{"verify", 2, corruptBlocksAreRemoved},
		{"crash", 1, blocksCrash},
		{"stream", 2, contentStreams},
		{"stream/bounds", 1, streamBounds},
		{"rot/list", 2, listsAreRestored},
		{"rot/list and leaf", 2, func(s *suite) { partsAreNotTheWhole(s, isLeaf) }},
		{"rot/list and top", 2, func(s *suite) { partsAreNotTheWhole(s, func(k string) bool { return !isLeaf(k) }) }},
		{"exchange", 2, exchangeGets},
	} {
		t.Run(c.name, func(t *testing.T) { runCase(t, make, c) })
	}
}

const big = 100 << 20 // more than any DAG here

func (s *suite) openBlocks(i int) (b *blocks.Store) {
	s.Do(i, func(context.Context) {
		var err error
		b, err = blocks.Open(s.Node(i).Endpoint, s.Node(i).Disk)
		assert.NoError(s, err)
	})
	return b
}

// content is size bytes that do not repeat.
func content(size int, salt byte) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)*31 ^ salt
	}
	return data
}

func (s *suite) add(i int, b *blocks.Store, data []byte) (root storage.CID) {
	s.Do(i, func(ctx context.Context) {
		var err error
		root, err = b.Add(ctx, data)
		assert.NoError(s, err)
	})
	return root
}

func (s *suite) reads(i int, b *blocks.Store, root storage.CID, data []byte) {
	s.Do(i, func(ctx context.Context) {
		got, err := b.Read(ctx, root, len(data))
		assert.NoError(s, err)
		assert.True(s, bytes.Equal(data, got), "read other content")
		has, err := b.Has(root)
		assert.NoError(s, err)
		assert.True(s, has)
		assert.NoError(s, b.Verify(ctx, root))
	})
}

func (s *suite) diskSize(i int) (n int) {
	s.Do(i, func(ctx context.Context) {
		keys, err := datastoreKeys(ctx, s.Node(i).Disk)
		assert.NoError(s, err)
		n = len(keys)
	})
	return n
}

func blocksAreAdded(s *suite) {
	b := s.openBlocks(0)
	var roots []storage.CID
	for _, size := range []int{0, 1, 256 << 10, 256<<10 + 1, 3 << 20, 50 << 20} {
		data := content(size, 1)
		root := s.add(0, b, data)
		s.reads(0, b, root, data)
		s.Do(0, func(ctx context.Context) {
			stored, err := b.Size(root)
			assert.NoError(s, err)
			assert.GreaterOrEqual(s, stored, int64(min(size, 1<<20)))
			if size > 0 {
				_, err = b.Read(ctx, root, size-1)
				assert.ErrorIs(s, err, storage.ErrTooLarge)
			}
		})
		roots = append(roots, root)
	}
	s.Do(0, func(context.Context) {
		list := b.Roots()
		assert.ElementsMatch(s, roots, list)
	})
	assert.Equal(s, roots[4], s.add(0, b, content(3<<20, 1)), "again")
	// What every unixfs implementation names the empty file with raw leaves.
	assert.Equal(s, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", roots[0].String())
}

func blocksAreFetched(s *suite) {
	b0, b1, b2 := s.openBlocks(0), s.openBlocks(1), s.openBlocks(2)
	data := content(10<<20, 2)
	root := s.add(0, b0, data)
	s.add(1, b1, data)
	s.Do(2, func(ctx context.Context) {
		holders := []transport.Peer{s.Node(0).Endpoint.Self(), s.Node(1).Endpoint.Self(), s.Node(2).Endpoint.Self()}
		has, err := b2.Has(root)
		assert.NoError(s, err)
		assert.False(s, has)
		assert.ErrorIs(s, b2.Fetch(ctx, root, holders, 1<<20), storage.ErrTooLarge)
		list := b2.Roots()
		assert.Empty(s, list)
		assert.NoError(s, b2.Fetch(ctx, root, holders, big))
		assert.NoError(s, b2.Fetch(ctx, root, nil, big), "it is here")
	})
	s.reads(2, b2, root, data)
	// Where it was made and where it was fetched, though their lists of blocks differ.
	sum := s.digest(0, b0, root, "salt")
	assert.Len(s, sum, 32)
	assert.Equal(s, sum, s.digest(2, b2, root, "salt"))
	assert.NotEqual(s, sum, s.digest(0, b0, root, "other salt"))
	assert.NotEqual(s, sum, s.digest(0, b0, s.add(0, b0, data[1:]), "salt"))
}

func (s *suite) digest(i int, b *blocks.Store, root storage.CID, salt string) (sum []byte) {
	s.Do(i, func(ctx context.Context) {
		var err error
		sum, err = b.Digest(ctx, root, []byte(salt))
		assert.NoError(s, err)
	})
	return sum
}

func fetchOfNothing(s *suite) {
	b0, b1 := s.openBlocks(0), s.openBlocks(1)
	root := s.add(0, b0, content(1<<20, 3))
	s.Do(0, func(context.Context) { assert.NoError(s, b0.Remove(root)) })
	s.Do(1, func(ctx context.Context) {
		nobody := transport.NewIdentity([]byte("nobody")).Peer()
		err := b1.Fetch(ctx, root, []transport.Peer{nobody}, big)
		assert.Equal(s, transport.Unreachable, transport.KindOf(err), "%v", err)
		err = b1.Fetch(ctx, root, []transport.Peer{nobody, s.Node(0).Endpoint.Self()}, big)
		assert.ErrorIs(s, err, storage.ErrNotFound)
		_, err = b1.Read(ctx, root, big)
		assert.ErrorIs(s, err, storage.ErrNotFound)
		_, err = b1.Size(root)
		assert.ErrorIs(s, err, storage.ErrNotFound)
		assert.ErrorIs(s, b1.Verify(ctx, root), storage.ErrNotFound)
		_, err = b1.Digest(ctx, root, nil)
		assert.ErrorIs(s, err, storage.ErrNotFound)
		assert.NoError(s, b1.Remove(root))
	})
	assert.Zero(s, s.diskSize(1))
}

func liarsAreLeftOut(s *suite) {
	b0, b1 := s.openBlocks(0), s.openBlocks(1)
	data := content(5<<20, 4)
	root := s.add(0, b0, data)
	type item struct {
		Found bool   `cbor:"1,keyasint"`
		Raw   []byte `cbor:"2,keyasint"`
	}
	type items struct {
		Items []item `cbor:"1,keyasint"`
	}
	asked := 0
	s.Node(2).Endpoint.Handle("blocks/get", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) {
		asked++
		return transport.Encode(items{Items: []item{{Found: true, Raw: []byte("lie")}}}), nil
	})
	s.Do(1, func(ctx context.Context) {
		liar, honest := s.Node(2).Endpoint.Self(), s.Node(0).Endpoint.Self()
		assert.ErrorIs(s, b1.Fetch(ctx, root, []transport.Peer{liar}, big), storage.ErrCorrupt)
		assert.NoError(s, b1.Fetch(ctx, root, []transport.Peer{liar, honest}, big))
	})
	s.reads(1, b1, root, data)
	assert.Equal(s, 2, asked, "once in each fetch")
}

func sharedBlocksStay(s *suite) {
	b := s.openBlocks(0)
	data := content(4<<20, 5)
	whole := s.add(0, b, data)
	half := s.add(0, b, data[:2<<20])
	s.Do(0, func(context.Context) { assert.NoError(s, b.Remove(whole)) })
	s.reads(0, b, half, data[:2<<20])
	s.Restart(0, 1000)
	b = s.openBlocks(0)
	s.reads(0, b, half, data[:2<<20])
	s.Do(0, func(context.Context) {
		has, err := b.Has(whole)
		assert.NoError(s, err)
		assert.False(s, has)
		assert.NoError(s, b.Remove(half))
	})
	assert.Zero(s, s.diskSize(0))
}

// corruptOne damages one block on the disk of node i.
func (s *suite) corruptOne(i int) {
	s.Do(i, func(ctx context.Context) {
		disk := s.Node(i).Disk
		keys, err := datastoreKeys(ctx, disk)
		assert.NoError(s, err)
		key := datastore.RawKey(keys[1])
		raw, err := disk.Get(ctx, key)
		assert.NoError(s, err)
		raw = bytes.Clone(raw)
		raw[len(raw)/2] ^= 1
		assert.NoError(s, disk.Put(ctx, key, raw))
	})
}

func corruptBlocksAreRemoved(s *suite) {
	b0, b1 := s.openBlocks(0), s.openBlocks(1)
	data := content(1<<20, 6)
	root := s.add(0, b0, data)
	s.add(1, b1, data)
	s.corruptOne(0)
	s.Do(0, func(ctx context.Context) {
		_, err := b0.Read(ctx, root, big)
		assert.ErrorIs(s, err, storage.ErrCorrupt)
		assert.ErrorIs(s, b0.Verify(ctx, root), storage.ErrNotFound)
		has, err := b0.Has(root)
		assert.NoError(s, err)
		assert.False(s, has)
		assert.NoError(s, b0.Fetch(ctx, root, []transport.Peer{s.Node(1).Endpoint.Self()}, big))
	})
	s.reads(0, b0, root, data)
	s.Do(0, func(context.Context) { assert.NoError(s, b0.Remove(root)) })
	assert.Zero(s, s.diskSize(0))
}

// fetchRepairs fetches after the holder died half way and came back.
func fetchRepairs(s *suite) {
	b0, b1 := s.openBlocks(0), s.openBlocks(1)
	data := content(20<<20, 7)
	root := s.add(0, b0, data)
	s.Do(0, func(ctx context.Context) { assert.NoError(s, b0.Sync(ctx)) })
	s.Do(1, func(ctx context.Context) {
		short, cancel := clock.WithTimeout(ctx, s.Node(1).Loop, 0)
		defer cancel()
		assert.Error(s, b1.Fetch(short, root, []transport.Peer{s.Node(0).Endpoint.Self()}, big))
	})
	s.Restart(0, 0)
	s.openBlocks(0)
	s.Do(1, func(ctx context.Context) {
		var err error
		for range 100 {
			err = b1.Fetch(ctx, root, []transport.Peer{s.Node(0).Endpoint.Self()}, big)
			if err == nil || clock.Sleep(ctx, s.Node(1).Loop, interval) != nil {
				break
			}
		}
		assert.NoError(s, err)
	})
	s.reads(1, b1, root, data)
}

// blocksCrash crashes after each number of unsynced writes: a root is listed
// only if it is whole, and all that was synced is.
func blocksCrash(s *suite) {
	const adds, synced = 4, 2
	for keep := range 2*adds + 1 {
		s.Restart(0, -1)
		b := s.openBlocks(0)
		var roots []storage.CID
		for i := range adds {
			roots = append(roots, s.add(0, b, content(600<<10, byte(i))))
			if i == synced-1 {
				s.Do(0, func(ctx context.Context) { assert.NoError(s, b.Sync(ctx)) })
			}
		}
		s.Restart(0, keep)
		b = s.openBlocks(0)
		s.Do(0, func(ctx context.Context) {
			list := b.Roots()
			for _, root := range list {
				assert.NoError(s, b.Verify(ctx, root), "keep %d", keep)
			}
			assert.Subset(s, list, roots[:synced], "keep %d", keep)
			assert.NoError(s, removeAll(b, list))
		})
		assert.Zero(s, s.diskSize(0), fmt.Sprint("keep ", keep))
	}
}

// ownersKeepWhatTheyWant: what two services have stays until both have removed
// it, also when the node starts again in between.
func ownersKeepWhatTheyWant(s *suite) {
	data := content(600<<10, 5)
	open := func() (a, b *blocks.Store) {
		all, endpoint := s.openBlocks(0), s.Node(0).Endpoint
		return all.On("a", endpoint.Loop(), endpoint), all.On("b", endpoint.Loop(), endpoint)
	}
	roots := func(b *blocks.Store) (list []storage.CID) {
		s.Do(0, func(context.Context) { list = b.Roots() })
		return list
	}
	a, b := open()
	root := s.add(0, a, data)
	assert.Empty(s, roots(b))
	owns := func(b *blocks.Store) (owns bool) {
		s.Do(0, func(context.Context) {
			has, err := b.Has(root)
			assert.NoError(s, err)
			assert.True(s, has, "it is on the node")
			owns, err = b.Owns(root)
			assert.NoError(s, err)
		})
		return owns
	}
	assert.True(s, owns(a))
	assert.False(s, owns(b), "it goes when a removes it")
	s.Do(0, func(context.Context) { assert.NoError(s, b.Remove(root), "it is not b's") })
	assert.Equal(s, root, s.add(0, b, data))
	s.Do(0, func(ctx context.Context) { assert.NoError(s, a.Sync(ctx)) })
	s.Restart(0, 0)
	a, b = open()
	assert.Equal(s, []storage.CID{root}, roots(a))
	s.Do(0, func(ctx context.Context) {
		assert.NoError(s, a.Remove(root))
		assert.NoError(s, a.Remove(root), "twice is once")
		assert.NoError(s, a.Sync(ctx))
	})
	assert.Empty(s, roots(a))
	assert.False(s, owns(a))
	assert.True(s, owns(b))
	s.reads(0, b, root, data)
	s.Restart(0, 0)
	a, b = open()
	assert.Equal(s, []storage.CID{root}, roots(b))
	assert.Empty(s, roots(a))
	s.Do(0, func(context.Context) { assert.NoError(s, b.Remove(root)) })
	assert.Zero(s, s.diskSize(0))
}

func removeAll(b *blocks.Store, list []storage.CID) error {
	for _, root := range list {
		if err := b.Remove(root); err != nil {
			return err
		}
	}
	return nil
}

func exchangeGets(s *suite) {
	b0, b1 := s.openBlocks(0), s.openBlocks(1)
	root := s.add(0, b0, []byte("small"))
	other := s.add(1, b1, []byte("other"))
	s.Do(1, func(ctx context.Context) {
		ex := b1.Exchange([]transport.Peer{s.Node(0).Endpoint.Self()})
		block, err := ex.GetBlock(ctx, root)
		if assert.NoError(s, err) {
			assert.Equal(s, "small", string(block.RawData()))
		}
		_, err = ex.GetBlock(ctx, other)
		assert.ErrorIs(s, err, storage.ErrNotFound)
		found, err := ex.GetBlocks(ctx, []storage.CID{other, root})
		assert.NoError(s, err)
		assert.Equal(s, root, (<-found).Cid())
		_, more := <-found
		assert.False(s, more)
	})
}
