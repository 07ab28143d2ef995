package replicated

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/transport"
)

// keeps puts a function in the place of how the member's replica takes pushes.
func (m *member) keeps(f func(request pushRequest) error) {
	push := transport.Method[pushRequest, pushResponse]{Name: "test/kv/main/push", Rule: transport.Member}
	push.Serve(m.Endpoint, func(ctx context.Context, _ transport.Peer, request pushRequest) (pushResponse, error) {
		return clustertest.Reply(ctx, m.Member, pushResponse{}, f(request))
	})
}

// replicate has a member replicate, and returns the copies and how long it took.
func (m *member) replicate(copies int) (n int, took time.Duration) {
	m.In(func(ctx context.Context) {
		start := m.Loop.Elapsed()
		var err error
		n, err = m.r.Replicate(ctx, copies)
		require.NoError(m.cluster, err)
		took = m.Loop.Elapsed() - start
	})
	return n, took
}

// TestReplicateAsksSpares: whoever fails is replaced at once, whoever is silent
// after a while, and what nobody keeps does not count.
func TestReplicateAsksSpares(t *testing.T) {
	refuse := func(pushRequest) error { return transport.New(transport.Refused, "test", "no") }
	keep := func(pushRequest) error { return nil }
	silent := func(pushRequest) error { return clustertest.ErrSilent }
	type answer = func(pushRequest) error
	for name, x := range map[string]struct {
		others  []answer
		copies  int
		want    int
		min, of time.Duration // at least and at most this long
	}{
		"alone":            {nil, 2, 1, 0, 0},
		"one copy":         {[]answer{keep}, 1, 1, 0, 0},
		"two":              {[]answer{keep, keep}, 2, 2, 0, 0},
		"more than exist":  {[]answer{keep, keep}, 9, 3, 0, 0},
		"all refuse":       {[]answer{refuse, refuse, refuse}, 2, 1, 0, 0},
		"one keeps":        {[]answer{refuse, refuse, refuse, keep}, 2, 2, 0, 0},
		"all silent":       {[]answer{silent, silent, silent}, 2, 1, pushTimeout, pushTimeout + 2*pushPatience + time.Second},
		"two silent":       {[]answer{silent, silent, keep}, 2, 2, 0, 2 * pushPatience},
		"silent, refusing": {[]answer{silent, silent, refuse, keep}, 2, 2, 0, 3 * pushPatience},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 1+len(x.others), func(c *cluster) {
				for i, f := range x.others {
					c.members[i+1].keeps(f)
					c.members[i+1].answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil })
				}
				m := c.members[0]
				m.open()
				for range 4 {
					m.put("k", "v")
					n, took := m.replicate(x.copies)
					require.Equal(t, x.want, n)
					require.GreaterOrEqual(t, took, x.min)
					require.LessOrEqual(t, took, x.of)
				}
			})
		})
	}
}

// TestPushesBeginElsewhere: each with another peer, and no more than are needed.
func TestPushesBeginElsewhere(t *testing.T) {
	inCluster(t, 5, func(c *cluster) {
		asked := map[transport.Peer]int{}
		for _, other := range c.members[1:] {
			other.keeps(func(pushRequest) error { asked[other.Peer]++; return nil })
			other.answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil })
		}
		m := c.members[0]
		m.open()
		for range 8 {
			m.put("k", "v")
			n, _ := m.replicate(2)
			require.Equal(t, 2, n)
		}
		for _, other := range c.members[1:] {
			require.Equal(t, 2, asked[other.Peer])
		}
	})
}

// TestPushCarriesItsHeads: the heads themselves, if they are small.
func TestPushCarriesItsHeads(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		var got pushRequest
		other.keeps(func(request pushRequest) error { got = request; return nil })
		other.answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil })
		m.open()
		m.put("k", "v")
		m.replicate(2)
		require.Len(t, got.Heads, 1)
		require.Len(t, got.Deltas, 1)
		d, err := decodeDelta(got.Deltas[0])
		require.NoError(t, err)
		require.Equal(t, m.r.Heads()[0], d.cid.String())
		m.put("k", strings.Repeat("long", pushSizeMax/4))
		m.replicate(2)
		require.Len(t, got.Heads, 1)
		require.Empty(t, got.Deltas)
	})
}

