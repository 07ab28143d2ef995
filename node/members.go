package node

import (
	"maps"
	"slices"
	"sync"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

const (
	// bookLenMax bounds the members that a node keeps of the services that it uses.
	bookLenMax = 16 << 10
	// wantedMax bounds the services that a node may ask its directory for.
	wantedMax = 64
)

// Members is the directory of one node: what it has learned of the cloud from others. The node knows no
// service; an agent that the catalogue runs on every node asks seers for what is wanted, and tells it
// here. It keeps the seers, whoever offers what somebody on this node has ever looked up, and some acquaintances
// by which it finds the cloud again when all of those are elsewhere.
//
// It is safe for use on any goroutine, and does not wait.
type Members struct {
	identity transport.Identity
	contacts []Contact
	whole    bool                // there are no members but these
	host     transport.Addressed // nil if the host finds peers by itself

	mu   sync.Mutex
	book *addressbook.Book
	// own is what this node says of itself, signed as ownSigned.
	own       addressbook.Announcement
	ownSigned addressbook.Signed
	wanted    map[string]*wantedService
	version   uint64
	offered   uint64                 // the changes of the book that wanted is of
	unsaved   map[storage.Key][]byte // nil values: to be deleted
	// revoked reports whether a peer's certificates were taken back: it is no member. nil: nobody's were.
	revoked func(transport.Peer) bool

	changes, wants transport.Watchers
}

// wantedService is what is known of those who offer a service that somebody looked up.
type wantedService struct {
	peers []transport.Peer
	// told: in this life, a seer has told of all, or the configuration has; remembered: in an earlier one. That nobody else offers
	// it is not believed for having been so once.
	told, remembered bool
}

func newMembers(cfg Config, incarnation uint64) *Members {
	m := &Members{
		identity: cfg.Identity, contacts: contactsOf(cfg), whole: cfg.AllContacts, book: addressbook.New(cfg.World.cloud(), bookLenMax),
		wanted: map[string]*wantedService{}, unsaved: map[storage.Key][]byte{},
	}
	m.host, _ = cfg.World.Host.(transport.Addressed)
	m.own = addressbook.Announcement{Peer: cfg.Identity.Peer(), Name: cfg.Name, Incarnation: incarnation, Cloud: cfg.World.cloud()}
	for _, c := range cfg.Services {
		if !c.Spec.Everywhere {
			m.own.Services = append(m.own.Services, c.Spec.Name)
		}
	}
	slices.Sort(m.own.Services)
	if m.host != nil {
		m.own.Addresses = addressesOf(m.host)
		for _, c := range m.contacts {
			m.tellHost(c.Peer, nil)
		}
	}
	m.announce()
	return m
}

// addressesOf are a host's addresses, as many as may be announced.
func addressesOf(h transport.Addressed) []string {
	list := slices.DeleteFunc(h.Addresses(), func(s string) bool { return s == "" || len(s) > addressbook.NameLenMax })
	return list[:min(len(list), addressbook.AddressesMax)]
}

// announce signs what this node says of itself. A name or an address that breaks a bound is a mistake of
// the configuration, which checks it.
func (m *Members) announce() {
	signed, err := addressbook.Sign(m.identity, m.own)
	if err != nil {
		panic(err)
	}
	m.ownSigned = signed
	_, _, _ = m.book.Learn(signed)
	m.unsaved[keyOf(m.own.Peer)] = transport.Encode(signed)
}

// Lookup implements transport.Directory. What is looked up is wanted from then on.
func (m *Members) Lookup(service string) (peers []transport.Peer, known bool) {
	m.mu.Lock()
	w, before := m.wanted[service], len(m.wanted)
	if w == nil {
		w = m.want(service)
	}
	further := len(m.wanted) > before
	peers, known = w.peers, w.told || w.remembered && slices.ContainsFunc(w.peers, func(p transport.Peer) bool { return p != m.own.Peer })
	m.mu.Unlock()
	if further {
		m.wants.Tell()
	}
	return peers, known
}

// want begins to collect those who offer a service.
func (m *Members) want(service string) *wantedService {
	w := &wantedService{peers: m.offering(service), told: m.whole}
	if len(m.wanted) < wantedMax { // there are no more services than that
		m.wanted[service] = w
	}
	return w
}

// Version implements transport.Directory.
func (m *Members) Version() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version
}

