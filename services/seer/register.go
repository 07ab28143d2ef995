package seer

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// register is all members that this seer knows, alive or not: who belongs to the cloud, what each offers and
// where it is. It is the core, without a clock and without a network.
//
// A member leaves it by a departure that it announces itself, by being revoked, or by being silent for departAfter: then it is
// forgotten, and comes back only by an announcement that is newer, or by itself. A departure is remembered
// for departAfter more, so that those who have not heard of it do not bring the member back.
type register struct {
	departAfter time.Duration
	book        *addressbook.Book
	members     map[transport.Peer]*registered
	version     uint64
	log         []registeredAt // by version
	// byService lists who offers a service, or has offered it, in no order.
	byService map[string][]*registered
	forgotten uint64 // the greatest version of all that were removed, or of what else voids what was told
	sparse    uint   // a node is acquainted with one member of 1<<sparse
	unsaved   map[transport.Peer]bool
	// revoked reports whether a member's certificates were taken back: it has left. nil: nobody's were.
	revoked func(transport.Peer) bool
}

// registered is what a register has of a member beside its announcement.
type registered struct {
	entry    *addressbook.Entry
	version  uint64
	formerly []string // services that it has offered, and does not
	// silent is for how long nobody has heard of it, while this seer ran; saved what the disk has of that.
	silent, saved time.Duration
	gone          bool // it was silent for too long, or was revoked
	history       seerapi.History
}

// remember takes over what is known of a member's past. What is oldest counts, so that all seers come to the same.
func (m *registered) remember(h seerapi.History) (news bool) {
	if h.FirstSeen <= 0 || m.history.FirstSeen > 0 && h.Compare(m.history) >= 0 {
		return false
	}
	m.history = h
	return true
}

type registeredAt struct {
	version uint64
	member  *registered
}

func newRegister(departAfter time.Duration, lenMax int) *register {
	return &register{departAfter: departAfter, book: addressbook.New("", lenMax), members: map[transport.Peer]*registered{}, byService: map[string][]*registered{}, unsaved: map[transport.Peer]bool{}}
}

// of makes an empty register that of a cloud: members of others are not taken.
func (r *register) of(cloud string, lenMax int) *register {
	r.book = addressbook.New(cloud, lenMax)
	return r
}

// learn takes an announcement. direct: from the member itself, now.
func (r *register) learn(s addressbook.Signed, direct bool) error {
	var before []string
	a, err := s.Open()
	if err != nil {
		return err
	}
	if r.isRevoked(a.Peer) {
		return errRevoked
	}
	m := r.members[a.Peer]
	if m != nil {
		before = m.entry.Services
	}
	e, news, err := r.book.Learn(s)
	if err != nil {
		return err
	}
	if m == nil {
		m = &registered{entry: e}
		r.members[a.Peer] = m
	}
	if direct {
		m.silent = 0
	}
	if !news {
		return nil
	}
	for _, service := range before {
		if !slices.Contains(m.formerly, service) && len(m.formerly) < addressbook.ServicesMax {
			m.formerly = append(m.formerly, service)
		}
	}
	r.list(m, before)
	m.gone, m.silent = false, 0
	r.revise(m)
	return nil
}

// list keeps byService, when a member that offered some services offers others.
func (r *register) list(m *registered, before []string) {
	for _, service := range m.entry.Services {
		if !slices.Contains(before, service) && !slices.Contains(m.formerly, service) {
			r.byService[service] = append(r.byService[service], m)
		}
	}
	for _, service := range before {
		if !slices.Contains(m.entry.Services, service) && !slices.Contains(m.formerly, service) {
			r.unlist(m, service)
		}
	}
}

func (r *register) unlist(m *registered, service string) {
	left := slices.DeleteFunc(r.byService[service], func(o *registered) bool { return o == m })
	if r.byService[service] = left; len(left) == 0 {
		delete(r.byService, service)
	}
}

var errRevoked = errors.New("seer: the member was revoked")

func (r *register) isRevoked(p transport.Peer) bool { return r.revoked != nil && r.revoked(p) }

// revise records that what the register says of a member has changed.
func (r *register) revise(m *registered) {
	r.version++
	m.version = r.version
	r.log = append(r.log, registeredAt{r.version, m})
	if len(r.log) > 2*len(r.members)+logSlack {
		r.log = slices.DeleteFunc(r.log, func(l registeredAt) bool { return l.version != l.member.version })
	}
	r.unsaved[m.entry.Peer] = true
}

// left reports whether the member belongs to the cloud no longer.
func (m *registered) left() bool { return m.gone || m.entry.Left }

func (m *registered) offers(service string) bool { return !m.gone && m.entry.Offers(service) }

