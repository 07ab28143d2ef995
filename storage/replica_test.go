package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/storage/memdisk"
)

func newReplica(t require.TestingT, disk Disk) *replica {
	r, err := openReplica(disk, K("kv", "test"))
	require.NoError(t, err)
	return r
}

func writesOf(list ...write) map[Key]write {
	m := map[Key]write{}
	for _, w := range list {
		m[w.key] = w
	}
	return m
}

func (r *replica) contents() map[Key]string {
	m := map[Key]string{}
	r.overlay.list("", func(k Key, value []byte) { m[k] = string(value[len(valueTag):]) })
	return m
}

// pullFrom takes all that another replica has, in pages of about sizeMax bytes.
func (r *replica) pullFrom(t require.TestingT, other *replica, sizeMax int) {
	var last CID
	for {
		have, err := r.locator(locatorNear)
		require.NoError(t, err)
		p, err := other.missing(have, last, sizeMax)
		require.NoError(t, err)
		require.NoError(t, r.ingest(p.raws))
		if !p.more {
			return
		}
		require.NotEmpty(t, p.raws)
		last = p.last
	}
}

// oracle computes a replica's contents from the deltas that it has, without any
// order: of the elements of a key that no delta deleted the one of the highest
// delta is its value, and of equally high ones the greatest.
func oracle(t require.TestingT, r *replica) map[Key]string {
	type element struct {
		key    string
		id     string
		height uint64
		value  []byte
	}
	var elements []element
	dead := map[string]bool{}
	seen := map[CID]bool{}
	for queue := r.heads(); len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		d, err := r.dag.get(queue[0])
		require.NoError(t, err)
		queue = append(queue, d.links...)
		var content pb.Delta
		require.NoError(t, proto.Unmarshal(d.node.(*merkledag.ProtoNode).Data(), &content))
		for _, e := range content.Elements {
			elements = append(elements, element{e.Key, d.id, d.height, e.Value})
		}
		for _, e := range content.Tombstones {
			dead[e.Key+e.Id] = true
		}
	}
	slices.SortFunc(elements, func(a, b element) int {
		if a.height != b.height {
			return int(a.height) - int(b.height)
		}
		return bytes.Compare(a.value, b.value)
	})
	m := map[Key]string{}
	for _, e := range elements {
		if !dead[e.key+e.id] {
			m[Key(e.key)] = string(e.value[len(valueTag):])
		}
	}
	return m
}

// TestReplicasConverge writes, exchanges and crashes at random and compares
// with the oracle all the time.
func TestReplicasConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 3
		var disks [n]*memdisk.Disk
		var replicas [n]*replica
		for i := range n {
			disks[i] = memdisk.New()
			replicas[i] = newReplica(t, disks[i])
		}
		defer func() {
			for _, r := range replicas {
				r.close()
			}
		}()
		which := rapid.IntRange(0, n-1)
		keys := rapid.SampledFrom([]Key{K("a"), K("a", "b"), K("c"), K("c", "d", "e")})
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := which.Draw(t, "replica")
			r := replicas[i]
			switch rapid.IntRange(0, 9).Draw(t, "action") {
			default:
				writes := map[Key]write{}
				for range rapid.IntRange(1, 3).Draw(t, "writes") {
					k := keys.Draw(t, "key")
					// Few values, so that equal ones meet, and empty ones.
					value := fmt.Append(nil, step%3)[:rapid.IntRange(0, 1).Draw(t, "len")]
					writes[k] = write{key: k, value: value, delete: rapid.IntRange(0, 3).Draw(t, "del") == 0}
				}
				_, err := r.commit(writes)
				require.NoError(t, err)
				contents := r.contents()
				for k, w := range writes {
					got, found := contents[k]
					require.Equal(t, !w.delete, found)
					if found {
						require.Equal(t, string(w.value), got)
					}
				}
			case 4, 5, 6:
				r.pullFrom(t, replicas[which.Draw(t, "from")], rapid.IntRange(1, 1000).Draw(t, "page"))
			case 7:
				disks[i].Flush(func(err error) { require.NoError(t, err) })
			case 8:
				keep := rapid.IntRange(0, disks[i].Unsynced()).Draw(t, "keep")
				r.close()
				disks[i] = disks[i].Crash(keep, true)
				replicas[i] = newReplica(t, disks[i])
			case 9:
				require.NoError(t, r.rebuild())
			}
			require.Equal(t, oracle(t, replicas[i]), replicas[i].contents())
		}
		for range 2 {
			for i := range n {
				replicas[i].pullFrom(t, replicas[(i+1)%n], pageSizeMax)
				replicas[i].pullFrom(t, replicas[(i+2)%n], pageSizeMax)
			}
		}
		for i := range n {
			require.Equal(t, replicas[0].heads(), replicas[i].heads())
			require.Equal(t, replicas[0].contents(), replicas[i].contents())
			require.Equal(t, oracle(t, replicas[i]), replicas[i].contents())
		}
	})
}

