package blocks

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

// shelf is a holder of blocks that a test scripts: it keeps what it was asked,
// and gives what it has unless say decides otherwise.
type shelf struct {
	*clustertest.Member
	blocks  graph
	asked   []getRequest
	at, max int // requests at once
	say     func(n int, request getRequest) (response getResponse, err error, said bool)
}

func (s *shelf) serve() {
	getBlocks.Serve(s.Endpoint, func(ctx context.Context, _ transport.Peer, request getRequest) (getResponse, error) {
		n := len(s.asked)
		s.asked = append(s.asked, request)
		s.at++
		s.max = max(s.max, s.at)
		defer func() { s.at-- }()
		if s.say != nil {
			if response, err, said := s.say(n, request); said {
				return clustertest.Reply(ctx, s.Member, response, err)
			}
		}
		return s.give(request), clock.Sleep(ctx, s.Loop, time.Millisecond)
	})
}

// give is what an honest holder says.
func (s *shelf) give(request getRequest) (response getResponse) {
	left := request.SizeMax
	for i, raw := range request.CIDs {
		c, _ := decodeCIDs([][]byte{raw})
		whole, found := s.blocks[c[0]]
		item := getItem{Found: found, Raw: whole, Size: len(whole)}
		if i == 0 {
			item.Raw = whole[min(request.Offset, len(whole)):]
			item.Raw = item.Raw[:min(len(item.Raw), left)]
		} else if len(whole) > left {
			return response
		}
		left -= len(item.Raw)
		response.Items = append(response.Items, item)
		if len(item.Raw)+request.Offset < item.Size && i == 0 {
			return response
		}
	}
	return response
}

// reader is a member that fetches.
type reader struct {
	*clustertest.Member
	*Store
	disk *brittledisk.Disk
}

// withShelves runs a test with a reader and n holders that have some blocks.
func withShelves(t *testing.T, n int, have graph, f func(r *reader, shelves []*shelf)) {
	clustertest.Run(t, n+1, func(c *clustertest.Cluster) {
		r := &reader{Member: c.Members[0], disk: &brittledisk.Disk{Disk: c.Members[0].Disk, FailAt: 1 << 30}}
		var err error
		r.Store, err = Open(r.Member.Endpoint, r.disk)
		require.NoError(t, err)
		var shelves []*shelf
		for _, m := range c.Members[1:] {
			s := &shelf{Member: m, blocks: graph{}}
			for c, raw := range have {
				s.blocks[c] = raw
			}
			s.serve()
			shelves = append(shelves, s)
		}
		f(r, shelves)
	})
}

// get fetches from holders, and returns how long that took.
func (r *reader) get(root storage.CID, sizeMax int64, from ...*shelf) (took time.Duration, err error) {
	r.In(func(ctx context.Context) {
		var peers []transport.Peer
		for _, s := range from {
			peers = append(peers, s.Peer)
		}
		start := r.Member.Loop.Elapsed()
		err = r.Fetch(ctx, root, peers, sizeMax)
		took = r.Member.Loop.Elapsed() - start
	})
	return took, err
}

// has reports whether a DAG is here.
func (r *reader) whole(root storage.CID) (has bool) {
	r.In(func(context.Context) {
		var err error
		has, err = r.Has(root)
		require.NoError(r.Cluster, err)
	})
	return has
}

// bytesOf is a content that does not repeat.
func bytesOf(size int) string {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16*31)
	}
	return string(data)
}

func graphOf(dags ...dag2) graph {
	g := graph{}
	for _, d := range dags {
		for _, b := range d {
			g.add(b)
		}
	}
	return g
}

// manyLeaves is a DAG with n leaves.
func manyLeaves(n int) dag2 {
	var leaves []string
	for i := range n {
		leaves = append(leaves, fmt.Sprint("leaf ", i))
	}
	return newDAG2(leaves...)
}

func item(b block, from, to int) getResponse {
	return getResponse{Items: []getItem{{Found: true, Raw: b.raw[from:to], Size: len(b.raw)}}}
}

