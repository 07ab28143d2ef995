package hoarder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// index is what the replicated entries say, arranged for questions. Applying an
// entry twice, or in any order with others, gives the same.
type index struct {
	items     map[string]*item
	roots     []string // all, in order
	roster    *roster
	databases map[database]map[*item]uint64 // marks that stand: item to version
	leases    leases
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
		it = &item{root: root}
		x.items[root] = it
		i, _ := slices.BinarySearch(x.roots, root)
		x.roots = slices.Insert(x.roots, i, root)
	}
	return it
}

// forget drops an item of which no entry is left.
func (x *index) forget(it *item) {
	if x.items[it.root] == it && it.empty() {
		delete(x.items, it.root)
		i, _ := slices.BinarySearch(x.roots, it.root)
		x.roots = slices.Delete(x.roots, i, i+1)
	}
}

// set applies one entry; a nil value is a deletion. It returns the root that
// it is about.
func (x *index) set(k storage.Key, value []byte, now time.Duration) (root string, err error) {
	parts := k.Parts()
	if len(parts) < 3 {
		return "", fmt.Errorf("hoarder: %s is no key of ours", k)
	}
	root = parts[1]
	switch {
	case parts[0] == claimsPart && len(parts) == 3:
		err = x.setClaim(root, parts[2], value)
	case parts[0] == demandPart && len(parts) == 3:
		err = x.setDemand(root, parts[2], value)
	case parts[0] == withdrawnPart && len(parts) == 4:
		err = x.setWithdrawn(root, parts[2], parts[3], value, now)
	case parts[0] == marksPart && len(parts) == 5:
		err = x.setMark(root, k, parts, value, now)
	default:
		return "", fmt.Errorf("hoarder: %s is no key of ours", k)
	}
	if err != nil {
		return root, fmt.Errorf("hoarder: %s: %w", k, err)
	}
	return root, nil
}

func (x *index) setClaim(root, peer string, value []byte) error {
	p, err := transport.ParsePeer(peer)
	if err != nil {
		return err
	}
	m := x.roster.member(p)
	if value == nil {
		it := x.items[root]
		if it == nil {
			return nil
		}
		if at, found := it.claimOf(p); found {
			it.claims = slices.Delete(it.claims, at, at+1)
			delete(m.claimed, it)
		}
		return nil
	}
	var c claimRecord
	if err := transport.Decode(value, &c); err != nil {
		return err
	}
	it := x.get(root)
	at, found := it.claimOf(p)
	if !found {
		it.claims = slices.Insert(it.claims, at, claim{by: m})
	}
	it.claims[at].bytes = c.Bytes
	m.claimed[it] = struct{}{}
	return nil
}

func (x *index) setDemand(root, peer string, value []byte) error {
	p, err := transport.ParsePeer(peer)
	if err != nil {
		return err
	}
	var d demandRecord
	if value != nil {
		if err := transport.Decode(value, &d); err != nil {
			return err
		}
	} else if x.items[root] == nil {
		return nil
	}
	it := x.get(root)
	at, found := slices.BinarySearchFunc(it.demand, p, func(d demandOf, p transport.Peer) int { return d.by.Compare(p) })
	switch {
	case value == nil && found:
		it.demand = slices.Delete(it.demand, at, at+1)
	case value != nil && found:
		it.demand[at].total = d.Total
	case value != nil:
		it.demand = slices.Insert(it.demand, at, demandOf{by: p, total: d.Total})
	}
	return nil
}

func (x *index) setWithdrawn(root, owner, part string, value []byte, now time.Duration) error {
	seq, err := parseSeq(part)
	if err != nil {
		return err
	}
	if value != nil {
		it := x.get(root)
		return x.around(it, func() { it.withdraw(owner, seq, now) })
	}
	it := x.items[root]
	if it == nil {
		return nil
	}
	if w := it.withdrawnOf(owner); w == nil || w.seq != seq {
		return nil // of a lower one, which a higher one covers
	}
	return x.around(it, func() {
		it.withdrawn = slices.DeleteFunc(it.withdrawn, func(w withdrawn) bool { return w.owner == owner })
	})
}

// setMark takes a mark only where it belongs: its key is made of it.
func (x *index) setMark(root string, k storage.Key, parts []string, value []byte, now time.Duration) error {
	if value == nil {
		if it := x.items[root]; it != nil {
			return x.around(it, func() {
				it.marks = slices.DeleteFunc(it.marks, func(m *mark) bool {
					return m.owner == parts[2] && seqPart(m.Seq) == parts[3] && m.id == parts[4]
				})
			})
		}
		return nil
	}
	var rec markRecord
	if err := transport.Decode(value, &rec); err != nil {
		return err
	}
	m := newMark(rec)
	if m.key(root) != k {
		return fmt.Errorf("the mark is another's")
	}
	it := x.get(root)
	return x.around(it, func() {
		if it.putMark(m) {
			x.leases.add(root, m, now)
		}
	})
}

// around changes what stands of an item, and what follows from it.
func (x *index) around(it *item, change func()) error {
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
	return nil
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

// state is where an item stands.
type state uint8

const (
	unknown    state = iota // claims without a mark: a mark that has not arrived yet
	wanted                  // somebody wants it kept
	abandoned               // all who wanted it have said that they no longer do
	superseded              // a newer snapshot of the same database is marked
)

func (s state) String() string {
	return [...]string{"unknown", "wanted", "withdrawn", "superseded"}[s]
}

// state returns an item's state and, if it is superseded, by what.
func (x *index) state(it *item) (s state, successor *item) {
	if len(it.marks) == 0 && len(it.withdrawn) == 0 {
		return unknown, nil
	}
	s = abandoned
	for i, m := range it.marks {
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
