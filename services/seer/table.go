package seer

import (
	"slices"
	"time"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// table is what one seer knows about all nodes: the core, without a clock and
// without a network. All times are the seer's own monotonic clock, so that the
// clocks of others don't matter.
//
// It converges without keeping dead members: a member's heardAt is a lower bound of the instant at
// which some seer heard the member itself. A direct beacon sets it, a relayed age (to which the
// puller has added the whole round trip) can raise it, nothing else does. So gossip cannot keep a
// dead node alive, however often it is repeated.
type table struct {
	goneAfter time.Duration // without news a member is gone
	lenMax    int
	pageMax   int // members in one answer

	members map[transport.Peer]*member
	sorted  []*member // by peer: answers and scans have one order
	// floor is when this seer last noticed that it had been deaf itself. Members that were up then
	// have goneAfter from there.
	floor   time.Duration
	changes []change
	history history
}

// member is a node, up, gone or only heard of.
type member struct {
	peer    transport.Peer
	life    uint64
	heardAt time.Duration
	// last is the previous life, whose messages may still arrive.
	last uint64
	pace pace
	// saidAt is the sender's clock in the youngest message of this life: one that is not younger is
	// a duplicate, or was overtaken.
	saidAt time.Duration
	// askedAt is when it was last asked to announce itself.
	askedAt time.Duration
	left    bool // this life ended in order

	wanted       uint64        // the highest revision heard of in this life
	announcement *announcement // nil until heard
	of           revision      // the life and revision of the announcement

	up       bool
	reported uint64 // the life that was last reported as up

	version      uint64 // of the table, when up or the announcement last changed
	offeredOther bool   // it once offered other services
}

// revision is a state of an announcement.
type revision struct {
	life, number uint64
}

// change is a member that came or went.
type change struct {
	peer        transport.Peer
	name        string
	incarnation uint64
	why         string // of one that went, else ""
}

// Reasons for which a member went.
const (
	whySilent = "silent"
	whyLeft   = "left"
)

func newTable(goneAfter time.Duration, lenMax int) *table {
	return &table{goneAfter: goneAfter, lenMax: lenMax, pageMax: seerapi.PageLenMax, members: map[transport.Peer]*member{}}
}

// hear takes a direct beacon. It supersedes all knowledge of other lives of the sender. asked is
// when this seer asked for it, or zero. ask reports that the sender must be asked: the announcement
// is missing, or the beacon is late.
func (t *table) hear(now time.Duration, from transport.Peer, b beaconMessage, asked time.Duration) (ask bool) {
	m := t.get(from)
	if m == nil {
		return false
	}
	switch {
	case m.life == b.Life && m.left, t.overdue(now, m, b.Life):
		oldNews.Hit()
		return false // sent before the life ended, and delayed
	case m.life != b.Life:
		anotherLife.HitIf(m.life != 0)
		m.begin(b.Life)
	}
	if asked > 0 {
		m.pace.answered(now, b.At, now-asked)
		m.heardAt = max(m.heardAt, asked)
	}
	late := m.pace.delay(now, b.At) - t.lateness()
	lateBeacon.HitIf(late > 0)
	if b.At > m.saidAt {
		m.saidAt = b.At
		m.heardAt = max(m.heardAt, now-max(0, late))
	}
	m.wanted = max(m.wanted, b.Revision)
	if b.Announcement != nil && (m.of.life != b.Life || m.of.number <= b.Revision) {
		t.note(m, b.Announcement, revision{life: b.Life, number: b.Revision})
	}
	t.judge(now, m)
	return (late > 0 || m.incomplete()) && t.mayAsk(now, m)
}

// mayAsk limits the questions to one member: a burst of beacons that were held
// leads to one.
func (t *table) mayAsk(now time.Duration, m *member) bool {
	if now-m.askedAt < t.goneAfter/10 {
		return false
	}
	m.askedAt = now
	return true
}

// lateness is by how much a beacon may be later than usual and still prove its sender alive. It
// tolerates links whose latency varies; a beacon that was held back for longer does not make a dead
// node look alive.
func (t *table) lateness() time.Duration { return t.goneAfter / 2 }

// leave ends a life in order.
func (t *table) leave(now time.Duration, peer transport.Peer, life uint64) {
	m := t.members[peer]
	if m == nil || m.life != life || m.left {
		return
	}
	m.left = true
	m.heardAt = now // forgetAfter counts from here
	t.judge(now, m)
}

// merge applies what another seer heard. h.Age must include the time that the answer itself took.
// want reports that the announcement is missing.
func (t *table) merge(now time.Duration, h sighting) (want bool) {
	if h.Left {
		t.leave(now, h.Peer, h.Life)
		return false
	}
	if h.Age < 0 || h.Age >= t.goneAfter {
		return false
	}
	m := t.get(h.Peer)
	if m == nil {
		return false
	}
	at := now - h.Age
	switch {
	case m.life == h.Life && m.left, t.overdue(now, m, h.Life):
		return false // the relay has not heard of the end yet
	case m.life != h.Life && at <= m.heardAt:
		return false // an earlier life, or a later one that will be heard of again
	case m.life != h.Life:
		m.begin(h.Life)
	}
	m.heardAt = max(m.heardAt, at)
	m.wanted = max(m.wanted, h.Revision)
	t.judge(now, m)
	return m.incomplete()
}

// learn applies an announcement from another seer.
func (t *table) learn(now time.Duration, r record) {
	m := t.members[r.Peer]
	if m == nil || m.life != r.Life || (m.of.life == r.Life && m.of.number >= r.Revision) {
		return
	}
	t.note(m, &r.Announcement, revision{life: r.Life, number: r.Revision})
	m.wanted = max(m.wanted, r.Revision)
	t.judge(now, m)
}

// note replaces the announcement of m, which may be a repetition of the known one.
func (t *table) note(m *member, a *announcement, of revision) {
	before := m.announcement
	m.announcement, m.of = a, of
	if before != nil && equal(before, a) {
		return
	}
	t.revise(m)
	m.offeredOther = m.offeredOther || before != nil && !slices.Equal(before.Services, a.Services)
}

// resume records that this seer was deaf until now: no member is declared gone because of that
// time.
func (t *table) resume(now time.Duration) { t.floor = now }

// expire declares silent members gone, and forgets members that were not heard of for forgetAfter.
func (t *table) expire(now, forgetAfter time.Duration) {
	t.sorted = slices.DeleteFunc(t.sorted, func(m *member) bool {
		t.judge(now, m)
		forget := !m.up && now-m.heardAt >= max(forgetAfter, 2*t.goneAfter)
		if forget {
			delete(t.members, m.peer)
			t.history.forget(m)
		}
		return forget
	})
}

// fresh reports whether m counts as alive.
func (t *table) fresh(now time.Duration, m *member) bool {
	since := m.heardAt
	if m.up {
		since = max(since, t.floor)
	}
	return !m.left && now-since < t.goneAfter
}

// overdue reports whether a message of that life was under way since before the
// life that we know of began.
func (t *table) overdue(now time.Duration, m *member, life uint64) bool {
	return m.life != life && m.last == life && t.fresh(now, m)
}

// judge updates m.up and records the change, if there is one.
func (t *table) judge(now time.Duration, m *member) {
	up := m.announcement != nil && t.fresh(now, m)
	restarted := up && m.of.life != m.reported && m.of.life == m.life
	if up == m.up && !restarted {
		return
	}
	if up != m.up {
		t.revise(m)
	}
	m.up = up
	c := change{peer: m.peer, name: m.announcement.Name, incarnation: m.announcement.Incarnation}
	switch {
	case up:
		m.reported = m.of.life
	case m.left:
		c.why = whyLeft
	default:
		c.why = whySilent
	}
	t.changes = append(t.changes, c)
}

// incomplete reports whether a newer announcement than the known one exists.
func (m *member) incomplete() bool {
	return m.announcement == nil || m.of.life != m.life || m.of.number < m.wanted
}

// begin starts another life of m. The old announcement is kept until the new one arrives, so that
// the node does not vanish from answers meanwhile.
func (m *member) begin(life uint64) {
	m.last, m.life = m.life, life
	m.left, m.wanted, m.pace, m.saidAt, m.askedAt = false, 0, pace{}, minElapsed, minElapsed
}

// get finds or adds a peer; nil when the table is full.
func (t *table) get(peer transport.Peer) *member {
	if m := t.members[peer]; m != nil {
		return m
	}
	if len(t.members) >= t.lenMax {
		return nil
	}
	m := &member{peer: peer, heardAt: minElapsed, saidAt: minElapsed, askedAt: minElapsed}
	t.members[peer] = m
	i, _ := slices.BinarySearchFunc(t.sorted, peer, func(m *member, p transport.Peer) int { return m.peer.Compare(p) })
	t.sorted = slices.Insert(t.sorted, i, m)
	return m
}

// minElapsed is before everything, with room for subtractions.
const minElapsed = -1 << 60
