package hoarder

import (
	"context"
	"errors"
	"strings"
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
		time.Sleep(time.Minute)
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
		time.Sleep(time.Minute)
		asked := map[transport.Peer]int{}
		var others []transport.Peer
		for i := range 9 {
			m := w.Add("other-"+string(rune('a'+i)), node.Configured{Spec: nodetest.Part("other", func(env node.Env) {
				hoarderapi.Status.Serve(env.Wire, func(context.Context, transport.Peer, hoarderapi.Done) (hoarderapi.StatusResponse, error) {
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
		time.Sleep(time.Minute)
		require.True(t, lives())
		asked = 0
		time.Sleep(time.Minute)
		require.InDelta(t, 30, asked, 10)
		blind = true
		time.Sleep(time.Minute)
		require.False(t, lives(), "it answers no probe")
		blind = false
		time.Sleep(10 * time.Second)
		require.True(t, lives(), "the seer says so, and it has never changed")
	})
}
