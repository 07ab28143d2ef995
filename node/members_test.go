package node

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

func identity(i int) transport.Identity { return transport.NewIdentity(fmt.Append(nil, i)) }

func saying(i int, counter uint64, left bool, services ...string) addressbook.Signed {
	s, err := addressbook.Sign(identity(i), addressbook.Announcement{Name: "n", Incarnation: 1, Counter: counter, Services: services, Left: left})
	if err != nil {
		panic(err)
	}
	return s
}

func peers(list ...int) (p []transport.Peer) {
	for _, i := range list {
		p = append(p, identity(i).Peer())
	}
	return p
}

func membersOf(saved ...storage.Entry) *Members {
	m := newMembers(Config{Name: "self", Identity: identity(0), Services: []Configured{{Spec: Spec{Name: "tns"}}, {Spec: Spec{Name: "agent", Everywhere: true}}, {Spec: Spec{Name: "auth"}}}}, 1)
	m.Load(saved)
	return m
}

func requireKnown(t *testing.T, m *Members, service string, known bool, list ...int) {
	got, is := m.Lookup(service)
	require.ElementsMatch(t, peers(list...), got)
	require.Equal(t, known, is)
}

// Nothing is known until a seer that knows all has told it; what others tell counts as far as it goes.
func TestWhatIsKnown(t *testing.T) {
	m := membersOf()
	wanted := 0
	m.OnWant(func() { wanted++ })
	requireKnown(t, m, "tns", false, 0)
	requireKnown(t, m, "patrick", false)
	requireKnown(t, m, "patrick", false)
	require.Equal(t, 2, wanted, "each is wanted once")
	require.Equal(t, []string{"patrick", "tns"}, m.Wanted())

	m.Learn(Told{Members: []addressbook.Signed{saying(1, 0, false, "patrick")}})
	requireKnown(t, m, "patrick", false, 1)
	m.Learn(Told{Services: []string{"patrick"}, Whole: true, Members: []addressbook.Signed{saying(2, 0, false, "patrick")}})
	requireKnown(t, m, "patrick", false, 1, 2)
	m.Learn(Told{Services: []string{"patrick"}, Whole: true, Known: true, Members: []addressbook.Signed{saying(2, 0, false, "patrick")}})
	requireKnown(t, m, "patrick", true, 2)
	requireKnown(t, m, "tns", false, 0)
	m.Learn(Told{Services: []string{"patrick", "tns"}, Known: true, Gone: peers(0, 2)})
	requireKnown(t, m, "patrick", true)
	requireKnown(t, m, "tns", true, 0)
	requireKnown(t, m, "monkey", false)
}

// TestWhoIsRevokedIsNoMember: it is forgotten, also on the disk, and not learned again.
func TestWhoIsRevokedIsNoMember(t *testing.T) {
	m := membersOf()
	requireKnown(t, m, "patrick", false)
	m.Learn(Told{Members: []addressbook.Signed{saying(1, 0, false, "patrick"), saying(2, 0, false, "patrick")}})
	requireKnown(t, m, "patrick", false, 1, 2)
	m.Unsaved()
	m.revoked = func(p transport.Peer) bool { return p == identity(1).Peer() }
	before := m.Version()
	m.Learn(Told{})
	requireKnown(t, m, "patrick", false, 2)
	require.Greater(t, m.Version(), before)
	require.Equal(t, []storage.Entry{{Key: keyOf(identity(1).Peer())}}, m.Unsaved())
	m.Learn(Told{Members: []addressbook.Signed{saying(1, 9, false, "patrick")}})
	requireKnown(t, m, "patrick", false, 2)
	m.Load([]storage.Entry{{Key: keyOf(identity(1).Peer()), Value: transport.Encode(saying(1, 9, false, "patrick"))}})
	requireKnown(t, m, "patrick", false, 2) // nor if the disk is put back
}

func TestChangesAreTold(t *testing.T) {
	m := membersOf()
	m.Lookup("patrick")
	told, before := 0, m.Version()
	m.Watch(func() { told++ })
	one := Told{Services: []string{"patrick"}, Known: true, Members: []addressbook.Signed{saying(1, 1, false, "patrick")}}
	m.Learn(one)
	m.Learn(one)
	require.Equal(t, 1, told)
	require.Greater(t, m.Version(), before)
	m.Learn(Told{Members: []addressbook.Signed{saying(1, 0, false)}})
	requireKnown(t, m, "patrick", true, 1)
	m.Learn(Told{Members: []addressbook.Signed{saying(1, 2, true, "patrick")}})
	requireKnown(t, m, "patrick", true)
	require.Equal(t, 2, told)
	m.Learn(one)
	requireKnown(t, m, "patrick", true)
}

