package blocks

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/memdisk"
)

// leafOf is a block without links.
func leafOf(text string) block {
	raw := []byte(text)
	c, err := cid.V1Builder{Codec: cid.Raw, MhType: merkledag.V1CidPrefix().MhType}.Sum(raw)
	if err != nil {
		panic(err)
	}
	return block{c, raw}
}

// innerOf is a block of a file that has content itself and links to others, of
// which it says how much they have.
func innerOf(content string, sizes []uint64, below ...block) block {
	file := unixfs.NewFSNode(unixfs.TFile)
	file.SetData([]byte(content))
	for _, size := range sizes {
		file.AddBlockSize(size)
	}
	data, err := file.GetBytes()
	if err != nil {
		panic(err)
	}
	n := new(merkledag.ProtoNode)
	if err := n.SetCidBuilder(merkledag.V1CidPrefix()); err != nil {
		panic(err)
	}
	n.SetData(data)
	for _, b := range below {
		if err := n.AddRawLink("", &ipld.Link{Cid: b.cid, Size: uint64(len(b.raw))}); err != nil {
			panic(err)
		}
	}
	return block{n.Cid(), n.RawData()}
}

// dag2 is a DAG of two levels: its root comes last.
type dag2 []block

func newDAG2(leaves ...string) (d dag2) {
	var sizes []uint64
	for _, text := range leaves {
		d = append(d, leafOf(text))
		sizes = append(sizes, uint64(len(text)))
	}
	return append(d, innerOf("", sizes, d...))
}

func (d dag2) root() storage.CID { return d[len(d)-1].cid }

func (d dag2) size() (n int64) {
	for _, b := range d {
		n += int64(len(b.raw))
	}
	return n
}

// add does what Store.Add does.
func (d dag2) add(s *blockStore, owner string) error {
	if err := s.put(d); err != nil {
		return err
	}
	defer s.release(cidsOf(d))
	return s.addRoot(d.root(), cidsOf(d), owner)
}

// inside is all that a store knows.
func inside(s *blockStore) string {
	var lines []string
	for c, info := range s.index {
		lines = append(lines, fmt.Sprint("block ", c, info.here, info.refs))
		if info.here {
			lines = append(lines, fmt.Sprint("size of ", c, info.size))
		}
	}
	for root, members := range s.roots {
		lines = append(lines, fmt.Sprint("root ", root, members))
	}
	for root, owners := range s.owners {
		lines = append(lines, fmt.Sprint("owners ", root, owners))
	}
	slices.Sort(lines)
	var text bytes.Buffer
	for _, l := range lines {
		fmt.Fprintln(&text, l)
	}
	return text.String()
}

// reopened is what a store knows that opens a disk.
func reopened(t require.TestingT, disk *memdisk.Disk) string {
	s, err := openBlockStore(disk.Clone())
	require.NoError(t, err)
	return inside(s)
}

// TestBlocksOnABrittleDisk fails each single operation of the disk, once or for
// good: whatever fails says so, has done nothing, and can be done again.
func TestBlocksOnABrittleDisk(t *testing.T) {
	a, b, c := newDAG2("one", "two"), newDAG2("two", "three"), newDAG2("four")
	remove := func(d dag2, owner string) func(*blockStore) error {
		return func(s *blockStore) error { return s.removeRoot(d.root(), owner) }
	}
	add := func(d dag2, owner string) func(*blockStore) error {
		return func(s *blockStore) error { return d.add(s, owner) }
	}
	steps := []func(*blockStore) error{
		add(a, "x"), add(a, "y"), add(b, "x"), add(c, "x"), remove(a, "x"), remove(c, "x"), remove(a, "y"), add(c, "y"), remove(b, "x"),
	}
	sound, err := openBlockStore(memdisk.New())
	require.NoError(t, err)
	want := []string{inside(sound)}
	for _, step := range steps {
		require.NoError(t, step(sound))
		want = append(want, inside(sound))
	}
	for failAt := 0; ; failAt++ {
		disk := &brittledisk.Disk{Disk: memdisk.New(), FailAt: 1 << 30, Times: 1}
		s, err := openBlockStore(disk)
		require.NoError(t, err)
		disk.Count, disk.FailAt = 0, failAt
		for i, step := range steps {
			if err := step(s); err != nil {
				require.ErrorIs(t, err, brittledisk.ErrBroken)
				require.NotEmpty(t, disk.Failed)
				require.Equal(t, want[i], inside(s), "step %d failed at %d", i, failAt)
				require.Equal(t, want[i], reopened(t, disk.Disk), "step %d failed at %d", i, failAt)
				require.NoError(t, step(s))
			}
			require.Equal(t, want[i+1], inside(s), "step %d, failing at %d", i, failAt)
			require.Equal(t, want[i+1], reopened(t, disk.Disk), "step %d, failing at %d", i, failAt)
		}
		if disk.Failed == "" {
			require.Greater(t, failAt, 40)
			return
		}
	}
}

