package hoarder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// pinned has one hoarder hold one item, and runs f in a turn of it.
func pinned(t *testing.T, f func(ctx context.Context, w *town, s *Service, root string)) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target, req.Seq = 1, 1
		_, err := w.pin(req)
		require.NoError(t, err)
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) { f(ctx, w, s, req.Root) })
	})
}

// stopped is a store of blocks in which nothing comes to its end any more.
type stopped struct{ storage.Blocks }

func (stopped) Verify(ctx context.Context, _ storage.CID) error { return ctx.Err() }

// Who waits no longer, or ends, has found out nothing: not that a copy is bad, nor that
// it cannot be mended.
func TestAnEndProvesNothing(t *testing.T) {
	pinned(t, func(ctx context.Context, w *town, s *Service, root string) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		s.env.Blocks = stopped{s.env.Blocks}
		resp, err := s.have(ended, transport.Peer{}, hoarderapi.HaveRequest{Root: root})
		require.NoError(t, err)
		require.False(t, resp.Has)
		s.scrub(ended, root)
		require.Empty(t, s.holdings.mending)
		require.Empty(t, w.Facts("item-corrupted"))

		require.True(t, s.holdings.beginMend(root))
		s.mend(ended, root)
		require.True(t, s.holdings.holds(root) && s.index.get(root).claimed(s.env.Self), "the next start will look")
		require.Empty(t, s.holdings.mending)
		require.Empty(t, s.remains)
		require.Empty(t, w.Facts("copy-mended"))
	})
}

// What is fetched anew is what is bad; a disk that cannot be read says nothing of it.
func TestWhatIsBroughtTwice(t *testing.T) {
	pinned(t, func(ctx context.Context, w *town, s *Service, root string) {
		reads := func(refused bool) (n int, err error) {
			w.hoarders[0].Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, key string) error {
				if op != memdisk.OpGet || !strings.Contains(key, "/blocks") {
					return nil
				}
				if n++; refused {
					return errors.New("the disk refuses")
				}
				return nil
			}})
			err = s.bring(ctx, cidOf(t, root), nil, 1000)
			heal(w.hoarders[0])
			return n, err
		}
		verified, err := reads(false)
		require.NoError(t, err)
		require.Equal(t, 1, verified, "one block")
		tried, err := reads(true)
		require.ErrorContains(t, err, "the disk refuses")
		require.LessOrEqual(t, tried, 3, "the store reads again, the hoarder does not fetch again")
	})
}

// What one has said already is made durable as if it were new.
func TestARepetitionIsDurableToo(t *testing.T) {
	pinned(t, func(ctx context.Context, w *town, s *Service, root string) {
		unpin := func() error {
			_, err := s.unpin(ctx, transport.Peer{}, hoarderapi.UnpinRequest{Root: root, Owner: "me", Seq: 9})
			return err
		}
		require.NoError(t, unpin())
		refuse(w.hoarders[0], memdisk.OpWrite, "/kv")
		_ = storage.Put(s.store, storage.K("of", "another", "kind"), nil)
		require.Error(t, unpin())
		heal(w.hoarders[0])
		require.NoError(t, unpin())
		require.Len(t, w.Facts("pin-withdrawn"), 1)
	})
}

// An end in order says what it could not write, and then hears of nothing any more.
func TestAStopSaysWhatFailed(t *testing.T) {
	pinned(t, func(ctx context.Context, w *town, s *Service, root string) {
		heard := true
		unwatch := s.unwatch
		s.unwatch = func() { heard = false; unwatch() }
		s.put(t, wantedBy("short", "me", 1))
		s.evaluate("short")
		require.NotNil(t, s.acquisitions["short"].timer)
		s.interest[root] = 3
		refuse(w.hoarders[0], memdisk.OpWrite, "/kv")
		require.Error(t, s.Stop(ctx))
		heal(w.hoarders[0])
		require.False(t, heard)
		require.Nil(t, s.acquisitions["short"].timer, "nothing is fetched any more")
	})
}

