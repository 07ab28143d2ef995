package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"pgregory.net/rapid"
)

// placed is a host without a network that is reached by addresses.
type placed struct {
	at    []string
	peers map[transport.Peer][]string
}

func (h *placed) ID() transport.Peer           { return identity(0).Peer() }
func (h *placed) Handle(transport.HostHandler) {}
func (h *placed) Open(_ transport.Peer, _ transport.Class, opened func(transport.Conn, error)) {
	opened(nil, errors.New("there is no network"))
}
func (h *placed) Close() error                                      { return nil }
func (h *placed) Addresses() []string                               { return slices.Clone(h.at) }
func (h *placed) SetAddresses(p transport.Peer, addresses []string) { h.peers[p] = addresses }

func placedAt(addresses ...string) *placed {
	return &placed{at: addresses, peers: map[transport.Peer][]string{}}
}

func membersOn(h *placed, contacts ...Contact) *Members {
	return newMembers(Config{Name: "self", Identity: identity(0), Contacts: contacts, Services: []Configured{{Spec: Spec{Name: "tns"}}}, World: World{Host: h}}, 1)
}

// announced is what a node says of itself.
func announced(t *testing.T, m *Members) *addressbook.Announcement {
	signed, stamp := m.Own()
	a, err := signed.Open()
	require.NoError(t, err)
	require.Equal(t, a.Stamp(), stamp)
	return a
}

// A node announces where it is reached, as far as that may be announced.
func TestWhereANodeIs(t *testing.T) {
	long := strings.Repeat("x", addressbook.NameLenMax)
	var many []string
	for i := range addressbook.AddressesMax + 1 {
		many = append(many, fmt.Sprint("a", i))
	}
	for name, c := range map[string]struct{ has, says []string }{
		"nowhere":      {nil, nil},
		"somewhere":    {[]string{"a", "b"}, []string{"a", "b"}},
		"long ones":    {[]string{"", long, long + "x", "b"}, []string{long, "b"}},
		"too many":     {many, many[:addressbook.AddressesMax]},
		"just as many": {many[1:], many[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			require.ElementsMatch(t, c.says, announced(t, membersOn(placedAt(c.has...))).Addresses)
			h := placedAt("before")
			m := membersOn(h)
			h.at = c.has
			m.Moved()
			a := announced(t, m)
			require.ElementsMatch(t, c.says, a.Addresses)
			require.Equal(t, addressbook.Stamp{Incarnation: 1, Counter: 1}, a.Stamp())
		})
	}
}

// A move is announced once, kept, and told; a node that has left does not come back by it.
func TestMoves(t *testing.T) {
	h := placedAt("a")
	m := membersOn(h)
	m.Unsaved()
	told := 0
	stop := m.OnWant(func() { told++ })
	m.Moved()
	require.Zero(t, told)
	require.Empty(t, m.Unsaved(), "nothing has changed")
	h.at = []string{"b"}
	m.Moved()
	m.Moved()
	require.Equal(t, 1, told)
	signed, _ := m.Own()
	require.Equal(t, []storage.Entry{{Key: keyOf(identity(0).Peer()), Value: transport.Encode(signed)}}, m.Unsaved())
	stop()
	left, err := m.Leave().Open()
	require.NoError(t, err)
	require.Equal(t, addressbook.Stamp{Incarnation: 1, Counter: 2}, left.Stamp())
	require.Len(t, m.Unsaved(), 1)
	h.at = []string{"c"}
	m.Moved()
	require.True(t, announced(t, m).Left)
	require.Empty(t, m.Unsaved())
	require.Equal(t, 1, told)
	membersOf().Moved() // a host that finds peers by itself
}

