package hoarder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// refuse has a disk refuse an operation on what has a word in its key.
func refuse(m *nodetest.Machine, op memdisk.Op, word string) {
	m.Disk.SetFaults(memdisk.Faults{Fail: func(o memdisk.Op, key string) error {
		if o == op && strings.Contains(key, word) {
			return errors.New("the disk refuses")
		}
		return nil
	}})
}

func heal(m *nodetest.Machine) { m.Disk.SetFaults(memdisk.Faults{}) }

// factsOfItems are all that checkers are told of items.
var factsOfItems = []string{
	"item-pinned", "item-claimed", "item-released", "item-repaired", "claim-withdrawn", "pin-written", "pin-withdrawn", "pin-mended", "record-mended", "item-lost",
}

func (w *town) facts() (n int) {
	for _, name := range factsOfItems {
		n += len(w.Facts(name))
	}
	return n
}

// What one hoarder cannot write, in the replica that all share or on its own disk,
// is an error or is to be tried again. It has not happened, nobody is told of it, and
// it happens when the disk takes it.
func TestWhatCannotBeWrittenHasNotHappened(t *testing.T) {
	again := errors.New("again")
	failed := func(failed bool) error {
		if failed {
			return again
		}
		return nil
	}
	for name, c := range map[string]struct {
		word  string // of the keys that the disk refuses
		given func(s *Service, it *item)
		act   func(ctx context.Context, s *Service, it *item) error
		quiet bool // nobody is told in any case
	}{
		"claim": {word: "/kv", act: func(_ context.Context, s *Service, it *item) error { return failed(!s.claim(it, 0)) }},
		"withdraw a claim": {word: "/kv", given: func(s *Service, it *item) { s.holdings.drop(it.root) },
			act: func(_ context.Context, s *Service, it *item) error { return failed(s.mendClaim(it)) }},
		"let go": {word: "/kv", act: func(_ context.Context, s *Service, it *item) error { return failed(!s.letGo(it, discard, 0, 0)) }},
		"let go, of the disk": {word: "/held", act: func(_ context.Context, s *Service, it *item) error {
			if s.letGo(it, discard, 0, 0) {
				return nil
			}
			require.False(t, s.mendClaim(it), "it is claimed again")
			return again
		}},
		"unpin": {word: "/kv", act: func(ctx context.Context, s *Service, it *item) error {
			_, err := s.unpin(ctx, transport.Peer{}, hoarderapi.UnpinRequest{Root: it.root, Owner: "me", Seq: 9})
			return err
		}},
		"pin": {word: "/kv", act: func(_ context.Context, s *Service, it *item) error {
			return s.writePin(it, hoarderapi.PinRequest{Root: it.root, Owner: "other", Kind: hoarderapi.Asset, Target: 1}, nil)
		}},
		"pin again": {word: "/held", quiet: true, act: func(_ context.Context, s *Service, it *item) error {
			return s.writePin(it, hoarderapi.PinRequest{Root: it.root, Owner: "me", Kind: hoarderapi.Asset, Target: 1, Seq: 1}, nil)
		}},
		"write a pin again": {word: "/kv", act: func(_ context.Context, s *Service, it *item) error {
			return s.mendPins(it.root, []pinRecord{{Kind: hoarderapi.Asset, Owner: "other", Target: 1}})
		}},
		"end a pin": {word: "/kv", given: func(s *Service, it *item) {
			s.put(t, pinEntry(it.root, pinRecord{Kind: hoarderapi.Asset, Owner: "other", Target: 1, For: 1}))
			s.index.expiries.list[0].at = 0
		}, act: func(_ context.Context, s *Service, it *item) error {
			s.endPins()
			if len(s.index.expiries.list) == 0 {
				return nil
			}
			require.Equal(t, s.env.Loop.Elapsed()+expiryRetry, s.index.expiries.list[0].at)
			s.index.expiries.list[0].at = 0
			return again
		}},
		"delete idle pins": {word: "/kv", quiet: true, given: func(s *Service, it *item) {
			s.put(t, withdrawEntry(it.root, "me", "", 1))
			require.Len(t, it.idle(), 1)
		}, act: func(_ context.Context, s *Service, it *item) error { return failed(!s.dropIdle(it)) }},
		"erase": {word: "/kv", quiet: true, act: func(_ context.Context, s *Service, it *item) error {
			s.erase(storage.K(pinsPart, it.root))
			return failed(len(s.store.Entries(storage.K(pinsPart, it.root))) > 0)
		}},
		"write the demand": {word: "/kv", quiet: true, given: func(s *Service, it *item) { s.interest[it.root] = 3 }, act: func(_ context.Context, s *Service, it *item) error {
			s.writeInterest()
			return failed(s.interest[it.root] > 0)
		}},
		"mend the record": {word: "/held", quiet: true, given: func(s *Service, it *item) { s.recordedPins[it.root] = nil }, act: func(_ context.Context, s *Service, it *item) error {
			err := failed(s.mendRecord(it))
			require.Equal(t, err == nil, len(s.recordedPins[it.root]) == 1)
			return err
		}},
		"mend a rotten record": {word: "/held", given: func(s *Service, it *item) {
			require.NoError(t, s.env.Local.Apply(new(storage.Batch).Delete(heldKey(it.root))))
			s.untidy = false
		}, act: func(_ context.Context, s *Service, it *item) error {
			s.scrubRecord(it.root)
			return failed(!s.untidy)
		}},
		"mend the record of remains": {word: "/remains", quiet: true, act: func(_ context.Context, s *Service, it *item) error {
			s.remains[it.root], s.untidy = true, false
			s.scrubRemains()
			delete(s.remains, it.root)
			return failed(!s.untidy)
		}},
		"take over a copy without a record": {word: "/held", given: func(s *Service, it *item) { s.holdings.drop(it.root) }, act: func(_ context.Context, s *Service, it *item) error {
			return failed(s.admitUnrecorded(heldKey(it.root)) != nil || !s.holdings.holds(it.root))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, 1, nil, func(w *town) {
				nodetest.Sleep(time.Minute)
				m := w.hoarders[0]
				req := asset(w.store(500, 1), "me")
				req.Target, req.Seq = 1, 1
				_, err := w.pin(req)
				require.NoError(t, err)
				nodetest.Sleep(30 * time.Second)
				w.turn(m, func(ctx context.Context, s *Service) {
					it := s.index.get(req.Root)
					if c.given != nil {
						c.given(s, it)
					}
					refuse(m, memdisk.OpWrite, c.word)
					if c.word == "/kv" {
						_ = storage.Put(s.store, storage.K("of", "another", "kind"), nil)
						require.Error(t, s.store.Sync(ctx))
					}
					before, held, claimed, pins := w.facts(), s.holdings.holds(it.root), it.claimed(s.env.Self), len(it.pins)
					require.Error(t, c.act(ctx, s, it))
					require.Equal(t, held, s.holdings.holds(it.root))
					require.Equal(t, claimed, it.claimed(s.env.Self))
					require.Len(t, it.pins, pins)
					require.True(t, strings.HasPrefix(name, "let go,") || w.facts() == before)
					before = w.facts()
					heal(m)
					require.NoError(t, c.act(ctx, s, it))
					require.Equal(t, !c.quiet, w.facts() > before)
				})
			})
		})
	}
}