// TestFetchAsksSeveralForWhatTheyHave: at most 8 blocks at once, of at most 4
// holders, and each for what is lacking.
func TestFetchAsksSeveralForWhatTheyHave(t *testing.T) {
	d := manyLeaves(100)
	withShelves(t, 6, graphOf(d), func(r *reader, shelves []*shelf) {
		for i, s := range shelves { // each lacks some leaves
			for j, b := range d[:100] {
				if j%6 == i {
					delete(s.blocks, b.cid)
				}
			}
		}
		at, most := 0, 0
		for _, s := range shelves {
			s.say = func(_ int, request getRequest) (getResponse, error, bool) {
				require.LessOrEqual(t, len(request.CIDs), wantsMax)
				require.Zero(t, request.Offset)
				require.GreaterOrEqual(t, request.SizeMax, pacing.First)
				at = 0
				for _, s := range shelves {
					at += s.at
				}
				most = max(most, at)
				return getResponse{}, nil, false
			}
		}
		_, err := r.get(d.root(), d.size(), shelves...)
		require.NoError(t, err)
		require.True(t, r.whole(d.root()))
		require.Equal(t, lanesMax, most)
		asked := map[string]int{}
		for i, s := range shelves {
			require.LessOrEqual(t, s.max, 1)
			for _, request := range s.asked {
				for _, raw := range request.CIDs {
					asked[fmt.Sprint(i, raw)]++
				}
			}
		}
		for _, n := range asked {
			require.Equal(t, 1, n, "nobody is asked twice for the same")
		}
		_, err = r.get(d.root(), d.size())
		require.NoError(t, err, "it is here")
		_, err = r.get(d.root(), d.size()-1)
		require.ErrorIs(t, err, storage.ErrTooLarge)
	})
}

// TestFetchKeepsAFastLinkBusy: one request at a time until a holder has shown that
// its link is fast, then several, and again one when a page is late.
func TestFetchKeepsAFastLinkBusy(t *testing.T) {
	var parts []string
	for i := range 48 {
		parts = append(parts, strings.Repeat(fmt.Sprintf("%8d", i), 32<<10))
	}
	d := newDAG2(parts...)
	withShelves(t, 2, graphOf(d), func(r *reader, shelves []*shelf) {
		fast, slow := shelves[0], shelves[1]
		at := map[int]int{} // the size that is asked for, and how many at once
		fast.say = func(_ int, request getRequest) (getResponse, error, bool) {
			at[request.SizeMax] = max(at[request.SizeMax], fast.at)
			return getResponse{}, nil, false
		}
		_, err := r.get(d.root(), 100<<20, fast)
		require.NoError(t, err)
		require.Equal(t, aheadMax, at[pacing.Max])
		for size := pacing.First; size < pacing.Max; size *= 2 {
			require.Equal(t, 1, at[size], "%d", size)
		}
		r.In(func(context.Context) { require.NoError(t, r.Remove(d.root())) })

		// Two seconds a page is not fast enough to ask for more.
		slow.say = func(_ int, request getRequest) (getResponse, error, bool) {
			return slow.give(request), clock.Sleep(context.Background(), slow.Loop, 2*time.Second), true
		}
		_, err = r.get(d.root(), 100<<20, slow)
		require.NoError(t, err)
		require.Equal(t, 1, slow.max)
	})
}

