package seer

import (
	"cmp"
	"slices"
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
)

// history is the order in which members last changed. Who knows an earlier
// version needs only the members of later ones.
type history struct {
	version uint64   // of the last change
	log     []logged // by version
	// forgotten is the last version of a member that is no longer remembered: who
	// knows less than that may hold it for alive and can't be told otherwise.
	forgotten uint64
}

// logged is a member that changed. It is void once the member changed again.
type logged struct {
	version uint64
	member  *member
}

func (l logged) void() bool { return l.member.version != l.version }

// logSlack is how many void entries the log may have beside as many as there
// are members.
const logSlack = 64

// revise notes that what there is to say about m is new.
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

// resolve returns the cursor from which to go on: the same, or that of somebody
// who knows nothing. The pages of a full list go through versions that may be
// older than what is forgotten; it counts when the list was begun.
func (h *history) resolve(c seerapi.Cursor) (from seerapi.Cursor, full bool) {
	if c.Version == 0 || c.Version > h.version || max(c.Version, c.Began) < h.forgotten {
		return seerapi.Cursor{Began: h.version}, true
	}
	return c, false
}

// since lists what changed after a cursor among the members that offer service
// ("" for all), oldest change first. Here a member is alive until it is judged
// again: that it fell silent shows with the next look.
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
