package seer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"pgregory.net/rapid"
)

func keyOf(i int) transport.Identity { return transport.NewIdentity(fmt.Append(nil, "member ", i)) }

func said(i int, incarnation, counter uint64, left bool, services ...string) addressbook.Signed {
	slices.Sort(services)
	s, err := addressbook.Sign(keyOf(i), addressbook.Announcement{Name: fmt.Sprint(i), Incarnation: incarnation, Counter: counter, Services: services, Left: left})
	if err != nil {
		panic(err)
	}
	return s
}

func learned(t require.TestingT, s addressbook.Signed, list ...addressbook.Signed) *register {
	r := newRegister(time.Minute, 10)
	for _, one := range append(list, s) {
		require.NoError(t, r.learn(one, false))
	}
	return r
}

func nobody(transport.Peer) bool { return false }

// A member that is silent for too long is forgotten and not brought back by what others still tell of it;
// what it says itself, in a newer form, counts at once.
func TestALongSilenceIsADeparture(t *testing.T) {
	r := learned(t, said(1, 1, 0, false, "tns"))
	p := keyOf(1).Peer()
	r.pass(time.Minute-1, nobody)
	require.Len(t, r.present(), 1)
	r.pass(time.Second, func(transport.Peer) bool { return true })
	r.pass(time.Minute-1, nobody)
	require.Len(t, r.present(), 1, "it was heard between")
	r.pass(1, nobody)
	require.Empty(t, r.present())
	require.NoError(t, r.learn(said(1, 1, 0, false, "tns"), false))
	require.Empty(t, r.present(), "others had not noticed")

	ask, newer := r.stale(p, addressbook.Stamp{Incarnation: 1})
	require.True(t, ask)
	require.NotNil(t, newer, "it must say something newer")
	require.NoError(t, r.learn(said(1, 2, 0, false, "tns"), false))
	require.Len(t, r.present(), 1)

	r.pass(time.Minute, nobody)
	r.pass(time.Minute, nobody)
	require.Empty(t, r.book.Entries(), "what nobody can bring back need not be remembered")
	require.True(t, r.unsaved[p])
}

// TestWhoIsRevokedHasLeft, whatever it or others say; whoever follows is told.
func TestWhoIsRevokedHasLeft(t *testing.T) {
	r := learned(t, said(1, 1, 0, false, "tns"), said(2, 1, 0, false, "tns"))
	followed := r.since(seerapi.Cursor{}, inquiry{services: []string{"tns"}})
	require.Len(t, followed.Members, 2)
	one := keyOf(1).Peer()
	r.revoked = func(p transport.Peer) bool { return p == one }
	r.pass(1, func(transport.Peer) bool { return true })
	require.Len(t, r.present(), 1)
	page := r.since(followed.Cursor, inquiry{services: []string{"tns"}})
	require.Equal(t, []transport.Peer{one}, page.Gone)
	require.Error(t, r.learn(said(1, 2, 0, false, "tns"), true))
	require.Len(t, r.present(), 1)
	r.pass(time.Minute, nobody)
	r.pass(time.Minute, nobody)
	require.Error(t, r.learn(said(1, 3, 0, false, "tns"), true), "also when it is forgotten")
	require.Empty(t, r.present())
}

func TestADepartureIsRemembered(t *testing.T) {
	r := learned(t, said(1, 1, 1, true, "tns"), said(1, 1, 0, false, "tns"))
	require.Empty(t, r.present())
	require.NoError(t, r.learn(said(1, 1, 0, false, "tns"), false))
	require.Empty(t, r.present(), "an old announcement never wins")
	page := r.since(seerapi.Cursor{}, inquiry{services: []string{"tns"}})
	require.Len(t, page.Members, 1, "it is told on")
	r.pass(time.Minute-1, nobody)
	require.Len(t, r.book.Entries(), 1)
	r.pass(1, nobody)
	require.Empty(t, r.book.Entries())
}