// A copy that does not come to be, at whichever step, leaves nothing behind: no
// room that is spoken for, no claim, no content, and the next attempt succeeds.
func TestATransferThatFailsLeavesNothing(t *testing.T) {
	point := func(name string) func(*nodetest.Machine) func() {
		return func(*nodetest.Machine) func() {
			disable, err := fail.Enable(fail.Rule{Point: name, Do: fail.Action{Do: fail.Error}})
			require.NoError(t, err)
			return disable
		}
	}
	disk := func(op memdisk.Op, word string) func(*nodetest.Machine) func() {
		return func(m *nodetest.Machine) func() {
			refuse(m, op, word)
			return func() { heal(m) }
		}
	}
	for name, given := range map[string]func(m *nodetest.Machine) (end func()){
		"the record of what may remain": disk(memdisk.OpWrite, "/remains"),
		"the blocks":                    disk(memdisk.OpWrite, "/blocks"),
		"the record":                    disk(memdisk.OpWrite, "/held"),
		"before the sync":               point("hoarder/after-fetch-before-sync"),
		"before the claim":              point("hoarder/before-claim"),
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, 1, nil, func(w *town) {
				nodetest.Sleep(time.Minute)
				m, root := w.hoarders[0], w.store(500, 1)
				w.turn(m, func(ctx context.Context, s *Service) {
					end := given(m)
					err := s.obtain(ctx, root, []transport.Peer{w.user.Peer()}, 500)
					require.Error(t, err)
					require.Equal(t, transport.Internal, transport.KindOf(err))
					end()
					require.Zero(t, s.holdings.reserved+s.holdings.used)
					require.Equal(t, s.settings.Capacity, s.holdings.free())
					require.False(t, s.holdings.holds(root) || s.acquiring[root] || s.index.get(root).claimed(s.env.Self))
					s.dropRemains(root)
					require.Empty(t, s.remains)
					require.Empty(t, s.env.Blocks.Roots())
					require.True(t, s.rotted(remainsKey(root)), "nothing is left that could be recorded")
					require.NoError(t, s.obtain(ctx, root, []transport.Peer{w.user.Peer()}, 500))
					require.True(t, s.holdings.holds(root) && s.index.get(root).claimed(s.env.Self))
					require.Zero(t, s.holdings.reserved)
					require.EqualValues(t, 500, s.holdings.used)
				})
				require.Len(t, w.Facts("item-claimed"), 1)
				require.Equal(t, int64(500), w.Facts("item-claimed")[0].Fields["moved"])
			})
		})
	}
	inTown(t, 1, nil, func(w *town) { // bounds, and whose time is over
		nodetest.Sleep(time.Minute)
		root := w.store(5000, 1)
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			from := []transport.Peer{w.user.Peer()}
			require.Equal(t, transport.Refused, transport.KindOf(s.obtain(ctx, root, from, 3000)), "larger than was said")
			require.Equal(t, transport.Invalid, transport.KindOf(s.obtain(ctx, "nonsense", from, 3000)))
			require.Equal(t, transport.Refused, transport.KindOf(s.obtain(ctx, root, from, s.settings.Capacity)), "no room")
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.Error(t, s.obtain(ended, root, from, 5000))
			s.acquiring[root] = true
			require.Error(t, s.awaitOther(ended, root))
			delete(s.acquiring, root)
			require.NoError(t, s.awaitOther(ended, root))
			require.NoError(t, s.obtain(ctx, root, from, 5000))
			require.NoError(t, s.obtain(ctx, root, nil, 5000), "it is here")
			require.Equal(t, map[string]int64{root: 5000}, s.holdings.held)
			require.Zero(t, s.holdings.reserved)
		})
		require.Len(t, w.Facts("item-claimed"), 1)
	})
}