// pass counts time in which of some members something was heard.
func (r *register) pass(d time.Duration, heard func(transport.Peer) bool) {
	for _, e := range slices.Clone(r.book.Entries()) {
		m := r.members[e.Peer]
		switch {
		case !m.left() && heard(e.Peer):
			m.silent = 0
		default:
			m.silent += d
		}
		if m.silent == 0 && m.saved > 0 || m.silent >= m.saved+r.departAfter/8 {
			r.unsaved[e.Peer] = true
		}
		switch {
		case m.left() && m.silent >= 2*r.departAfter, m.entry.Left && m.silent >= r.departAfter:
			r.remove(m)
		case !m.left() && (m.silent >= r.departAfter || r.isRevoked(e.Peer)):
			m.gone = true
			r.revise(m)
		}
	}
}

func (r *register) remove(m *registered) {
	p := m.entry.Peer
	r.forgotten = max(r.forgotten, m.version)
	m.version = 0
	for _, service := range slices.Concat(m.entry.Services, m.formerly) {
		r.unlist(m, service)
	}
	r.book.Forget(p)
	delete(r.members, p)
	r.unsaved[p] = true
}

// stale says whether a member must announce itself, and what it must supersede if it does.
func (r *register) stale(p transport.Peer, says addressbook.Stamp) (ask bool, newer *addressbook.Signed) {
	m := r.members[p]
	if m == nil {
		return true, nil
	}
	c := says.Compare(m.entry.Stamp())
	if c < 0 || c == 0 && m.left() {
		signed := m.entry.Signed
		return true, &signed
	}
	return c > 0, nil
}

// allServices is what seers ask each other for, departures included.
const allServices = ""

// pageBytesMax bounds a page, in bytes of announcements.
const pageBytesMax = 128 << 10

// inquiry is who asks what: for members that offer one of services, and, if some, for acquaintances.
type inquiry struct {
	peer     transport.Peer
	services []string
	some     bool
}

// since lists what has changed after a cursor among the members that are asked for, oldest change first.
func (r *register) since(c seerapi.Cursor, asked inquiry) (page followResponse) {
	r.thin()
	page.Cursor, page.Full = c, false
	if c.Version == 0 || c.Version > r.version || max(c.Version, c.Began) < r.forgotten {
		page.Cursor, page.Full = seerapi.Cursor{Began: r.version}, true
	}
	size := 0
	for _, l := range r.revised(page.Cursor.Version, asked) {
		m := l.member
		if l.version != m.version {
			continue
		}
		if size > pageBytesMax || len(page.Members)+len(page.Gone) == seerapi.PageLenMax {
			page.More = true
			return page
		}
		page.Cursor.Version = l.version
		size += r.tell(&page, m, asked)
	}
	page.Cursor.Version = r.version
	return page
}

// revised lists in order what was revised after a version. Who has nothing to do with what is asked may be left
// out: in a large cloud there are few whom most who ask have to know.
func (r *register) revised(after uint64, asked inquiry) (list []registeredAt) {
	from, _ := slices.BinarySearchFunc(r.log, after+1, func(l registeredAt, v uint64) int { return cmp.Compare(l.version, v) })
	concerned := 0
	for _, s := range asked.services {
		concerned += len(r.byService[s])
	}
	tail := r.log[from:]
	if concerned >= len(tail) || slices.Contains(asked.services, allServices) {
		return tail
	}
	for _, s := range asked.services {
		for _, m := range r.byService[s] {
			if m.version > after {
				list = append(list, registeredAt{m.version, m})
			}
		}
	}
	if asked.some {
		known := r.acquaintances(asked.peer)
		for _, l := range tail {
			if l.version == l.member.version && known.has(l.member.entry.Peer) {
				list = append(list, l)
			}
		}
	}
	slices.SortFunc(list, func(a, b registeredAt) int { return cmp.Compare(a.version, b.version) })
	return slices.Compact(list)
}

func (r *register) tell(page *followResponse, m *registered, asked inquiry) (size int) {
	offered := asked.some && r.acquaintances(asked.peer).has(m.entry.Peer)
	offers := offered && !m.left()
	for _, s := range asked.services {
		offers = offers || m.offers(s)
		offered = offered || s == allServices || slices.Contains(m.entry.Services, s) || slices.Contains(m.formerly, s)
	}
	switch {
	case offers, m.entry.Left && offered:
		page.Members = append(page.Members, m.entry.Signed)
		if asked.services[0] == allServices {
			page.Histories = append(page.Histories, m.history)
		}
		return len(m.entry.Signed.Body) + len(m.entry.Signed.Signature)
	case offered && !page.Full && asked.services[0] != allServices: // seers forget by themselves
		page.Gone = append(page.Gone, m.entry.Peer)
	}
	return 0
}

// present lists the members, those that have left not among them.
func (r *register) present() (list []addressbook.Announcement) {
	for _, e := range r.book.Entries() {
		if !r.members[e.Peer].left() {
			list = append(list, *e.Announcement)
		}
	}
	return list
}
