package hoarder

import (
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

// roster is the known hoarders, since when some of them are missing, and how much room each has
// announced. A hoarder counts as missing only after seer or a probe has said so.
type roster struct {
	self    transport.Peer
	grace   time.Duration
	members map[transport.Peer]*member
	all     []*member // those that offer the service, in canonical order
	live    int       // of all, those that are not missing
}

// member is the state of one peer that is a hoarder or once claimed a copy.
type member struct {
	peer   transport.Peer
	listed bool // in all
	// missing since at; otherwise it has lived since at. given: it has been missing
	// for longer than the grace, and is given up.
	missing, given bool
	// departed: it has left the cloud for ever, which this one has known since departedAt.
	departed   bool
	departedAt time.Duration
	// liar: it has said that it holds what it could not prove.
	liar bool
	at   time.Duration
	// free is the room that it has announced, if said.
	free int64
	said bool
	// claimed is the items that it claims to hold.
	claimed map[*item]struct{}
}

func newRoster(self transport.Peer, grace time.Duration) *roster {
	return &roster{self: self, grace: grace, members: map[transport.Peer]*member{}}
}

// member returns a peer's, making it if need be.
func (r *roster) member(p transport.Peer) *member {
	m := r.members[p]
	if m == nil {
		m = &member{peer: p, claimed: map[*item]struct{}{}}
		r.members[p] = m
	}
	return m
}

// know adds hoarders to those that exist.
func (r *roster) know(peers []transport.Peer) {
	for _, p := range peers {
		m := r.member(p)
		if m.listed {
			continue
		}
		m.listed, m.departed = true, false
		i, _ := slices.BinarySearchFunc(r.all, p, func(m *member, p transport.Peer) int { return m.peer.Compare(p) })
		r.all = slices.Insert(slices.Clone(r.all), i, m)
		if m.lives() {
			r.live++
		}
	}
}

// part takes out peers that have left the cloud for ever: their copies do not count any more, without a
// grace. One that comes back is made known again, and counts once it was seen.
func (r *roster) part(peers []transport.Peer, now time.Duration) {
	for _, p := range peers {
		m := r.members[p]
		if p == r.self || m == nil || !m.listed {
			continue
		}
		if m.lives() {
			r.live--
		}
		m.listed, m.missing, m.given = false, true, true
		m.departed, m.departedAt = true, now
		r.all = slices.DeleteFunc(slices.Clone(r.all), func(x *member) bool { return x == m })
	}
}

// peers lists those that offer the service.
func (r *roster) peers() []transport.Peer {
	list := make([]transport.Peer, len(r.all))
	for i, m := range r.all {
		list[i] = m.peer
	}
	return list
}

// roots lists what a member claims, in order.
func (m *member) roots() []string {
	list := make([]string, 0, len(m.claimed))
	for it := range m.claimed {
		list = append(list, it.root)
	}
	slices.Sort(list)
	return list
}

// listed reports whether a peer offers the service.
func (r *roster) listed(p transport.Peer) bool {
	m := r.members[p]
	return m != nil && m.listed
}

// saw records that a peer lives or is missing; it reports whether its state has changed.
func (r *roster) saw(p transport.Peer, lives bool, now time.Duration) bool {
	m := r.member(p)
	if p == r.self || lives == m.lives() {
		return false
	}
	m.missing, m.given, m.at = !lives, false, now
	delta := 1
	if !lives {
		delta, m.said = -1, false
	}
	if m.listed {
		r.live += delta
	}
	return true
}

// giveUp returns the peers that have now been missing for longer than the grace, in canonical
// order.
func (r *roster) giveUp(now time.Duration) []transport.Peer {
	var news []transport.Peer
	for _, m := range r.everybody() {
		if m.missing && !m.given && now-m.at >= r.grace {
			m.given = true
			news = append(news, m.peer)
		}
	}
	return news
}

// everybody lists the members, in canonical order, those that claim copies and offer the service no longer
// among them.
func (r *roster) everybody() []*member {
	if len(r.members) == len(r.all) {
		return r.all
	}
	return slices.SortedFunc(maps.Values(r.members), func(a, b *member) int { return a.peer.Compare(b.peer) })
}

// stray looks at those who are no hoarders by the directory, which knows of all: they have left while this one was
// down. Whoever claims copies is missing from now on, the others are forgotten.
func (r *roster) stray(now time.Duration) {
	if len(r.members) == len(r.all) {
		return
	}
	for _, m := range r.everybody() {
		switch {
		case m.listed || m.peer == r.self:
		case len(m.claimed) == 0:
			delete(r.members, m.peer)
		case !m.missing:
			m.missing, m.at, m.said = true, now, false
			fallthrough
		case !m.departed:
			m.departed, m.departedAt = true, now
		}
	}
}

// forgotten lists those that have left the cloud for ever so long ago that nothing of them is kept any more.
func (r *roster) forgotten(now, after time.Duration) (list []*member) {
	if len(r.members) == len(r.all) {
		return nil
	}
	for _, m := range r.everybody() {
		if m.departed && now-m.departedAt >= after {
			list = append(list, m)
		}
	}
	return list
}

// lives reports whether a member is not missing.
func (m *member) lives() bool { return !m.missing }

// counts reports whether a member's copies still count.
func (m *member) counts() bool { return !m.given && !m.liar }

// keeps reports whether a member lives and is believed to hold what it claims.
func (m *member) keeps() bool { return m.lives() && !m.liar }

// hasRoom reports whether a member may have room for as many bytes.
func (m *member) hasRoom(bytes int64) bool { return !m.said || m.free >= bytes }

// liveCount is the number of hoarders that are not missing.
func (r *roster) liveCount() int { return r.live }
