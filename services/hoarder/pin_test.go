package hoarder

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const someRoot = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

func TestValidatePin(t *testing.T) {
	settings := *DefaultSettings()
	good := func(change func(r *hoarderapi.PinRequest)) *hoarderapi.PinRequest {
		r := &hoarderapi.PinRequest{Root: someRoot, Kind: hoarderapi.Asset, Owner: "me"}
		change(r)
		return r
	}
	long := strings.Repeat("x", hoarderapi.TextLenMax)
	for name, change := range map[string]func(r *hoarderapi.PinRequest){
		"nothing": func(r *hoarderapi.PinRequest) {},
		"at bounds": func(r *hoarderapi.PinRequest) {
			r.Target, r.Demand, r.For, r.Size = hoarderapi.TargetMax, hoarderapi.DemandMax, hoarderapi.ForMax, settings.ItemSizeMax
		},
		"holders":  func(r *hoarderapi.PinRequest) { r.Holders = make([]transport.Peer, hoarderapi.HoldersMax) },
		"texts":    func(r *hoarderapi.PinRequest) { r.Owner, r.Name, r.Kind = long, long, hoarderapi.Database },
		"database": func(r *hoarderapi.PinRequest) { r.Name, r.Kind, r.Version = "db", hoarderapi.Database, 3 },
	} {
		r := good(change)
		require.NoError(t, validatePin(r, settings), name)
		require.Positive(t, r.Demand)
		require.Positive(t, r.Target)
	}
	r := good(func(r *hoarderapi.PinRequest) {})
	require.NoError(t, validatePin(r, settings))
	require.Equal(t, 3, r.Target)
	require.Equal(t, 1, r.Demand)
	r = good(func(r *hoarderapi.PinRequest) { r.Target, r.Demand = 5, 7 })
	require.NoError(t, validatePin(r, settings))
	require.Equal(t, []int{5, 7}, []int{r.Target, r.Demand})
	for name, change := range map[string]func(r *hoarderapi.PinRequest){
		"kind": func(r *hoarderapi.PinRequest) { r.Kind = "x" }, "no name": func(r *hoarderapi.PinRequest) { r.Kind = hoarderapi.Database },
		"named asset": func(r *hoarderapi.PinRequest) { r.Name = "x" }, "asset of a version": func(r *hoarderapi.PinRequest) { r.Version = 1 },
		"target": func(r *hoarderapi.PinRequest) { r.Target = hoarderapi.TargetMax + 1 }, "negative target": func(r *hoarderapi.PinRequest) { r.Target = -1 },
		"demand": func(r *hoarderapi.PinRequest) { r.Demand = hoarderapi.DemandMax + 1 }, "negative demand": func(r *hoarderapi.PinRequest) { r.Demand = -1 },
		"holders": func(r *hoarderapi.PinRequest) { r.Holders = make([]transport.Peer, hoarderapi.HoldersMax+1) },
		"for":     func(r *hoarderapi.PinRequest) { r.For = hoarderapi.ForMax + 1 }, "negative for": func(r *hoarderapi.PinRequest) { r.For = -1 },
		"size": func(r *hoarderapi.PinRequest) { r.Size = settings.ItemSizeMax + 1 }, "negative size": func(r *hoarderapi.PinRequest) { r.Size = -1 },
		"root": func(r *hoarderapi.PinRequest) { r.Root = "x" }, "other form": func(r *hoarderapi.PinRequest) { r.Root = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG" },
		"no owner": func(r *hoarderapi.PinRequest) { r.Owner = "" }, "owner": func(r *hoarderapi.PinRequest) { r.Owner = long + "x" },
		"name": func(r *hoarderapi.PinRequest) { r.Name, r.Kind = long+"x", hoarderapi.Database },
	} {
		require.Equal(t, transport.Invalid, transport.KindOf(validatePin(good(change), settings)), name)
	}
}

func TestSince(t *testing.T) {
	var s since
	require.False(t, s.on())
	require.Zero(t, s.lasted(5))
	s.update(true, 0)
	require.True(t, s.on())
	require.Equal(t, time.Duration(0), s.at())
	s.update(true, 7)
	require.Equal(t, time.Duration(9), s.lasted(9), "it has been true from the first time")
	s.update(false, 9)
	require.False(t, s.on())
	s.update(true, 10)
	require.Equal(t, time.Duration(10), s.at())
}

func TestMayYield(t *testing.T) {
	for _, c := range []struct {
		s    situation
		want action
	}{
		{situation{state: wanted, held: true, target: 2, copiesLive: 3, ahead: 2}, release},
		{situation{state: wanted, held: false, target: 2, copiesLive: 3, ahead: 2}, rest},
		{situation{state: wanted, held: true, target: 2, copiesLive: 2, ahead: 2}, rest},
		{situation{state: wanted, held: true, target: 2, copiesLive: 3, ahead: 1}, rest},
		{situation{state: abandoned, held: true}, discard},
		{situation{state: superseded, held: true}, supersede},
		{situation{state: abandoned}, rest},
		{situation{state: unknown, held: true}, rest},
	} {
		require.Equal(t, c.want, mayYield(c.s), "%+v", c.s)
	}
}

func TestTransferTimeout(t *testing.T) {
	require.Equal(t, 15*time.Second, transferTimeout(0))
	require.Equal(t, 15*time.Second, transferTimeout(-5<<20))
	require.Equal(t, 15*time.Second+256*time.Second, transferTimeout(1<<20), "4 KiB a second: a slow link is no failure")
}

func TestPassOnTimeFollowsTheLink(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		bytes       int64
		first, left time.Duration
		bounded     bool
		want        time.Duration
	}{
		{0, 0, 0, false, 2 * s},
		{0, 3 * s, 0, false, 8 * s}, // the first copy took long: the second may, too
		{8 << 10, 0, 0, false, 4 * s},
		{8 << 10, 3 * s, 60 * s, true, 10 * s},
		{8 << 10, 3 * s, 13 * s, true, 9 * s}, // time is left to answer
		{0, 0, 4 * s, true, 0},
		{0, 0, 3 * s, true, -s},
	} {
		require.Equal(t, c.want, passOnTime(c.bytes, c.first, c.left, c.bounded), "%+v", c)
	}
}

