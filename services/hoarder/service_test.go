package hoarder

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// town is some hoarders, something that tells them at once who lives, and a
// user.
type town struct {
	*nodetest.Cloud
	hoarders []*nodetest.Machine
	user     *nodetest.Caller
	client   *hoarderapi.Client
	blind    bool  // no seer answers
	free     int64 // bytes that seers tell of, 0: they tell nothing
}

func inTown(t *testing.T, n int, change func(s *Settings), f func(w *town)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		w := &town{Cloud: c}
		c.Add("seer", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			seerapi.Changes.Serve(env.Wire, func(context.Context, transport.Peer, seerapi.ChangesRequest) (seerapi.ChangesResponse, error) {
				if w.blind {
					return seerapi.ChangesResponse{}, transport.New(transport.Refused, "seer", "blind")
				}
				return seerapi.ChangesResponse{Full: true, Changed: w.living()}, nil
			})
		})}).Start()
		for i := range n {
			settings := *DefaultSettings()
			if change != nil {
				change(&settings)
			}
			w.hoarders = append(w.hoarders, c.Add(fmt.Sprintf("hoarder-%d", i+1), node.Configured{Spec: Spec(), Settings: &settings}))
		}
		for _, m := range w.hoarders {
			m.Start()
		}
		w.user = c.Caller("user", "hoarder")
		w.client = hoarderapi.NewClient(w.user.Env.Wire)
		f(w)
	})
}

func (w *town) living() (list []seerapi.Member) {
	for _, m := range w.hoarders {
		if m.Up() {
			member := seerapi.Member{Peer: m.Peer(), Services: []string{hoarderapi.Service}}
			if w.free > 0 {
				member.Capacity, member.Usage = map[string]int64{gaugeMax: w.free + 5}, map[string]int64{gaugeUsed: 5}
			}
			list = append(list, member)
		}
	}
	return list
}

// turn runs f in a turn of a hoarder.
func (w *town) turn(m *nodetest.Machine, f func(ctx context.Context, s *Service)) {
	s := m.Service(hoarderapi.Service).(*Service)
	require.NoError(w, clock.Do(context.Background(), s.env.Loop, func(ctx context.Context) { f(ctx, s) }))
}

// store adds content to the user's own disk.
func (w *town) store(size int, of byte) (root string) {
	w.user.Do(func(ctx context.Context) {
		c, err := w.user.Env.Blocks.Add(ctx, bytes.Repeat([]byte{of}, size))
		require.NoError(w, err)
		root = c.String()
	})
	return root
}

func (w *town) pin(req hoarderapi.PinRequest) (resp hoarderapi.PinResponse, err error) {
	w.user.Do(func(ctx context.Context) { resp, err = w.client.Pin(ctx, req) })
	return resp, err
}

// threeHold stores an item, and waits until three hoarders hold it and its owner has gone.
func (w *town) threeHold(t *testing.T) (root string, holders []string) {
	nodetest.Sleep(5 * time.Second)
	root = w.store(3000, 1)
	_, err := w.pin(asset(root, "me"))
	require.NoError(t, err)
	nodetest.Sleep(20 * time.Second)
	w.user.Stop()
	holders = w.holders(root)
	require.Len(t, holders, 3)
	return root, holders
}

// holders are those on whose disk the whole content is, and who say so.
func (w *town) holders(root string) (list []string) {
	c, err := cid.Decode(root)
	require.NoError(w, err)
	for _, m := range w.hoarders {
		if !m.Up() {
			continue
		}
		w.turn(m, func(ctx context.Context, s *Service) {
			has, err := s.env.Blocks.Has(c)
			require.NoError(w, err)
			require.Equal(w, s.Holds(root), s.holdings.holds(root) && has)
			if s.Holds(root) {
				require.True(w, s.Intact(ctx, root))
				require.Contains(w, s.Held(), root)
				list = append(list, m.Name)
			} else {
				require.False(w, s.Intact(ctx, root))
			}
		})
	}
	return list
}

func asset(root, owner string) hoarderapi.PinRequest {
	return hoarderapi.PinRequest{Root: root, Kind: hoarderapi.Asset, Owner: owner}
}

