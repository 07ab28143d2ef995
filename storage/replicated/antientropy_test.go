package replicated

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// TestContentsAreCompared: replicas that have processed the same deltas and hold
// other contents notice by themselves, and both have everything afterwards.
func TestContentsAreCompared(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		c.openAll()
		a, b := c.members[0], c.members[1]
		for i := range 3 {
			a.put(fmt.Sprint(i), "v")
		}
		c.converge()
		b.In(func(context.Context) {
			o := b.r.replica.index
			o.setRecord("/k/1", o.record("/k/1"), nil, nil)
			require.NoError(t, b.r.replica.save())
			require.Equal(t, a.r.Heads(), b.r.Heads())
		})
		require.Len(t, b.contents(), 2)
		c.converge()
		require.Equal(t, []string{"/k/0=v", "/k/1=v", "/k/2=v"}, b.contents())
		require.Positive(t, c.fact("replica-mended"))
	})
}

// TestHeadsAreAnswered: what a replica does when another tells its heads.
func TestHeadsAreAnswered(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		m.open()
		var told []headsNote
		var asked int
		heads := transport.Note[headsNote]{Name: "test/kv/main/heads", Rule: transport.Member}
		heads.Serve(other.Endpoint, func(_ context.Context, _ transport.Peer, n headsNote) { told = append(told, n) })
		other.answers(func(request fetchRequest) (fetchResponse, error) {
			asked++
			return fetchResponse{}, transport.New(transport.Refused, "test", "no")
		})
		m.put("1", "v")
		time.Sleep(10 * time.Second)
		require.NotEmpty(t, told, "anti-entropy tells without being asked")
		require.Less(t, len(told), 4, "once in 5 s or so")
		mine := told[0]
		require.Len(t, mine.Heads, 1)
		require.False(t, mine.Answer)
		foreign := mine
		foreign.Context, foreign.Heads = 1, [][]byte{foreignHead(t, 7)}
		both := foreign
		both.Heads = [][]byte{foreign.Heads[0], mine.Heads[0]}
		behind, bad := foreign, foreign
		behind.Heads, bad.Heads = nil, [][]byte{{1}}
		damaged := mine
		damaged.Contents++
		for _, x := range []struct {
			name            string
			note            headsNote
			joins           bool
			answered, pulls bool
		}{
			{"equal", mine, false, false, false},
			{"damaged", damaged, false, true, true},
			{"other heads", foreign, false, true, true},
			{"more heads", both, false, false, true},
			{"fewer heads", behind, false, true, false},
			{"malformed", bad, false, false, false},
			{"while it joins", foreign, true, false, false},
		} {
			for _, answer := range []bool{false, true} {
				told, asked = nil, 0
				x.note.Answer = answer
				m.In(func(ctx context.Context) {
					if x.joins {
						m.r.state = storage.ReplicaCatchingUp
					}
					m.r.onHeads(ctx, other.Peer, x.note)
					m.r.state = storage.ReplicaReady
				})
				time.Sleep(time.Millisecond)
				told = slices.DeleteFunc(told, func(n headsNote) bool { return !n.Answer }) // the rounds go on
				if x.answered && !answer {
					require.Len(t, told, 1, x.name)
				} else {
					require.Empty(t, told, x.name)
				}
				require.Equal(t, x.pulls, asked == 1, x.name)
			}
		}
	})
}

// foreignHead names a delta that nobody has.
func foreignHead(t *testing.T, writer uint64) []byte {
	cid, err := merkledag.V1CidPrefix().Sum([]byte("foreign"))
	require.NoError(t, err)
	return appendDot(cid.Bytes(), dot{writer, 1})
}

// TestNewsIsSpread: what comes by anti-entropy is told two more at once.
func TestNewsIsSpread(t *testing.T) {
	inCluster(t, 5, func(c *cluster) {
		m := c.members[0]
		m.open()
		told := map[transport.Peer]int{}
		for _, other := range c.members[1:] {
			heads := transport.Note[headsNote]{Name: "test/kv/main/heads", Rule: transport.Member}
			heads.Serve(other.Endpoint, func(context.Context, transport.Peer, headsNote) { told[other.Peer]++ })
		}
		m.In(func(context.Context) { m.r.spread() })
		time.Sleep(time.Millisecond)
		require.Len(t, told, 2)
		m.In(func(context.Context) { m.r.spread() })
		time.Sleep(time.Millisecond)
		require.Len(t, told, 4, "each in its turn")
		time.Sleep(40 * time.Second)
		for _, other := range c.members[1:] {
			require.InDelta(t, 3, told[other.Peer], 1, "one each 5 s")
		}
	})
}
