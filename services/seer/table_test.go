package seer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

const testGone = 5 * time.Second

var alice, bob = transport.Peer{1}, transport.Peer{2}

func full(life uint64, at float64, incarnation uint64) beaconMessage {
	return beaconMessage{Life: life, At: seconds(at), Revision: 1,
		Announcement: &announcement{Name: "n", Incarnation: incarnation, Services: []string{"tns"}}}
}

func short(life uint64, at float64) beaconMessage {
	return beaconMessage{Life: life, At: seconds(at), Revision: 1}
}

// peers is what the table answers at a time.
func (t *table) peers(at float64) []transport.Peer {
	list := []transport.Peer{}
	members, _ := t.lookup(seconds(at), "", transport.Peer{})
	for _, m := range members {
		list = append(list, m.Peer)
	}
	return list
}

// whys is what changed: "up" or why a member went.
func (t *table) whys() []string {
	var list []string
	for _, c := range t.changes {
		if c.why == "" {
			c.why = "up"
		}
		list = append(list, c.why)
	}
	t.changes = nil
	return list
}

func TestSilentMemberIsGone(t *testing.T) {
	tab := newTable(testGone, 10)
	require.False(t, tab.hear(seconds(10), alice, full(7, 0, 1), 0))
	require.False(t, tab.hear(seconds(11), alice, short(7, 1), 0))
	require.Equal(t, []transport.Peer{alice}, tab.peers(15.9))
	require.Empty(t, tab.peers(16), "answers are exact between two looks")
	tab.expire(seconds(16.2), time.Minute)
	require.Equal(t, []string{"up", whySilent}, tab.whys())

	require.False(t, tab.hear(seconds(30), alice, short(7, 20), 0), "its announcement is remembered")
	require.Equal(t, []transport.Peer{alice}, tab.peers(30))
	tab.expire(seconds(91), time.Minute)
	require.Empty(t, tab.members, "forgotten")
}

func TestUnknownBeaconIsAskedFor(t *testing.T) {
	tab := newTable(testGone, 1)
	require.True(t, tab.hear(seconds(1), alice, short(7, 0), 0))
	require.Empty(t, tab.peers(1), "nobody knows what it offers")
	require.False(t, tab.hear(seconds(1), bob, full(7, 0, 1), 0), "the table is full")
	require.False(t, tab.hear(seconds(2), alice, full(7, 1, 1), 0))
	require.Equal(t, []transport.Peer{alice}, tab.peers(2))
}

func TestRestartSupersedes(t *testing.T) {
	for name, incarnation := range map[string]uint64{"counted on": 4, "lost its disk": 1} {
		t.Run(name, func(t *testing.T) {
			tab := newTable(testGone, 10)
			tab.hear(seconds(10), alice, full(7, 50, 3), 0)
			tab.hear(seconds(12), alice, full(8, 0, incarnation), 0)
			require.Equal(t, []string{"up", "up"}, tab.whys(), "the second is a restart")

			tab.hear(seconds(13), alice, full(7, 51, 3), 0)
			require.False(t, tab.merge(seconds(13), sighting{Peer: alice, Life: 7, Revision: 1, Age: 0}))
			members, _ := tab.lookup(seconds(13), "tns", transport.Peer{})
			require.Len(t, members, 1)
			require.Equal(t, incarnation, members[0].Incarnation, "what was held on the way is of the past")
			require.Equal(t, seconds(1), members[0].Age)
		})
	}
}

func TestRelayedNews(t *testing.T) {
	heard := func(life uint64, age float64) sighting {
		return sighting{Peer: alice, Life: life, Revision: 1, Age: seconds(age)}
	}
	tab := newTable(testGone, 10)
	require.False(t, tab.merge(seconds(10), heard(7, 5)), "too old to matter")
	require.Empty(t, tab.members)
	require.True(t, tab.merge(seconds(10), heard(7, 4)))
	tab.learn(seconds(10), record{Peer: alice, Life: 7, Revision: 1})
	require.Equal(t, []transport.Peer{alice}, tab.peers(10.9))
	require.Empty(t, tab.peers(11), "the relayed age counts")

	require.False(t, tab.merge(seconds(12), heard(7, 1)))
	require.False(t, tab.merge(seconds(12), heard(7, 3)), "less fresh news change nothing")
	require.False(t, tab.merge(seconds(12), heard(6, 2)), "nor do those of an earlier life")
	require.Equal(t, []transport.Peer{alice}, tab.peers(15.9))
	require.True(t, tab.merge(seconds(13), heard(8, 1)), "a later life, whose announcement is missing")
	require.Equal(t, []transport.Peer{alice}, tab.peers(13), "it does not vanish meanwhile")
}