func TestPinIsOnTwoDisks(t *testing.T) {
	inTown(t, 5, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(5000, 1)
		resp, err := w.pin(asset(root, "me"))
		require.NoError(t, err)
		require.Equal(t, 2, resp.Copies)
		require.Equal(t, 2, resp.Records)
		require.Len(t, w.holders(root), 2, "as it says")
		for _, m := range w.hoarders {
			found := false
			m.Disk.DurableBelow("/", func(key string, _ []byte) bool {
				found = found || bytes.Contains([]byte(key), []byte(root))
				return true
			})
			require.True(t, found || !slices.Contains(w.holders(root), m.Name), "what was acknowledged was synced")
		}
		pinned := w.Facts("item-pinned")
		require.Len(t, pinned, 1)
		for name, want := range map[string]any{"root": root, "target": 3, "bytes": resp.Bytes, "copies": 2, "records": 2} {
			require.Equal(t, want, pinned[0].Fields[name], name)
		}
		require.GreaterOrEqual(t, resp.Bytes, int64(5000))
		require.Less(t, resp.Bytes, int64(5500))

		nodetest.Sleep(20 * time.Second)
		require.Len(t, w.holders(root), hoarderapi.TargetDefault, "the others compete for the third copy")
		var located []transport.Peer
		w.user.Do(func(ctx context.Context) {
			located, err = w.client.Locate(ctx, root)
			require.NoError(t, err)
			_, err = w.client.Locate(ctx, w.store1(ctx, 9))
			require.Equal(t, transport.NotFound, transport.KindOf(err))
		})
		require.Len(t, located, 3)
		require.Equal(t, rendezvous.Rank(root, located), located, "the best first")

		again, err := w.pin(asset(root, "me"))
		require.NoError(t, err)
		require.Equal(t, resp.Bytes, again.Bytes)
		nodetest.Sleep(2 * time.Minute)
		require.LessOrEqual(t, len(w.holders(root)), hoarderapi.TargetDefault+1)
	})
}

func (w *town) store1(ctx context.Context, of byte) string {
	c, err := w.user.Env.Blocks.Add(ctx, []byte{of})
	require.NoError(w, err)
	return c.String()
}

func TestOneCopyIfOneIsWanted(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(100, 1)
		req := asset(root, "me")
		req.Target = 1
		resp, err := w.pin(req)
		require.NoError(t, err)
		require.Equal(t, 1, resp.Copies)
		require.Equal(t, 2, resp.Records, "the pin itself is on two")
		nodetest.Sleep(time.Minute)
		require.Len(t, w.holders(root), 1)
		req.Target, req.Seq = 2, 1
		resp, err = w.pin(req)
		require.NoError(t, err)
		require.Equal(t, 2, resp.Copies)
	})
}

func TestLostCopiesAreRestored(t *testing.T) {
	inTown(t, 5, nil, func(w *town) {
		root, first := w.threeHold(t)
		for _, m := range w.hoarders {
			if slices.Contains(first[:2], m.Name) {
				m.Vanish()
			}
		}
		nodetest.Sleep(8 * time.Second)
		require.Len(t, w.holders(root), 1, "they may come back")
		require.Empty(t, w.Facts("item-repaired"))
		nodetest.Sleep(40 * time.Second)
		require.Len(t, w.holders(root), 3)
		require.NotEmpty(t, w.Facts("item-repaired"))
		for _, m := range w.hoarders {
			if !m.Up() {
				m.Start()
			}
		}
		require.Len(t, w.holders(root), 5)
		nodetest.Sleep(2 * time.Minute)
		require.Len(t, w.holders(root), 4, "one above the target may stay, the others go")
		require.Len(t, w.Facts("item-released"), 1)
	})
}

