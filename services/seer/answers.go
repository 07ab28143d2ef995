package seer

import (
	"slices"
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// lookup lists the live members after a peer that offer service ("" for all).
func (t *table) lookup(now time.Duration, service string, after transport.Peer) (page []seerapi.Member, more bool) {
	for _, m := range t.after(after) {
		if !t.live(now, m) || !m.offers(service) {
			continue
		}
		if len(page) == t.pageMax {
			return page, true
		}
		page = append(page, m.answer(now))
	}
	return page, false
}

// digest lists what other seers may lack: members heard within goneAfter, and members that left
// recently.
func (t *table) digest(now time.Duration, after transport.Peer) (page []sighting, more bool) {
	for _, m := range t.after(after) {
		age := now - m.heardAt
		if age >= t.goneAfter && !(m.left && age < 2*t.goneAfter) {
			continue
		}
		if len(page) == t.pageMax {
			return page, true
		}
		page = append(page, sighting{Peer: m.peer, Life: m.life, Revision: m.wanted, Age: age, Left: m.left})
	}
	return page, false
}

// records lists the announcements of peers as far as they are known.
func (t *table) records(peers []transport.Peer) []record {
	var list []record
	for _, p := range peers[:min(len(peers), seerapi.PageLenMax)] {
		if m := t.members[p]; m != nil && m.announcement != nil && m.of.life == m.life {
			list = append(list, record{Peer: p, Life: m.life, Revision: m.of.number, Announcement: *m.announcement})
		}
	}
	return list
}

// live reports whether m belongs into an answer.
func (t *table) live(now time.Duration, m *member) bool {
	return m.up && t.fresh(now, m)
}

// after is the part of the table behind a peer; the zero peer precedes all.
func (t *table) after(peer transport.Peer) []*member {
	i, found := slices.BinarySearchFunc(t.sorted, peer, func(m *member, p transport.Peer) int { return m.peer.Compare(p) })
	if found {
		i++
	}
	return t.sorted[i:]
}

// offers reports whether an announced member offers service; "" is any.
func (m *member) offers(service string) bool {
	return service == "" || slices.Contains(m.announcement.Services, service)
}

// answer is m's entry in an answer. It shares the announcement, which is replaced and never
// changed.
func (m *member) answer(now time.Duration) seerapi.Member {
	return seerapi.Member{
		Peer:        m.peer,
		Name:        m.announcement.Name,
		Incarnation: m.announcement.Incarnation,
		Services:    m.announcement.Services,
		Addresses:   m.announcement.Addresses,
		Capacity:    m.announcement.Capacity,
		Usage:       m.announcement.Usage,
		Age:         max(0, now-m.heardAt),
	}
}