func TestWhoMustAnnounceItself(t *testing.T) {
	r := learned(t, said(1, 2, 1, false))
	for _, c := range []struct {
		says       addressbook.Stamp
		ask, newer bool
	}{
		{addressbook.Stamp{Incarnation: 2, Counter: 1}, false, false},
		{addressbook.Stamp{Incarnation: 2, Counter: 2}, true, false},
		{addressbook.Stamp{Incarnation: 1, Counter: 9}, true, true}, // its disk is lost
	} {
		ask, newer := r.stale(keyOf(1).Peer(), c.says)
		require.Equal(t, c.ask, ask, c.says)
		require.Equal(t, c.newer, newer != nil, c.says)
	}
	ask, newer := r.stale(keyOf(2).Peer(), addressbook.Stamp{Incarnation: 1})
	require.True(t, ask)
	require.Nil(t, newer)
}

// Whoever follows a register, with pauses of any length, knows of the services that it asks for what the
// register has: whatever members announce, leave, fall silent and are forgotten meanwhile.
func TestFollowersOfARegister(t *testing.T) {
	services := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		r := newRegister(10*time.Second, 4)
		asked := rapid.SampledFrom([][]string{{"a"}, {"a", "c"}, {"b"}}).Draw(t, "asked")
		known := map[transport.Peer]addressbook.Announcement{}
		var cursor seerapi.Cursor
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				i := rapid.IntRange(0, 5).Draw(t, "member")
				subset := slices.DeleteFunc(slices.Clone(services), func(string) bool { return rapid.Bool().Draw(t, "not") })
				_ = r.learn(said(i, rapid.Uint64Range(1, 9).Draw(t, "incarnation"), rapid.Uint64Range(0, 2).Draw(t, "counter"), rapid.IntRange(0, 4).Draw(t, "left") == 0, subset...), rapid.Bool().Draw(t, "direct"))
			case 2:
				r.pass(time.Duration(rapid.IntRange(1, 12).Draw(t, "seconds"))*time.Second, func(p transport.Peer) bool { return p[0]%2 == 0 })
			case 3:
				page := r.since(cursor, inquiry{services: asked})
				if page.Full {
					clear(known)
				}
				for _, s := range page.Members {
					a, err := s.Open()
					require.NoError(t, err)
					known[a.Peer] = *a
				}
				for _, p := range page.Gone {
					delete(known, p)
				}
				cursor = page.Cursor
				require.False(t, page.More)
				compare(t, r, asked, known)
			}
			requireListed(t, r)
		}
	})
}

// requireListed: byService has nobody but who offers a service or has offered it, each once.
func requireListed(t *rapid.T, r *register) {
	want := 0
	for _, m := range r.members {
		for _, service := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.entry.Services, m.formerly)))) {
			require.Contains(t, r.byService[service], m)
			want++
		}
	}
	for _, list := range r.byService {
		want -= len(list)
	}
	require.Zero(t, want)
}

// What is left out of the revised concerns nobody who asks for the services.
func TestRevisedLeavesOutWhoIsNotConcerned(t *testing.T) {
	r := newRegister(time.Minute, 100)
	for i := range 20 {
		require.NoError(t, r.learn(said(i, 1, 0, false, "many"), false))
	}
	require.NoError(t, r.learn(said(20, 1, 0, false, "few", "many"), false))
	require.NoError(t, r.learn(said(20, 2, 0, false, "other"), false))
	require.NoError(t, r.learn(said(21, 1, 0, false, "few"), false))
	require.Len(t, r.revised(0, inquiry{services: []string{"few", "other"}}), 2)
	require.Len(t, r.revised(22, inquiry{services: []string{"few"}}), 1)
	require.Len(t, r.revised(0, inquiry{services: []string{allServices}}), 23)
	require.Len(t, r.revised(20, inquiry{services: []string{"many"}}), 3, "more are concerned than there is news: nobody is looked for")
}

// Who says the same again is listed once.
func TestAMemberIsListedOnce(t *testing.T) {
	r := newRegister(time.Minute, 100)
	for i := range uint64(3) {
		require.NoError(t, r.learn(said(1, i+1, 0, false, "work"), false))
	}
	require.Len(t, r.byService["work"], 1)
}