func TestUnpinLetsGo(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(300, 1)
		for _, owner := range []string{"one", "two"} {
			req := asset(root, owner)
			req.Seq, req.Target = 4, 2
			_, err := w.pin(req)
			require.NoError(t, err)
		}
		unpin := func(owner string, seq uint64) {
			w.user.Do(func(ctx context.Context) {
				require.NoError(t, w.client.Unpin(ctx, hoarderapi.UnpinRequest{Root: root, Owner: owner, Seq: seq}))
			})
		}
		owners := func() (names []string) {
			w.user.Do(func(ctx context.Context) {
				resp, err := w.client.Owners(ctx, hoarderapi.OwnersRequest{Root: root})
				require.NoError(t, err)
				for _, o := range resp.Owners {
					require.Equal(t, root, o.Root)
					require.Equal(t, uint64(4), o.Seq)
					require.Equal(t, 2, o.Target)
					require.Equal(t, hoarderapi.Asset, o.Kind)
					names = append(names, o.Owner)
				}
			})
			return names
		}
		unpin("one", 3)
		require.Equal(t, []string{"one", "two"}, owners(), "an older word")
		unpin("one", 4)
		require.Equal(t, []string{"two"}, owners())
		req := asset(root, "one")
		req.Seq = 4
		_, err := w.pin(req)
		require.Equal(t, transport.Conflict, transport.KindOf(err))
		nodetest.Sleep(time.Minute)
		require.Len(t, w.holders(root), 2, "somebody wants it")
		unpin("two", hoarderapi.Forever)
		nodetest.Sleep(10 * time.Second)
		require.Len(t, w.holders(root), 2, "for a while")
		nodetest.Sleep(30 * time.Second)
		require.Empty(t, w.holders(root))
		for _, m := range w.hoarders {
			w.turn(m, func(_ context.Context, s *Service) {
				used, capacity := s.Bytes()
				require.Zero(t, used)
				require.Equal(t, int64(10<<30), capacity)
				require.Empty(t, s.env.Blocks.Roots(), "nothing is left on the disk")
			})
		}
		require.Len(t, w.Facts("item-released"), 2)
	})
}

func TestCapacityIsKept(t *testing.T) {
	inTown(t, 3, func(s *Settings) { s.Capacity, s.ItemSizeMax = 20_000, 15_000 }, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(9000, 1), "me")
		req.Size = 9000
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(time.Minute)
		require.Len(t, w.holders(req.Root), 3)
		second := asset(w.store(12_000, 2), "me")
		second.Size = 12_000
		_, err = w.pin(second)
		require.Equal(t, transport.Refused, transport.KindOf(err), "%v", err)
		require.Empty(t, w.holders(second.Root))
		liar := asset(w.store(12_000, 3), "me")
		liar.Size = 100
		_, err = w.pin(liar)
		require.Error(t, err, "it is larger than was said")
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			used, capacity := s.Bytes()
			require.Equal(t, int64(20_000), capacity)
			require.InDelta(t, 9000, used, 200)
			free := capacity - used
			require.Equal(t, free, s.holdings.free(), "nothing is reserved any more")
			fits := (free - 1024) * 10 / 11
			require.True(t, s.Room(fits-20))
			require.False(t, s.Room(fits+20))
		})
		third := asset(w.store(5000, 4), "me")
		third.Size = 5000
		_, err = w.pin(third)
		require.NoError(t, err)
	})
}

func TestHaveReadsWhatItConfirms(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(3000, 1)
		_, err := w.pin(asset(root, "me"))
		require.NoError(t, err)
		require.Len(t, w.holders(root), 2)
		ask := func(from *Service, ctx context.Context, of *nodetest.Machine, promise bool) hoarderapi.HaveResponse {
			resp, err := hoarderapi.Have.Call(ctx, from.env.Wire, of.Peer(), hoarderapi.HaveRequest{Root: root, Promise: promise})
			require.NoError(t, err)
			return resp
		}
		a, b := w.hoarders[0], w.hoarders[1]
		w.turn(a, func(ctx context.Context, s *Service) {
			require.Equal(t, hoarderapi.HaveResponse{Has: true}, ask(s, ctx, b, false))
			require.Equal(t, hoarderapi.HaveResponse{Has: true, Promise: 20 * time.Second}, ask(s, ctx, b, true))
		})
		w.user.Do(func(ctx context.Context) {
			resp, err := hoarderapi.Have.Call(ctx, w.user.Env.Wire, b.Peer(), hoarderapi.HaveRequest{Root: root, Promise: true})
			require.NoError(t, err)
			require.Equal(t, hoarderapi.HaveResponse{Has: true}, resp, "only hoarders are promised anything")
			_, err = hoarderapi.Have.Call(ctx, w.user.Env.Wire, b.Peer(), hoarderapi.HaveRequest{Root: "x"})
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		})
		w.turn(b, func(ctx context.Context, s *Service) {
			now := s.env.Loop.Elapsed()
			require.True(t, s.holdings.promised(root, now+20*time.Second-time.Millisecond))
			require.False(t, s.holdings.promised(root, now+21*time.Second))
			status, err := s.status(ctx, a.Peer(), hoarderapi.Done{})
			require.NoError(t, err)
			require.Equal(t, hoarderapi.StatusResponse{Items: 1, Held: 1, BytesUsed: s.holdings.used, BytesMax: 10 << 30, LiveOthers: 1}, status)
			c, err := cid.Decode(root)
			require.NoError(t, err)
			require.NoError(t, s.env.Blocks.Remove(c)) // as rot would
		})
		w.turn(a, func(ctx context.Context, s *Service) {
			require.Equal(t, hoarderapi.HaveResponse{}, ask(s, ctx, b, true), "it is not there")
		})
		require.Len(t, w.Facts("item-corrupted"), 1)
		nodetest.Sleep(5 * time.Second)
		require.Len(t, w.Facts("copy-mended"), 1)
		require.Len(t, w.holders(root), 2)
	})
}

