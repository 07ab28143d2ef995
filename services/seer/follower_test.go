package seer

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
	"pgregory.net/rapid"
)

// town is some nodes, two seers that hear them, and a follower.
type town struct {
	now      time.Duration
	seers    [2]townSeer
	loop     *clock.Live
	follower *seerapi.Follower[seerapi.Member]
	service  string
	// mirror is what somebody knows who looks only at what Refresh names.
	mirror map[transport.Peer]seerapi.Member

	meanwhile []deed // what happens between two pages, one after each
	answered  int    // the seer that gave the last page
	pages     int    // of this Refresh
}

type townSeer struct {
	table *table
	run   uint64
	deaf  bool // it refuses to answer
}

// deed is something that happens to a seer.
type deed struct {
	kind, seer int
	node       byte
	life       uint64
	revision   uint64 // decides what is announced
	pause      time.Duration
}

const (
	deedBeacon = iota
	deedShortBeacon
	deedLeave
	deedLook
	deedRestart
	deedRefuse
	deedKinds
)

var drawDeed = rapid.Custom(func(t *rapid.T) deed {
	return deed{
		kind: rapid.IntRange(0, deedKinds-1).Draw(t, "kind"), seer: rapid.IntRange(0, 1).Draw(t, "seer"),
		node: rapid.Byte().Draw(t, "node") % 6, life: rapid.Uint64Range(1, 3).Draw(t, "life"),
		revision: rapid.Uint64Range(1, 6).Draw(t, "revision"),
		pause:    time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5, 20}).Draw(t, "pause")) * time.Second,
	}
})

// everything is an Authority by which each peer may offer what these tests have.
type everything struct{}

func (everything) Grants(transport.Peer) (transport.Grants, bool) {
	return transport.Grants{Services: []string{"hoarder", "monkey", "patrick", "seer", "tns"}}, true
}

func newTown(service string) *town {
	w := &town{now: time.Hour, loop: clock.NewLive(), service: service, mirror: map[transport.Peer]seerapi.Member{}}
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	for i := range w.seers {
		w.restart(i)
		id := transport.Peer{0xee, byte(i)}
		dir.Add(id, seerapi.Service)
		ep := transport.NewEngine(net.Host(id), w.loop, dir).Endpoint(w.loop)
		seerapi.Changes.Serve(ep, func(_ context.Context, _ transport.Peer, req seerapi.ChangesRequest) (seerapi.ChangesResponse, error) {
			return w.answer(i, req)
		})
	}
	dir.Add(transport.Peer{0xff})
	ep := transport.NewEngine(net.Host(transport.Peer{0xff}), w.loop, dir, transport.AuthorizeBy(everything{})).Endpoint(w.loop)
	w.follower = seerapi.Follow(seerapi.NewClient(ep), service, func(m seerapi.Member) seerapi.Member { return m })
	return w
}

func (w *town) restart(i int) {
	w.seers[i] = townSeer{table: newTable(testGone, 5), run: w.seers[i].run + 10 + uint64(i)}
	w.seers[i].table.pageMax = 2
}

// answer does what Service.changes does, without the look.
func (w *town) answer(i int, req seerapi.ChangesRequest) (page seerapi.ChangesResponse, err error) {
	if w.pages++; w.pages > 1 && len(w.meanwhile) > 0 {
		w.do(w.meanwhile[0])
		w.meanwhile = w.meanwhile[1:]
	}
	s := &w.seers[i]
	if s.deaf {
		return page, transport.New(transport.Refused, seerapi.Changes.Name, "")
	}
	if req.Cursor.Run != s.run {
		req.Cursor = seerapi.Cursor{}
	}
	page = s.table.since(w.now, req.Service, req.Cursor)
	page.Cursor.Run = s.run
	w.answered = i
	return page, nil
}

func (w *town) do(d deed) {
	w.now += d.pause
	s, peer := &w.seers[d.seer], transport.Peer{d.node + 1}
	at := w.now - time.Duration(d.life)*time.Minute // no beacon is late
	switch d.kind {
	case deedBeacon:
		b := beaconMessage{Life: d.life, At: at, Revision: d.revision, Announcement: &announcement{
			Name: "n", Incarnation: d.life, Usage: map[string]int64{"jobs": int64(d.revision / 2)},
			Services: [][]string{{"tns"}, {"tns", "hoarder"}, {"monkey"}}[d.revision%3]}}
		s.table.hear(w.now, peer, b, 0)
	case deedShortBeacon:
		s.table.hear(w.now, peer, beaconMessage{Life: d.life, At: at, Revision: 1}, 0)
	case deedLeave:
		s.table.leave(w.now, peer, d.life)
	case deedLook:
		s.table.expire(w.now, 0)
	case deedRestart:
		w.restart(d.seer)
	case deedRefuse:
		s.deaf = !s.deaf
	}
}

