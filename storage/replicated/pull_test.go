package replicated

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// pull has a member pull from another one.
func (m *member) pull(from *member) (err error) {
	m.In(func(ctx context.Context) { err = m.r.pull(ctx, from.Peer) })
	return err
}

// sourceOf is a replica with some deltas, of which the third is long.
func sourceOf(t *testing.T) (source *testReplica, raws [][]byte) {
	source = newReplica(t, memdisk.New())
	for i := range 4 {
		value := "v"
		if i == 2 {
			value = strings.Repeat("long", 1000)
		}
		d, err := source.commit(put(storage.K("k", fmt.Sprint(i)), value))
		require.NoError(t, err)
		raws = append(raws, d.raw)
	}
	return source, raws
}

// TestPagesThatAreRefused: a page that brings nothing or does not fit ends a pull
// with an error, and changes nothing.
func TestPagesThatAreRefused(t *testing.T) {
	source, raws := sourceOf(t)
	defer source.close()
	whole, end, _ := source.freeze(7).page(foldCursor{}, 1<<20)
	first := raws[0]
	part := func(p partPage) fetchResponse { return fetchResponse{Part: &p, More: true} }
	fold := func(p foldPage) fetchResponse { p.ID = 7; return fetchResponse{Fold: &p} }
	for name, x := range map[string]struct {
		kind  transport.Kind
		pages []fetchResponse
	}{
		"catching up":          {transport.Refused, []fetchResponse{{Standing: standingFound}}},
		"has nothing":          {transport.Refused, []fetchResponse{{Standing: standingNothing}}},
		"nothing, for ever":    {transport.Invalid, []fetchResponse{{More: true}}},
		"no delta":             {transport.Internal, []fetchResponse{{Deltas: [][]byte{{1, 2}}}}},
		"without ancestors":    {transport.Internal, []fetchResponse{{Deltas: raws[1:2]}}},
		"part: negative":       {transport.Invalid, []fetchResponse{part(partPage{CID: []byte{1}, Size: 9, Offset: -1, Bytes: []byte{1}})}},
		"part: later":          {transport.Invalid, []fetchResponse{part(partPage{CID: []byte{1}, Size: 9, Offset: 1, Bytes: []byte{1}})}},
		"part: empty":          {transport.Invalid, []fetchResponse{part(partPage{CID: []byte{1}, Size: 9})}},
		"part: huge":           {transport.Invalid, []fetchResponse{part(partPage{CID: []byte{1}, Size: deltaRawMax + 1, Bytes: []byte{1}})}},
		"part: beyond":         {transport.Invalid, []fetchResponse{part(partPage{CID: []byte{1}, Size: 2, Bytes: []byte{1, 2, 3}})}},
		"part: other size":     {transport.Invalid, []fetchResponse{part(partPage{CID: []byte{1}, Size: 9, Bytes: []byte{1}}), part(partPage{CID: []byte{1}, Size: 8, Offset: 1, Bytes: []byte{1}})}},
		"part: no delta":       {transport.Internal, []fetchResponse{part(partPage{CID: []byte{1}, Size: 2, Bytes: []byte{1, 2}})}},
		"part: known":          {transport.Invalid, []fetchResponse{{Deltas: raws[:1], More: true}, part(partPage{CID: []byte{1}, Size: len(first), Bytes: first})}},
		"fold: later":          {transport.Invalid, []fetchResponse{fold(foldPage{At: foldCursor{Item: 1}, Bytes: whole, Done: true})}},
		"fold: empty":          {transport.Invalid, []fetchResponse{fold(foldPage{})}},
		"fold: not whole":      {transport.Internal, []fetchResponse{fold(foldPage{Bytes: whole[:len(whole)-1], Done: true})}},
		"fold: out of place":   {transport.Invalid, []fetchResponse{fold(foldPage{Bytes: whole[:9], Next: foldCursor{0, 9}}), fold(foldPage{At: foldCursor{0, 8}, Bytes: whole[9:], Done: true})}},
		"fold: not a header":   {transport.Internal, []fetchResponse{fold(foldPage{Bytes: []byte{1, 1}, Done: true})}},
		"fold: brings nothing": {transport.Invalid, []fetchResponse{fold(foldPage{Bytes: whole, Next: end, Done: true}), fold(foldPage{Bytes: whole, Next: end, Done: true})}},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 2, func(c *cluster) {
				m, other := c.members[0], c.members[1]
				m.open()
				asked := 0
				other.answers(func(request fetchRequest) (fetchResponse, error) {
					if asked++; asked > len(x.pages) {
						return fetchResponse{}, transport.New(transport.Conflict, "test", "too much")
					}
					return x.pages[asked-1], nil
				})
				err := m.pull(other)
				require.Error(t, err)
				require.Equal(t, x.kind, transport.KindOf(err), "%v", err)
				require.Equal(t, len(x.pages), asked)
				m.In(func(context.Context) {
					require.Nil(t, m.r.sinkOwner)
					took := name == "part: known" || name == "fold: brings nothing"
					require.Equal(t, took, !m.r.replica.isEmpty())
				})
			})
		})
	}
}