// Watch implements transport.Directory.
func (m *Members) Watch(changed func()) (stop func()) { return m.changes.Add(changed) }

// Wanted lists, in order, the services that were looked up.
func (m *Members) Wanted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.wanted))
}

// OnWant calls f, on any goroutine, when a further service is wanted, or this node announces itself anew.
func (m *Members) OnWant(f func()) (stop func()) { return m.wants.Add(f) }

// Known is what is known of a peer, nil if nothing is.
func (m *Members) Known(p transport.Peer) *addressbook.Announcement {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.book.Get(p); e != nil {
		return e.Announcement
	}
	return nil
}

// Own is what this node says of itself.
func (m *Members) Own() (addressbook.Signed, addressbook.Stamp) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ownSigned, m.own.Stamp()
}

// Moved makes this node announce itself anew if its host's addresses have changed.
func (m *Members) Moved() {
	if m.host == nil {
		return
	}
	at := addressesOf(m.host)
	m.mu.Lock()
	moved := !m.own.Left && !slices.Equal(at, m.own.Addresses)
	if moved {
		m.own.Addresses = at
		m.own.Counter++
		m.announce()
	}
	m.mu.Unlock()
	if moved {
		m.wants.Tell()
	}
}

// Supersede makes this node say anew what others know in a newer form: of a life of which its disk was
// lost, or from before it was taken for one that has left.
func (m *Members) Supersede(newer addressbook.Signed) {
	a, err := newer.Open()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || a.Peer != m.own.Peer || a.Stamp().Compare(m.own.Stamp()) < 0 {
		return
	}
	m.outlive(a)
}

// outlive makes this node say something newer than what it has said in another life. That of the last life that
// there may be it says once more: only who has this node's key can have said so.
func (m *Members) outlive(a *addressbook.Announcement) {
	m.own.Incarnation, m.own.Counter = max(m.own.Incarnation, min(a.Incarnation, addressbook.IncarnationMax-1)+1), 0
	m.announce()
}

// Leave makes this node say that it leaves the cloud for ever.
func (m *Members) Leave() addressbook.Signed {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own.Left = true
	m.own.Counter++
	m.announce()
	return m.ownSigned
}

// Introduce lists the announcements of those who offer a service, at most so many, and this node's own if it does.
func (m *Members) Introduce(service string, most int) (list []addressbook.Signed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.own.Offers(service) {
		list = append(list, m.ownSigned)
	}
	for _, e := range m.book.Entries() {
		if len(list) < most && e.Offers(service) && e.Peer != m.own.Peer {
			list = append(list, e.Signed)
		}
	}
	return list
}

// Told is what somebody has told this node.
type Told struct {
	// Services are those that it was asked about, none if it was not asked.
	Services []string
	Members  []addressbook.Signed
	// Gone are members that offer none of Services any more.
	Gone []transport.Peer
	// Whole: Members are all that the asked one knows, not only what has changed. Known: it stands for
	// that being all that there are.
	Whole, Known bool
}

// Learn takes what somebody has told. What breaks a bound, or is older than what is known, is left out.
func (m *Members) Learn(t Told) {
	if m.learn(t) {
		m.changes.Tell()
	}
}