// TestFetchFromBadHolders: what a holder may say, and what comes of it.
func TestFetchFromBadHolders(t *testing.T) {
	small, big := newDAG2("one", "two", "three"), newDAG2(bytesOf(100_000))
	root, leaf := small[3], big[0]
	badNode := malformed()["a bad link"]
	huge := leafOf(bytesOf(blockSizeMax + 1))
	largest := leafOf(bytesOf(blockSizeMax))
	both := func(a, b block) getResponse {
		return getResponse{Items: []getItem{{true, a.raw, len(a.raw)}, {true, b.raw, len(b.raw)}}}
	}
	for name, row := range map[string]struct {
		of     storage.CID
		say    func(n int, request getRequest) (getResponse, error, bool)
		kind   transport.Kind
		err    error
		asked  int  // how often the bad one, alone
		helps  bool // another holder can
		within time.Duration
	}{
		"nothing":       {root.cid, func(int, getRequest) (getResponse, error, bool) { return getResponse{}, nil, true }, transport.Invalid, nil, 1, true, 0},
		"too many":      {root.cid, func(int, getRequest) (getResponse, error, bool) { return both(root, root), nil, true }, transport.Invalid, nil, 1, true, 0},
		"no part":       {leaf.cid, func(int, getRequest) (getResponse, error, bool) { return item(leaf, 0, 0), nil, true }, transport.Invalid, nil, 1, true, 0},
		"another block": {root.cid, func(int, getRequest) (getResponse, error, bool) { return item(leafOf("x"), 0, 1), nil, true }, 0, storage.ErrCorrupt, 1, true, 0},
		"refusal": {root.cid, func(int, getRequest) (getResponse, error, bool) {
			return getResponse{}, transport.New(transport.Refused, "x", "busy"), true
		}, transport.Refused, nil, 1, true, 0},
		"it has none": {root.cid, func(int, getRequest) (getResponse, error, bool) {
			return getResponse{Items: make([]getItem, 1)}, nil, true
		}, 0, storage.ErrNotFound, 1, true, 0},
		"silence": {root.cid, func(int, getRequest) (getResponse, error, bool) { return getResponse{}, clustertest.ErrSilent, true }, transport.Timeout, nil, silencesMax, true, silencesMax * pacing.Patience},
		"too large a block": {huge.cid, func(int, getRequest) (getResponse, error, bool) {
			return getResponse{Items: []getItem{{Found: true, Raw: huge.raw[:10], Size: len(huge.raw)}}}, nil, true
		}, transport.Invalid, nil, 1, false, 0},
		"the largest block": {largest.cid, func(n int, request getRequest) (getResponse, error, bool) {
			return item(largest, request.Offset, min(request.Offset+request.SizeMax, len(largest.raw))), nil, true
		}, 0, nil, 8, true, 0},
		"more than it said": {huge.cid, func(int, getRequest) (getResponse, error, bool) {
			return getResponse{Items: []getItem{{Found: true, Raw: huge.raw, Size: 10}}}, nil, true
		}, 0, storage.ErrTooLarge, 1, false, 0},
		"a malformed block": {badNode.cid, func(int, getRequest) (getResponse, error, bool) { return item(badNode, 0, len(badNode.raw)), nil, true }, 0, nil, 1, false, 0},
	} {
		have := graphOf(small, big)
		have.add(largest)
		withShelves(t, 2, have, func(r *reader, shelves []*shelf) {
			bad, good := shelves[0], shelves[1]
			bad.say = row.say
			took, err := r.get(row.of, 10<<20, bad)
			switch {
			case row.kind != 0:
				require.Equal(t, row.kind, transport.KindOf(err), "%s: %v", name, err)
			case row.err != nil:
				require.ErrorIs(t, err, row.err, name)
			case name == "a malformed block":
				require.Error(t, err)
			default:
				require.NoError(t, err, name)
			}
			require.Len(t, bad.asked, row.asked, name)
			require.InDelta(t, row.within, took, float64(100*time.Millisecond), name)
			if name == "silence" {
				for i, size := range []int{pacing.First, pacing.First / 4, pacing.Min, pacing.Min} {
					require.Equal(t, size, bad.asked[i].SizeMax)
				}
			}
			if err != nil {
				require.Empty(t, inside(r.Store.store), name)
			}
			bad.asked, good.asked = nil, nil
			_, err = r.get(row.of, 10<<20, bad, good)
			require.Equal(t, row.helps, err == nil, "%s: %v", name, err)
			if row.helps && name != "the largest block" {
				require.NotEmpty(t, good.asked, name)
			}
		})
	}
}

