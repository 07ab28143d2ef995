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

func TestADepartureIsRemembered(t *testing.T) {
	r := learned(t, said(1, 1, 1, true, "tns"), said(1, 1, 0, false, "tns"))
	require.Empty(t, r.present())
	require.NoError(t, r.learn(said(1, 1, 0, false, "tns"), false))
	require.Empty(t, r.present(), "an old announcement never wins")
	page := r.since(seerapi.Cursor{}, []string{"tns"})
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
				page := r.since(cursor, asked)
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
	require.Len(t, r.revised(0, []string{"few", "other"}), 2)
	require.Len(t, r.revised(22, []string{"few"}), 1)
	require.Len(t, r.revised(0, []string{allServices}), 23)
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
		page := r.since(cursor, []string{"a"})
		require.LessOrEqual(t, len(page.Members), seerapi.PageLenMax)
		seen += len(page.Members)
		cursor, more = page.Cursor, page.More
	}
	require.Equal(t, 1500, seen)
	require.Greater(t, pages, 1)
}