// TestPullsGoOn: what has come of a long delta or a fold is kept when a page
// fails, and the next pull goes on there. Pages grow while they are quick.
func TestPullsGoOn(t *testing.T) {
	source, _ := sourceOf(t)
	defer source.close()
	for _, folded := range []bool{false, true} {
		inCluster(t, 2, func(c *cluster) {
			m, other := c.members[0], c.members[1]
			m.open()
			f := source.freeze(9)
			var requests []fetchRequest
			other.answers(func(request fetchRequest) (fetchResponse, error) {
				requests = append(requests, request)
				if len(requests)%3 == 0 {
					return fetchResponse{}, transport.New(transport.Unreachable, "test", "not now")
				}
				const size = 700
				if folded && request.Fold == nil && len(requests) == 1 || request.Fold != nil {
					p := &foldPage{ID: f.id}
					if request.Fold != nil {
						p.At = request.Fold.At
					}
					p.Bytes, p.Next, p.Done = f.page(p.At, size)
					return fetchResponse{Fold: p}, nil
				}
				have, err := decodeVector(request.Have)
				require.NoError(t, err)
				have.add(dot{1, 1})
				p, err := source.missing(have, size)
				require.NoError(t, err)
				if p.large != nil && len(p.raws) == 0 {
					return fetchResponse{Part: partOf(p.large, request.Part, size), More: true}, nil
				}
				return fetchResponse{Deltas: p.raws, More: p.more}, nil
			})
			pulls := 0
			for err := error(transport.New(transport.Unreachable, "", "")); err != nil; pulls++ {
				require.Less(t, pulls, 20)
				if err = m.pull(other); err != nil {
					require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
				}
			}
			require.Greater(t, pulls, 2)
			require.Len(t, m.contents(), 4)
			require.Less(t, len(requests), 15, "nothing was fetched twice")
			require.Equal(t, pacing.First, requests[0].SizeMax)
			if folded {
				require.Equal(t, 1, c.fact("replica-joined"))
			}
		})
	}
}

// TestOneFoldAtATime: while one pull takes in a fold another one does not.
func TestOneFoldAtATime(t *testing.T) {
	source, _ := sourceOf(t)
	defer source.close()
	raw, next, _ := source.freeze(3).page(foldCursor{}, 1<<20)
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		m.In(func(context.Context) {
			one, two := new(int), new(int)
			page := &foldPage{ID: 3, Bytes: raw[:100], Next: foldCursor{0, 100}}
			require.NoError(t, m.r.takeFoldPage(one, m.Peer, page, false))
			err := m.r.takeFoldPage(two, m.Peer, page, false)
			require.Equal(t, transport.Conflict, transport.KindOf(err), "%v", err)
			m.r.releaseSink(two)
			require.NotNil(t, m.r.sinkOwner)
			m.r.releaseSink(one)
			page = &foldPage{ID: 3, At: page.Next, Bytes: raw[100:], Next: next, Done: true}
			require.NoError(t, m.r.takeFoldPage(two, m.Peer, page, false), "it goes on where the other has stopped")
		})
		require.Len(t, m.contents(), 4)
	})
}
