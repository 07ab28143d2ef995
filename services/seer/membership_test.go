package seer

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// announceTo announces what from says of itself.
func announceTo(c *nodetest.Caller, seer *nodetest.Machine, said addressbook.Signed) (resp announceResponse, err error) {
	c.Do(func(ctx context.Context) {
		resp, err = announceAt.Call(ctx, c.Env.Wire, seer.Peer(), announceRequest{Said: said})
	})
	return resp, err
}

// What a seer takes of what members say of themselves, and what it answers.
func TestWhatMembersSayOfThemselves(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := seerNode(c, "s").Start()
		work := c.Caller("work", "work")
		work.Contacts = []*nodetest.Machine{s}
		work.Stop()
		work.Start()
		say := func(incarnation, counter uint64, left bool, services ...string) addressbook.Signed {
			signed, err := addressbook.Sign(work.Identity, addressbook.Announcement{Name: "work", Cloud: nodetest.CloudName, Incarnation: incarnation, Counter: counter, Services: services, Left: left})
			require.NoError(t, err)
			return signed
		}
		_, err := announceTo(work, s, say(1, 0, false, "play"))
		require.Equal(t, transport.NotAllowed, transport.KindOf(err))
		_, err = announceTo(work, s, saysOf(s, 7, seerapi.Service))
		require.Equal(t, transport.NotAllowed, transport.KindOf(err))
		newest := say(3, 1, false, "work")
		for _, said := range []addressbook.Signed{say(3, 0, false, "work"), newest, newest} {
			resp, err := announceTo(work, s, said)
			require.NoError(t, err)
			require.Nil(t, resp.Newer)
		}
		resp, err := announceTo(work, s, say(3, 0, false, "work"))
		require.NoError(t, err)
		require.Equal(t, &newest, resp.Newer, "others know more")

		gone := func() (is bool) {
			turn(c, s, func(s *Service) { is = s.register.members[work.Peer()].left() })
			return is
		}
		left := say(3, 2, true, "work")
		for range 2 {
			resp, err = announceTo(work, s, left)
			require.NoError(t, err)
			require.Nil(t, resp.Newer)
			require.True(t, gone())
		}
		resp, err = announceTo(work, s, say(3, 2, false, "work"))
		require.NoError(t, err)
		require.Equal(t, &left, resp.Newer, "it is back, and has to say so in a newer form")
		require.True(t, gone())
		resp, err = announceTo(work, s, say(4, 0, false, "work"))
		require.NoError(t, err)
		require.Nil(t, resp.Newer)
		require.False(t, gone())
	})
}

// What a seer saves it saves once, and reads as it was.
func TestARegisterOnDisk(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := seerNode(c, "s").Start()
		w := plainNode(c, "w", "work", nil, s).Start()
		l := plainNode(c, "l", "lazy", nil, s).Start()
		nodetest.Sleep(15 * time.Second)
		l.Vanish()
		agentOf(c, w, func(ctx context.Context, d *discovery) { require.NoError(t, d.Leave(ctx)) })
		w.Stop()
		saved := func() (list map[transport.Peer]savedMember) {
			turn(c, s, func(s *Service) {
				require.Empty(t, s.register.unsaved)
				entries, err := s.env.Local.List("")
				require.NoError(t, err)
				list = map[transport.Peer]savedMember{}
				for _, e := range entries {
					var v savedMember
					require.NoError(t, transport.Decode(e.Value, &v))
					a, err := v.Said.Open()
					require.NoError(t, err)
					require.Equal(t, storage.K("member", a.Peer.String()), e.Key)
					list[a.Peer] = v
				}
			})
			return list
		}
		nodetest.Sleep(5 * time.Second)
		before := saved()
		require.Len(t, before, 3)
		eighth := DefaultSettings().DepartAfter / 8
		turn(c, s, func(s *Service) { s.register.members[l.Peer()].silent = eighth - time.Second })
		require.Zero(t, saved()[l.Peer()].Silent)
		nodetest.Sleep(3 * time.Second)
		require.InDelta(t, eighth, saved()[l.Peer()].Silent, float64(2*time.Second), "written eight times until it counts as gone")
		require.False(t, saved()[l.Peer()].Gone)
		turn(c, s, func(s *Service) { s.register.members[l.Peer()].silent = DefaultSettings().DepartAfter })
		nodetest.Sleep(3 * time.Second)
		kept := saved()
		require.True(t, kept[l.Peer()].Gone)

		s.Vanish()
		s.Start()
		turn(c, s, func(s *Service) {
			require.Len(t, s.register.members, 3)
			for _, gone := range []*nodetest.Machine{l, w} { // its own new announcement may have come
				require.NotContains(t, s.register.unsaved, gone.Peer())
			}
			m := s.register.members[l.Peer()]
			require.True(t, m.gone)
			require.Equal(t, kept[l.Peer()].Silent, m.silent)
			require.Equal(t, m.silent, m.saved)
			require.True(t, s.register.members[w.Peer()].entry.Left)
			require.Len(t, s.Present(), 1)
		})
	})
}

// What cannot be read of a register is left out.
func TestARegisterThatCannotBeRead(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := seerNode(c, "s").Start()
		w := plainNode(c, "w", "work", nil, s).Start()
		nodetest.Sleep(5 * time.Second)
		turn(c, s, func(s *Service) {
			forged := saysOf(w, 9, "work")
			forged.Signature[0] ^= 1
			require.NoError(t, storage.Put(s.env.Local, storage.K("member", w.Peer().String()), transport.Encode(savedMember{Said: forged})))
			require.NoError(t, storage.Put(s.env.Local, storage.K("member", "x"), []byte("x")))
			require.NoError(t, s.env.Local.Sync(context.Background()))
		})
		w.Stop()
		s.Vanish()
		s.Start()
		turn(c, s, func(s *Service) { require.Len(t, s.register.members, 1) })
	})
}