func (m *Members) learn(t Told) (changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	listed := make(map[transport.Peer]bool, len(t.Members)+1)
	listed[m.own.Peer] = true
	for _, s := range t.Members {
		if a, err := s.Open(); err == nil {
			listed[a.Peer] = true
			m.take(s, a)
		}
	}
	for _, p := range t.Gone {
		m.forget(p)
	}
	if t.Whole && t.Known {
		for _, e := range slices.Clone(m.book.Entries()) {
			if !listed[e.Peer] {
				m.forget(e.Peer)
			}
		}
	}
	for _, e := range slices.Clone(m.book.Entries()) {
		if m.isRevoked(e.Peer) {
			m.forget(e.Peer)
		}
	}
	news := m.offered != m.book.Changes()
	m.offered = m.book.Changes()
	for _, service := range slices.Sorted(maps.Keys(m.wanted)) {
		w, was := m.wanted[service], *m.wanted[service]
		if news {
			w.peers = m.offering(service)
		}
		if t.Known && slices.Contains(t.Services, service) {
			w.told = true
			if !w.remembered {
				w.remembered = true
				m.unsaved[knownKey(service)] = []byte{}
			}
		}
		changed = changed || w.told != was.told || !slices.Equal(w.peers, was.peers)
	}
	if changed {
		m.version++
	}
	return changed
}

func (m *Members) isRevoked(p transport.Peer) bool { return m.revoked != nil && m.revoked(p) }

func (m *Members) take(s addressbook.Signed, a *addressbook.Announcement) {
	if a.Peer == m.own.Peer || m.isRevoked(a.Peer) {
		return
	}
	if _, news, err := m.book.Learn(s); err != nil || !news {
		return
	}
	m.unsaved[keyOf(a.Peer)] = transport.Encode(s)
	if m.host != nil && !a.Left {
		m.tellHost(a.Peer, a.Addresses)
	}
}

// tellHost says where a member is: where it has announced itself, and where the configuration says that it is. Either may be
// the newer one: an operator writes down where a contact is now because nobody finds it any more.
func (m *Members) tellHost(p transport.Peer, announced []string) {
	all := slices.Clone(announced)
	for _, c := range m.contacts {
		for _, a := range c.Addresses {
			if c.Peer == p && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	m.host.SetAddresses(p, all)
}

func (m *Members) forget(p transport.Peer) {
	if p == m.own.Peer || m.book.Get(p) == nil {
		return
	}
	m.book.Forget(p)
	m.unsaved[keyOf(p)] = nil
}

// The keys under which a node's book is kept.
const bookKey, knownPrefix = "member", "known"

func keyOf(p transport.Peer) storage.Key  { return storage.K(bookKey, p.String()) }
func knownKey(service string) storage.Key { return storage.K(knownPrefix, service) }

// Load takes what an earlier life has saved. What cannot be read is left out.
func (m *Members) Load(saved []storage.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range saved {
		parts := e.Key.Parts()
		if len(parts) == 2 && parts[0] == knownPrefix {
			if w := m.wanted[parts[1]]; w != nil {
				w.remembered = true
			} else {
				m.want(parts[1]).remembered = true
			}
			continue
		}
		var s addressbook.Signed
		if transport.Decode(e.Value, &s) != nil {
			continue
		}
		a, err := s.Open()
		switch {
		case err != nil:
		case a.Peer == m.own.Peer && a.Stamp().Compare(m.own.Stamp()) >= 0:
			m.outlive(a)
		default:
			m.take(s, a)
			delete(m.unsaved, keyOf(a.Peer))
		}
	}
	for _, service := range slices.Sorted(maps.Keys(m.wanted)) {
		m.wanted[service].peers = m.offering(service)
	}
	m.version++
}

// Unsaved is what is to be written to the disk, in order: nil values are deletions. It is told once.
func (m *Members) Unsaved() (writes []storage.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(m.unsaved)) {
		writes = append(writes, storage.Entry{Key: k, Value: m.unsaved[k]})
	}
	m.unsaved = map[storage.Key][]byte{}
	return writes
}

// List is all members in the book, for checks.
func (m *Members) List() (list []addressbook.Announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.book.Entries() {
		list = append(list, *e.Announcement)
	}
	return list
}
