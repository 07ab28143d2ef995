package blocks

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// What is not here can be removed from a disk that takes nothing: there is nothing to
// write.
func TestRemovingWhatIsNotHereWritesNothing(t *testing.T) {
	disk := memdisk.New()
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("a", "b")
	require.NoError(t, s.put(d))
	require.NoError(t, s.addRoot(d.root(), cidsOf(d), "owner"))
	disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
		if op == memdisk.OpWrite {
			return errors.New("the disk refuses")
		}
		return nil
	}})
	require.NoError(t, s.removeRoot(leafOf("never").cid, "owner"))
	require.NoError(t, s.removeRoot(d.root(), "another"))
	require.Error(t, s.removeRoot(d.root(), "owner"))
	has, err := s.has(d.root())
	require.NoError(t, err)
	require.True(t, has, "it could not be removed")
}

// A list of a root that has rotted is made anew from the blocks, and then it is on the
// disk again: whoever opens it later reads it.
func TestAListThatRottedIsWrittenAgain(t *testing.T) {
	disk := memdisk.New()
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("a", "b")
	require.NoError(t, s.put(d))
	require.NoError(t, s.addRoot(d.root(), cidsOf(d), "owner"))
	key := string(rootKey(d.root()))
	sound, err := disk.Get(context.Background(), datastore.RawKey(key))
	require.NoError(t, err)
	spoilt := bytes.Clone(sound)
	spoilt[len(spoilt)/2] ^= 1
	require.NoError(t, disk.Put(context.Background(), datastore.RawKey(key), spoilt))
	again, err := openBlockStore(disk)
	require.NoError(t, err)
	has, err := again.has(d.root())
	require.NoError(t, err)
	require.True(t, has)
	stored, err := disk.Get(context.Background(), datastore.RawKey(key))
	require.NoError(t, err)
	members, err := decodeRoot(storage.Key(key), stored)
	require.NoError(t, err, "it is sound")
	require.ElementsMatch(t, cidsOf(d), members)
}

// A block that says little in many fields is refused before it is decoded: each field
// takes a hundred times as much memory.
func TestBlocksOfManyFields(t *testing.T) {
	node := func(fields int) block {
		raw := []byte(strings.Repeat(string(protowire.AppendTag(nil, 2, protowire.BytesType))+"\x00", fields))
		c, err := merkledag.V1CidPrefix().Sum(raw)
		require.NoError(t, err)
		return block{c, raw}
	}
	_, _, err := decodeNode(node(1000))
	require.ErrorIs(t, err, storage.ErrTooLarge)
	_, _, err = decodeNode(node(3))
	require.NotErrorIs(t, err, storage.ErrTooLarge)
}

// To make the list anew, leaves are not read: what has rotted in them, Verify finds.
func TestAListIsMadeWithoutTheLeaves(t *testing.T) {
	disk := memdisk.New()
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("a", "b")
	require.NoError(t, d.add(s, "owner"))
	spoil(t, disk, string(rootKey(d.root())))
	spoil(t, disk, blockKey(d[0].cid).String())
	again, err := openBlockStore(disk)
	require.NoError(t, err)
	has, err := again.has(d.root())
	require.NoError(t, err)
	require.True(t, has)
	require.ErrorIs(t, again.verify(d.root()), storage.ErrNotFound)
	has, err = again.has(d.root())
	require.NoError(t, err)
	require.False(t, has)
}

// TestWhatIsOnADiskIsBounded: content is read up to so many bytes, and what is not sound is not there.
func TestWhatIsOnADiskIsBounded(t *testing.T) {
	disk := memdisk.New()
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("abc", "de")
	require.NoError(t, d.add(s, "owner"))
	_, err = OnDisk(disk, d.root(), 5)
	require.ErrorIs(t, err, storage.ErrNotFound, "nothing was flushed")
	require.Empty(t, AllOnDisk(disk))
	disk.Flush(func(err error) { require.NoError(t, err) })
	content, err := OnDisk(disk, d.root(), 5)
	require.NoError(t, err)
	require.Equal(t, "abcde", string(content))
	_, err = OnDisk(disk, d.root(), 4)
	require.ErrorIs(t, err, storage.ErrTooLarge)
	list, size, err := DAGOnDisk(disk, d.root())
	require.NoError(t, err)
	require.ElementsMatch(t, cidsOf(d), list)
	require.Equal(t, d.size(), size)
	all := AllOnDisk(disk)
	require.Len(t, all, len(d))
	for _, b := range d {
		require.Equal(t, int64(len(b.raw)), all[b.cid])
	}
	spoil(t, disk, blockKey(d[1].cid).String())
	disk.Flush(func(err error) { require.NoError(t, err) })
	_, err = OnDisk(disk, d.root(), 5)
	require.ErrorIs(t, err, storage.ErrCorrupt)
	_, _, err = DAGOnDisk(disk, d.root())
	require.ErrorIs(t, err, storage.ErrCorrupt)
}