// Each change is told once, and nothing else is.
func TestWhatIsAChange(t *testing.T) {
	one, other := saying(1, 1, false, "patrick"), saying(2, 1, false, "monkey")
	for _, wanted := range [][]string{nil, {"patrick"}, {"patrick", "tns"}, {"monkey", "patrick", "tns"}} {
		m := membersOf()
		for _, s := range wanted {
			m.Lookup(s)
		}
		told := 0
		stop := m.Watch(func() { told++ })
		for n, c := range []struct {
			told    Told
			changes string // the wanted service of which something changes
		}{
			{Told{}, ""},
			{Told{Members: []addressbook.Signed{one}}, "patrick"},
			{Told{Members: []addressbook.Signed{one}}, ""},
			{Told{Members: []addressbook.Signed{other}}, "monkey"},
			{Told{Services: []string{"patrick"}, Known: true}, "patrick"},
			{Told{Services: []string{"patrick"}, Known: true}, ""},
			{Told{Services: []string{"patrick"}}, ""},
			{Told{Services: []string{"seer"}, Known: true}, ""},
			{Told{Gone: peers(3)}, ""},
			{Told{Gone: peers(2)}, "monkey"},
			{Told{Whole: true, Members: []addressbook.Signed{other}}, "monkey"},
			{Told{Whole: true, Known: true, Members: []addressbook.Signed{other}}, "patrick"},
		} {
			before, version := told, m.Version()
			m.Learn(c.told)
			changes := slices.Contains(wanted, c.changes)
			require.Equal(t, changes, told == before+1, "%d of %v", n, wanted)
			require.Equal(t, changes, m.Version() == version+1, "%d of %v", n, wanted)
			require.LessOrEqual(t, told, before+1)
		}
		stop()
		before := told
		m.Lookup("patrick")
		m.Learn(Told{Members: []addressbook.Signed{saying(5, 1, false, "patrick")}})
		require.Equal(t, before, told, "nobody listens")
	}
}

// What was known is still known after a restart, but not that nobody else is there.
func TestAnAddressBookOutlivesANode(t *testing.T) {
	m := membersOf()
	m.Lookup("patrick")
	m.Lookup("monkey")
	m.Lookup("tns")
	m.Learn(Told{Services: []string{"monkey", "patrick", "tns"}, Whole: true, Known: true, Members: []addressbook.Signed{saying(1, 0, false, "patrick"), saying(2, 0, false, "patrick")}})
	saved := m.Unsaved()
	require.Empty(t, m.Unsaved())

	m = membersOf(saved...)
	requireKnown(t, m, "patrick", true, 1, 2)
	requireKnown(t, m, "monkey", false)
	requireKnown(t, m, "tns", false, 0)
	_, says := m.Own()
	require.Equal(t, addressbook.Stamp{Incarnation: 2}, says, "newer than all that an earlier life has said")

	m.Learn(Told{Services: []string{"patrick"}, Gone: peers(1)})
	saved = append(saved, m.Unsaved()...)
	require.Contains(t, saved, storage.Entry{Key: keyOf(identity(1).Peer())}, "a deletion")
}

// A node whose disk was lost says something newer than what others remember of it; no other can make it do so.
func TestANodeSupersedesWhatItHasForgotten(t *testing.T) {
	m := membersOf()
	newer, err := addressbook.Sign(identity(0), addressbook.Announcement{Name: "n", Incarnation: 7, Counter: 3})
	require.NoError(t, err)
	m.Supersede(saying(1, 9, false))
	_, says := m.Own()
	require.Equal(t, addressbook.Stamp{Incarnation: 1}, says)
	m.Supersede(newer)
	_, says = m.Own()
	require.Equal(t, addressbook.Stamp{Incarnation: 8}, says)
	m.Supersede(newer)
	_, again := m.Own()
	require.Equal(t, says, again)
	a, err := m.Leave().Open()
	require.NoError(t, err)
	require.True(t, a.Left)
	require.Equal(t, []string{"auth", "tns"}, a.Services, "in order")
	requireKnown(t, m, "tns", false)
}

// atlas is a host that is told where others are.
type atlas struct {
	transport.Host
	at map[transport.Peer][]string
}

func (atlas) Addresses() []string                                 { return []string{"here"} }
func (a atlas) SetAddresses(p transport.Peer, addresses []string) { a.at[p] = addresses }

// TestAConfiguredAddressIsNotShadowed: a node that is told where a contact is goes there, whatever it remembers of it or hears.
func TestAConfiguredAddressIsNotShadowed(t *testing.T) {
	contact := identity(1)
	at := func(counter uint64, addresses ...string) addressbook.Signed {
		s, err := addressbook.Sign(contact, addressbook.Announcement{Name: "n", Incarnation: 1, Counter: counter, Addresses: addresses})
		require.NoError(t, err)
		return s
	}
	host := atlas{at: map[transport.Peer][]string{}}
	m := newMembers(Config{Name: "self", Identity: identity(0), World: World{Host: host}, Contacts: []Contact{{Peer: contact.Peer(), Addresses: []string{"new"}}}}, 1)
	require.Equal(t, []string{"new"}, host.at[contact.Peer()])
	m.Load([]storage.Entry{{Key: keyOf(contact.Peer()), Value: transport.Encode(at(1, "old"))}})
	require.Equal(t, []string{"old", "new"}, host.at[contact.Peer()])
	m.Learn(Told{Members: []addressbook.Signed{at(2, "new", "newer"), saying(2, 0, false)}})
	require.Equal(t, []string{"new", "newer"}, host.at[contact.Peer()])
	require.Empty(t, host.at[identity(2).Peer()])
}