// A fault at the last moment of a pin or of a release leaves both undone, as far as
// anybody was told.
func TestFaultsAtTheLastMoment(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		disable, err := fail.Enable(fail.Rule{Point: "hoarder/before-mark-ack", Do: fail.Action{Do: fail.Error}})
		require.NoError(t, err)
		_, err = w.pin(req)
		require.Error(t, err)
		require.Empty(t, w.Facts("item-pinned"))
		disable()
		_, err = w.pin(req)
		require.NoError(t, err)
		disable, err = fail.Enable(fail.Rule{Point: "hoarder/before-release", Do: fail.Action{Do: fail.Error}})
		require.NoError(t, err)
		release := func() (went bool) {
			w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
				went = s.release(ctx, req.Root, func(situation) action { return discard })
				require.Equal(t, !went, s.holdings.holds(req.Root))
				require.Empty(t, s.holdings.releasing)
			})
			return went
		}
		require.False(t, release())
		disable()
		require.True(t, release())
	})
}

// A removal that could not be synced is synced by a later sweep.
func TestRemovalsAreSyncedInTheEnd(t *testing.T) {
	lone(t, nil, func(ctx context.Context, s *Service) {
		s.tidy(ctx)
		s.untidy = true
		ended, cancel := context.WithCancel(ctx)
		cancel()
		s.tidy(ended)
		require.False(t, s.untidy, "the loop ends")
		s.untidy = true
		s.tidy(ctx)
		require.False(t, s.untidy)
		require.Zero(t, len(s.toYield))
	})
}

// A disk that errs now and then keeps nobody from starting; one that tells nothing
// does.
func TestAStartFromADiskThatErrs(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		m := w.hoarders[0]
		for _, c := range []struct {
			word   string
			errs   int
			starts bool
		}{{"/held", listRetries, true}, {"/held", listRetries + 1, false}, {"/remains", 1, false}, {"/kv", 1 << 20, false}, {"", 0, true}} {
			m.Stop()
			left := c.errs
			m.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, key string) error {
				if op == memdisk.OpQuery && strings.Contains(key, c.word) && left > 0 {
					left--
					return errors.New("the disk errs")
				}
				return nil
			}})
			err := m.TryStart()
			require.Equal(t, c.starts, err == nil, "%+v: %v", c, err)
			heal(m)
			if err == nil {
				require.Len(t, w.holders(req.Root), 1)
			} else {
				require.ErrorContains(t, err, "hoarder:")
				m.Start()
			}
		}
	})
}

// What was written when a hoarder stops is on its disk then, demand included.
func TestAStopWritesEverything(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		m, root := w.hoarders[0], w.store(500, 1)
		w.turn(m, func(_ context.Context, s *Service) {
			require.NoError(t, s.write(wantedBy(root, "me", 1)))
			s.interest[root], s.interest["of nothing"] = 3, 4
		})
		m.Stop()
		m.Disk = m.Disk.DurableClone()
		m.Start()
		w.turn(m, func(_ context.Context, s *Service) {
			require.EqualValues(t, 3, s.index.get(root).demandBy(s.env.Self))
			require.Len(t, s.index.get(root).standing(), 1)
			require.NotContains(t, s.index.items, "of nothing")
		})
	})
	require.NoError(t, (&Service{}).Stop(context.Background()), "it did not come to open its store")
}
