package seer

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

func nodetestDisk() *memdisk.Disk { return memdisk.New() }

// follower adds a node that uses "play" and knows a stand-in.
func follower(c *nodetest.Cloud, s *standIn) *nodetest.Machine {
	return plainNode(c, "w", "work", []string{"play"}, s.Machine)
}

// A node asks every 5 s for what has changed since the last answer; four times a second until it is answered by
// somebody who knows all.
func TestWhenANodeAsks(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := newStandIn(c, "s")
		known := false
		s.follows = func(req followRequest) (followResponse, error) {
			return followResponse{Full: req.Cursor.Version == 0, Known: known, Cursor: seerapi.Cursor{Run: 9, Version: 7}, Members: []addressbook.Signed{s.says(1, seerapi.Service)}}, nil
		}
		w := follower(c, s).Start()
		nodetest.Sleep(4 * time.Second)
		require.InDelta(t, 16, len(s.followed), 4)
		for _, f := range s.followed[2:] {
			require.Equal(t, []string{"play", "seer"}, f.Services)
			require.True(t, f.Some)
			require.Zero(t, f.Cursor, "whoever does not know all is asked anew")
		}
		_, all := knows(c, w, "play")
		require.False(t, all)
		require.Len(t, s.announced, 1, "it is told once what the node says")

		known = true
		nodetest.Sleep(time.Second)
		_, all = knows(c, w, "play")
		require.True(t, all)
		s.followed = nil
		nodetest.Sleep(60 * time.Second)
		require.InDelta(t, 12, len(s.followed), 3)
		for i, f := range s.followed {
			require.Equal(t, seerapi.Cursor{Run: 9, Version: 7}, f.Cursor)
			require.Equal(t, addressbook.Stamp{Incarnation: 1}, f.Says)
			if i > 0 {
				pause := f.at - s.followed[i-1].at
				require.GreaterOrEqual(t, pause, 3750*time.Millisecond)
				require.LessOrEqual(t, pause, 6250*time.Millisecond)
			}
		}
		require.Len(t, s.announced, 1)

		s.followed = nil
		_, all = knows(c, w, "sleep")
		require.False(t, all)
		nodetest.Sleep(10 * time.Millisecond)
		require.Len(t, s.followed, 1, "what is wanted is asked for at once")
		require.Equal(t, []string{"play", "seer", "sleep"}, s.followed[0].Services)
		require.Zero(t, s.followed[0].Cursor, "from the beginning")
		_, all = knows(c, w, "sleep")
		require.True(t, all)
	})
}

// Pages are taken together, from the last one that begins anew, and only when the last has come.
func TestPagesOfAnAnswer(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := newStandIn(c, "s")
		at := func(n uint64) seerapi.Cursor { return seerapi.Cursor{Run: 9, Version: n} }
		s.follows = func(req followRequest) (followResponse, error) {
			switch req.Cursor.Version {
			case 0:
				return followResponse{Full: true, Cursor: at(1), More: true, Members: []addressbook.Signed{other("ghost", "play"), other("gone", "play")}}, nil
			case 1:
				return followResponse{Full: true, Cursor: at(2), More: true, Members: []addressbook.Signed{s.says(1, seerapi.Service), other("p", "play"), other("q", "play")}}, nil
			case 2:
				return followResponse{Cursor: at(3), Members: []addressbook.Signed{other("r", "play")}, Gone: []transport.Peer{peerOf("q")}, Known: true}, nil
			case 3:
				return followResponse{Cursor: at(4), Gone: []transport.Peer{peerOf("p")}, More: true, Known: true}, nil
			}
			return followResponse{}, transport.New(transport.Internal, "test", "broken off")
		}
		w := follower(c, s).Start()
		nodetest.Sleep(time.Second)
		names, all := knows(c, w, "play")
		require.Equal(t, []string{"p", "r"}, names)
		require.True(t, all)
		nodetest.Sleep(20 * time.Second)
		names, all = knows(c, w, "play")
		require.Equal(t, []string{"p", "r"}, names, "half an answer is none")
		require.True(t, all)
		require.Equal(t, uint64(3), s.followed[len(s.followed)-2].Cursor.Version, "it goes on from where it was")
		require.Equal(t, uint64(4), s.followed[len(s.followed)-1].Cursor.Version)
	})
}