func put(k Key, value string) map[Key]write { return writesOf(write{key: k, value: []byte(value)}) }

func TestReplicaRefusesWhatItCannotProcess(t *testing.T) {
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	first, err := a.commit(put(K("k"), "1"))
	require.NoError(t, err)
	second, err := a.commit(put(K("k"), "2"))
	require.NoError(t, err)
	require.ErrorIs(t, b.ingest([][]byte{second.raw}), errMissing)
	require.Error(t, b.ingest([][]byte{[]byte("noise")}))
	forge := func(delta *pb.Delta, links ...CID) []byte {
		raw, err := proto.Marshal(delta)
		require.NoError(t, err)
		node := merkledag.NodeWithData(raw)
		for _, l := range links {
			require.NoError(t, node.AddRawLink("", &ipld.Link{Cid: l}))
		}
		node.SetCidBuilder(merkledag.V1CidPrefix())
		return node.RawData()
	}
	value := []byte(valueTag)
	require.ErrorIs(t, b.ingest([][]byte{forge(&pb.Delta{Priority: 7})}), errBadHeight)
	for _, e := range []*pb.Element{{Key: "/../../h/x", Value: value}, {Key: "k", Value: value}, {Key: "/k"}} {
		require.ErrorIs(t, b.ingest([][]byte{forge(&pb.Delta{Priority: 1, Elements: []*pb.Element{e}})}), errBadDelta)
	}
	for _, id := range []string{"", "/a/b", "a", "/.."} {
		tomb := &pb.Element{Key: "/k", Id: id}
		require.ErrorIs(t, b.ingest([][]byte{forge(&pb.Delta{Priority: 1, Tombstones: []*pb.Element{tomb}})}), errBadDelta)
	}
	require.Empty(t, b.heads())
	require.NoError(t, b.ingest([][]byte{second.raw, first.raw, second.raw}), "in any order, more than once")
	require.Equal(t, a.heads(), b.heads())
	require.NoError(t, b.ingest([][]byte{forge(&pb.Delta{Priority: 3, Elements: []*pb.Element{{Key: "/new", Value: value}}}, second.cid)}))
	require.Contains(t, b.contents(), K("new"))
}

// TestReplicaSurvivesAFailingDisk writes while the disk refuses.
func TestReplicaSurvivesAFailingDisk(t *testing.T) {
	disk := memdisk.New()
	r := newReplica(t, disk)
	full := errors.New("full")
	disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
		if op == memdisk.OpWrite {
			return full
		}
		return nil
	}})
	for i := range 3 {
		_, err := r.commit(put(K("k"), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	require.ErrorIs(t, r.save(), full)
	require.Equal(t, map[Key]string{K("k"): "2"}, r.contents())
	disk.SetFaults(memdisk.Faults{})
	require.NoError(t, r.save())
	require.Equal(t, 1, disk.Unsynced(), "one batch")
	r.close()
	r = newReplica(t, disk.Crash(1, false))
	defer r.close()
	require.Equal(t, map[Key]string{K("k"): "2"}, r.contents())
}

// TestReplicaHeals damages every single thing on the disk.
func TestReplicaHeals(t *testing.T) {
	disk := memdisk.New()
	source := newReplica(t, disk)
	for i := range 4 {
		_, err := source.commit(put(K("k", fmt.Sprint(i/2)), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	_, err := source.commit(writesOf(write{key: K("k", "0"), delete: true}))
	require.NoError(t, err)
	defer source.close()
	whole := source.contents()
	var keys []Key
	require.NoError(t, scanDisk(disk, K("kv", "test"), func(k Key, _ []byte) error {
		keys = append(keys, k)
		return nil
	}))
	for _, k := range keys {
		damaged := disk.Clone()
		require.NoError(t, damaged.Put(t.Context(), datastore.RawKey(string(k)), []byte("damaged")))
		r := newReplica(t, damaged)
		require.NoError(t, r.restoreSalvage())
		if k.Has(K("kv", "test") + diskDeltas) {
			// It shows once somebody needs it.
			if _, err := r.missing(nil, CID{}, pageSizeMax); !errors.Is(err, ErrCorrupt) {
				require.FailNow(t, "not noticed", "%s: %v", k, err)
			}
		}
		require.Equal(t, whole, r.contents(), "nothing is lost though nobody else has it: %s", k)
		_, err := r.missing(nil, CID{}, pageSizeMax)
		require.NoError(t, err, "all of it can be passed on")
		r.pullFrom(t, source, pageSizeMax)
		source.pullFrom(t, r, pageSizeMax)
		require.Equal(t, whole, r.contents(), k)
		require.Equal(t, source.contents(), r.contents(), k)
		require.Equal(t, source.heads(), r.heads(), k)
		r.close()
	}
	require.Greater(t, len(keys), 9)
}

// TestSalvageIsWhole damages several things at once, where nobody else has a
// copy: what is left of a batch is all of it, or nothing.
func TestSalvageIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := memdisk.New()
		source, err := openReplica(disk, K("kv", "test"))
		require.NoError(t, err)
		defer source.close()
		batches := rapid.IntRange(1, 8).Draw(t, "batches")
		for i := range batches {
			writes := map[Key]write{}
			for j := range 3 {
				k := K("batch", fmt.Sprint(i), fmt.Sprint(j))
				writes[k] = write{key: k, value: fmt.Append(nil, i)}
			}
			_, err := source.commit(writes)
			require.NoError(t, err)
		}
		var keys []Key
		require.NoError(t, scanDisk(disk, K("kv", "test"), func(k Key, _ []byte) error {
			keys = append(keys, k)
			return nil
		}))
		damaged := disk.Clone()
		rotten := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 5, rapid.ID).Draw(t, "rotten")
		for _, k := range rotten {
			require.NoError(t, damaged.Put(context.Background(), datastore.RawKey(string(k)), []byte("damaged")))
		}
		r, err := openReplica(damaged, K("kv", "test"))
		require.NoError(t, err)
		defer r.close()
		require.NoError(t, r.restoreSalvage())
		if _, err := r.missing(nil, CID{}, pageSizeMax); err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			_, err = r.missing(nil, CID{}, pageSizeMax)
			require.NoError(t, err, "all of it can be passed on")
		}
		whole := r.contents()
		for i := range batches {
			found := 0
			for j := range 3 {
				if whole[K("batch", fmt.Sprint(i), fmt.Sprint(j))] == fmt.Sprint(i) {
					found++
				}
			}
			require.Contains(t, []int{0, 3}, found, "batch %d", i)
		}
		if len(rotten) == 1 {
			require.Len(t, whole, 3*batches)
		}
	})
}