// spoil changes a record.
func spoil(t *testing.T, disk *memdisk.Disk, key string) {
	raw, err := disk.Get(context.Background(), datastore.RawKey(key))
	require.NoError(t, err)
	raw = bytes.Clone(raw)
	raw[len(raw)/2] ^= 1
	require.NoError(t, disk.Put(context.Background(), datastore.RawKey(key), raw))
}

// TestBlocksAreOpenedOnABrittleDisk fails each single operation of an open: it
// says so, or what it finds is the same.
func TestBlocksAreOpenedOnABrittleDisk(t *testing.T) {
	a, b, c := newDAG2("one", "two"), newDAG2("two", "three"), newDAG2("four")
	first, last := a, b
	for _, d := range []dag2{a, b} {
		if rootKey(d.root()) < rootKey(first.root()) {
			first, last = d, a
		}
	}
	for name, damage := range map[string]func(disk *memdisk.Disk){
		"sound": func(*memdisk.Disk) {},
		"with garbage": func(disk *memdisk.Disk) {
			require.NoError(t, disk.Delete(context.Background(), datastore.RawKey(string(rootKey(c.root())))))
		},
		"a list is corrupt": func(disk *memdisk.Disk) { spoil(t, disk, string(rootKey(first.root()))) },
		"two are": func(disk *memdisk.Disk) {
			spoil(t, disk, string(rootKey(a.root())))
			spoil(t, disk, string(rootKey(b.root())))
		},
		"and a block is lost": func(disk *memdisk.Disk) {
			spoil(t, disk, string(rootKey(first.root())))
			require.NoError(t, disk.Delete(context.Background(), blockKey(first.root())))
			require.NoError(t, disk.Delete(context.Background(), blockKey(last[0].cid)))
		},
		"and one is corrupt": func(disk *memdisk.Disk) {
			spoil(t, disk, string(rootKey(last.root())))
			spoil(t, disk, blockKey(last.root()).String())
		},
	} {
		start := memdisk.New()
		s, err := openBlockStore(start)
		require.NoError(t, err)
		for i, d := range []dag2{a, b, c} {
			require.NoError(t, d.add(s, fmt.Sprint("owner ", i)))
		}
		damage(start)
		want := reopened(t, start)
		for _, times := range []int{1, ondisk.ReadingsMax} {
			for failAt := 0; ; failAt++ {
				disk := &brittledisk.Disk{Disk: start.Clone(), FailAt: failAt, Times: times}
				s, err := openBlockStore(disk)
				if disk.Failed == "" {
					break
				}
				restoring := disk.Failed == "get" && times == 1 || disk.Failed == "delete" || disk.Failed == "batch" && name != "with garbage"
				if err == nil {
					require.True(t, restoring, "%s: %s at %d was ignored", name, disk.Failed, failAt)
					require.Equal(t, want, inside(s), "%s: %s at %d", name, disk.Failed, failAt)
				} else {
					require.ErrorIs(t, err, brittledisk.ErrBroken)
					require.False(t, restoring && disk.Failed == "batch", "%s: %s at %d", name, disk.Failed, failAt)
				}
				require.Equal(t, want, reopened(t, disk.Disk), "%s: %s at %d", name, disk.Failed, failAt)
			}
		}
	}
}