func TestARestartCountsItsDisk(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		kept, gone := w.store(3000, 1), w.store(2000, 2)
		for _, root := range []string{kept, gone} {
			_, err := w.pin(asset(root, "me"))
			require.NoError(t, err)
		}
		m := w.hoarders[0]
		var used int64
		w.turn(m, func(_ context.Context, s *Service) {
			used, _ = s.Bytes()
			c, err := cid.Decode(gone)
			require.NoError(t, err)
			require.NoError(t, s.env.Blocks.Remove(c))
			used -= s.holdings.held[gone]
		})
		m.Stop()
		m.Start()
		w.turn(m, func(_ context.Context, s *Service) {
			now, _ := s.Bytes()
			require.Equal(t, used, now)
			require.Equal(t, []string{kept}, s.Held())
			require.False(t, s.index.get(gone).claimed(m.Peer()), "what it has not it does not claim")
		})
		require.Len(t, w.Facts("copy-missing"), 1)
		nodetest.Sleep(time.Minute)
		require.Len(t, w.holders(gone), 2, "it fetches it again")
	})
}

func TestDatabasesNewestSnapshotCounts(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		snapshot := func(version uint64) string {
			req := hoarderapi.PinRequest{Root: w.store(1000, byte(version)), Kind: hoarderapi.Database, Owner: "me", Name: "db", Version: version, Target: 2}
			_, err := w.pin(req)
			require.NoError(t, err)
			return req.Root
		}
		old, newest := snapshot(1), snapshot(2)
		nodetest.Sleep(time.Second) // claims are told a moment later
		w.user.Do(func(ctx context.Context) {
			db, err := w.client.Database(ctx, "me", "db")
			require.NoError(t, err)
			require.Equal(t, newest, db.Root)
			require.Equal(t, uint64(2), db.Version)
			require.Len(t, db.Holders, 2)
			_, err = w.client.Database(ctx, "me", "other")
			require.Equal(t, transport.NotFound, transport.KindOf(err))
		})
		nodetest.Sleep(time.Minute)
		require.Empty(t, w.holders(old))
		require.Len(t, w.holders(newest), 2)
	})
}

func TestAPinWithATimeEnds(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(1000, 1), "me")
		req.For = time.Minute
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(59 * time.Second)
		require.Empty(t, w.Facts("pin-withdrawn"))
		require.Len(t, w.holders(req.Root), 2)
		nodetest.Sleep(50 * time.Second)
		ended := w.Facts("pin-withdrawn")
		require.Len(t, ended, 1, "one of them says so")
		require.Equal(t, "ended", ended[0].Fields["why"])
		require.Empty(t, w.holders(req.Root))
	})
}

