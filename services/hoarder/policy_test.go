package hoarder

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// The whole policy against its rules, said one after the other, in every situation of
// a small world.
func TestPolicyAgreesWithItsRules(t *testing.T) {
	settings := Settings{SurplusMax: 1, SurplusGrace: 2}
	for n := range 4 * 2 * 5 * 5 * 4 * 4 {
		digit := func(base int) (d int) {
			d, n = n%base, n/base
			return d
		}
		s := situation{state: state(digit(4)), held: digit(2) == 1, target: 2}
		s.copies, s.copiesLive, s.ahead = digit(5), digit(5), digit(4)
		waited := time.Duration(digit(4))
		s.surplusFor, s.endedFor = waited, 3-waited
		got, now := decide(s, settings), mayYield(s)
		require.Equal(t, s.state == wanted && !s.held && s.copies < 2, got == compete, "%+v", s)
		require.Equal(t, s.state == wanted && s.held && s.copiesLive >= 4 && s.ahead >= 2 && s.surplusFor >= 2, got == release, "%+v", s)
		require.Equal(t, s.state == abandoned && s.held && s.endedFor >= 2, got == discard, "%+v", s)
		require.Equal(t, s.state == superseded && s.held && s.endedFor >= 2, got == supersede, "%+v", s)
		require.Equal(t, s.state == wanted && s.held && s.copiesLive >= 3 && s.ahead >= 2, now == release, "%+v", s)
		require.Equal(t, s.state == abandoned && s.held, now == discard, "%+v", s)
		require.Equal(t, s.state == superseded && s.held, now == supersede, "%+v", s)
		require.NotEqual(t, compete, now)
	}
}

// Entries that are taken back which never came change nothing.
func TestWhatIsTakenBackAndNeverCame(t *testing.T) {
	peers := somePeers(3)
	for _, e := range []func(i int) storage.Entry{
		func(i int) storage.Entry { return claimEntry("r", peers[i]) }, func(i int) storage.Entry { return demandEntry("r", peers[i]) },
		func(i int) storage.Entry { return wantedBy("r", peers[i].String(), 1) }, func(i int) storage.Entry { return withdrawEntry("r", peers[i].String(), "", 1) },
	} {
		for never := range peers {
			var came []storage.Entry
			for i := range peers {
				if i != never {
					came = append(came, e(i))
				}
			}
			s, without := told(t, came...), told(t, came...)
			_, err := s.index.apply(e(never).Key, nil, 0)
			require.NoError(t, err)
			it, want := s.index.get("r"), without.index.get("r")
			require.Equal(t, []int{len(want.claims), len(want.demand), len(want.pins), len(want.withdrawn)}, []int{len(it.claims), len(it.demand), len(it.pins), len(it.withdrawn)})
			for _, p := range peers {
				require.Equal(t, want.claimed(p), it.claimed(p))
				require.Equal(t, want.demandBy(p), it.demandBy(p))
			}
		}
	}
}

// Of several snapshots that replace one, the same is named wherever it is asked.
func TestOneSuccessorIsNamed(t *testing.T) {
	of := func(root, owner string, version uint64) storage.Entry {
		return pinEntry(root, pinRecord{Kind: hoarderapi.Database, Owner: owner, Name: "d", Version: version, Target: 1})
	}
	for _, successors := range [][2]string{{"a", "z"}, {"z", "a"}} {
		s := told(t, of("old", "one", 1), of("old", "two", 1), of(successors[0], "one", 2), of(successors[1], "two", 2))
		st, by := s.index.state(s.index.get("old"))
		require.Equal(t, superseded, st)
		require.Equal(t, "a", by.root)
	}
}

