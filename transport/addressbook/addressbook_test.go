package addressbook

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/goldentest"
	"pgregory.net/rapid"
)

func TestGolden(t *testing.T) { goldentest.Check(t, Announcement{}, Signed{}, Stamp{}) }

func key(i int) transport.Identity { return transport.NewIdentity(fmt.Append(nil, i)) }

func announce(i int, change func(a *Announcement)) Announcement {
	a := Announcement{Peer: key(i).Peer(), Name: "n", Incarnation: 1, Services: []string{"a", "b"}, Addresses: []string{"/ip4/1.2.3.4/tcp/1"}}
	if change != nil {
		change(&a)
	}
	return a
}

func TestWhatIsNoAnnouncement(t *testing.T) {
	long := strings.Repeat("x", NameLenMax+1)
	for name, change := range map[string]func(a *Announcement){
		"no name":             func(a *Announcement) { a.Name = "" },
		"long name":           func(a *Announcement) { a.Name = long },
		"no incarnation":      func(a *Announcement) { a.Incarnation = 0 },
		"last incarnation":    func(a *Announcement) { a.Incarnation = IncarnationMax + 1 },
		"last counter":        func(a *Announcement) { a.Counter = IncarnationMax + 1 },
		"long service":        func(a *Announcement) { a.Services = []string{long} },
		"services unordered":  func(a *Announcement) { a.Services = []string{"b", "a"} },
		"a service twice":     func(a *Announcement) { a.Services = []string{"a", "a"} },
		"too many services":   func(a *Announcement) { a.Services = many(ServicesMax + 1) },
		"empty address":       func(a *Announcement) { a.Addresses = []string{""} },
		"long address":        func(a *Announcement) { a.Addresses = []string{long} },
		"too many addresses":  func(a *Announcement) { a.Addresses = many(AddressesMax + 1) },
		"too long altogether": func(a *Announcement) { a.Services = []string{strings.Repeat("x", bodyLenMax)} },
	} {
		t.Run(name, func(t *testing.T) {
			a := announce(1, change)
			_, err := Sign(key(1), a)
			require.ErrorIs(t, err, ErrMalformed)
			body := transport.Encode(a)
			_, err = Signed{body, key(1).Sign(append([]byte(purpose), body...))}.Open()
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
	full := announce(1, func(a *Announcement) {
		a.Name, a.Services, a.Addresses = long[1:], many(ServicesMax), many(AddressesMax)
		a.Incarnation, a.Counter = IncarnationMax, IncarnationMax
	})
	s, err := Sign(key(1), full)
	require.NoError(t, err)
	got, err := s.Open()
	require.NoError(t, err)
	require.Equal(t, &full, got)
}

// many is n names as long as they may be, in order.
func many(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%03d%s", i, strings.Repeat("x", NameLenMax-3)))
	}
	return list
}

func TestOnlyTheMemberAnnouncesItself(t *testing.T) {
	s, err := Sign(key(1), announce(2, nil))
	require.NoError(t, err)
	a, err := s.Open()
	require.NoError(t, err)
	require.Equal(t, key(1).Peer(), a.Peer, "the signer's own")

	body := transport.Encode(announce(2, nil))
	for name, forged := range map[string]Signed{
		"signed by another":      {body, key(1).Sign(append([]byte(purpose), body...))},
		"for another purpose":    {body, key(2).Sign(body)},
		"not signed":             {body, nil},
		"changed since":          {append(slices.Clone(s.Body[:len(s.Body)-1]), s.Body[len(s.Body)-1]^1), s.Signature},
		"with another signature": {s.Body, key(1).Sign(nil)},
	} {
		_, err := forged.Open()
		require.Error(t, err, name)
		_, err = forged.Open()
		require.Error(t, err, "%s, once more", name)
		_, _, err = New("", 9).Learn(forged)
		require.Error(t, err, name)
	}
}

// Whatever comes in whatever order, how often and from whom: a book has the newest of each member, says when
// that has changed, and is in order and within its bound.
func TestTheNewestWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book := New("", 3)
		newest := map[transport.Peer]Announcement{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, 4).Draw(t, "member")
			p := key(i).Peer()
			if rapid.IntRange(0, 9).Draw(t, "forget") == 0 {
				book.Forget(p)
				delete(newest, p)
				continue
			}
			a := announce(i, func(a *Announcement) {
				a.Incarnation, a.Counter = rapid.Uint64Range(1, 3).Draw(t, "incarnation"), rapid.Uint64Range(0, 3).Draw(t, "counter")
				a.Left = rapid.Bool().Draw(t, "left")
				a.Services = rapid.SampledFrom([][]string{{}, {"a"}, {"a", "b"}}).Draw(t, "services")
			})
			s, err := Sign(key(i), a)
			require.NoError(t, err)
			known, had := newest[p]
			e, news, err := book.Learn(s)
			switch {
			case !had && len(newest) == 3:
				require.ErrorIs(t, err, ErrFull)
				continue
			case !had || a.Incarnation > known.Incarnation || a.Incarnation == known.Incarnation && a.Counter > known.Counter:
				newest[p] = a
				require.True(t, news)
			default:
				require.False(t, news)
			}
			require.NoError(t, err)
			require.Equal(t, newest[p], *e.Announcement)
		}
		check(t, book, newest)
	})
}

func check(t *rapid.T, book *Book, newest map[transport.Peer]Announcement) {
	require.Len(t, book.Entries(), len(newest))
	require.True(t, slices.IsSortedFunc(book.Entries(), func(a, b *Entry) int { return a.Peer.Compare(b.Peer) }))
	for _, service := range []string{"", "a", "b", "c"} {
		var want []transport.Peer
		for _, e := range book.Entries() {
			require.Equal(t, newest[e.Peer], *e.Announcement)
			require.Same(t, e, book.Get(e.Peer))
			if !e.Left && (service == "" || slices.Contains(e.Services, service)) {
				want = append(want, e.Peer)
			}
		}
		require.Equal(t, want, book.Offering(service), service)
	}
}

// A decoder of what strangers send does not fall over.
func FuzzOpen(f *testing.F) {
	s, _ := Sign(key(1), announce(1, nil))
	f.Add(s.Body, s.Signature)
	f.Fuzz(func(t *testing.T, body, signature []byte) {
		a, err := Signed{body, signature}.Open()
		require.True(t, (a == nil) == (err != nil))
	})
}