// TestBlocksOfAModel adds, removes, holds, loses and opens at random: there is
// what some root or holder needs, and nothing else.
func TestBlocksOfAModel(t *testing.T) {
	dags := []dag2{newDAG2("a", "b", "c"), newDAG2("b", "c", "d"), newDAG2("e"), newDAG2("f", "a")}
	leaves := []block{leafOf("a"), leafOf("c"), leafOf("e"), leafOf("z")}
	owners := []string{"x", "y"}
	rapid.Check(t, func(t *rapid.T) {
		disk := memdisk.New()
		s, err := openBlockStore(disk)
		require.NoError(t, err)
		owned := map[storage.CID]map[string]bool{}
		holds := map[storage.CID]int{}
		lost := map[storage.CID]bool{} // needed, and not here
		needed := func(c storage.CID) bool {
			return holds[c] > 0 || slices.ContainsFunc(dags, func(d dag2) bool {
				return len(owned[d.root()]) > 0 && slices.Contains(cidsOf(d), c)
			})
		}
		anyDAG, anyLeaf, anyOwner := rapid.SampledFrom(dags), rapid.SampledFrom(leaves), rapid.SampledFrom(owners)
		actions := map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				d, owner := anyDAG.Draw(t, "dag"), anyOwner.Draw(t, "owner")
				require.NoError(t, d.add(s, owner))
				if owned[d.root()] == nil {
					owned[d.root()] = map[string]bool{}
				}
				owned[d.root()][owner] = true
				for _, c := range cidsOf(d) {
					delete(lost, c)
				}
			},
			"remove": func(t *rapid.T) {
				d, owner := anyDAG.Draw(t, "dag"), anyOwner.Draw(t, "owner")
				require.NoError(t, s.removeRoot(d.root(), owner))
				delete(owned[d.root()], owner)
			},
			"put": func(t *rapid.T) {
				b := anyLeaf.Draw(t, "leaf")
				require.NoError(t, s.put([]block{b}))
				holds[b.cid]++
				delete(lost, b.cid)
			},
			"hold": func(t *rapid.T) {
				b := anyLeaf.Draw(t, "leaf")
				size, here := s.hold(b.cid)
				require.Equal(t, needed(b.cid) && !lost[b.cid], here)
				if here {
					require.Equal(t, len(b.raw), size)
					holds[b.cid]++
				} else {
					require.Zero(t, size)
				}
			},
			"release": func(t *rapid.T) {
				if b := anyLeaf.Draw(t, "leaf"); holds[b.cid] > 0 {
					s.release([]storage.CID{b.cid})
					holds[b.cid]--
				}
			},
			"discard": func(t *rapid.T) {
				c := anyLeaf.Draw(t, "leaf").cid
				s.discard(c)
				lost[c] = needed(c)
			},
			"open": func(t *rapid.T) {
				s, err = openBlockStore(disk)
				require.NoError(t, err)
				clear(holds)
			},
			"": func(t *rapid.T) {
				for _, d := range dags {
					whole, size := len(owned[d.root()]) > 0, d.size()
					for _, c := range cidsOf(d) {
						whole = whole && !lost[c]
					}
					has, err := s.has(d.root())
					require.NoError(t, err)
					require.Equal(t, whole, has)
					got, err := s.size(d.root())
					if whole {
						require.NoError(t, err)
						require.Equal(t, size, got)
						require.NoError(t, s.verify(d.root()))
					} else {
						require.ErrorIs(t, err, storage.ErrNotFound)
						require.Zero(t, got)
					}
				}
				for _, owner := range owners {
					for _, d := range dags {
						require.Equal(t, owned[d.root()][owner], slices.Contains(s.rootList(owner), d.root()))
					}
				}
				have := AllOnDisk(everything{disk})
				for _, b := range append(slices.Concat(dags...), leaves...) {
					here := needed(b.cid) && !lost[b.cid]
					require.Equal(t, here, s.hasBlock(b.cid))
					size, onDisk := have[b.cid]
					require.Equal(t, here, onDisk, "%s", b.raw)
					if here {
						require.EqualValues(t, len(b.raw), size)
						raw, err := s.readBlock(b.cid)
						require.NoError(t, err)
						require.Equal(t, b.raw, raw)
					}
				}
			},
		}
		t.Repeat(actions)
	})
}

// everything is a disk of which all counts as flushed.
type everything struct{ *memdisk.Disk }

func (d everything) DurableBelow(prefix string, f func(key string, value []byte) bool) {
	d.Disk.Clone().DurableBelow(prefix, f)
}

