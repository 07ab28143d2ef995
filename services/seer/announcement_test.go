package seer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

func many(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("s%03d", i))
	}
	return list
}

func gaugesOf(n int) map[string]int64 {
	all := map[string]int64{}
	for i, name := range many(n) {
		all[name] = int64(i)
	}
	return all
}

func TestAnnounceKeepsTheBounds(t *testing.T) {
	long := strings.Repeat("x", nameLenMax)
	a := announce(long+"y", 7, many(80), append([]string{long + "z"}, many(30)...), gaugesOf(70))
	require.Equal(t, long, a.Name)
	require.Equal(t, uint64(7), a.Incarnation)
	require.Equal(t, many(64), a.Services)
	require.Equal(t, append([]string{long}, many(15)...), a.Addresses)
	require.Len(t, a.Usage, 64)
	require.Equal(t, int64(63), a.Usage["s063"], "the first by name")
	require.Empty(t, a.Capacity)
	require.True(t, sound(&a))

	a = announce("n", 1, []string{"tns"}, nil, map[string]int64{"jobs": 3, "jobs-max": 5, "maximum": 1, "-max": 2})
	require.Equal(t, map[string]int64{"jobs": 3, "maximum": 1}, a.Usage)
	require.Equal(t, map[string]int64{"jobs-max": 5, "-max": 2}, a.Capacity)
	require.Empty(t, a.Addresses)
}

func TestSound(t *testing.T) {
	long := strings.Repeat("x", nameLenMax)
	most := func() *announcement {
		return &announcement{Name: long, Services: append(many(servicesLenMax-1), long), Addresses: append(many(addressesMax-1), long),
			Capacity: map[string]int64{long: 1}, Usage: gaugesOf(gaugesMax)}
	}
	require.True(t, sound(most()))
	for name, spoil := range map[string]func(a *announcement){
		"name":           func(a *announcement) { a.Name += "x" },
		"services":       func(a *announcement) { a.Services = append(a.Services, "s") },
		"a service":      func(a *announcement) { a.Services[3] = long + "x" },
		"addresses":      func(a *announcement) { a.Addresses = append(a.Addresses, "s") },
		"an address":     func(a *announcement) { a.Addresses[3] = long + "x" },
		"usages":         func(a *announcement) { a.Usage["one more"] = 1 },
		"a usage":        func(a *announcement) { a.Usage = map[string]int64{long + "x": 1} },
		"a capacity":     func(a *announcement) { a.Capacity = map[string]int64{long + "x": 1} },
		"all capacities": func(a *announcement) { a.Capacity = gaugesOf(gaugesMax + 1) },
	} {
		a := most()
		spoil(a)
		require.False(t, sound(a), name)
	}
}

func TestEqual(t *testing.T) {
	one := func() *announcement {
		return &announcement{Name: "n", Incarnation: 3, Services: many(2), Addresses: many(2), Capacity: gaugesOf(2), Usage: gaugesOf(3)}
	}
	require.True(t, equal(one(), one()))
	for name, change := range map[string]func(a *announcement){
		"name": func(a *announcement) { a.Name = "m" }, "incarnation": func(a *announcement) { a.Incarnation++ },
		"services": func(a *announcement) { a.Services[1] = "x" }, "addresses": func(a *announcement) { a.Addresses[1] = "x" },
		"capacity": func(a *announcement) { a.Capacity["s001"]++ }, "usage": func(a *announcement) { a.Usage["s001"]++ },
	} {
		a := one()
		change(a)
		require.False(t, equal(a, one()), name)
		require.False(t, equal(one(), a), name)
	}
}

