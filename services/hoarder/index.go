package hoarder

import (
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
)

// index is the state that follows from the replicated entries, arranged for queries. Applying
// entries repeatedly, or in any order, gives the same state.
type index struct {
	items     map[string]*item
	list      []*item // all, in the order of their arrival; item.at is its place
	sorted    []*item // all, by root, if it is as long as list
	roster    *roster
	databases map[database]map[*item]uint64 // pins that stand: item to version
	expiries  expiries
	due       dueQueue
}

// database is the scope in which versions are compared.
type database struct{ owner, name string }

func newIndex(r *roster) *index {
	return &index{items: map[string]*item{}, roster: r, databases: map[database]map[*item]uint64{}}
}

// get returns the item of a root, making it if need be.
func (x *index) get(root string) *item {
	it := x.items[root]
	if it == nil {
		it = &item{root: root, at: int32(len(x.list)), dueAt: notDue}
		x.items[root] = it
		x.list = append(x.list, it)
	}
	return it
}

// forget drops an item of which no entry is left.
func (x *index) forget(it *item) {
	if x.items[it.root] != it || !it.empty() {
		return
	}
	delete(x.items, it.root)
	last := x.list[len(x.list)-1]
	x.list[it.at], last.at = last, it.at
	x.list[len(x.list)-1] = nil
	x.list = x.list[:len(x.list)-1]
	x.sorted = nil
	x.due.remove(it)
}

// inOrder lists all items by root. The list must not be changed.
func (x *index) inOrder() []*item {
	if len(x.sorted) != len(x.list) {
		x.sorted = slices.Clone(x.list)
		slices.SortFunc(x.sorted, func(a, b *item) int { return strings.Compare(a.root, b.root) })
	}
	return x.sorted
}

// apply applies one entry; an empty value is a deletion. It returns the entry's root.
func (x *index) apply(k storage.Key, value []byte, now time.Duration) (root string, err error) {
	e, err := entries.Of(k, value)
	if err != nil {
		return "", err
	}
	deleted := len(value) == 0 // as readEntry reads it: a bad hoarder may write a pin of nothing
	it := x.items[e.root]
	if it == nil {
		if deleted {
			return e.root, nil
		}
		it = x.get(e.root)
	}
	switch e.part {
	case claimsPart:
		x.setClaim(it, e, deleted)
	case demandPart:
		it.setDemand(e, deleted)
	case withdrawnPart:
		x.around(it, func() { it.setWithdrawn(e, deleted, now) })
	case pinsPart:
		x.around(it, func() { x.setPin(it, e, deleted, now) })
	}
	return e.root, nil
}

func (x *index) setClaim(it *item, e *entry, deleted bool) {
	at, found := it.claimOf(e.peer)
	switch m := x.roster.member(e.peer); {
	case deleted && found:
		it.claims = slices.Delete(it.claims, at, at+1)
		delete(m.claimed, it)
	case !deleted && found:
		it.claims[at].bytes = e.bytes
	case !deleted:
		it.claims = slices.Insert(it.claims, at, claim{by: m, bytes: e.bytes})
		m.claimed[it] = struct{}{}
	}
}

func (x *index) setPin(it *item, e *entry, deleted bool, now time.Duration) {
	if deleted {
		it.pins = slices.DeleteFunc(it.pins, func(m *pin) bool { return m.owner == e.owner && m.Seq == e.seq && m.id == e.id })
	} else if it.putPin(e.pin) {
		x.expiries.add(it.root, e.pin, now)
	}
}

// around runs a change of an item's pins or withdrawals and updates what is derived from them.
func (x *index) around(it *item, change func()) {
	for _, m := range it.standing() {
		if m.Kind == hoarderapi.Database {
			db := database{m.Owner, m.Name}
			if delete(x.databases[db], it); len(x.databases[db]) == 0 {
				delete(x.databases, db)
			}
		}
	}
	change()
	for _, m := range it.standing() {
		if m.Kind != hoarderapi.Database {
			continue
		}
		db := database{m.Owner, m.Name}
		if x.databases[db] == nil {
			x.databases[db] = map[*item]uint64{}
		}
		x.databases[db][it] = m.Version
	}
	it.retarget()
}

// newest is the highest snapshot of a database that somebody claims to hold, or
// the highest of all if nobody does: by version, then by root. A snapshot that
// was lost does not replace the one before it.
func (x *index) newest(db database) (newest *item, version uint64) {
	claimed := false
	for it, v := range x.databases[db] { // the maximum of a total order: any order will do
		has := len(it.claims) > 0
		if newest == nil || has && !claimed || has == claimed && (v > version || v == version && it.root > newest.root) {
			newest, version, claimed = it, v, has
		}
	}
	return newest, version
}

// state is an item's state, derived from its pins, withdrawals and claims.
type state uint8

const (
	unknown    state = iota // claims without a pin: a pin that has not arrived yet
	wanted                  // somebody wants it kept
	abandoned               // all its owners have withdrawn their pins
	superseded              // a newer snapshot of the same database is pinned
)

func (s state) String() string {
	return [...]string{"unknown", "wanted", "withdrawn", "superseded"}[s]
}

// state returns an item's state and, if it is superseded, by what.
func (x *index) state(it *item) (s state, successor *item) {
	if len(it.pins) == 0 && len(it.withdrawn) == 0 {
		return unknown, nil
	}
	s = abandoned
	for i, m := range it.pins {
		if !it.stands(i) {
			continue
		}
		if m.Kind != hoarderapi.Database {
			return wanted, nil
		}
		newest, _ := x.newest(database{m.Owner, m.Name})
		if newest == it {
			return wanted, nil
		}
		if s != superseded || strings.Compare(successor.root, newest.root) > 0 {
			s, successor = superseded, newest
		}
	}
	return s, successor
}
