package replicated

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// history has all deltas that were ever made: what replicas do not keep.
type history map[dot]*delta

// oracle computes contents and heads from the whole history of what a vector
// includes, with go-ds-crdt's rules and no memory of how it came about.
func (h history) oracle(t require.TestingT, v *vector) (map[storage.Key]string, []string) {
	var live []*element
	dead := map[string]bool{}
	linked := map[string]bool{}
	var in []*delta
	for d, delta := range h {
		if v.has(d) {
			in = append(in, delta)
		}
	}
	for _, d := range in {
		for i, l := range d.links {
			require.True(t, v.has(d.deps[i]), "the vector is closed")
			require.Equal(t, l, h[d.deps[i]].cid)
			linked[deltaID(l)] = true
		}
		content, err := contentOf(d.node)
		require.NoError(t, err)
		live = append(live, d.elements...)
		for _, e := range content.Tombstones {
			dead[e.Key+e.Id] = true
		}
	}
	slices.SortFunc(live, func(a, b *element) int {
		if a.height != b.height {
			return int(a.height) - int(b.height)
		}
		return bytes.Compare(a.value, b.value)
	})
	m := map[storage.Key]string{}
	for _, e := range live {
		if !dead[e.key+e.id] {
			m[storage.Key(e.key)] = string(e.value[len(valueTag):])
		}
	}
	var heads []string
	for _, d := range in {
		if !linked[d.id] {
			heads = append(heads, d.id)
		}
	}
	slices.Sort(heads)
	return m, heads
}

// check compares a replica with the oracle, and its parts with each other.
func (h history) check(t require.TestingT, r *testReplica) {
	o := r.index
	contents, heads := h.oracle(t, o.vector)
	require.Equal(t, contents, r.contents())
	require.Equal(t, heads, r.headIDs())
	for _, head := range r.index.headList() {
		require.Equal(t, h[head.dot].height, head.height)
	}
	require.True(t, o.vector.covers(o.tail.cut))
	n, sum := 0, uint64(0)
	for w, seq := range o.vector.last {
		require.Equal(t, int(seq-o.tail.cut.last[w]), len(o.tail.lanes[w]), "the tail is what is above the cut")
		n += len(o.tail.lanes[w])
		for i, s := range o.tail.lanes[w] {
			require.Equal(t, dot{w, o.tail.cut.last[w] + uint64(i) + 1}, s.dot)
		}
	}
	require.Equal(t, n, o.tail.len)
	o.elements.From(func(*element) bool { return false }, func(e *element) bool {
		sum += e.hash
		require.True(t, o.vector.has(e.dot))
		require.Equal(t, e.value, h[e.dot].element(e.key).value)
		return true
	})
	require.Equal(t, sum, o.sum)
}

// stillOnDisk opens what a crash that loses nothing would leave: the same.
func stillOnDisk(t require.TestingT, r *testReplica, disk *memdisk.Disk) {
	require.NoError(t, r.save())
	again := newReplica(t, disk.Clone())
	defer again.close()
	require.Empty(t, again.recovered, "nothing was damaged")
	require.Equal(t, r.contents(), again.contents())
	require.Equal(t, r.headIDs(), again.headIDs())
	require.Equal(t, r.index.vector, again.index.vector)
	require.Equal(t, r.index.state(), again.index.state())
}

// TestFoldsAreInvisible writes, exchanges, cuts, partitions, crashes and wipes
// at random, and compares with replicas that would have kept all history.
func TestFoldsAreInvisible(t *testing.T) {
	folds := 0
	rapid.Check(t, func(t *rapid.T) {
		const n = 4
		w := &world{t: t, history: history{}}
		for range n {
			w.disks = append(w.disks, memdisk.New())
			w.replicas = append(w.replicas, newReplica(t, w.disks[len(w.disks)-1]))
		}
		defer w.close()
		which := rapid.IntRange(0, n-1)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := which.Draw(t, "replica")
			w.step(i, which)
			w.history.check(t, w.replicas[i])
		}
		for range 2 {
			for i := range n {
				for j := range n - 1 {
					w.replicas[i].pullFrom(t, w.replicas[(i+j+1)%n], 1<<20)
				}
			}
		}
		for i, r := range w.replicas {
			w.history.check(t, r)
			require.Equal(t, w.replicas[0].headIDs(), r.headIDs())
			require.Equal(t, w.replicas[0].contents(), r.contents())
			require.Equal(t, w.replicas[0].index.vector, r.index.vector)
			require.Equal(t, w.replicas[0].index.sum, r.index.sum)
			stillOnDisk(t, r, w.disks[i])
			folds += r.joined
		}
	})
	t.Logf("%d folds", folds)
	require.Positive(t, folds)
}