func TestAnAnswerEnds(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := newStandIn(c, "s")
		s.follows = func(req followRequest) (followResponse, error) {
			return followResponse{Cursor: seerapi.Cursor{Version: req.Cursor.Version + 1}, More: true}, nil
		}
		w := follower(c, s).Start()
		nodetest.Sleep(time.Second)
		most := uint64(0)
		for _, f := range s.followed {
			most = max(most, f.Cursor.Version)
		}
		require.Equal(t, uint64(255), most, "the 256th page has to be the last")
		names, _ := knows(c, w, seerapi.Service)
		require.Equal(t, []string{"s"}, names, "what the contact has told")
	})
}

// A seer that does not know a node as it says is told again; one that knows more of it than itself makes it
// say something newer.
func TestWhatASeerLacksIsTold(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := newStandIn(c, "s")
		var announce bool
		var newer *addressbook.Signed
		before := s.follows
		s.follows = func(req followRequest) (followResponse, error) {
			resp, err := before(req)
			resp.Announce, resp.Newer = announce, newer
			announce = false
			return resp, err
		}
		w := follower(c, s).Start()
		nodetest.Sleep(20 * time.Second)
		require.Len(t, s.announced, 1)
		announce = true
		nodetest.Sleep(12 * time.Second)
		require.Len(t, s.announced, 2)
		heard := len(s.announced)
		signed := saysOf(w, 5, "work")
		newer = &signed
		nodetest.Sleep(7 * time.Second)
		newer = nil
		require.Greater(t, len(s.announced), heard)
		require.Equal(t, uint64(6), s.announced[len(s.announced)-1].Incarnation)
		require.Equal(t, []string{w.Address()}, s.announced[len(s.announced)-1].Addresses)
		heard = len(s.announced)
		nodetest.Sleep(20 * time.Second)
		require.Len(t, s.announced, heard)

		signed = saysOf(w, 9, "work")
		newer = nil
		s.announces = func(a addressbook.Announcement) (announceResponse, error) {
			if a.Incarnation < 10 {
				return announceResponse{Newer: &signed}, nil
			}
			return announceResponse{}, nil
		}
		w.Move()
		nodetest.Sleep(10 * time.Second)
		last := s.announced[len(s.announced)-1]
		require.Equal(t, uint64(10), last.Incarnation, "the answer to an announcement says so, too")
		require.Equal(t, []string{w.Address()}, last.Addresses)
	})
}

// As many seers are told as are enough, and it is tried again until at least one has heard it.
func TestHowManySeersAreTold(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		var all []*standIn
		var list []addressbook.Signed
		for _, name := range []string{"s0", "s1", "s2", "s3", "s4"} {
			s := newStandIn(c, name)
			all, list = append(all, s), append(list, s.says(1, seerapi.Service))
		}
		refuse := true
		for _, s := range all {
			s.introduces = func() (introduceResponse, error) { return introduceResponse{Seers: list}, nil }
			s.follows = func(followRequest) (followResponse, error) {
				return followResponse{Full: true, Known: true, Cursor: seerapi.Cursor{Run: 1, Version: 1}, Members: list}, nil
			}
			s.announces = func(addressbook.Announcement) (announceResponse, error) {
				if refuse {
					return announceResponse{}, transport.New(transport.Refused, "test", "no")
				}
				return announceResponse{}, nil
			}
		}
		w := follower(c, all[0]).Start()
		nodetest.Sleep(3 * time.Second)
		heard := func() (n int) {
			for _, s := range all {
				n += len(s.announced)
				s.announced = nil
			}
			return n
		}
		require.Greater(t, heard(), 20, "soon again while nobody hears it")
		refuse = false
		nodetest.Sleep(time.Second)
		heard()
		nodetest.Sleep(time.Minute)
		require.Zero(t, heard())
		w.Move()
		nodetest.Sleep(10 * time.Second)
		require.Equal(t, 3, heard())
		require.Len(t, slices.DeleteFunc(all, func(s *standIn) bool { return len(s.followed) < 5 }), 1, "one is asked as long as it answers")
	})
}