// However many services a member has offered one after the other, it is listed for so many of them.
func TestServicesOfThePastAreBounded(t *testing.T) {
	r := newRegister(time.Minute, 10)
	for i := range uint64(300) {
		require.NoError(t, r.learn(said(1, i+1, 0, false, fmt.Sprint("service ", i)), false))
	}
	require.LessOrEqual(t, len(r.byService), addressbook.ServicesMax+1)
	r.pass(time.Minute, nobody)
	r.pass(time.Minute, nobody)
	require.Empty(t, r.byService)
}

func compare(t *rapid.T, r *register, asked []string, known map[transport.Peer]addressbook.Announcement) {
	for _, service := range asked {
		var want, got []string
		for _, a := range r.present() {
			if a.Offers(service) {
				want = append(want, a.Name)
			}
		}
		for _, a := range known {
			if a.Offers(service) {
				got = append(got, a.Name)
			}
		}
		require.ElementsMatch(t, want, got, service)
	}
}

// Pages are bounded by bytes and members, and together are the whole.
func TestPagesOfARegister(t *testing.T) {
	r := newRegister(time.Minute, 4000)
	for i := range 1500 {
		require.NoError(t, r.learn(said(i, 1, 0, false, "a"), false))
	}
	var cursor seerapi.Cursor
	seen, pages := 0, 0
	for more := true; more; pages++ {
		page := r.since(cursor, inquiry{services: []string{"a"}})
		require.LessOrEqual(t, len(page.Members), seerapi.PageLenMax)
		seen += len(page.Members)
		cursor, more = page.Cursor, page.More
	}
	require.Equal(t, 1500, seen)
	require.Greater(t, pages, 1)
}

func TestTheLogOfARegisterIsBounded(t *testing.T) {
	r := newRegister(time.Minute, 10)
	for i := range uint64(2 + logSlack) {
		require.NoError(t, r.learn(said(1, 1, i, false), false))
		require.Len(t, r.log, int(i)+1)
	}
	require.NoError(t, r.learn(said(1, 2, 0, false), false))
	require.Len(t, r.log, 1, "what is superseded is left out")
	require.Equal(t, uint64(3+logSlack), r.log[0].version)
}

// Whoever asks for a service is not told of those that never had to do with it.
func TestOthersAreNotTold(t *testing.T) {
	r := learned(t, said(2, 1, 0, false, "b"), said(1, 1, 0, false, "a"))
	asks := inquiry{services: []string{"a"}}
	page := r.since(seerapi.Cursor{}, asks)
	require.True(t, page.Full)
	require.Equal(t, []addressbook.Signed{said(1, 1, 0, false, "a")}, page.Members)
	next := func() followResponse {
		page = r.since(page.Cursor, asks)
		return page
	}
	require.Equal(t, followResponse{Cursor: page.Cursor}, next())
	require.NoError(t, r.learn(said(2, 1, 1, false, "b", "c"), false))
	got := next()
	require.Empty(t, got.Members)
	require.Empty(t, got.Gone)
	require.NoError(t, r.learn(said(1, 1, 1, false, "b"), false))
	got = next()
	require.Empty(t, got.Members)
	require.Equal(t, []transport.Peer{keyOf(1).Peer()}, got.Gone)
	require.NoError(t, r.learn(said(1, 1, 2, true, "b"), false))
	got = next()
	require.Equal(t, []addressbook.Signed{said(1, 1, 2, true, "b")}, got.Members, "a departure, of one that once offered it")
	require.NoError(t, r.learn(said(2, 1, 2, true, "b"), false))
	got = next()
	require.Empty(t, got.Members)
	require.Empty(t, got.Gone)
}

// A seer asks another one for all, departures included; those that are silent for too long it finds itself.
func TestSeersTellEachOtherAll(t *testing.T) {
	r := learned(t, said(2, 1, 0, false, "b"), said(1, 1, 0, false, "a"))
	all := inquiry{services: []string{allServices}}
	page := r.since(seerapi.Cursor{}, all)
	require.Len(t, page.Members, 2)
	require.NoError(t, r.learn(said(2, 1, 1, true, "b"), false))
	page = r.since(page.Cursor, all)
	require.False(t, page.Full)
	require.Equal(t, []addressbook.Signed{said(2, 1, 1, true, "b")}, page.Members)
	r.pass(time.Minute-1, nobody)
	r.pass(1, func(p transport.Peer) bool { return p == keyOf(2).Peer() })
	require.Len(t, r.members, 1, "one is forgotten, the other one counts as gone")
	page = r.since(page.Cursor, all)
	require.Empty(t, page.Members)
	require.Empty(t, page.Gone)
}