// What another hoarder has written is looked at in the turn in which it comes, and what
// is no key of ours by nobody.
func TestNewsAreLookedAtAtOnce(t *testing.T) {
	lone(t, nil, func(ctx context.Context, s *Service) {
		require.NoError(t, s.write(wantedBy("r", "a", 1)))
		delete(s.acquisitions, "r")
		s.changed(wantedBy("r", "a", 1).Key)
		require.Contains(t, s.acquisitions, "r")
		s.stopCompeting("r")
		s.changed("/of/another/kind")
		require.Empty(t, s.acquisitions)
		require.Len(t, s.index.items, 1)
	})
}

// The demand that one hoarder has on record is bounded as that of one report is, so
// that nobody's items drive out all others'.
func TestOnesDemandIsBounded(t *testing.T) {
	peers := somePeers(3)
	s := told(t, pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 2, Demand: 7}))
	it := s.index.get("r")
	require.EqualValues(t, 7, it.totalDemand())
	for i, total := range []uint64{5, hoarderapi.DemandMax, 5 * hoarderapi.DemandMax} {
		it.setDemand(&entry{part: demandPart, root: "r", peer: peers[i], total: total}, false)
	}
	require.EqualValues(t, 7+5+2*hoarderapi.DemandMax, it.totalDemand())
}

// Without a seer a few hoarders are probed at a time, all in turn.
func TestProbesGoRound(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		var mu sync.Mutex // the others have loops of their own
		asked := map[transport.Peer]int{}
		var others []transport.Peer
		for i := range 9 {
			m := w.Add("other-"+string(rune('a'+i)), node.Configured{Spec: nodetest.Part("other", func(env node.Env) {
				hoarderapi.Status.Serve(env.Wire, func(context.Context, transport.Peer, hoarderapi.Done) (hoarderapi.StatusResponse, error) {
					mu.Lock()
					defer mu.Unlock()
					asked[env.Self]++
					return hoarderapi.StatusResponse{}, nil
				})
			})}).Start()
			others = append(others, m.Peer())
		}
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			s.roster.know(others)
			for i := range 10 {
				before := s.probed
				s.probe(ctx)
				require.Equal(t, (before+probesMax)%10, s.probed, i)
			}
			for _, p := range others {
				require.Equal(t, probesMax, asked[p], "ten rounds of four for ten")
			}
		})
	})
}

// The seer is asked about once in LivenessInterval; when one answers again after probes
// had to do, all that they found out is put right, also what has not changed for
// the seer.
func TestASeerThatIsBackPutsProbesRight(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		blind, asked := false, 0
		cursor := seerapi.Cursor{Run: 7, Version: 1}
		var living []seerapi.Member
		c.Add("seer", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			seerapi.Changes.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req seerapi.ChangesRequest) (seerapi.ChangesResponse, error) {
				asked++
				if blind {
					return seerapi.ChangesResponse{}, transport.New(transport.Refused, "seer", "blind")
				}
				if req.Cursor == cursor {
					return seerapi.ChangesResponse{Cursor: cursor}, nil
				}
				return seerapi.ChangesResponse{Full: true, Cursor: cursor, Changed: living}, nil
			})
		})}).Start()
		settings := DefaultSettings()
		self := c.Add("hoarder", node.Configured{Spec: Spec(), Settings: settings})
		silent := c.Add("silent", node.Configured{Spec: nodetest.Part(hoarderapi.Service, func(node.Env) {})})
		for _, m := range []*nodetest.Machine{self, silent} {
			living = append(living, seerapi.Member{Peer: m.Peer(), Services: []string{hoarderapi.Service}})
			m.Start()
		}
		w := &town{Cloud: c}
		lives := func() (yes bool) {
			w.turn(self, func(_ context.Context, s *Service) { yes = s.roster.member(silent.Peer()).lives() })
			return yes
		}
		nodetest.Sleep(time.Minute)
		require.True(t, lives())
		asked = 0
		nodetest.Sleep(time.Minute)
		require.InDelta(t, 30, asked, 10)
		blind = true
		nodetest.Sleep(time.Minute)
		require.False(t, lives(), "it answers no probe")
		blind = false
		nodetest.Sleep(10 * time.Second)
		require.True(t, lives(), "the seer says so, and it has never changed")
		// Nor has one that was never there, of which only the directory tells.
		never := c.Add("never", node.Configured{Spec: nodetest.Part(hoarderapi.Service, func(node.Env) {})})
		nodetest.Sleep(10 * time.Second)
		w.turn(self, func(_ context.Context, s *Service) {
			require.True(t, s.roster.listed(never.Peer()))
			require.False(t, s.roster.member(never.Peer()).lives())
		})
	})
}

