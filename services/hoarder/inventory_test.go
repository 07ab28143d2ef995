package hoarder

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
)

// spoil flips the stored record of a key, as rot does.
func spoil(t *testing.T, m *nodetest.Machine, part string) {
	spoilt := 0
	m.Disk.DurableBelow("", func(key string, value []byte) bool {
		if strings.Contains(key, part) {
			value = append([]byte{}, value...)
			value[len(value)-1] ^= 0x55
			require.NoError(t, m.Disk.Put(context.Background(), datastore.RawKey(key), value))
			spoilt++
		}
		return true
	})
	require.NoError(t, m.Disk.Sync(context.Background(), datastore.Key{}))
	require.Equal(t, 1, spoilt)
}

// TestAStartFindsOutWhatIsThere, whatever has become of records and blocks.
func TestAStartFindsOutWhatIsThere(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		m := w.hoarders[0]
		pin := func(of byte, size int) string {
			req := asset(w.store(size, of), "me")
			req.Target = 1
			_, err := w.pin(req)
			require.NoError(t, err)
			return req.Root
		}
		whole, norecord, noblocks, neither := pin(1, 100), pin(2, 200), pin(3, 300), pin(4, 400)
		w.turn(m, func(ctx context.Context, s *Service) {
			for _, root := range []string{noblocks, neither} {
				require.NoError(t, s.env.Blocks.Remove(cidOf(t, root)))
			}
			require.NoError(t, s.env.Blocks.Sync(ctx))
		})
		m.Stop()
		spoil(t, m, "/held/"+norecord)
		spoil(t, m, "/held/"+neither)
		m.Start()
		w.turn(m, func(_ context.Context, s *Service) {
			require.ElementsMatch(t, []string{whole, norecord}, s.Held())
			require.Equal(t, int64(300), s.holdings.used)
			require.Equal(t, int64(300), s.env.Gauges()[gaugeUsed])
			require.Len(t, s.recordedPins[norecord], 1, "with the pins that the store knows")
			require.Equal(t, map[string]bool{noblocks: true, neither: true}, s.remains)
			require.True(t, s.index.get(whole).claimed(m.Peer()))
			require.False(t, s.index.get(noblocks).claimed(m.Peer()))
			require.True(t, s.holdings.stock[whole])
			require.False(t, s.holdings.mayRelease(whole, s.env.Loop.Elapsed()), "it may have been promised")
		})
		inventory := w.Facts("inventory")
		require.Equal(t, 2, inventory[len(inventory)-1].Fields["items"])
		require.Equal(t, int64(300), inventory[len(inventory)-1].Fields["bytes"])
		require.Len(t, w.Facts("copy-missing"), 2)
		require.Len(t, w.Facts("record-mended"), 1)
		m.Stop()
		m.Start() // what was mended and missed is on record
		require.Len(t, w.Facts("copy-missing"), 2)
		require.Len(t, w.Facts("record-mended"), 1)
		w.turn(m, func(_ context.Context, s *Service) {
			require.Equal(t, map[string]bool{noblocks: true, neither: true}, s.remains, "what may be left of them is known again")
			require.NotEqual(t, int32(notDue), s.index.get(noblocks).dueAt, "and looked at")
		})
	})
}

// TestPinsAreWrittenAgain from the record of a copy, if the store has lost them and
// nobody has withdrawn them.
func TestPinsAreWrittenAgain(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		rec := func(seq uint64) pinRecord {
			return pinRecord{Kind: hoarderapi.Asset, Owner: "a", Target: 2, Seq: seq}
		}
		it := s.index.get("r")
		require.NoError(t, s.mendPins("r", []pinRecord{rec(3)}))
		require.Len(t, it.pins, 1)
		require.NoError(t, s.mendPins("r", []pinRecord{rec(3), rec(2)}))
		require.Len(t, it.pins, 1, "what the store knows, or knows better, is left alone")
		require.NoError(t, s.write(withdrawEntry("q", "a", "", 3)))
		require.NoError(t, s.mendPins("q", []pinRecord{rec(3)}))
		require.Empty(t, s.index.get("q").pins, "withdrawn")
		require.NoError(t, s.mendPins("q", []pinRecord{rec(4)}))
		require.Len(t, s.index.get("q").pins, 1)
	})
}