func TestDemandIsCounted(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		root := w.store(1000, 1)
		_, err := w.pin(asset(root, "me"))
		require.NoError(t, err)
		m := w.hoarders[0]
		report := func(root string, n int) (err error) {
			w.user.Do(func(ctx context.Context) {
				_, err = hoarderapi.Demand.Call(ctx, w.user.Env.Wire, m.Peer(), hoarderapi.DemandRequest{Root: root, N: n})
			})
			return err
		}
		require.Equal(t, transport.NotFound, transport.KindOf(report(w.store(1, 7), 1)))
		require.Equal(t, transport.Invalid, transport.KindOf(report(root, 0)))
		require.Equal(t, transport.Invalid, transport.KindOf(report(root, hoarderapi.DemandMax+1)))
		require.NoError(t, report(root, 1))
		require.NoError(t, report(root, 5))
		nodetest.Sleep(20 * time.Second)
		for _, h := range w.hoarders {
			w.turn(h, func(_ context.Context, s *Service) {
				require.Equal(t, uint64(6), s.index.get(root).demandBy(m.Peer()))
				require.Equal(t, int64(7), s.index.get(root).totalDemand(), "the pin expects one")
				require.Empty(t, s.interest)
			})
		}
		require.NoError(t, report(root, 2))
		nodetest.Sleep(20 * time.Second)
		w.turn(m, func(_ context.Context, s *Service) {
			require.Equal(t, uint64(8), s.index.get(root).demandBy(m.Peer()), "what was written before counts on")
		})
		require.NoError(t, report(root, hoarderapi.DemandMax))
		require.NoError(t, report(root, hoarderapi.DemandMax))
		w.turn(m, func(_ context.Context, s *Service) { require.Equal(t, hoarderapi.DemandMax, s.interest[root]) })
	})
}

func cidOf(t require.TestingT, root string) cid.Cid {
	c, err := cid.Decode(root)
	require.NoError(t, err)
	return c
}

// TestWhoIsBelievedToBeMissingIsAsked last for a second copy: the belief may be old.
func TestWhoIsBelievedToBeMissingIsAsked(t *testing.T) {
	self, peers := somePeers(9)[8], somePeers(8)
	s := told(t, claimEntry("r", peers[0]), claimEntry("r", peers[1]))
	s.env.Self = self
	s.roster.know(append(peers, self))
	it := s.index.get("r")
	for _, p := range peers[1:] {
		s.roster.saw(p, false, 0)
	}
	missing := rendezvous.Rank("r", peers[1:])
	require.Equal(t, []transport.Peer{peers[0], missing[0]}, s.passOnTo(it), "who claims it, and one that is missing")
	s.roster.saw(peers[2], true, 0)
	require.Equal(t, []transport.Peer{peers[0], peers[2], rendezvous.Rank("r", append(peers[1:2:2], peers[3:]...))[0]}, s.passOnTo(it))
	s.roster.saw(peers[3], true, 0)
	require.Equal(t, append(peers[:1:1], rendezvous.Rank("r", peers[2:4])...), s.passOnTo(it), "three at most")
	s.roster.saw(peers[1], true, 0)
	require.Equal(t, append(rendezvous.Rank("r", peers[:2]), rendezvous.Rank("r", peers[2:4])[0]), s.passOnTo(it))
	m := s.roster.member(peers[2])
	m.said, m.free = true, 4
	require.NotContains(t, s.passOnTo(it), peers[2], "it has no room")
}

// What a hoarder held that has left for ever is restored at once: nobody waits for it to come back.
func TestWhoHasLeftIsNotWaitedFor(t *testing.T) {
	inTown(t, 5, func(s *Settings) { s.RepairGrace = time.Hour }, func(w *town) {
		root, first := w.threeHold(t)
		var gone []*nodetest.Machine
		for _, m := range w.hoarders {
			if slices.Contains(first[:2], m.Name) {
				m.Vanish()
				gone = append(gone, m)
			}
		}
		nodetest.Sleep(30 * time.Second)
		require.Len(t, w.holders(root), 1, "they may come back")
		for _, m := range gone {
			w.Directory.Remove(m.Peer())
		}
		nodetest.Sleep(30 * time.Second)
		require.Len(t, w.holders(root), 3)
		for _, m := range w.hoarders {
			if m.Up() {
				w.turn(m, func(_ context.Context, s *Service) {
					require.Len(t, s.roster.peers(), 3)
					require.Equal(t, 3, s.roster.liveCount())
				})
			}
		}
	})
}