// dropping is a store of blocks in which a copy goes while it is read.
type dropping struct {
	storage.Blocks
	drop func()
}

func (d dropping) Verify(context.Context, storage.CID) error {
	d.drop()
	return nil
}

// A copy that went while it was read is neither held nor promised.
func TestNothingIsPromisedOfWhatIsGone(t *testing.T) {
	pinned(t, func(ctx context.Context, _ *town, s *Service, root string) {
		other := somePeers(1)[0]
		s.roster.know([]transport.Peer{other})
		sound := s.env.Blocks
		resp, err := s.have(ctx, other, hoarderapi.HaveRequest{Root: root, Promise: true})
		require.NoError(t, err)
		require.Equal(t, hoarderapi.HaveResponse{Has: true, Promise: s.settings.PromiseLease}, resp)
		s.env.Blocks = dropping{sound, func() { s.drop(root) }}
		resp, err = s.have(ctx, other, hoarderapi.HaveRequest{Root: root, Promise: true})
		require.NoError(t, err)
		require.Zero(t, resp)
		s.env.Blocks = sound
		require.Error(t, s.refetch(ctx, "nonsense"))
	})
}

// What cannot be enough is not asked for: each answer is a promise that binds.
func TestNobodyIsAskedInVain(t *testing.T) {
	pinned(t, func(ctx context.Context, w *town, s *Service, root string) {
		asked := 0
		holder := w.Add("holder", node.Configured{Spec: nodetest.Part("holder", func(env node.Env) {
			hoarderapi.Have.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req hoarderapi.HaveRequest) (hoarderapi.HaveResponse, error) {
				asked++
				return hoarderapi.HaveResponse{Has: true, Promise: time.Hour, Proof: proofOf(ctx, env, bytes.Repeat([]byte{1}, 500), req.Nonce)}, nil
			})
		})}).Start().Peer()
		require.Zero(t, s.confirm(ctx, root, []transport.Peer{holder}, 2))
		require.Zero(t, s.confirm(ctx, root, []transport.Peer{holder}, 0))
		require.Zero(t, asked)
		require.Equal(t, 1, s.confirm(ctx, root, []transport.Peer{holder}, 1))
		require.Equal(t, 1, asked)
	})
}

// What is spoken for is told as used; it is free again when it is not.
func TestWhatIsToldOfRoom(t *testing.T) {
	pinned(t, func(_ context.Context, _ *town, s *Service, _ string) {
		require.True(t, s.holdings.reserve(300))
		s.announce()
		require.EqualValues(t, 800, s.env.Gauges()[gaugeUsed])
		require.Equal(t, s.settings.Capacity, s.env.Gauges()[gaugeMax])
		s.holdings.unreserve(300)
		s.announce()
		require.EqualValues(t, 500, s.env.Gauges()[gaugeUsed])
	})
}

// A hoarder that has just started knows of all others, and believes that they live.
func TestWhoIsKnownAtTheStart(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		for _, m := range w.hoarders {
			m.Stop()
		}
		m := w.hoarders[1].Start()
		w.turn(m, func(_ context.Context, s *Service) {
			require.Len(t, s.roster.all, 3)
			require.Equal(t, 3, s.roster.liveCount())
		})
	})
}

// Copies of before the start go when the longest promise of then is over, not sooner
// and not later.
func TestTheQuietTimeEnds(t *testing.T) {
	l := newHoldings(100, testLease, 50)
	l.admit("r", 1)
	l.stocked()
	require.False(t, l.mayRelease("r", 50+testLease-1))
	require.True(t, l.mayRelease("r", 50+testLease))
}