// TestScrubGoesRound: each copy has its turn, also one that came since.
func TestScrubGoesRound(t *testing.T) {
	s := told(t)
	require.Empty(t, s.nextScrub())
	for i := range 3 {
		s.holdings.admit(fmt.Sprint(i), 1)
	}
	var turns []string
	for range 2 {
		turns = append(turns, s.nextScrub())
	}
	s.holdings.drop("2")
	s.holdings.admit("3", 1)
	for range 4 {
		turns = append(turns, s.nextScrub())
	}
	require.Equal(t, []string{"0", "1", "0", "1", "3", "0"}, turns)
}

func TestARottenRecordIsWrittenAgain(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(100, 1), "me")
		_, err := w.pin(req)
		require.NoError(t, err)
		w.turn(w.hoarders[0], func(_ context.Context, s *Service) {
			has := func() bool {
				_, err := s.env.Local.Get(heldKey(req.Root))
				return err == nil
			}
			lose := func() {
				require.NoError(t, s.env.Local.Apply(new(storage.Batch).Delete(heldKey(req.Root))))
				s.scrubRecord(req.Root)
			}
			s.scrubRecord(req.Root)
			require.Empty(t, w.Facts("record-mended"))
			s.holdings.mending[req.Root] = true
			lose()
			require.False(t, has(), "a copy that is bad is not recorded")
			delete(s.holdings.mending, req.Root)
			s.holdings.releasing[req.Root] = true
			lose()
			require.False(t, has(), "nor one that goes")
			delete(s.holdings.releasing, req.Root)
			s.untidy = false
			lose()
			require.True(t, has())
			require.True(t, s.untidy, "it is synced with the next sweep")
			require.Len(t, w.Facts("record-mended"), 1)
			s.holdings.drop(req.Root)
			lose()
			require.False(t, has(), "nor one that has gone")
			s.holdings.admit(req.Root, 100)
		})
	})
}

// TestACopyThatCannotBeMendedIsGivenUp, and its claim with it; what is left of it
// stays until others hold the item.
func TestACopyThatCannotBeMendedIsGivenUp(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(5 * time.Second)
		req := asset(w.store(100, 1), "me")
		req.Target = 1
		_, err := w.pin(req)
		require.NoError(t, err)
		w.user.Stop()
		m := w.hoarders[0]
		w.rot(m, req.Root)
		nodetest.Sleep(time.Minute)
		require.Len(t, w.Facts("item-corrupted"), 1)
		require.Empty(t, w.Facts("copy-mended"))
		w.turn(m, func(_ context.Context, s *Service) {
			require.Empty(t, s.Held())
			require.False(t, s.index.get(req.Root).claimed(s.env.Self))
			require.True(t, s.remains[req.Root])
			require.Zero(t, s.env.Gauges()[gaugeUsed])
			require.False(t, s.holdings.mending[req.Root])
			_, err := s.env.Local.Get(remainsKey(req.Root))
			require.NoError(t, err)
			s.acquiring[req.Root] = true
			s.dropRemains(req.Root)
			require.True(t, s.remains[req.Root], "they are in use")
			delete(s.acquiring, req.Root)
			other := somePeers(1)[0]
			s.put(t, claimEntry(req.Root, other))
			s.evaluate(req.Root)
			require.Empty(t, s.remains, "others hold it")
			_, err = s.env.Local.Get(remainsKey(req.Root))
			require.ErrorIs(t, err, storage.ErrNotFound)
		})
	})
}

func TestTheRosterKnowsWhoClaimsWhat(t *testing.T) {
	peers := somePeers(2)
	x := indexOf(t, claimEntry("b", peers[0]), claimEntry("a", peers[0]), claimEntry("c", peers[1]))
	require.Equal(t, []string{"a", "b"}, x.roster.member(peers[0]).roots())
	_, err := x.apply(claimKey("a", peers[0]), nil, 0)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, x.roster.member(peers[0]).roots())
}