// TestFetchKeepsWhatIsRight: of an answer what precedes the first lie is kept, and
// the rest asked of another.
func TestFetchKeepsWhatIsRight(t *testing.T) {
	d := newDAG2("one", "two", "three", "four")
	withShelves(t, 2, graphOf(d), func(r *reader, shelves []*shelf) {
		liar, honest := shelves[0], shelves[1]
		liar.blocks[d[1].cid] = []byte("owt")
		_, err := r.get(d.root(), 10<<20, liar, honest)
		require.NoError(t, err)
		require.Len(t, liar.asked, 2)
		require.Len(t, honest.asked, 1)
		require.Equal(t, encodeCIDs(cidsOf(d[1:4])), sortedLike(honest.asked[0].CIDs, d[1:4]))
	})
}

// sortedLike brings names into the order of blocks.
func sortedLike(names [][]byte, blocks []block) (sorted [][]byte) {
	for _, b := range blocks {
		if slices.ContainsFunc(names, func(n []byte) bool { return bytes.Equal(n, b.cid.Bytes()) }) {
			sorted = append(sorted, b.cid.Bytes())
		}
	}
	if len(sorted) != len(names) {
		return names
	}
	return sorted
}

// TestFetchInParts: a block comes in parts, whoever sends them; if it is wrong then,
// one of them has to send it all.
func TestFetchInParts(t *testing.T) {
	b := leafOf(bytesOf(100_000))
	offsets := func(s *shelf) (list []int) {
		for _, r := range s.asked {
			list = append(list, r.Offset)
		}
		return list
	}
	for name, row := range map[string]struct {
		spoil   bool // what the first sends
		fails   int  // its request that fails
		offsets [2][]int
	}{
		"of one":     {false, 9, [2][]int{{0, 16384, 49152}, nil}},
		"of two":     {false, 1, [2][]int{{0, 16384}, {16384, 32768, 65536}}},
		"with a lie": {true, 1, [2][]int{{0, 16384}, {16384, 32768, 65536, 0}}},
		"only a lie": {true, 9, [2][]int{{0, 16384, 49152}, {0, 16384, 49152}}},
		"not at all": {false, 0, [2][]int{{0}, {0, 16384, 49152}}},
	} {
		withShelves(t, 2, graph{b.cid: b.raw}, func(r *reader, shelves []*shelf) {
			first, second := shelves[0], shelves[1]
			first.say = func(n int, request getRequest) (getResponse, error, bool) {
				if n == row.fails {
					return getResponse{}, transport.New(transport.Refused, "x", "busy"), true
				}
				response := first.give(request)
				if row.spoil {
					response.Items[0].Raw = bytes.Repeat([]byte("x"), len(response.Items[0].Raw))
				}
				return response, nil, true
			}
			_, err := r.get(b.cid, 10<<20, first, second)
			require.NoError(t, err, name)
			require.Equal(t, row.offsets, [2][]int{offsets(first), offsets(second)}, name)
		})
	}
}

// TestPartsOutliveTheirHolder: what a holder has sent of a block before it vanished, or fell
// silent, is not asked for again: another one continues it.
func TestPartsOutliveTheirHolder(t *testing.T) {
	b := leafOf(bytesOf(100_000))
	for _, row := range []struct {
		vanishes bool
		sent     int // requests that are answered before
		from     int // where the other one goes on
	}{{true, 1, 16384}, {true, 2, 49152}, {false, 1, 16384}, {false, 2, 49152}} {
		withShelves(t, 2, graph{b.cid: b.raw}, func(r *reader, shelves []*shelf) {
			first, second := shelves[0], shelves[1]
			first.say = func(n int, request getRequest) (getResponse, error, bool) {
				if n < row.sent {
					return first.give(request), nil, true
				}
				if row.vanishes && n == row.sent {
					time.AfterFunc(time.Second, first.End)
				}
				return getResponse{}, clustertest.ErrSilent, true
			}
			_, err := r.get(b.cid, 10<<20, first, second)
			require.NoError(t, err)
			require.True(t, r.whole(b.cid))
			require.NotEmpty(t, second.asked)
			require.Equal(t, row.from, second.asked[0].Offset, "%+v", row)
			if row.vanishes {
				require.Len(t, first.asked, row.sent+1)
			} else {
				require.Len(t, first.asked, row.sent+silencesMax)
			}
		})
	}
}