// The host hears where others are: those of the configuration, and whoever says something newer.
func TestWhereOthersAre(t *testing.T) {
	h := placedAt("a")
	at := func(i int, counter uint64, left bool, addresses ...string) Told {
		s, err := addressbook.Sign(identity(i), addressbook.Announcement{Name: "n", Incarnation: 1, Counter: counter, Left: left, Addresses: addresses})
		require.NoError(t, err)
		return Told{Members: []addressbook.Signed{s}}
	}
	contact := Contact{Peer: identity(9).Peer(), Addresses: []string{"c"}}
	m := membersOn(h, contact)
	require.Equal(t, map[transport.Peer][]string{contact.Peer: {"c"}}, h.peers)
	require.Equal(t, []Contact{contact}, m.Contacts())
	for _, c := range []struct {
		told Told
		want string
	}{
		{at(1, 1, false, "one"), "one"},
		{at(1, 0, false, "older"), "one"},
		{at(1, 1, false, "another of the same"), "one"},
		{at(1, 2, false, "two"), "two"},
		{at(1, 3, true, "left"), "two"},
	} {
		m.Learn(c.told)
		require.Equal(t, []string{c.want}, h.peers[identity(1).Peer()])
	}
	m.Learn(at(0, 9, false, "of this node"))
	require.NotContains(t, h.peers, identity(0).Peer())
	require.EqualValues(t, 3, m.Known(identity(1).Peer()).Counter)
	require.Nil(t, m.Known(identity(2).Peer()))
}

// Only so many services are wanted; of others it is said what is known, again and again.
func TestHowManyServicesAreWanted(t *testing.T) {
	m := membersOf()
	told := 0
	m.OnWant(func() { told++ })
	for i := range wantedMax {
		m.Lookup(fmt.Sprintf("s%02d", i))
	}
	require.Equal(t, wantedMax, told)
	m.Learn(Told{Services: []string{"more"}, Known: true, Members: []addressbook.Signed{saying(1, 1, false, "more")}})
	requireKnown(t, m, "more", false, 1)
	require.Len(t, m.Wanted(), wantedMax)
	require.Equal(t, wantedMax, told, "nobody is asked for it")
}

// Those who offer a service are introduced, this node before all others and not twice.
func TestWhoIsIntroduced(t *testing.T) {
	m := membersOf()
	m.Learn(Told{Members: []addressbook.Signed{saying(1, 1, false, "tns"), saying(2, 1, false, "seer", "tns"), saying(3, 1, false, "seer"), saying(4, 1, true, "seer", "tns")}})
	for _, c := range []struct {
		service string
		most    int
		want    []int
	}{
		{"seer", 9, []int{2, 3}}, {"seer", 2, []int{2, 3}}, {"seer", 0, nil},
		{"tns", 9, []int{0, 1, 2}}, {"tns", 3, []int{0, 1, 2}}, {"tns", 1, []int{0}}, {"monkey", 9, nil},
	} {
		var got []transport.Peer
		for _, s := range m.Introduce(c.service, c.most) {
			a, err := s.Open()
			require.NoError(t, err)
			got = append(got, a.Peer)
		}
		require.ElementsMatch(t, peers(c.want...), got, "%v", c)
		if c.service == "tns" {
			require.Equal(t, identity(0).Peer(), got[0])
		}
	}
	require.Len(t, m.Introduce("seer", 1), 1)
}

