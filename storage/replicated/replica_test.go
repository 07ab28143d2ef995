package replicated

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-ds-crdt/pb"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// testReplica is a replica without a network.
type testReplica struct {
	*replica
	joined  int    // folds
	between func() // is called where a join gives up the turn
}

func newReplica(t require.TestingT, disk storage.Disk) *testReplica {
	r, err := openReplica(disk, storage.K("kv", "test"), rand.Uint64, noPause)
	require.NoError(t, err)
	return &testReplica{replica: r}
}

func noPause() error { return nil }

func (r *testReplica) pause() error {
	if r.between != nil {
		r.between()
	}
	return nil
}

// pullFrom takes what another replica has, in pages of about sizeMax bytes, of
// which there are pagesMax, or as many as it takes.
func (r *testReplica) pullFrom(t require.TestingT, other *testReplica, sizeMax int, pagesMax ...int) {
	for n := 0; len(pagesMax) == 0 || n < pagesMax[0]; n++ {
		have, err := decodeVector(r.index.vector.encode())
		require.NoError(t, err)
		p, err := other.missing(have, sizeMax)
		require.NoError(t, err)
		switch {
		case p.fold:
			r.joinFold(t, other.freeze(1), sizeMax, false)
			continue
		case p.large != nil && len(p.raws) == 0:
			p.raws = [][]byte{p.large.raw}
		}
		require.NoError(t, r.ingest(p.raws))
		if !p.more {
			return
		}
	}
}

func (r *testReplica) joinFold(t require.TestingT, source *foldSource, sizeMax int, union bool) {
	sink := &foldSink{}
	for done := false; !done; {
		var raw []byte
		raw, sink.at, done = source.page(sink.at, sizeMax)
		require.NoError(t, sink.take(raw))
	}
	require.NoError(t, sink.check())
	require.NoError(t, r.join(sink, union, r.pause))
	r.joined++
}

func writesOf(list ...storage.Write) map[storage.Key]storage.Write {
	m := map[storage.Key]storage.Write{}
	for _, w := range list {
		m[w.Key] = w
	}
	return m
}

func put(k storage.Key, value string) map[storage.Key]storage.Write {
	return writesOf(storage.Write{Key: k, Value: []byte(value)})
}

func (r *testReplica) contents() map[storage.Key]string {
	m := map[storage.Key]string{}
	r.index.list("", func(k storage.Key, value []byte) { m[k] = string(value[len(valueTag):]) })
	return m
}

func (r *testReplica) headIDs() (ids []string) {
	for _, h := range r.index.headList() {
		ids = append(ids, h.id)
	}
	slices.Sort(ids)
	return ids
}

// forge makes a delta that nobody would.
func forge(t *testing.T, own dot, deps []dot, content *pb.Delta, links ...storage.CID) []byte {
	dots := appendDot(nil, own)
	for _, d := range deps {
		dots = appendDot(dots, d)
	}
	content.Elements = append(content.Elements, &pb.Element{Key: dotKey, Value: dots})
	raw, err := proto.Marshal(content)
	require.NoError(t, err)
	node := merkledag.NodeWithData(raw)
	for _, l := range links {
		require.NoError(t, node.AddRawLink("", &ipld.Link{Cid: l}))
	}
	require.NoError(t, node.SetCidBuilder(merkledag.V1CidPrefix()))
	return node.RawData()
}

func TestReplicaRefusesWhatItCannotProcess(t *testing.T) {
	a, b := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer a.close()
	defer b.close()
	first, err := a.commit(put(storage.K("k"), "1"))
	require.NoError(t, err)
	second, err := a.commit(put(storage.K("k"), "2"))
	require.NoError(t, err)
	require.ErrorIs(t, b.ingest([][]byte{second.raw}), errMissing)
	require.Error(t, b.ingest([][]byte{[]byte("noise")}))
	value := []byte(valueTag)
	refused := func(want error, raw []byte) {
		t.Helper()
		require.ErrorIs(t, b.ingest([][]byte{raw}), want)
	}
	refused(errBadHeight, forge(t, dot{1, 1}, nil, &pb.Delta{Priority: 7}))
	refused(errBadHeight, forge(t, dot{1, 1}, nil, &pb.Delta{}))
	refused(errMissing, forge(t, dot{1, 2}, nil, &pb.Delta{Priority: 1}))
	for _, e := range []*pb.Element{{Key: "/../../h/x", Value: value}, {Key: "k", Value: value}, {Key: "/k"}, {Key: dotKey, Value: value}} {
		refused(errBadDelta, forge(t, dot{1, 1}, nil, &pb.Delta{Priority: 1, Elements: []*pb.Element{e}}))
	}
	for _, id := range []string{"", "/a/b", "a", "/.."} {
		tomb := &pb.Element{Key: "/k", Id: id}
		refused(errBadDelta, forge(t, dot{1, 1}, nil, &pb.Delta{Priority: 1, Tombstones: []*pb.Element{tomb}}))
	}
	require.Empty(t, b.headIDs())
	require.NoError(t, b.ingest([][]byte{second.raw, first.raw, second.raw}), "in any order, more than once")
	require.Equal(t, a.headIDs(), b.headIDs())
	refused(errBadDelta, forge(t, dot{1, 1}, []dot{first.dot}, &pb.Delta{Priority: 3}, second.cid))
	refused(errBadDelta, forge(t, dot{1, 1}, nil, &pb.Delta{Priority: 3}, second.cid))
	require.NoError(t, b.ingest([][]byte{forge(t, dot{1, 1}, []dot{second.dot}, &pb.Delta{Priority: 3, Elements: []*pb.Element{{Key: "/new", Value: value}}}, second.cid)}))
	require.Contains(t, b.contents(), storage.K("new"))
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
		_, err := r.commit(put(storage.K("k"), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	require.ErrorIs(t, r.save(), full)
	require.Equal(t, map[storage.Key]string{storage.K("k"): "2"}, r.contents())
	p, err := r.missing(newVector(), 1<<20)
	require.NoError(t, err)
	require.True(t, p.fold)
	have := newVector()
	have.add(dot{r.writer, 1})
	p, err = r.missing(have, 1<<20)
	require.NoError(t, err)
	require.Len(t, p.raws, 2, "what is not on the disk is served")
	disk.SetFaults(memdisk.Faults{})
	require.NoError(t, r.save())
	require.Equal(t, 1, disk.Unsynced(), "one batch")
	r.close()
	r = newReplica(t, disk.Crash(1, false))
	defer r.close()
	require.Equal(t, map[storage.Key]string{storage.K("k"): "2"}, r.contents())
}

func TestNothingToDoIsNoDelta(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	d, err := r.commit(writesOf(storage.Write{Key: storage.K("never"), Delete: true}))
	require.NoError(t, err)
	require.Nil(t, d)
	require.Empty(t, r.headIDs())
	require.True(t, r.isEmpty())
}