// TestPushesAreTaken: what is pushed is durable when that is acknowledged; what
// is lacking is pulled.
func TestPushesAreTaken(t *testing.T) {
	source, raws := sourceOf(t)
	defer source.close()
	const none transport.Kind = 255
	var heads [][]byte
	for _, raw := range raws {
		d, err := decodeDelta(raw)
		require.NoError(t, err)
		heads = append(heads, appendDot(d.cid.Bytes(), d.dot))
	}
	for name, x := range map[string]struct {
		request pushRequest
		serves  [][]byte // when it is asked for what is lacking
		joins   bool
		kind    transport.Kind // none: it is acknowledged
		entries int
	}{
		"the next":      {pushRequest{Heads: heads[:1], Deltas: raws[:1]}, nil, false, none, 1},
		"with the past": {pushRequest{Heads: heads[1:2], Deltas: raws[1:2]}, raws[:2], false, none, 2},
		"no deltas":     {pushRequest{Heads: heads[3:]}, raws, false, none, 4},
		"not served":    {pushRequest{Heads: heads[3:]}, nil, false, transport.Conflict, 0},
		"malformed":     {pushRequest{Heads: [][]byte{{1}}}, nil, false, transport.Invalid, 0},
		"no delta":      {pushRequest{Heads: heads[:1], Deltas: [][]byte{{1}}}, nil, false, transport.Internal, 0},
		"it joins":      {pushRequest{Heads: heads[:1], Deltas: raws[:1]}, nil, true, transport.Refused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 2, func(c *cluster) {
				m, other := c.members[0], c.members[1]
				m.open()
				other.answers(func(request fetchRequest) (fetchResponse, error) { return fetchResponse{Deltas: x.serves}, nil })
				m.In(func(ctx context.Context) {
					if x.joins {
						m.r.state = storage.ReplicaEmpty
					}
					_, err := m.r.onPush(ctx, other.Peer, x.request)
					m.r.state = storage.ReplicaReady
					if x.kind == none {
						require.NoError(t, err)
						require.Zero(t, m.Disk.Unsynced(), "it is durable")
					} else {
						require.Equal(t, x.kind, transport.KindOf(err), "%v", err)
					}
				})
				require.Len(t, m.contents(), x.entries)
			})
		})
	}
}

// TestNewsWaitForTheirAncestors: a little, and then they are asked for.
func TestNewsWaitForTheirAncestors(t *testing.T) {
	source, raws := sourceOf(t)
	defer source.close()
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		m.open()
		asked := 0
		other.answers(func(request fetchRequest) (fetchResponse, error) {
			asked++
			return fetchResponse{Deltas: raws}, nil
		})
		news := func(n newsNote) { m.In(func(ctx context.Context) { m.r.onNews(ctx, other.Peer, n) }) }
		news(newsNote{Delta: raws[1]})
		news(newsNote{Delta: raws[2]})
		require.Empty(t, m.contents())
		news(newsNote{Delta: raws[0]})
		require.Len(t, m.contents(), 3, "they were kept until it came")
		time.Sleep(orphanGrace + time.Millisecond)
		require.Zero(t, asked)
		require.Empty(t, m.r.orphans)
	})
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		m.open()
		asked := 0
		other.answers(func(request fetchRequest) (fetchResponse, error) {
			asked++
			return fetchResponse{Deltas: raws}, nil
		})
		news := func(n newsNote) { m.In(func(ctx context.Context) { m.r.onNews(ctx, other.Peer, n) }) }
		m.In(func(ctx context.Context) {
			m.r.state = storage.ReplicaCatchingUp
			m.r.onNews(ctx, other.Peer, newsNote{Delta: raws[0]})
			m.r.state = storage.ReplicaReady
		})
		require.Empty(t, m.contents(), "it fetches all there is")
		news(newsNote{Delta: []byte("garbage")})
		require.Empty(t, m.r.orphans)
		for range orphansLenMax + 1 {
			news(newsNote{Delta: raws[3]})
		}
		require.Less(t, len(m.r.orphans), orphansLenMax)
		time.Sleep(orphanGrace + time.Millisecond)
		require.Equal(t, 1, asked)
		require.Len(t, m.contents(), 4)
		require.False(t, m.r.awaiting)
		news(newsNote{Heads: [][]byte{foreignHead(t, 3)}})
		time.Sleep(time.Millisecond)
		require.Equal(t, 2, asked, "a head that is not here")
		news(newsNote{Heads: m.r.encodedHeads()})
		news(newsNote{Heads: [][]byte{{1}}})
		time.Sleep(time.Millisecond)
		require.Equal(t, 2, asked)
	})
}

// TestLongNewsAreHeads: what is long is not sent unasked.
func TestLongNewsAreHeads(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		m.open()
		var got []newsNote
		topic := transport.Topic[newsNote]{Name: "test/kv/main", Rule: transport.Member}
		topic.Subscribe(other.Endpoint, func(_ context.Context, _ transport.Peer, n newsNote) { got = append(got, n) })
		m.put("k", "v")
		m.put("k", strings.Repeat("v", newsSizeMax))
		m.put("k", "w")
		time.Sleep(time.Millisecond)
		require.Len(t, got, 3)
		require.NotEmpty(t, got[0].Delta)
		require.Empty(t, got[0].Heads)
		require.Empty(t, got[1].Delta)
		require.Len(t, got[1].Heads, 1)
		require.NotEmpty(t, got[2].Delta, "what it supersedes is not part of it")
	})
}