func TestFailedContestWaits(t *testing.T) {
	var c acquisition
	for _, want := range []time.Duration{2, 4, 8, 15, 15} {
		c.failed(false, time.Minute)
		require.Equal(t, time.Minute+want*time.Second, c.notBefore)
		require.False(t, c.noRoom)
	}
	c.failed(true, 0)
	require.Equal(t, time.Minute, c.notBefore)
	require.True(t, c.noRoom)
	for range 100 {
		c.failed(false, 0)
	}
	require.Equal(t, 15*time.Second, c.notBefore)
}

func TestWhoLivesAndCounts(t *testing.T) {
	self, a, b := transport.Peer{1}, transport.Peer{2}, transport.Peer{3}
	r := newRoster(self, 10)
	r.know([]transport.Peer{b, self, a, a})
	require.Equal(t, []transport.Peer{self, a, b}, r.peers())
	require.Equal(t, 3, r.liveCount())
	require.False(t, r.saw(self, false, 5), "it knows better of itself")
	require.True(t, r.saw(a, false, 5))
	require.False(t, r.saw(a, false, 6), "no news")
	require.Equal(t, 2, r.liveCount())
	require.False(t, r.member(a).lives())
	require.True(t, r.member(a).counts(), "for the time of grace")
	require.Empty(t, r.giveUp(14))
	require.Equal(t, []transport.Peer{a}, r.giveUp(15))
	require.False(t, r.member(a).counts())
	require.Empty(t, r.giveUp(16), "once")
	require.True(t, r.saw(a, true, 20))
	require.True(t, r.member(a).counts())
	require.Equal(t, 3, r.liveCount())
	stranger := transport.Peer{9}
	require.True(t, r.saw(stranger, false, 5))
	require.Equal(t, 3, r.liveCount())
	require.False(t, r.listed(stranger))
	require.True(t, r.listed(b))
	r.know([]transport.Peer{stranger})
	require.Equal(t, 3, r.liveCount(), "it is missing")

	m := r.member(a)
	require.True(t, m.hasRoom(1<<60), "it has not said")
	m.said, m.free = true, 100
	require.True(t, m.hasRoom(100))
	require.False(t, m.hasRoom(101))
	r.saw(a, false, 30)
	require.False(t, m.said, "what it said is of the past")
}

func TestDefaultsAreThoseOfTheREADME(t *testing.T) {
	require.Equal(t, Settings{Capacity: 10 << 30, ItemSizeMax: 1 << 30, TransfersMax: 4, SurplusMax: 1, SurplusGrace: 15 * time.Second,
		RepairGrace: 10 * time.Second, PromiseLease: 20 * time.Second, LivenessInterval: 2 * time.Second, SweepInterval: 10 * time.Second,
		ForgetAfter: 12 * time.Hour, ScrubInterval: 6 * time.Hour, History: storage.DefaultHistory()}, *DefaultSettings())
}

// A pin with one copy is acknowledged only if it is known that nobody could have a second one.
func TestAPinWaitsUntilHoardersAreKnown(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		root := w.store(100, 1)
		w.Directory.SetPartial(true)
		pin := func() (err error) {
			w.user.Do(func(ctx context.Context) { _, err = w.client.Pin(ctx, asset(root, "me")) })
			return err
		}
		require.Error(t, pin())
		w.Directory.SetPartial(false)
		require.NoError(t, pin())
	})
}
