package replicated

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"pgregory.net/rapid"
)

// TestWhatIsRecalledIsWhatIsMerged has writers write the same few keys at once. One
// reader takes over what came of it, another merges each delta by go-ds-crdt: they
// are the same after each, in whatever order the deltas came.
func TestWhatIsRecalledIsWhatIsMerged(t *testing.T) {
	recalled := 0
	rapid.Check(t, func(t *rapid.T) {
		writers := []*testReplica{newReplica(t, memdisk.New()), newReplica(t, memdisk.New()), newReplica(t, memdisk.New())}
		recaller, merger := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
		for _, r := range append(writers, recaller, merger) {
			defer r.close()
		}
		for i := range rapid.IntRange(1, 25).Draw(t, "steps") {
			w := writers[rapid.IntRange(0, 2).Draw(t, "writer")]
			if from := rapid.IntRange(0, 5).Draw(t, "pulls from"); from < len(writers) {
				w.pullFrom(t, writers[from], 1<<20)
			}
			writes := map[storage.Key]storage.Write{}
			for range rapid.IntRange(1, 3).Draw(t, "writes") {
				k := storage.K(fmt.Sprint("k", rapid.IntRange(0, 3).Draw(t, "key")))
				writes[k] = storage.Write{Key: k, Value: []byte(fmt.Sprint(i)), Delete: rapid.IntRange(0, 3).Draw(t, "delete") == 0}
			}
			_, err := w.commit(writes)
			require.NoError(t, err)
			if rapid.Bool().Draw(t, "read") {
				recalled += readBoth(t, w, recaller, merger)
			}
		}
	})
	require.Positive(t, recalled)
}

// readBoth has both take what a writer has, and compares them.
func readBoth(t require.TestingT, from, recaller, merger *testReplica) (recalled int) {
	have := merger.index.vector.clone()
	have.add(dot{writer: 1, seq: 1}) // one that has nothing would be given the whole state
	p, err := from.missing(have, 1<<20)
	require.NoError(t, err)
	for _, raw := range p.raws {
		d, err := decodeDelta(raw)
		require.NoError(t, err)
		require.NoError(t, merger.check([]*delta{d}))
		merger.index.begin()
		require.NoError(t, merger.merge([]*delta{d}))
		require.NoError(t, merger.finish(nil))

		require.NoError(t, recaller.ingest([][]byte{raw}))
		if recaller.crdt == nil {
			recalled++
		}
		require.Equal(t, merger.index.state(), recaller.index.state())
		require.Equal(t, merger.headIDs(), recaller.headIDs())
		require.Equal(t, merger.contents(), recaller.contents())
		require.Equal(t, merger.index.takeChanged(), recaller.index.takeChanged())
	}
	return recalled
}