// TestFetchOnABrittleDisk: that the disk fails is nobody else's fault, and what
// has rotted here is fetched again.
func TestFetchOnABrittleDisk(t *testing.T) {
	d := newDAG2("one", "two")
	withShelves(t, 2, graphOf(d), func(r *reader, shelves []*shelf) {
		for failAt := 0; ; failAt++ {
			r.disk.Count, r.disk.FailAt, r.disk.Times, r.disk.Failed = 0, failAt, 1, ""
			shelves[0].asked, shelves[1].asked = nil, nil
			_, err := r.get(d.root(), 1<<20, shelves...)
			if r.disk.Failed == "" {
				require.NoError(t, err)
				require.Greater(t, failAt, 4)
				break
			}
			require.ErrorIs(t, err, brittledisk.ErrBroken, "at %d", failAt)
			require.Empty(t, shelves[1].asked)
			require.False(t, r.whole(d.root()))
			r.disk.FailAt = 1 << 30
			r.In(func(context.Context) {
				for len(r.suspended) > 0 {
					r.drop(r.suspended[0])
				}
			})
			require.Empty(t, inside(r.Store.store))
		}
		for i, b := range d {
			spoil(t, r.disk.Disk, blockKey(b.cid).String())
			r.In(func(ctx context.Context) {
				require.ErrorIs(t, r.Verify(ctx, d.root()), storage.ErrNotFound)
				has, err := r.Has(d.root())
				require.NoError(t, err)
				require.False(t, has)
			})
			shelves[0].asked = nil
			_, err := r.get(d.root(), 1<<20, shelves[0])
			require.NoError(t, err, "%d", i)
			require.True(t, r.whole(d.root()))
			require.Len(t, shelves[0].asked, 1)
		}
		spoil(t, r.disk.Disk, blockKey(d.root()).String())
		_, err := r.get(d.root(), 1<<20, shelves[0])
		require.NoError(t, err, "a fetch reads inner blocks")
		require.Len(t, shelves[0].asked, 2)
		r.In(func(ctx context.Context) {
			require.NoError(t, r.Verify(ctx, d.root()))
			require.NoError(t, r.Remove(d.root()))
		})
		require.Empty(t, inside(r.Store.store))
	})
}

// TestFetchesAreContinued: what a fetch brought that failed is there for the next
// one, for two minutes; of two roots, and of each up to 8 MiB.
func TestFetchesAreContinued(t *testing.T) {
	var dags []dag2
	for i := range 3 {
		dags = append(dags, newDAG2(fmt.Sprint(i, "one"), fmt.Sprint(i, "two")))
	}
	large := newDAG2(bytesOf(2<<20-1), bytesOf(2<<20-2), bytesOf(2<<20-3), bytesOf(2<<20-4), bytesOf(1000), "end")
	withShelves(t, 1, graphOf(append(dags, large)...), func(r *reader, shelves []*shelf) {
		s := shelves[0]
		failing := func(d dag2) { // all comes but the last leaf
			last := d[len(d)-2].cid
			raw := s.blocks[last]
			delete(s.blocks, last)
			_, err := r.get(d.root(), 10<<20, s)
			require.ErrorIs(t, err, storage.ErrNotFound)
			s.blocks[last], s.asked = raw, nil
		}
		names := func() (n int) {
			for _, request := range s.asked {
				n += len(request.CIDs)
			}
			return n
		}
		suspended := func() (n int) {
			r.In(func(context.Context) { n = len(r.suspended) })
			return n
		}
		ends := func(d dag2, asks int) {
			_, err := r.get(d.root(), 10<<20, s)
			require.NoError(t, err)
			require.Equal(t, asks, names())
			require.True(t, r.whole(d.root()))
			r.In(func(context.Context) { require.NoError(t, r.Remove(d.root())) })
		}
		failing(dags[0])
		time.Sleep(suspendedFor - time.Second)
		failing(dags[0]) // counts anew
		time.Sleep(suspendedFor - time.Second)
		require.Equal(t, 1, suspended())
		ends(dags[0], 1)
		require.Zero(t, suspended())
		require.Empty(t, inside(r.Store.store))

		failing(dags[0])
		r.In(func(context.Context) { require.NoError(t, r.Remove(dags[0].root())) })
		require.Zero(t, suspended(), "nobody wants it any more")
		require.Empty(t, inside(r.Store.store))

		failing(dags[0])
		time.Sleep(suspendedFor + time.Millisecond)
		require.Zero(t, suspended())
		require.Empty(t, inside(r.Store.store))
		ends(dags[0], 3)

		for _, d := range dags {
			failing(d)
		}
		require.Equal(t, 2, suspended())
		ends(dags[0], 3)
		s.asked = nil
		ends(dags[1], 1)
		s.asked = nil
		r.In(func(context.Context) { r.Store.store.discard(dags[2][0].cid) })
		ends(dags[2], 3)
		require.Empty(t, inside(r.Store.store))

		failing(large)
		require.Zero(t, suspended(), "too much")
		require.Empty(t, inside(r.Store.store))
		_, err := r.get(dags[0].root(), 20, s)
		require.ErrorIs(t, err, storage.ErrTooLarge)
		require.Zero(t, suspended(), "that cannot be mended")
		require.Empty(t, inside(r.Store.store))
		_, err = r.get(dags[0].root(), 20)
		require.Equal(t, transport.Unreachable, transport.KindOf(err))
		require.Zero(t, suspended(), "there is nothing of it")
	})
}