// By how much a node says something newer than what others know of it.
func TestHowANodeSupersedes(t *testing.T) {
	for name, c := range map[string]struct {
		by      int
		stamp   addressbook.Stamp
		forged  bool
		becomes addressbook.Stamp
	}{
		"older":              {0, addressbook.Stamp{Incarnation: 4, Counter: 9}, false, addressbook.Stamp{Incarnation: 5, Counter: 1}},
		"as old":             {0, addressbook.Stamp{Incarnation: 5, Counter: 1}, false, addressbook.Stamp{Incarnation: 6}},
		"newer":              {0, addressbook.Stamp{Incarnation: 5, Counter: 2}, false, addressbook.Stamp{Incarnation: 6}},
		"of later lives":     {0, addressbook.Stamp{Incarnation: 70}, false, addressbook.Stamp{Incarnation: 71}},
		"of the last life":   {0, addressbook.Stamp{Incarnation: addressbook.IncarnationMax}, false, addressbook.Stamp{Incarnation: addressbook.IncarnationMax}},
		"of the one before":  {0, addressbook.Stamp{Incarnation: addressbook.IncarnationMax - 1}, false, addressbook.Stamp{Incarnation: addressbook.IncarnationMax}},
		"another's":          {1, addressbook.Stamp{Incarnation: 70}, false, addressbook.Stamp{Incarnation: 5, Counter: 1}},
		"that nobody signed": {0, addressbook.Stamp{Incarnation: 70}, true, addressbook.Stamp{Incarnation: 5, Counter: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			h := placedAt("a")
			m := newMembers(Config{Name: "self", Identity: identity(0), World: World{Host: h}}, 5)
			h.at = nil
			m.Moved() // its counter is 1
			signed, err := addressbook.Sign(identity(c.by), addressbook.Announcement{Name: "n", Incarnation: c.stamp.Incarnation, Counter: c.stamp.Counter})
			require.NoError(t, err)
			if c.forged {
				signed.Signature = slices.Clone(signed.Signature)
				signed.Signature[0]++
			}
			m.Supersede(signed)
			require.Equal(t, c.becomes, announced(t, m).Stamp())

			// The same of what is found on the disk, but that a later life comes after all.
			m = newMembers(Config{Name: "self", Identity: identity(0)}, 5)
			m.Load([]storage.Entry{{Key: keyOf(identity(0).Peer()), Value: transport.Encode(signed)}})
			_, own := m.Own()
			if c.by != 0 || c.forged || c.stamp.Incarnation < 5 {
				require.Equal(t, addressbook.Stamp{Incarnation: 5}, own)
			} else {
				require.Equal(t, addressbook.Stamp{Incarnation: min(c.stamp.Incarnation+1, addressbook.IncarnationMax)}, own)
			}
			require.Equal(t, c.by != 0 && !c.forged, m.Known(identity(1).Peer()) != nil)
		})
	}
}

// What a node has saved is what it knew, whatever it was told in whatever order, and nonsense hides nothing.
func TestWhatIsSavedIsWhatIsKnown(t *testing.T) {
	services := []string{"seer", "tns", "monkey"}
	rapid.Check(t, func(t *rapid.T) {
		disk := map[storage.Key][]byte{}
		m := membersOf()
		save := func() {
			for _, e := range m.Unsaved() {
				if disk[e.Key] = e.Value; e.Value == nil {
					delete(disk, e.Key)
				}
			}
		}
		newest := map[int]*addressbook.Announcement{} // the model
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			i := rapid.IntRange(1, 4).Draw(t, "who")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				m.Lookup(rapid.SampledFrom(services).Draw(t, "service"))
			case 1:
				m.Learn(Told{Gone: peers(i)})
				delete(newest, i)
			case 2:
				save()
			default:
				s := saying(i, rapid.Uint64Range(0, 5).Draw(t, "counter"), rapid.Bool().Draw(t, "left"), rapid.SampledFrom(services).Draw(t, "offers"))
				whole, known := rapid.Bool().Draw(t, "whole"), rapid.Bool().Draw(t, "known")
				m.Learn(Told{Services: services[:1], Members: []addressbook.Signed{s}, Whole: whole, Known: known})
				if a, _ := s.Open(); newest[i] == nil || a.Counter > newest[i].Counter {
					newest[i] = a
				}
				if whole && known {
					newest = map[int]*addressbook.Announcement{i: newest[i]}
				}
			}
		}
		save()
		disk[keyOf(identity(7).Peer())] = []byte("nonsense")
		disk[storage.K("strange")] = nil
		var saved []storage.Entry
		for _, k := range slices.Sorted(maps.Keys(disk)) {
			saved = append(saved, storage.Entry{Key: k, Value: disk[k]})
		}
		again := membersOf(saved...)
		require.Empty(t, slices.DeleteFunc(again.Unsaved(), func(e storage.Entry) bool { return e.Key == keyOf(identity(0).Peer()) }), "it is on the disk")
		for i := 1; i <= 4; i++ {
			require.Equal(t, newest[i], m.Known(identity(i).Peer()))
			require.Equal(t, newest[i], again.Known(identity(i).Peer()))
		}
		require.Len(t, again.List(), len(newest)+1)
		for _, service := range services {
			before, _ := m.Lookup(service)
			after, known := again.Lookup(service)
			require.Equal(t, before, after)
			told := disk[knownKey(service)] != nil
			require.Equal(t, told && slices.ContainsFunc(after, func(p transport.Peer) bool { return p != identity(0).Peer() }), known)
		}
	})
}