// world is a few replicas and what they have ever written.
type world struct {
	t        *rapid.T
	history  history
	disks    []*memdisk.Disk
	replicas []*testReplica
	side     [4]int
	steps    int
}

func (w *world) close() {
	for _, r := range w.replicas {
		r.close()
	}
}

func (w *world) step(i int, which *rapid.Generator[int]) {
	t, r := w.t, w.replicas[i]
	w.steps++
	switch rapid.IntRange(0, 13).Draw(t, "action") {
	default:
		w.write(r)
	case 5, 6, 7:
		if j := which.Draw(t, "from"); w.side[i] == w.side[j] {
			r.between = func() { // what happens while a fold is joined
				if rapid.IntRange(0, 2).Draw(t, "meanwhile") == 0 {
					w.write(r)
				}
			}
			r.pullFrom(t, w.replicas[j], rapid.IntRange(1, 1000).Draw(t, "page"), rapid.IntRange(1, 9).Draw(t, "pages"))
			r.between = nil
		}
	case 8: // news, out of order, or of long ago
		if len(w.history) > 0 {
			all := make([]*delta, 0, len(w.history))
			for _, d := range w.history {
				all = append(all, d)
			}
			slices.SortFunc(all, compareDeltas)
			_ = r.ingest([][]byte{rapid.SampledFrom(all).Draw(t, "news").raw})
		}
	case 9, 10:
		r.index.prune(rapid.IntRange(0, 3).Draw(t, "keep"), 1<<30)
		require.NoError(t, r.save())
	case 11:
		w.disks[i].Flush(func(err error) { require.NoError(t, err) })
	case 12:
		keep := rapid.IntRange(0, w.disks[i].Unsynced()).Draw(t, "keep")
		r.close()
		w.disks[i] = w.disks[i].Crash(keep, true)
		if rapid.IntRange(0, 4).Draw(t, "wipe") == 0 {
			w.disks[i] = memdisk.New()
		}
		w.replicas[i] = newReplica(t, w.disks[i])
		require.Empty(t, w.replicas[i].recovered, "a crash damages nothing")
	case 13:
		w.side[i] = 1 - w.side[i]
	}
}

// write writes a batch and looks at it.
func (w *world) write(r *testReplica) {
	keys := rapid.SampledFrom([]storage.Key{storage.K("a"), storage.K("a", "b"), storage.K("c"), storage.K("c", "d", "e")})
	writes := map[storage.Key]storage.Write{}
	for range rapid.IntRange(1, 3).Draw(w.t, "writes") {
		k := keys.Draw(w.t, "key")
		// Few values, so that equal ones meet, and empty ones.
		value := fmt.Append(nil, w.steps%3)[:rapid.IntRange(0, 1).Draw(w.t, "len")]
		writes[k] = storage.Write{Key: k, Value: value, Delete: rapid.IntRange(0, 3).Draw(w.t, "del") == 0}
	}
	d, err := r.commit(writes)
	require.NoError(w.t, err)
	if d != nil {
		require.Nil(w.t, w.history[d.dot], "no two deltas have one dot")
		w.history[d.dot] = d
	}
	contents := r.contents()
	for k, wr := range writes {
		got, found := contents[k]
		require.Equal(w.t, !wr.Delete, found)
		if found {
			require.Equal(w.t, string(wr.Value), got)
		}
	}
}