func TestLeave(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.leave(seconds(11), alice, 6)
	require.Equal(t, []transport.Peer{alice}, tab.peers(11), "another life ended")
	tab.leave(seconds(11), alice, 7)
	require.Empty(t, tab.peers(11))
	require.Equal(t, []string{"up", whyLeft}, tab.whys())
	tab.merge(seconds(12), sighting{Peer: alice, Life: 7, Revision: 1, Age: seconds(0.1)})
	tab.hear(seconds(12), alice, short(7, 1), 0)
	require.Empty(t, tab.peers(12), "late news of a life that ended")

	other := newTable(testGone, 10)
	other.hear(seconds(10), alice, full(7, 0, 1), 0)
	digest, more := tab.digest(seconds(12), transport.Peer{})
	require.False(t, more)
	for _, h := range digest {
		other.merge(seconds(12), h)
	}
	require.Empty(t, other.peers(12), "others hear of it")

	tab.hear(seconds(13), alice, full(8, 0, 2), 0)
	require.Equal(t, []transport.Peer{alice}, tab.peers(13), "the next life is another matter")
}

func TestStalledSeerGivesGrace(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(1), bob, full(3, 0, 1), 0)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.expire(seconds(10), time.Minute)
	tab.whys()
	tab.resume(seconds(60)) // it was paused for 50 s
	tab.expire(seconds(60), 2*time.Minute)
	require.Empty(t, tab.whys(), "nobody is declared gone")
	members, _ := tab.lookup(seconds(61), "", transport.Peer{})
	require.Len(t, members, 1, "who was gone before remains so")
	require.Equal(t, seconds(51), members[0].Age, "the age is told as it is")
	digest, _ := tab.digest(seconds(61), transport.Peer{})
	require.Empty(t, digest, "nobody is told that she lives")
	tab.expire(seconds(65), 2*time.Minute)
	require.Equal(t, []string{whySilent}, tab.whys())
}

func TestPages(t *testing.T) {
	tab := newTable(testGone, 5000)
	for i := range 2500 {
		tab.hear(seconds(1), transport.Peer{byte(i), byte(i >> 8), 1}, full(1, 0, 1), 0)
	}
	var after transport.Peer
	seen := 0
	for more := true; more; {
		var page []seerapi.Member
		page, more = tab.lookup(seconds(1), "tns", after)
		for _, m := range page {
			require.Positive(t, m.Peer.Compare(after))
			after = m.Peer
			seen++
		}
	}
	require.Equal(t, 2500, seen)
}

func BenchmarkHear(b *testing.B) {
	tab := newTable(testGone, 1000)
	peers := make([]transport.Peer, 1000)
	for i := range peers {
		peers[i] = transport.Peer{byte(i), byte(i >> 8)}
		tab.hear(0, peers[i], full(1, 0, 1), 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := time.Duration(i) * time.Millisecond
		tab.hear(now, peers[i%len(peers)], beaconMessage{Life: 1, At: now, Revision: 1}, 0)
	}
}

func TestHeldBeaconsOfTheDead(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.expire(seconds(60), time.Hour)
	for at := 1; at < 5; at++ { // what the network had kept back is released
		tab.hear(seconds(60), alice, short(7, float64(at)), 0)
		require.Empty(t, tab.peers(60), "sent 50 s ago")
	}
}

func TestLateBeaconsAreAskedAbout(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	require.False(t, tab.hear(seconds(13.5), alice, short(7, 1), 0), "2.5 s are let pass")
	require.True(t, tab.hear(seconds(16), alice, short(7, 2), 0), "a second later it may be of the past")
	require.False(t, tab.hear(seconds(16), alice, short(7, 3), 0), "one question at a time")
	require.Equal(t, []transport.Peer{alice}, tab.peers(19))

	require.False(t, tab.hear(seconds(17), alice, full(7, 3.5, 1), seconds(16)), "its clock is slow: the answer says so")
	require.Equal(t, []transport.Peer{alice}, tab.peers(21))
	require.False(t, tab.hear(seconds(19), alice, short(7, 4), 0))
	require.Equal(t, []transport.Peer{alice}, tab.peers(23))
}

func TestABeaconThatComesTwiceIsNoNews(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	changed := full(7, 1, 1)
	changed.Revision, changed.Announcement.Services = 2, []string{"seer"}
	tab.hear(seconds(11), alice, changed, 0)
	tab.hear(seconds(12), alice, full(7, 0, 1), 0)
	tab.hear(seconds(12.5), alice, changed, 0)
	members, _ := tab.lookup(seconds(15.5), "", transport.Peer{})
	require.Len(t, members, 1)
	require.Equal(t, seconds(4.5), members[0].Age)
	require.Equal(t, []string{"seer"}, members[0].Services, "an overtaken one does not bring back what it said")
	require.Empty(t, tab.peers(16))
}