// held is a replicated store that says on how many replicas it is, or never answers.
type held struct {
	storage.Replicated
	copies int
	err    error
	loop   clock.Loop
}

func (h held) Replicate(ctx context.Context, copies int) (int, error) {
	if h.copies < 0 {
		return 0, clock.Sleep(ctx, h.loop, time.Hour)
	}
	return min(h.copies, copies), h.err
}

// by is an Env of which a test gives what it needs.
func by(loop clock.Loop, d transport.Directory, crash func()) (Env, *transport.Engine) {
	e := transport.NewEngine(placedAt(), loop, d)
	return Env{Loop: loop, Wire: e.Endpoint(loop), name: "s", world: World{Crash: crash}}, e
}

// in runs f as a task of a loop in virtual time.
func in(t *testing.T, f func(ctx context.Context, loop *clock.Live)) {
	synctest.Test(t, func(t *testing.T) {
		loop := clock.NewLive()
		require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) { f(ctx, loop) }))
		require.True(t, loop.Stop(time.Minute))
	})
}

// Too few copies are no error if it is known that nobody else could hold one.
func TestTooFewCopies(t *testing.T) {
	nobody, bad := transport.NewStaticDirectory(), errors.New("bad")
	for name, c := range map[string]struct {
		directory transport.Directory
		store     held
		copies    int
		err       string
	}{
		"as many":                        {membersOf(), held{copies: 2}, 2, ""},
		"fewer, and that is all":         {nobody, held{copies: 1}, 1, ""},
		"fewer, and more may be there":   {membersOf(), held{copies: 1}, 1, "replicate: refused"},
		"fewer, with an error":           {nobody, held{copies: 1, err: bad}, 1, ""},
		"none":                           {nobody, held{err: bad}, 0, "bad"},
		"none, and more may be there":    {membersOf(), held{err: bad}, 0, "bad"},
		"no answer":                      {nobody, held{copies: -1}, 0, "deadline"},
		"as many, whoever else is there": {nobody, held{copies: 2}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(ctx context.Context, loop *clock.Live) {
				env, engine := by(loop, c.directory, nil)
				c.store.loop = loop
				began := time.Now()
				n, err := env.Replicate(ctx, c.store, 2, 3*time.Second)
				require.Equal(t, c.copies, n)
				if c.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.err)
				}
				if c.store.copies < 0 {
					require.Equal(t, 3*time.Second, time.Since(began))
				}
				require.NoError(t, engine.Close())
			})
		})
	}
}

// A service hears of changes of the directory, and of nothing else.
func TestWhoHearsOfTheDirectory(t *testing.T) {
	in(t, func(ctx context.Context, loop *clock.Live) {
		m := membersOf()
		env, engine := by(loop, m, nil)
		require.Equal(t, transport.Unknown, env.Presence("monkey"))
		require.Equal(t, transport.Somebody, env.Presence("tns"))
		heard := 0
		env.OnDirectory(func() { heard++ })
		pass := func() { require.NoError(t, clock.Sleep(ctx, loop, time.Second)) }
		pass()
		require.Zero(t, heard)
		for n := range 3 {
			m.Learn(Told{Services: []string{"monkey"}, Known: true, Members: []addressbook.Signed{saying(n+1, 1, false, "monkey")}})
			pass()
			require.Equal(t, n+1, heard)
		}
		require.Equal(t, transport.Somebody, env.Presence("monkey"))
		m.Learn(Told{})
		pass()
		require.Equal(t, 3, heard)
		require.NoError(t, engine.Close())
	})
}

func TestACrashIsTheWorlds(t *testing.T) {
	crashed := 0
	Env{world: World{Crash: func() { crashed++ }}}.Crash()
	require.Equal(t, 1, crashed)
}

// A rule sees the settings of the two services, each in its place.
func TestARuleOfTwoSettings(t *testing.T) {
	type a struct{ n int }
	type b struct{ n int }
	r := NewRule("one", "n", "other", "m", func(s *a, w *b) (string, string) { return fmt.Sprint(s.n, " is not ", w.n), "hint" })
	what, hint := r.Broken(&a{1}, &b{2})
	require.Equal(t, []string{"one", "n", "other", "m", "1 is not 2", "hint"}, []string{r.Service, r.Key, r.With, r.WithKey, what, hint})
}