// TestLitterIsSwept: blocks that nobody needs and a broken disk did not delete are
// deleted once it works again.
func TestLitterIsSwept(t *testing.T) {
	d := newDAG2("one", "two")
	withShelves(t, 1, graphOf(d), func(r *reader, shelves []*shelf) {
		s := shelves[0]
		onDisk := func() (n int) {
			results, err := r.disk.Disk.Query(context.Background(), query.Query{Prefix: string(blocksAt), KeysOnly: true})
			require.NoError(t, err)
			entries, err := results.Rest()
			require.NoError(t, err)
			return len(entries)
		}
		last := d[len(d)-2].cid
		raw := s.blocks[last]
		delete(s.blocks, last)
		broken := func(on bool) {
			r.disk.Count, r.disk.FailAt, r.disk.Times = 0, 1<<30, 0
			if on {
				r.disk.FailAt, r.disk.Times = 0, 1<<30
			}
		}
		failsHalfway := func() {
			_, err := r.get(d.root(), 1<<20, s)
			require.ErrorIs(t, err, storage.ErrNotFound)
			broken(true)
			r.In(func(context.Context) { _ = r.Remove(d.root()) })
		}
		failsHalfway()
		require.Empty(t, inside(r.Store.store))
		require.Positive(t, onDisk())
		time.Sleep(3 * sweepEach)
		require.Positive(t, onDisk())
		broken(false)
		time.Sleep(sweepEach + time.Millisecond)
		require.Zero(t, onDisk())

		failsHalfway()
		broken(false)
		s.blocks[last] = raw
		_, err := r.get(d.root(), 1<<20, s)
		require.NoError(t, err)
		time.Sleep(2 * sweepEach)
		r.In(func(ctx context.Context) {
			require.NoError(t, r.Verify(ctx, d.root()), "litter that is wanted again stays")
		})
	})
}