// A seer tells of a member only services that its certificate names, as far as it has seen that.
func TestServicesThatWereNotGranted(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := seers(c, 1)[0]
		c.Directory.Grant(bob, "monkey")
		nodetest.Sleep(3 * time.Second)
		turn(c, s, func(s *Service) {
			a := &announcement{Name: "bob", Services: []string{"monkey", "tns"}}
			s.take(bob, beaconMessage{Life: 7, At: 1, Revision: 1, Announcement: a}, 0)
			require.Equal(t, []string{"monkey"}, s.table.members[bob].announcement.Services)
			b := &announcement{Name: "alice", Services: []string{"monkey", "tns"}}
			s.take(alice, beaconMessage{Life: 7, At: 1, Revision: 1, Announcement: b}, 0)
			require.Equal(t, []string{"monkey", "tns"}, s.table.members[alice].announcement.Services, "nobody has seen its certificate")
		})
	})
}

// When a seer says that it knows of all: not before know-after, and then when it has heard the others, or after
// alone-after.
func TestWhenASeerKnowsAll(t *testing.T) {
	all := func(c *nodetest.Cloud, m *nodetest.Machine) (is bool) {
		turn(c, m, func(s *Service) { is = s.knowsAll(s.now()) })
		return is
	}
	for name, c := range map[string]struct {
		contact func(c *nodetest.Cloud) *nodetest.Machine
		after   time.Duration
	}{
		"it is the first":                  {func(*nodetest.Cloud) *nodetest.Machine { return nil }, time.Second},
		"another has told":                 {func(c *nodetest.Cloud) *nodetest.Machine { return seerNode(c, "a").Start() }, time.Second},
		"another is not there":             {func(c *nodetest.Cloud) *nodetest.Machine { return seerNode(c, "a") }, 10 * time.Second},
		"its contact proves to be no seer": {func(c *nodetest.Cloud) *nodetest.Machine { return plainNode(c, "a", "work", nil).Start() }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inCloud(t, func(cloud *nodetest.Cloud) {
				s := seerNode(cloud, "s")
				if contact := c.contact(cloud); contact != nil {
					s.Contacts = []*nodetest.Machine{contact}
				}
				s.Start()
				nodetest.Sleep(c.after - time.Millisecond)
				require.False(t, all(cloud, s))
				nodetest.Sleep(time.Millisecond)
				require.True(t, all(cloud, s))
			})
		})
	}
}

func TestFollowersSayWhatTheyWant(t *testing.T) {
	inCloud(t, func(c *nodetest.Cloud) {
		s := seerNode(c, "s").Start()
		w := plainNode(c, "w", "work", nil, s).Start()
		nodetest.Sleep(3 * time.Second)
		ask := func(cursor seerapi.Cursor, services ...string) (resp followResponse, err error) {
			agentOf(c, w, func(ctx context.Context, d *discovery) {
				resp, err = follow.Call(ctx, d.env.Wire, s.Peer(), followRequest{Cursor: cursor, Services: services, Says: d.says})
			})
			return resp, err
		}
		_, err := ask(seerapi.Cursor{})
		require.Equal(t, transport.Invalid, transport.KindOf(err))
		_, err = ask(seerapi.Cursor{}, many(65)...)
		require.Equal(t, transport.Invalid, transport.KindOf(err))
		_, err = ask(seerapi.Cursor{}, many(64)...)
		require.NoError(t, err)
		page, err := ask(seerapi.Cursor{}, "work")
		require.NoError(t, err)
		require.True(t, page.Full)
		require.True(t, page.Known)
		require.False(t, page.Announce)
		require.Len(t, page.Members, 1)
		turn(c, s, func(s *Service) { require.Equal(t, s.life, page.Cursor.Run) })
		again, err := ask(page.Cursor, "work")
		require.NoError(t, err)
		require.False(t, again.Full)
		page.Cursor.Run++
		again, err = ask(page.Cursor, "work")
		require.NoError(t, err)
		require.True(t, again.Full, "of another seer, or another life")
	})
}

// The marks are hit where that happens, and nowhere else.
func TestMarks(t *testing.T) {
	sometimes.Count()
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.hear(seconds(11), alice, short(7, 1), 0)
	require.Empty(t, sometimes.Hits())
	tab.hear(seconds(11), alice, full(8, 0, 1), 0)
	require.Equal(t, map[string]int{"seer/another-life": 1}, sometimes.Hits())
	tab.hear(seconds(11), alice, short(7, 1.5), 0)
	require.Equal(t, map[string]int{"seer/another-life": 1, "seer/old-news": 1}, sometimes.Hits())
	tab.hear(seconds(16), alice, short(8, 1), 0)
	require.Equal(t, map[string]int{"seer/another-life": 1, "seer/old-news": 1, "seer/late-beacon": 1}, sometimes.Hits())
	tab.hear(seconds(17), alice, short(8, 2), seconds(16.9))
	require.Equal(t, map[string]int{"seer/another-life": 1, "seer/old-news": 1, "seer/late-beacon": 1, "seer/slow-clock": 1}, sometimes.Hits())
	sometimes.Count()
}

// An answer to a question of the first second of a seer's life is one, too.
func TestAnAnswerToAnEarlyQuestion(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(0.1), alice, full(7, 0, 1), 0)
	tab.hear(seconds(4), alice, short(7, 0.2), seconds(0.9))
	members, _ := tab.lookup(seconds(5), "", transport.Peer{})
	require.Len(t, members, 1)
	require.Equal(t, seconds(1.6), members[0].Age.Round(10*time.Millisecond), "late by 3.1 s at most, of which 2.5 s are let pass")
}