func TestDefaults(t *testing.T) {
	s := DefaultSettings()
	require.Equal(t, &Settings{GoneAfter: 5 * time.Second, ExchangeInterval: time.Second, SettleAfter: 2 * time.Second,
		ForgetAfter: 10 * time.Minute, MembersMax: 1 << 14, KnowAfter: time.Second, AloneAfter: 10 * time.Second, DepartAfter: 168 * time.Hour}, s, "the README states them")
	require.Equal(t, &BeaconSettings{Interval: time.Second, AnnounceEvery: 30}, DefaultBeaconSettings())
	require.Equal(t, &DiscoverySettings{Interval: 5 * time.Second}, DefaultDiscoverySettings())
	require.Empty(t, s.Conflicts())
	s.ExchangeInterval = s.GoneAfter / 2
	require.Empty(t, s.Conflicts())
	s.ExchangeInterval++
	conflicts := s.Conflicts()
	require.Len(t, conflicts, 1)
	require.Equal(t, "exchange-interval", conflicts[0].Key)
	require.Contains(t, conflicts[0].Hint, "2.5s")
}

func TestAnswersSayAllThatIsKnown(t *testing.T) {
	tab := newTable(testGone, 10)
	a := &announcement{Name: "n", Incarnation: 3, Services: many(2), Addresses: many(3), Capacity: gaugesOf(2), Usage: gaugesOf(3)}
	tab.hear(seconds(10), alice, beaconMessage{Life: 7, Revision: 4, Announcement: a}, 0)
	page, more := tab.lookup(seconds(12), "s001", transport.Peer{})
	require.False(t, more)
	require.Equal(t, []seerapi.Member{{Peer: alice, Name: "n", Incarnation: 3, Services: many(2), Addresses: many(3),
		Capacity: gaugesOf(2), Usage: gaugesOf(3), Age: seconds(2)}}, page)
	require.Equal(t, []record{{Peer: alice, Life: 7, Revision: 4, Announcement: *a}}, tab.records([]transport.Peer{bob, alice}))

	tab.hear(seconds(12), alice, short(8, 0), 0)
	require.Empty(t, tab.records([]transport.Peer{alice}), "it is of an earlier life")
	tab.hear(seconds(12), bob, short(1, 0), 0)
	require.Empty(t, tab.records([]transport.Peer{bob}), "it was never heard")

	tab.hear(seconds(12), alice, full(8, 0, 3), 0)
	asked := make([]transport.Peer, seerapi.PageLenMax)
	require.Empty(t, tab.records(append(asked, alice)), "one page at most is answered")
	require.Len(t, tab.records(append(asked[1:], alice)), 1)
}

func TestDigestBounds(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.hear(seconds(10), bob, full(7, 0, 1), 0)
	tab.leave(seconds(11), bob, 7)
	at := func(s float64) (list []sighting) {
		list, more := tab.digest(seconds(s), transport.Peer{})
		require.False(t, more)
		return list
	}
	require.Equal(t, []sighting{{Peer: alice, Life: 7, Revision: 1, Age: seconds(4.9)}, {Peer: bob, Life: 7, Revision: 1, Age: seconds(3.9), Left: true}}, at(14.9))
	require.Len(t, at(15), 1, "alice is as good as gone")
	require.Len(t, at(20.9), 1, "who left is told for longer")
	require.Empty(t, at(21))

	tab.pageMax = 1
	page, more := tab.digest(seconds(11), transport.Peer{})
	require.True(t, more)
	require.Len(t, page, 1)
	page, more = tab.digest(seconds(11), page[0].Peer)
	require.False(t, more)
	require.Equal(t, bob, page[0].Peer)
	members, more := tab.lookup(seconds(10.5), "", transport.Peer{})
	require.False(t, more, "one live member fits one page")
	require.Len(t, members, 1)
}

func TestMessagesOfLivesThatEnded(t *testing.T) {
	tab := newTable(testGone, 10)
	tab.hear(seconds(10), alice, full(7, 0, 1), 0)
	tab.hear(seconds(11), alice, full(8, 0, 2), 0)
	tab.hear(seconds(15.9), alice, short(7, 5), 0)
	require.Equal(t, uint64(8), tab.members[alice].life, "the new life is fresh: the old one's beacon was under way")
	tab.hear(seconds(16), alice, full(7, 6, 1), 0)
	require.Equal(t, uint64(7), tab.members[alice].life, "the new one is silent for too long: it may be the other way round")
}