// However short its round is, a scrub leaves pauses.
func TestAScrubLeavesPauses(t *testing.T) {
	inTown(t, 1, func(s *Settings) { s.ScrubInterval = time.Second }, func(w *town) {
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		reads := 0
		w.hoarders[0].Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, key string) error {
			if op == memdisk.OpGet && strings.Contains(key, "/blocks") {
				reads++
			}
			return nil
		}})
		nodetest.Sleep(10 * time.Second)
		heal(w.hoarders[0])
		require.InDelta(t, 100, reads, 10)
	})
}

// A pin that ends is ended once: whoever did it does not look again.
func TestAnEndedPinIsNotLookedAtAgain(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		require.NoError(t, s.write(pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Owner: "o", Target: 1, For: 1})))
		require.Len(t, s.index.expiries.list, 1)
		s.index.expiries.list[0].at = 0
		s.endPins()
		require.Empty(t, s.index.expiries.list)
		require.Empty(t, s.index.get("r").standing())
		// Nor is one of which the owner has said something since.
		for name, since := range map[string]storage.Entry{
			"withdrawn": withdrawEntry("withdrawn", "o", "", 5),
			"again":     pinEntry("again", pinRecord{Kind: hoarderapi.Asset, Owner: "o", Target: 1, Seq: 6, For: time.Hour}),
			"for good":  pinEntry("for good", pinRecord{Kind: hoarderapi.Asset, Owner: "o", Target: 2, Seq: 5}),
		} {
			s.put(t, pinEntry(name, pinRecord{Kind: hoarderapi.Asset, Owner: "o", Target: 1, Seq: 5, For: 1}))
			s.put(t, since)
			for i := range s.index.expiries.list {
				s.index.expiries.list[i].at = 0
			}
			s.index.expiries.list = slices.DeleteFunc(s.index.expiries.list, func(e expiry) bool { return e.seq != 5 })
			require.Len(t, s.index.expiries.list, 1)
			before := len(s.store.Entries(storage.K(withdrawnPart)))
			s.endPins()
			require.Empty(t, s.index.expiries.list, name)
			require.Len(t, s.store.Entries(storage.K(withdrawnPart)), before, name)
		}
	})
}

// Who is refused for want of room is told, and so are those who count.
func TestARefusalIsAFact(t *testing.T) {
	inTown(t, 1, func(s *Settings) { s.Capacity = 2000 }, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(5000, 1), "me")
		req.Size = 5000
		_, err := w.pin(req)
		require.Equal(t, transport.Refused, transport.KindOf(err))
		refused := len(w.Facts("item-refused"))
		require.Positive(t, refused)
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			bad := asset("bafkreifmrg7ywm7ave37hhkztsfpslpimgaxdghc2jit4mojm7vpqtb36e", "me")
			bad.Size, bad.Target = 10, 1
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.Error(t, s.keep(ended, transport.Peer{}, &bad))
		})
		require.Len(t, w.Facts("item-refused"), refused, "what fails otherwise is none")
	})
}

// A sweep looks at sweepBatch items that are not due, and goes on there with the next.
func TestASweepLooksAtAFew(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		const n = 3*sweepBatch + 5
		for i := range n {
			s.put(t, claimEntry(fmt.Sprintf("r-%03d", i), somePeers(1)[0]))
		}
		for round := 1; round <= 4; round++ {
			s.sweep()
			require.Equal(t, round*sweepBatch%n, s.cursor)
		}
	})
}

// A page that is just full is the last one.
func TestAFullPageOfOwners(t *testing.T) {
	for n, more := range map[int]bool{hoarderapi.OwnedPage - 1: false, hoarderapi.OwnedPage: false, hoarderapi.OwnedPage + 1: true} {
		var entries []storage.Entry
		for i := range n {
			entries = append(entries, wantedBy("r", fmt.Sprint("owner-", i), 1))
		}
		resp, err := told(t, entries...).owners(context.Background(), transport.Peer{}, hoarderapi.OwnersRequest{Root: "r"})
		require.NoError(t, err)
		require.Len(t, resp.Owners, min(n, hoarderapi.OwnedPage))
		require.Equal(t, more, resp.More, n)
	}
}