// refresh asks, while this and that happens, and compares.
func (w *town) refresh(t *rapid.T) {
	w.meanwhile, w.pages = rapid.SliceOfN(drawDeed, 0, 4).Draw(t, "meanwhile"), 0
	var news []transport.Peer
	var err error
	require.NoError(t, clock.Do(context.Background(), w.loop, func(ctx context.Context) { news, err = w.follower.Refresh(ctx) }))
	if err != nil {
		require.Equal(t, transport.Refused, transport.KindOf(err))
		require.Empty(t, news)
		w.sameMirror(t)
		return
	}
	for _, p := range news {
		delete(w.mirror, p)
		if m, live := w.follower.Get(p); live {
			w.mirror[p] = m
		}
	}
	w.sameMirror(t)
	w.sameAsLookup(t)
}

func (w *town) sameMirror(t *rapid.T) {
	peers := w.follower.Peers()
	require.Len(t, w.mirror, len(peers))
	for _, p := range peers {
		m, live := w.follower.Get(p)
		require.True(t, live)
		require.Equal(t, w.mirror[p], m)
	}
}

// sameAsLookup compares with what the seer that answered would tell all at once.
// Only one that fell silent, and was not looked at since, may be known beyond.
func (w *town) sameAsLookup(t *rapid.T) {
	tab := w.seers[w.answered].table
	tab.pageMax = 100
	members, _ := tab.lookup(w.now, w.service, transport.Peer{})
	tab.pageMax = 2
	want := map[transport.Peer]seerapi.Member{}
	for _, m := range members {
		m.Age = 0
		want[m.Peer] = m
	}
	for _, p := range w.follower.Peers() {
		got, _ := w.follower.Get(p)
		if _, listed := want[p]; !listed {
			require.True(t, tab.members[p] != nil && tab.members[p].up && !tab.fresh(w.now, tab.members[p]), "%x is known and not listed", p[0])
			continue
		}
		got.Age = 0
		require.Equal(t, want[p], got)
		delete(want, p)
	}
	require.Empty(t, want, "listed and not known")
}

// TestFollowerKnowsWhatLookupTells lets a follower ask at any time, also while
// members come, go and are forgotten between two pages, and seers restart or
// refuse.
func TestFollowerKnowsWhatLookupTells(t *testing.T) {
	for _, service := range []string{"tns", "hoarder", ""} {
		t.Run(service, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newTown(service)
				defer w.loop.Stop(time.Second)
				t.Repeat(map[string]func(*rapid.T){
					"deed":    func(t *rapid.T) { w.do(drawDeed.Draw(t, "deed")) },
					"beacon":  func(t *rapid.T) { d := drawDeed.Draw(t, "deed"); d.kind = deedBeacon; w.do(d) },
					"refresh": w.refresh,
				})
			})
		})
	}
}

func TestChangesTravelAlone(t *testing.T) {
	tab := newTable(testGone, 10)
	for i := range 5 {
		tab.hear(seconds(1), transport.Peer{byte(i + 1)}, full(7, 0, 1), 0)
	}
	first := tab.since(seconds(1), "tns", seerapi.Cursor{})
	require.True(t, first.Full)
	require.Len(t, first.Changed, 5)

	tab.hear(seconds(2), alice, full(7, 1, 1), 0)
	require.Empty(t, tab.since(seconds(2), "tns", first.Cursor).Changed, "it says the same again")
	tab.hear(seconds(2), alice, full(8, 0, 2), 0)
	tab.leave(seconds(2), bob, 7)
	second := tab.since(seconds(2), "tns", first.Cursor)
	require.False(t, second.Full)
	require.Len(t, second.Changed, 1)
	require.Equal(t, []transport.Peer{bob}, second.Gone)

	tab.expire(seconds(20), 0)
	require.Empty(t, tab.members)
	require.True(t, tab.since(seconds(20), "tns", first.Cursor).Full, "who was forgotten can't be told")
}

// The log does not grow with the news of a few members.
func TestHistoryIsBounded(t *testing.T) {
	tab := newTable(testGone, 10)
	for i := range 10000 {
		b := full(7, 0, 1)
		b.Revision, b.Announcement.Usage = uint64(i), map[string]int64{"jobs": int64(i)}
		tab.hear(seconds(1), alice, b, 0)
		require.LessOrEqual(t, len(tab.history.log), 2*len(tab.members)+logSlack)
	}
}
