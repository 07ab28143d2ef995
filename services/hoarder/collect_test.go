package hoarder

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// TestCollect: what of an item is deleted, and when.
func TestCollect(t *testing.T) {
	const forget = time.Hour
	lone(t, func(s *Settings) { s.ForgetAfter = forget }, func(_ context.Context, s *Service) {
		now := s.env.Loop.Elapsed()
		other := somePeers(1)[0]
		s.roster.know([]transport.Peer{other})
		s.roster.saw(other, false, 0)
		for _, c := range []struct {
			name    string
			entries []storage.Entry
			ended   time.Duration // ago
			seen    time.Duration // ago, of withdrawals
			change  func(it *item)
			pins    int
			gone    int
			demand  int
		}{
			{name: "wanted", entries: []storage.Entry{wantedBy("r", "a", 1)}, pins: 1},
			{name: "withdrawn just now", entries: []storage.Entry{withdrawEntry("r", "a", "", 1)}, ended: forget - 2, seen: forget - 2, gone: 1},
			{name: "withdrawn long ago", entries: []storage.Entry{withdrawEntry("r", "a", "", 1), demandEntry("r", other)}, ended: forget, seen: forget},
			{name: "withdrawn long ago, and in work", entries: []storage.Entry{withdrawEntry("r", "a", "", 1)}, ended: forget, seen: forget, gone: 1,
				change: func(*item) { s.acquiring["r"] = true }},
			{name: "claimed by one that is missing", entries: []storage.Entry{withdrawEntry("r", "a", "", 1), claimEntry("r", other)}, ended: forget, seen: forget, gone: 1},
			{name: "a demand for what was forgotten", entries: []storage.Entry{demandEntry("r", other)}},
			{name: "of another owner long ago", entries: []storage.Entry{withdrawEntry("r", "b", "", 1), wantedBy("r", "a", 1), claimEntry("r", s.env.Self)}, seen: forget, pins: 1},
			{name: "of another owner just now", entries: []storage.Entry{withdrawEntry("r", "b", "", 1), wantedBy("r", "a", 1), claimEntry("r", s.env.Self)}, seen: forget - 1, pins: 1, gone: 1},
			{name: "a covered pin goes first", entries: []storage.Entry{withdrawEntry("r", "a", "", 1), wantedBy("r", "a", 1)}, ended: forget, seen: forget},
		} {
			require.NoError(t, s.write(c.entries...), c.name)
			it := s.index.get("r")
			it.ended = 0
			if c.ended > 0 {
				it.ended = since(now - c.ended + 1)
			}
			for i := range it.withdrawn {
				it.withdrawn[i].seen = now - c.seen
			}
			if c.change != nil {
				c.change(it)
			}
			s.collect(it)
			count := func(part string) int {
				list, err := s.store.List(storage.K(part, "r"))
				require.NoError(t, err)
				return len(list)
			}
			require.Equal(t, []int{c.pins, c.gone, c.demand}, []int{count(pinsPart), count(withdrawnPart), count(demandPart)}, c.name)
			delete(s.acquiring, "r")
			s.erase(storage.K(pinsPart), storage.K(withdrawnPart), storage.K(demandPart), storage.K(claimsPart))
			require.True(t, it.empty(), c.name)
		}
	})
}

func demandEntry(root string, p transport.Peer) storage.Entry {
	return storage.Entry{Key: demandKey(root, p), Value: transport.Encode(demandRecord{Total: 3})}
}

// TestOnlyTheBestCollects what is over: one delta, not one of each hoarder.
func TestOnlyTheBestCollects(t *testing.T) {
	lone(t, func(s *Settings) { s.ForgetAfter = time.Hour }, func(_ context.Context, s *Service) {
		var better transport.Peer
		for _, p := range somePeers(20) {
			if rendezvous.Of("r").Better(p, s.env.Self) {
				better = p
			}
		}
		s.roster.know([]transport.Peer{better})
		s.roster.saw(better, true, 0)
		require.NoError(t, s.write(withdrawEntry("r", "a", "", 1), wantedBy("r", "a", 1), withdrawEntry("r", "b", "", 1)))
		it := s.index.get("r")
		now := s.env.Loop.Elapsed()
		it.ended = since(now - 9*time.Hour)
		for i := range it.withdrawn {
			it.withdrawn[i].seen = now - 9*time.Hour
		}
		s.collect(it)
		require.Len(t, it.pins, 1)
		require.Len(t, it.withdrawn, 2)
		s.roster.saw(better, false, 0)
		s.collect(it)
		require.True(t, it.empty())
	})
}

func TestWhenToCollect(t *testing.T) {
	s := told(t)
	s.settings.ForgetAfter = 16 * time.Hour
	p := somePeers(1)[0]
	for _, c := range []struct {
		name    string
		entries []storage.Entry
		ended   since
		now     time.Duration
		want    time.Duration // 0: never
	}{
		{"a pin", []storage.Entry{wantedBy("r", "a", 1)}, 0, 5 * time.Hour, 0},
		{"ended", []storage.Entry{wantedBy("r", "a", 1)}, since(2*time.Hour + 1), 5 * time.Hour, 18 * time.Hour},
		{"ended, and claimed", []storage.Entry{wantedBy("r", "a", 1), claimEntry("r", p)}, since(2*time.Hour + 1), 5 * time.Hour, 0},
		{"withdrawn", []storage.Entry{withdrawEntry("r", "a", "", 1), claimEntry("r", p)}, 0, 5 * time.Hour, 16 * time.Hour},
		{"late", []storage.Entry{withdrawEntry("r", "a", "", 1), claimEntry("r", p)}, 0, 50 * time.Hour, 51 * time.Hour},
		{"a demand alone", []storage.Entry{demandEntry("r", p)}, 0, 5 * time.Hour, 21 * time.Hour},
		{"a claim alone", []storage.Entry{claimEntry("r", p)}, 0, 5 * time.Hour, 0},
	} {
		x := indexOf(t, c.entries...)
		it := x.get("r")
		it.ended = c.ended
		at, any := s.collectAt(it, c.now)
		require.Equal(t, c.want != 0, any, c.name)
		if any {
			require.Equal(t, c.want, at, c.name)
		}
	}
}