func TestWhichPinsAreEqual(t *testing.T) {
	base := pinRecord{Kind: hoarderapi.Asset, Owner: "o", Seq: 1, Target: 2, Size: 5}
	for _, c := range []struct {
		change func(r *pinRecord)
		want   bool
	}{
		{func(*pinRecord) {}, true},
		{func(r *pinRecord) { r.Size, r.Demand, r.Sources = 9, 9, []transport.Peer{{1}} }, true},
		{func(r *pinRecord) { r.Owner = "p" }, false},
		{func(r *pinRecord) { r.Seq = 2 }, false},
		{func(r *pinRecord) { r.Target = 3 }, false},
	} {
		other := base
		c.change(&other)
		require.Equal(t, c.want, newPin(base).equal(newPin(other)))
		require.Equal(t, c.want, newPin(other).equal(newPin(base)))
	}
	a := newPin(base)
	require.False(t, a.equal(&pin{pinRecord: base, owner: "other", id: a.id}))
}

// Content is as large as was said, to the byte, and what is said to be held is held
// if it is there.
func TestContentIsAsLargeAsWasSaid(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		root := w.store(500, 1)
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			from := []transport.Peer{w.user.Peer()}
			s.holdings.admit(root, 500)
			require.False(t, s.Holds(root), "it is not there")
			s.holdings.drop(root)
			require.ErrorIs(t, s.transfer(ctx, root, cidOf(t, root), from, 499), errLarger)
			require.False(t, s.holdings.holds(root))
			require.NoError(t, s.transfer(ctx, root, cidOf(t, root), from, 500))
			require.True(t, s.Holds(root))
			require.ErrorIs(t, s.transfer(ctx, root, cidOf(t, root), from, 499), errLarger, "also if it is here")
		})
	})
}

// Of two snapshots with one version the greater root is the newest, whichever is
// looked at first; an item that nobody has asked for counts as asked for once.
func TestOneSnapshotIsTheNewest(t *testing.T) {
	s := told(t, snapshot("a", 2, 1), snapshot("b", 2, 1), snapshot("c", 1, 1))
	for range 50 {
		newest, version := s.index.newest(database{"o", "d"})
		require.Equal(t, "b", newest.root)
		require.EqualValues(t, 2, version)
	}
	require.EqualValues(t, 1, told(t, claimEntry("r", somePeers(1)[0])).index.get("r").totalDemand())
}

// News about an item sets its turn anew: the old one is not kept beside it.
func TestATurnIsSetAnew(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		s.put(t, wantedBy("r", "o", 2))
		it := s.index.get("r")
		s.compete(it, s.situation(it))
		first := s.acquisitions["r"].timer
		require.NotNil(t, first)
		s.compete(it, s.situation(it))
		require.False(t, first.Stop(), "it is stopped")
		require.True(t, s.acquisitions["r"].timer.Stop())
	})
}

// Who is asked for a second copy may know that the pin was withdrawn: then it is
// not acknowledged. And nonsense is withdrawn by nobody.
func TestAWithdrawalThatTheSecondKnows(t *testing.T) {
	inTown(t, 2, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		req := asset(w.store(500, 1), "me")
		req.Seq, req.Target = 4, 2
		w.turn(w.hoarders[1], func(_ context.Context, s *Service) { s.put(t, withdrawEntry(req.Root, "me", "", 4)) })
		w.user.Do(func(ctx context.Context) {
			_, err := hoarderapi.Pin.Call(ctx, w.user.Env.Wire, w.hoarders[0].Peer(), req)
			require.Equal(t, transport.Conflict, transport.KindOf(err), "%v", err)
		})
		require.Empty(t, w.Facts("item-pinned"))
		w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
			for _, bad := range []hoarderapi.UnpinRequest{{Root: "nonsense", Owner: "me"}, {Root: req.Root}} {
				_, err := s.unpin(ctx, transport.Peer{}, bad)
				require.Equal(t, transport.Invalid, transport.KindOf(err))
			}
		})
	})
}

// Entries are over when the first of them is.
func TestTheFirstWithdrawalIsOverFirst(t *testing.T) {
	for _, seen := range [][2]time.Duration{{3, 5}, {5, 3}} {
		s := told(t)
		it := s.index.get("r")
		it.withdraw("a", 1, seen[0]*time.Hour)
		it.withdraw("b", 1, seen[1]*time.Hour)
		at, any := s.collectAt(it, 6*time.Hour)
		require.True(t, any)
		require.Equal(t, 3*time.Hour+s.settings.ForgetAfter, at)
	}
}