// TestExchangeFromHolders asks one holder after the other, and stores nothing.
func TestExchangeFromHolders(t *testing.T) {
	b, other := leafOf(bytesOf(100_000)), leafOf("other")
	withShelves(t, 3, graph{b.cid: b.raw, other.cid: other.raw}, func(r *reader, shelves []*shelf) {
		delete(shelves[0].blocks, b.cid)
		shelves[1].blocks[b.cid] = bytes.Repeat([]byte("x"), len(b.raw))
		shelves[1].blocks[other.cid] = []byte("rehto")
		delete(shelves[2].blocks, other.cid)
		delete(shelves[0].blocks, other.cid)
		var peers []transport.Peer
		for _, s := range shelves {
			peers = append(peers, s.Peer)
		}
		r.In(func(ctx context.Context) {
			got, err := r.Exchange(peers).GetBlock(ctx, b.cid)
			require.NoError(t, err)
			require.Equal(t, b.raw, got.RawData())
			require.Equal(t, b.cid, got.Cid())
			for n, want := range []error{storage.ErrNotFound, storage.ErrNotFound, storage.ErrCorrupt, storage.ErrNotFound} {
				_, err = r.Exchange(peers[:n]).GetBlock(ctx, other.cid)
				require.ErrorIs(t, err, want, "%d holders", n)
			}
			_, err = r.Exchange(peers).GetBlock(ctx, storage.CID{})
			require.ErrorContains(t, err, "undefined")
			shelves[0].say = func(int, getRequest) (getResponse, error, bool) { return getResponse{}, nil, true }
			_, err = r.Exchange(peers[:1]).GetBlock(ctx, b.cid)
			require.Equal(t, transport.Invalid, transport.KindOf(err), "%v", err)
			short, cancel := context.WithCancel(ctx)
			r.Member.Loop.AfterFunc(time.Second, cancel)
			shelves[0].say = func(int, getRequest) (getResponse, error, bool) { return getResponse{}, clustertest.ErrSilent, true }
			_, err = r.Exchange(peers[:1]).GetBlocks(short, []storage.CID{b.cid})
			require.Equal(t, transport.Stopped, transport.KindOf(err), "%v", err)
			require.NoError(t, r.Exchange(nil).NotifyNewBlocks(ctx, got))
			require.NoError(t, r.Exchange(nil).Close())
		})
		require.Empty(t, inside(r.Store.store))
	})
}

// TestFetchesEnd with the cause of their context's end.
func TestFetchesEnd(t *testing.T) {
	d := manyLeaves(100)
	withShelves(t, 1, graphOf(d), func(r *reader, shelves []*shelf) {
		own := fmt.Errorf("a cause of its own")
		r.In(func(ctx context.Context) {
			ctx, end := context.WithCancelCause(ctx)
			shelves[0].say = func(n int, _ getRequest) (getResponse, error, bool) {
				if n == 3 {
					return getResponse{}, clustertest.ErrSilent, true
				}
				return getResponse{}, nil, false
			}
			r.Member.Loop.AfterFunc(time.Second, func() { end(own) })
			err := r.Fetch(ctx, d.root(), []transport.Peer{shelves[0].Peer}, 1<<20)
			require.Error(t, err)
			require.ErrorIs(t, r.Fetch(ctx, d.root(), []transport.Peer{shelves[0].Peer}, 1<<20), own)
			require.Len(t, shelves[0].asked, 4)
			require.ErrorContains(t, r.Fetch(ctx, storage.CID{}, nil, 1), "undefined")
		})
	})
}

// TestFewBlocksAreHereInPart, however slow the link is: memory is for as many as are
// asked for at once.
func TestFewBlocksAreHereInPart(t *testing.T) {
	var leaves []string
	for i := range 60 {
		leaves = append(leaves, fmt.Sprint(i)+bytesOf(40_000))
	}
	d := newDAG2(leaves...)
	withShelves(t, 2, graphOf(d), func(r *reader, shelves []*shelf) {
		most := 0
		for _, s := range shelves {
			begun := map[string]int{}
			s.say = func(_ int, request getRequest) (getResponse, error, bool) {
				request.SizeMax = min(request.SizeMax, 16<<10)
				response := s.give(request)
				for i, item := range response.Items {
					id := string(request.CIDs[i])
					if begun[id] = request.Offset + len(item.Raw); begun[id] == item.Size {
						delete(begun, id)
					}
				}
				most = max(most, len(begun))
				return response, clock.Sleep(context.Background(), s.Loop, 2*time.Second), true
			}
		}
		_, err := r.get(d.root(), 10<<20, shelves...)
		require.NoError(t, err)
		require.LessOrEqual(t, most, 2)
		for _, s := range shelves {
			require.Less(t, len(s.asked), 200, "nothing is asked for twice")
		}
	})
}