// In a small cloud everybody is acquainted with everybody, in a large one with some; seers always with all.
func TestAcquaintances(t *testing.T) {
	r := newRegister(time.Minute, 2000)
	grow := func(n int) {
		for i := len(r.members); i < n; i++ {
			require.NoError(t, r.learn(said(i, 1, 0, false, "a"), false))
		}
	}
	asks := inquiry{peer: keyOf(5).Peer(), services: []string{"b"}, some: true}
	told := func() followResponse { return r.since(seerapi.Cursor{}, asks) }
	grow(64)
	require.Len(t, told().Members, 64)
	cursor := told().Cursor
	require.False(t, r.since(cursor, asks).Full)
	grow(65)
	page := r.since(cursor, asks)
	require.True(t, page.Full, "it is told anew, so that it forgets the others")
	require.InDelta(t, 32, len(page.Members), 16)
	require.False(t, r.since(page.Cursor, asks).Full)
	grow(1000)
	page = told()
	require.InDelta(t, 62, len(page.Members), 20, "of 16 one")
	others := r.since(seerapi.Cursor{}, inquiry{peer: keyOf(6).Peer(), services: []string{"b"}, some: true})
	require.NotEqual(t, page.Members, others.Members)
	require.Empty(t, r.since(seerapi.Cursor{}, inquiry{peer: keyOf(5).Peer(), services: []string{"b"}}).Members, "who does not ask for some")
	known := page.Members

	require.NoError(t, r.learn(said(5, 2, 0, false, seerapi.Service), false))
	total := 0
	for c, more := (seerapi.Cursor{}), true; more; {
		page := r.since(c, asks)
		total += len(page.Members)
		c, more = page.Cursor, page.More
	}
	require.Equal(t, 1000, total, "a seer")
	require.NoError(t, r.learn(said(5, 3, 0, false, "a"), false))

	first, err := known[0].Open()
	require.NoError(t, err)
	page = told()
	r.members[first.Peer].silent = time.Minute
	r.pass(1, func(p transport.Peer) bool { return p != first.Peer })
	page = r.since(page.Cursor, asks)
	require.Equal(t, []transport.Peer{first.Peer}, page.Gone, "acquaintances are forgotten, too")
	require.Empty(t, page.Members)

	for i := range 1000 - 255 {
		r.remove(r.members[keyOf(999-i).Peer()])
	}
	require.Equal(t, uint(4), r.sparse)
	require.Len(t, r.members, 255)
	told()
	require.Equal(t, uint(3), r.sparse)
}

// A seer asks another one for its register when that has changed, or may have been another run's.
func TestWhenARegisterIsAskedFor(t *testing.T) {
	other, unknown := keyOf(1).Peer(), keyOf(2).Peer()
	s := &Service{
		heardAll:  map[transport.Peer]bool{other: true},
		heardUpTo: map[transport.Peer]seerapi.Cursor{other: {Run: 7, Version: 4, Began: 2}, unknown: {Run: 7, Version: 4}},
	}
	require.True(t, s.heardUpToNow(other, seerapi.Cursor{Run: 7, Version: 4}))
	for name, register := range map[string]seerapi.Cursor{
		"there is more": {Run: 7, Version: 5}, "it is another run's": {Run: 8, Version: 4}, "it does not say": {},
	} {
		require.False(t, s.heardUpToNow(other, register), name)
	}
	require.False(t, s.heardUpToNow(unknown, seerapi.Cursor{Run: 7, Version: 4}), "not all of it was heard")
	s.heardUpTo[other] = seerapi.Cursor{}
	require.False(t, s.heardUpToNow(other, seerapi.Cursor{}), "a release that does not say")
}
