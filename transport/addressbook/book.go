package addressbook

import (
	"errors"
	"slices"

	"github.com/taucloud/tau/transport"
)

// ErrFull says that a book has no room for one more member.
var ErrFull = errors.New("addressbook: full")

// Entry is a member in a book.
type Entry struct {
	*Announcement
	Signed Signed
}

// Book keeps the newest announcement of each of at most LenMax members, also of those that have left, for
// as long as its owner does not forget them. It is not safe for concurrent use.
type Book struct {
	cloud  string
	lenMax int
	byPeer map[transport.Peer]*Entry
	sorted []*Entry // in canonical order
	// changes counts them.
	changes uint64
}

// New returns an empty book of the members of a cloud.
func New(cloud string, lenMax int) *Book {
	return &Book{cloud: cloud, lenMax: lenMax, byPeer: map[transport.Peer]*Entry{}}
}

// Learn takes an announcement from anybody. news: it is newer than what the book had. Errors are of the
// announcement, ErrOtherCloud, or ErrFull.
func (b *Book) Learn(s Signed) (e *Entry, news bool, err error) {
	a, err := s.Open()
	if err != nil {
		return nil, false, err
	}
	known := b.byPeer[a.Peer]
	switch {
	case a.Cloud != b.cloud:
		return nil, false, ErrOtherCloud
	case known != nil && a.Stamp().Compare(known.Stamp()) <= 0:
		return known, false, nil
	case known != nil:
		known.Announcement, known.Signed = a, s
		b.changes++
		return known, true, nil
	case len(b.sorted) >= b.lenMax:
		return nil, false, ErrFull
	}
	e = &Entry{Announcement: a, Signed: s}
	b.byPeer[a.Peer] = e
	i, _ := b.at(a.Peer)
	b.sorted = slices.Insert(b.sorted, i, e)
	b.changes++
	return e, true, nil
}

// Forget removes a member; whatever is learned of it next counts.
func (b *Book) Forget(p transport.Peer) {
	if b.byPeer[p] == nil {
		return
	}
	delete(b.byPeer, p)
	i, _ := b.at(p)
	b.sorted = slices.Delete(b.sorted, i, i+1)
	b.changes++
}

// Changes is how often the book has changed.
func (b *Book) Changes() uint64 { return b.changes }

// Get is what the book has of a peer, nil if nothing.
func (b *Book) Get(p transport.Peer) *Entry { return b.byPeer[p] }

// Entries lists all, in canonical order. The caller must not change the slice, and it changes with the book.
func (b *Book) Entries() []*Entry { return b.sorted }

// Offering lists the members that offer a service and have not left, all for "", in canonical order.
func (b *Book) Offering(service string) (peers []transport.Peer) {
	for _, e := range b.sorted {
		if e.Offers(service) {
			peers = append(peers, e.Peer)
		}
	}
	return peers
}

func (b *Book) at(p transport.Peer) (i int, found bool) {
	return slices.BinarySearchFunc(b.sorted, p, func(e *Entry, p transport.Peer) int { return e.Peer.Compare(p) })
}
