package replicated

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// fetch asks a member's replica as another one would.
func (m *member) fetch(request fetchRequest) (response fetchResponse, err error) {
	m.In(func(ctx context.Context) { response, err = m.r.onFetch(ctx, m.Peer, request) })
	return response, err
}

// vector is the context of a member's replica.
func (m *member) vector() (v *vector) {
	m.In(func(context.Context) { v = m.r.replica.index.vector.clone() })
	return v
}

// TestFetchServesPages: of no more than was asked for, with the context as the
// cursor, long deltas in parts.
func TestFetchServesPages(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		response, err := m.fetch(fetchRequest{})
		require.NoError(t, err)
		require.Equal(t, fetchResponse{}, response, "ready, and nothing was ever written")
		for i := range 10 {
			m.put(fmt.Sprint(i), strings.Repeat("v", 100*i))
		}
		m.put("long", strings.Repeat("long", 10_000))
		m.put("last", "v")
		response, err = m.fetch(fetchRequest{})
		require.NoError(t, err)
		require.True(t, response.More)
		require.Empty(t, response.Deltas, "nobody asked for any")

		_, err = m.fetch(fetchRequest{Have: []byte{1, 2}, SizeMax: 100})
		require.Equal(t, transport.Invalid, transport.KindOf(err))

		have := newVector()
		have.add(dot{1, 1}) // somebody who has nothing at all is given a fold
		request := fetchRequest{SizeMax: 1500}
		parts, deltas := 0, 0
		for more := true; more; {
			request.Have = have.encode()
			response, err := m.fetch(request)
			require.NoError(t, err)
			require.Nil(t, response.Fold)
			size := 0
			for _, raw := range response.Deltas {
				d, err := decodeDelta(raw)
				require.NoError(t, err)
				have.add(d.dot)
				size += len(raw)
				deltas++
			}
			require.LessOrEqual(t, size, 1500)
			if p := response.Part; p != nil {
				parts++
				require.Empty(t, response.Deltas)
				require.LessOrEqual(t, len(p.Bytes), 1500)
				at := 0
				if request.Part != nil {
					at = request.Part.Offset
				}
				require.Equal(t, at, p.Offset)
				request.Part = &partCursor{CID: p.CID, Offset: at + len(p.Bytes)}
				if request.Part.Offset == p.Size {
					have.add(dot{m.r.replica.writer, have.last[m.r.replica.writer] + 1})
					request.Part = nil
					deltas++
				}
			}
			more = response.More
		}
		require.Equal(t, 12, deltas)
		require.Equal(t, 27, parts, "40,000 bytes and a little")

		have = newVector()
		have.add(dot{m.r.replica.writer, 10})
		for name, cursor := range map[string]*partCursor{
			"another": {CID: []byte{1}, Offset: 5}, "negative": {CID: response.longCID(m), Offset: -1}, "beyond": {CID: response.longCID(m), Offset: 1 << 20},
		} {
			response, err := m.fetch(fetchRequest{Have: have.encode(), SizeMax: 1500, Part: cursor})
			require.NoError(t, err)
			require.Zero(t, response.Part.Offset, name)
			require.Len(t, response.Part.Bytes, 1500)
		}
		response, err = m.fetch(fetchRequest{Have: have.encode(), SizeMax: 1 << 40})
		require.NoError(t, err)
		require.Len(t, response.Deltas, 2)
		require.False(t, response.More)

		m.In(func(ctx context.Context) {
			m.r.state = storage.ReplicaCatchingUp
			response, err = m.r.onFetch(ctx, m.Peer, fetchRequest{SizeMax: 100})
			m.r.state = storage.ReplicaReady
			require.NoError(t, err)
			require.Equal(t, fetchResponse{Standing: standingFound, More: true}, response)
			require.NoError(t, m.r.Close())
		})
		_, err = m.fetch(fetchRequest{})
		require.ErrorIs(t, err, clock.ErrStopped)
	})
}

// longCID is that of the one long delta.
func (fetchResponse) longCID(m *member) []byte {
	return m.r.replica.index.tail.get(dot{m.r.replica.writer, 11}).cid.Bytes()
}

// TestFoldsAreServed: newcomers get the same one while it is fresh, two at most
// are kept, the one that nobody asks for goes.
func TestFoldsAreServed(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.history = storage.History{Deltas: 8}
		m.open()
		for i := range 8 {
			m.put(fmt.Sprint(i), strings.Repeat("v", 100))
		}
		fold := func(request fetchRequest) *foldPage {
			t.Helper()
			if request.SizeMax == 0 {
				request.SizeMax = 300
			}
			response, err := m.fetch(request)
			require.NoError(t, err)
			require.NotNil(t, response.Fold)
			return response.Fold
		}
		ids := func() (list []uint64) {
			m.In(func(context.Context) {
				for _, f := range m.r.folds {
					list = append(list, f.id)
				}
			})
			return list
		}
		first := fold(fetchRequest{})
		require.Len(t, first.Bytes, 300)
		require.False(t, first.Done)
		require.Equal(t, foldCursor{}, first.At)
		m.put("more", "v")
		time.Sleep(foldFresh - time.Millisecond)
		require.Equal(t, first.ID, fold(fetchRequest{}).ID, "it is fresh, and the tail goes on where it ends")
		time.Sleep(time.Millisecond)
		second := fold(fetchRequest{})
		require.NotEqual(t, first.ID, second.ID)
		next := fold(fetchRequest{Fold: &foldRequest{ID: first.ID, At: first.Next}})
		require.Equal(t, first.ID, next.ID)
		require.Equal(t, first.Next, next.At)

		time.Sleep(time.Second)
		fold(fetchRequest{Fold: &foldRequest{ID: first.ID, At: first.Next}})
		third := fold(fetchRequest{Whole: true})
		require.Equal(t, []uint64{first.ID, third.ID}, ids(), "the second one was asked for least recently")
		again := fold(fetchRequest{Fold: &foldRequest{ID: second.ID, At: second.Next}})
		require.Equal(t, foldCursor{}, again.At, "it is gone: from the beginning")
		require.Len(t, ids(), 2)

		require.Equal(t, again.ID, fold(fetchRequest{}).ID, "it is fresh")
		for i := range 20 {
			m.put(fmt.Sprint("past", i), "v")
		}
		require.NotEqual(t, again.ID, fold(fetchRequest{}).ID, "what comes after it was cut")

		have := m.vector()
		response, err := m.fetch(fetchRequest{Have: have.encode(), SizeMax: 300})
		require.NoError(t, err)
		require.Nil(t, response.Fold)
		require.False(t, response.More)

		used := fold(fetchRequest{Whole: true})
		for range 4 {
			time.Sleep(foldExpiry / 4)
			fold(fetchRequest{Fold: &foldRequest{ID: used.ID}})
		}
		require.Len(t, ids(), 2)
		time.Sleep(time.Millisecond)
		m.In(func(context.Context) { m.r.expireFolds() })
		require.Equal(t, []uint64{used.ID}, ids())
		time.Sleep(foldExpiry + time.Minute)
		require.Empty(t, ids(), "anti-entropy has them expire")
		require.False(t, slices.Contains(ids(), used.ID))
	})
}
