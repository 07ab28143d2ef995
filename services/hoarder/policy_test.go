package hoarder

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
		time.Sleep(time.Minute)
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