// TestForeignKeysAreLeftAlone: what is not named as ours is no block, root or
// owner, and stays.
func TestForeignKeysAreLeftAlone(t *testing.T) {
	disk := memdisk.New()
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("a")
	require.NoError(t, d.add(s, "x"))
	want := inside(s)
	c := d.root().String()
	foreign := []string{"/blocks/b/none", "/blocks/r/none", "/blocks/o/none/x", "/blocks/o/" + c, "/blocks/o/" + c + "/x/y"}
	for _, key := range foreign {
		require.NoError(t, disk.Put(context.Background(), datastore.RawKey(key), []byte("?")))
	}
	s, err = openBlockStore(disk)
	require.NoError(t, err)
	require.Equal(t, want, inside(s))
	require.Equal(t, []storage.CID{d.root()}, s.rootList("x"))
	require.Empty(t, s.rootList("y"))
	for _, key := range foreign {
		_, err := disk.Get(context.Background(), datastore.RawKey(key))
		require.NoError(t, err, key)
	}
	require.NoError(t, s.removeRoot(d.root(), "y"), "it is not y's")
	require.Equal(t, want, inside(s))
}

// TestRootsWithoutOwners: whose owners the disk has lost, is everybody's, and
// whoever comes first may remove it.
func TestRootsWithoutOwners(t *testing.T) {
	disk := memdisk.New()
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("a")
	require.NoError(t, d.add(s, "x"))
	require.NoError(t, disk.Delete(context.Background(), datastore.RawKey(string(ownerKey(d.root(), "x")))))
	s, err = openBlockStore(disk)
	require.NoError(t, err)
	for _, owner := range []string{"x", "y"} {
		require.Equal(t, []storage.CID{d.root()}, s.rootList(owner))
	}
	require.NoError(t, s.removeRoot(d.root(), "y"))
	require.Empty(t, inside(s))
	require.Zero(t, disk.Bytes())
}

// TestRootLists: a list is sealed with its key, and has CIDs only.
func TestRootLists(t *testing.T) {
	d := newDAG2("a", "b")
	k := rootKey(d.root())
	sealed := encodeRoot(k, cidsOf(d))
	members, err := decodeRoot(k, sealed)
	require.NoError(t, err)
	require.Equal(t, cidsOf(d), members)
	for name, bad := range map[string][]byte{
		"short": sealed[:3], "cut": sealed[:len(sealed)-1], "of another": encodeRoot("/blocks/r/x", nil),
		"no list": ondisk.Seal(string(k), []byte{1}), "no CID": ondisk.Seal(string(k), []byte{0x81, 0x41, 9}),
	} {
		members, err := decodeRoot(k, bad)
		require.ErrorIs(t, err, storage.ErrCorrupt, name)
		require.Nil(t, members, name)
	}
}

// TestOwnersCostOneRecord: the list of a root is written once.
func TestOwnersCostOneRecord(t *testing.T) {
	disk := &brittledisk.Disk{Disk: memdisk.New(), FailAt: 1 << 30}
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	d := newDAG2("a")
	require.NoError(t, s.put(d))
	for i, records := range []int{2, 1, 0} { // of the first owner, of another, of that again
		disk.Count = 0
		require.NoError(t, s.addRoot(d.root(), cidsOf(d), fmt.Sprint("owner ", min(i, 1))))
		require.Equal(t, map[bool]int{true: 2 + records, false: 0}[records > 0], disk.Count)
	}
}

// TestReadsAreChecked by the CRC of what was put, or by the CID if it is not known;
// Verify believes the CID only.
func TestReadsAreChecked(t *testing.T) {
	disk := memdisk.New()
	b := leafOf(bytesOf(2000))
	rotten := []byte(bytesOf(2001)[1:])
	s, err := openBlockStore(disk)
	require.NoError(t, err)
	require.NoError(t, s.put([]block{b}))
	require.NoError(t, s.addRoot(b.cid, []storage.CID{b.cid}, "a"))
	rot := func(raw []byte) {
		require.NoError(t, disk.Put(t.Context(), blockKey(b.cid), raw))
	}
	rot(rotten)
	_, err = s.readBlock(b.cid)
	require.ErrorIs(t, err, storage.ErrCorrupt)

	rot(b.raw)
	again, err := openBlockStore(disk)
	require.NoError(t, err)
	require.False(t, again.index[b.cid].summed)
	rot(rotten)
	_, err = again.readBlock(b.cid)
	require.ErrorIs(t, err, storage.ErrCorrupt, "the CID is what is known")
	require.False(t, again.index[b.cid].summed)
	rot(b.raw)
	_, err = again.readBlock(b.cid)
	require.NoError(t, err)
	require.True(t, again.index[b.cid].summed)

	again.index[b.cid].sum = summary(rotten)
	rot(rotten)
	_, err = again.readBlock(b.cid)
	require.NoError(t, err, "a collision")
	require.ErrorIs(t, again.verify(b.cid), storage.ErrNotFound)
}
