package seer

import (
	"cmp"
	"slices"
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
)

// history is the order in which members last changed. A follower at a version needs only the
// members that changed later.
type history struct {
	version uint64   // of the last change
	log     []logged // by version
	// forgotten is the greatest version of all forgotten members: a follower at an earlier version
	// may believe them alive, and must begin anew.
	forgotten uint64
}

// logged is a change of a member. It is void once the member has changed again.
type logged struct {
	version uint64
	member  *member
}

func (l logged) void() bool { return l.member.version != l.version }

// logSlack is how many void entries the log may have in addition to one per member.
const logSlack = 64

// revise records that m's entry in answers has changed.
func (t *table) revise(m *member) {
	h := &t.history
	h.version++
	m.version = h.version
	h.log = append(h.log, logged{version: h.version, member: m})
	if len(h.log) > 2*len(t.members)+logSlack {
		h.log = slices.DeleteFunc(h.log, logged.void)
	}
}

// forget drops a member that leaves the table.
func (h *history) forget(m *member) {
	h.forgotten = max(h.forgotten, m.version)
	m.version = 0
}

// resolve returns the cursor from which to continue: the same, or the zero cursor if the follower
// must begin anew. The pages of a full list may pass versions older than forgotten; what counts is
// when the list was begun.
func (h *history) resolve(c seerapi.Cursor) (from seerapi.Cursor, full bool) {
	if c.Version == 0 || c.Version > h.version || max(c.Version, c.Began) < h.forgotten {
		return seerapi.Cursor{Began: h.version}, true
	}
	return c, false
}

// since lists what changed after a cursor among the members that offer service ("" for all), oldest
// change first. A member is alive here until it is judged again: its silence is noticed by the next
// look.
func (t *table) since(now time.Duration, service string, c seerapi.Cursor) (page seerapi.ChangesResponse) {
	page.Cursor, page.Full = t.history.resolve(c)
	known := page.Cursor.Version
	from, _ := slices.BinarySearchFunc(t.history.log, known+1, func(l logged, v uint64) int { return cmp.Compare(l.version, v) })
	for _, l := range t.history.log[from:] {
		m := l.member
		if l.void() {
			continue
		}
		if len(page.Changed)+len(page.Gone) == t.pageMax {
			page.More = true
			return page
		}
		page.Cursor.Version = l.version
		switch offers := m.offers(service); {
		case m.up && offers:
			page.Changed = append(page.Changed, m.answer(now))
		case !page.Full && (offers || m.offeredOther):
			page.Gone = append(page.Gone, m.peer)
		}
	}
	page.Cursor.Version = t.history.version
	return page
}