// TestSalvageDoesNotBringBack what others have deleted while a replica was down.
func TestSalvageDoesNotBringBack(t *testing.T) {
	disk, other := memdisk.New(), newReplica(t, memdisk.New())
	defer other.close()
	source := newReplica(t, disk)
	for i := range 3 {
		_, err := source.commit(put(K("k", fmt.Sprint(i)), "v"))
		require.NoError(t, err)
	}
	other.pullFrom(t, source, pageSizeMax)
	source.close()
	_, err := other.commit(writesOf(write{key: K("k", "1"), delete: true}, write{key: K("k", "2"), delete: true}))
	require.NoError(t, err)

	var deltas []Key
	require.NoError(t, scanDisk(disk, K("kv", "test")+diskDeltas, func(k Key, _ []byte) error {
		deltas = append(deltas, k)
		return nil
	}))
	for _, rotten := range append(deltas, K("kv", "test")+diskKeys+K("k", "1")) {
		damaged := disk.Clone()
		for _, k := range []Key{rotten, K("kv", "test") + diskKeys + K("k", "2")} {
			require.NoError(t, damaged.Put(t.Context(), datastore.RawKey(string(k)), []byte("damaged")))
		}
		r := newReplica(t, damaged)
		r.pullFrom(t, other, pageSizeMax)
		require.NoError(t, r.restoreSalvage())
		require.Equal(t, map[Key]string{K("k", "0"): "v"}, r.contents())
		r.close()
	}
}

// TestLocatorReachesBack has both sides write alone for long.
func TestLocatorReachesBack(t *testing.T) {
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	_, err := a.commit(put(K("common"), "x"))
	require.NoError(t, err)
	b.pullFrom(t, a, pageSizeMax)
	for i := range 300 {
		_, err := a.commit(put(K("a"), fmt.Sprint(i)))
		require.NoError(t, err)
		_, err = b.commit(put(K("b"), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	near, err := b.locator(locatorNear)
	require.NoError(t, err)
	p, err := a.missing(near, CID{}, pageSizeMax)
	require.NoError(t, err)
	require.False(t, p.known)
	far, err := b.locator(locatorFar)
	require.NoError(t, err)
	require.LessOrEqual(t, len(far), locatorLenMax)
	p, err = a.missing(far, CID{}, pageSizeMax)
	require.NoError(t, err)
	require.Len(t, p.raws, 300)
	require.NoError(t, b.ingest(p.raws))
}

// TestPagesBeyondTheCache takes more deltas at once than the cache holds.
func TestPagesBeyondTheCache(t *testing.T) {
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	for i := range 3 * dagCacheLenMax {
		_, err := a.commit(put(K("k"), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	p, err := a.missing(nil, CID{}, pageSizeMax)
	require.NoError(t, err)
	require.Len(t, p.raws, 3*dagCacheLenMax)
	require.NoError(t, b.ingest(p.raws))
	require.Equal(t, a.heads(), b.heads())
	require.NoError(t, b.rebuild())
	require.Equal(t, a.heads(), b.heads())
}

func TestNothingToDoIsNoDelta(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	d, err := r.commit(writesOf(write{key: K("never"), delete: true}))
	require.NoError(t, err)
	require.Nil(t, d)
	require.Empty(t, r.heads())
}