func TestRoom(t *testing.T) {
	s := told(t)
	require.Equal(t, int64(1000), s.holdings.free())
	s.holdings.capacity = 1<<10 + 1100
	require.True(t, s.Room(1000), "a tenth and a KiB beside it")
	require.False(t, s.Room(1001))
	s.holdings.capacity = 1025
	require.True(t, s.Room(0))
	s.holdings.capacity = 1024
	require.False(t, s.Room(0))
	s.settings.ItemSizeMax = 3 << 20
	for free, want := range map[int64]int64{1 << 10: 1 << 20, 4 << 20: 1 << 20, 8 << 20: 2 << 20, 1 << 30: 3 << 20} {
		s.holdings.capacity = free
		require.Equal(t, want, s.boundOf(0), free)
		require.Equal(t, int64(11+1024), s.boundOf(10))
	}
	used, capacity := s.Bytes()
	require.Zero(t, used)
	require.Equal(t, s.settings.Capacity, capacity)
	fresh := &Service{settings: s.settings}
	require.Empty(t, fresh.Held())
	require.False(t, fresh.Room(1) || fresh.Holds(someRoot))
}

// TestWithoutSeersHoarders ask each other, a few at a time, all in turn.
func TestWithoutSeersHoardersAskEachOther(t *testing.T) {
	inTown(t, 7, nil, func(w *town) {
		nodetest.Sleep(20 * time.Second)
		w.blind = true
		for _, m := range w.hoarders[1:3] {
			m.Stop()
		}
		m := w.hoarders[0]
		live := func() (n int) {
			w.turn(m, func(_ context.Context, s *Service) { n = s.roster.liveCount() })
			return n
		}
		require.Equal(t, 7, live())
		nodetest.Sleep(15 * time.Second)
		require.Equal(t, 5, live())
		w.turn(m, func(_ context.Context, s *Service) {
			require.False(t, s.roster.member(w.hoarders[1].Peer()).lives() || s.roster.member(w.hoarders[2].Peer()).lives())
		})
		w.hoarders[1].Start()
		nodetest.Sleep(10 * time.Second)
		require.Equal(t, 6, live())
		w.turn(m, func(ctx context.Context, s *Service) {
			seen := map[int]int{}
			for range 7 {
				s.probe(ctx)
				seen[s.probed]++
			}
			require.Len(t, seen, 7, "four further each time, of seven")
		})
		w.blind = false
		w.hoarders[2].Start()
		nodetest.Sleep(10 * time.Second)
		require.Equal(t, 7, live())
	})
}

// TestSeerIsBelieved about those who offer the service.
func TestSeerIsBelieved(t *testing.T) {
	inTown(t, 3, nil, func(w *town) {
		nodetest.Sleep(10 * time.Second)
		req := asset(w.store(100, 1), "me")
		_, err := w.pin(req)
		require.NoError(t, err)
		nodetest.Sleep(10 * time.Second)
		require.Len(t, w.holders(req.Root), 3)
		m := w.hoarders[0]
		gone := w.hoarders[1].Peer()
		w.hoarders[1].Stop()
		state := func() (lives, counts bool) {
			w.turn(m, func(_ context.Context, s *Service) {
				p := s.roster.member(gone)
				lives, counts = p.lives(), p.counts()
			})
			return lives, counts
		}
		nodetest.Sleep(5 * time.Second)
		lives, counts := state()
		require.False(t, lives)
		require.True(t, counts, "for the time of grace")
		nodetest.Sleep(12 * time.Second)
		_, counts = state()
		require.False(t, counts)
		w.turn(m, func(_ context.Context, s *Service) {
			require.True(t, s.index.get(req.Root).short.on(), "its items have been looked at")
			require.Len(t, s.roster.peers(), 3, "it exists yet")
		})
		w.hoarders[1].Start()
		nodetest.Sleep(5 * time.Second)
		lives, counts = state()
		require.True(t, lives && counts)
		w.turn(m, func(_ context.Context, s *Service) { require.False(t, s.index.get(req.Root).short.on()) })
	})
}
