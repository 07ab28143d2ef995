package hoarder

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	claimedBy map[transport.Peer]map[string]bool
	databases map[database]map[string]uint64 // live marks: root to version
}

// database is the scope in which versions are compared.
type database struct{ owner, name string }

// item is what is known of one root.
type item struct {
	root      string
	marks     map[markKey]markRecord
	withdrawn map[markKey]bool
	claims    map[transport.Peer]int64 // bytes
	demand    map[transport.Peer]uint64

	// Since when this node, on its monotonic clock, has seen the item below its
	// target, in surplus, or at its end (withdrawn or superseded).
	short, surplus, ended since
	// complete: it has been seen with all its copies.
	complete bool
	// reportedLost: the loss of all copies has been reported.
	reportedLost bool
}

// since is the time at which something became true, if it is.
type since struct {
	at time.Duration
	on bool
}

// update keeps the time while the truth stays.
func (s *since) update(on bool, now time.Duration) {
	switch {
	case !on:
		*s = since{}
	case !s.on:
		*s = since{at: now, on: true}
	}
}

func (s since) lasted(now time.Duration) time.Duration {
	if !s.on {
		return 0
	}
	return now - s.at
}

func newIndex() *index {
	return &index{
		items:     map[string]*item{},
		claimedBy: map[transport.Peer]map[string]bool{},
		databases: map[database]map[string]uint64{},
	}
}

// get returns the item of a root, making it if need be.
func (x *index) get(root string) *item {
	it := x.items[root]
	if it == nil {
		it = &item{
			root:      root,
			marks:     map[markKey]markRecord{},
			withdrawn: map[markKey]bool{},
			claims:    map[transport.Peer]int64{},
			demand:    map[transport.Peer]uint64{},
		}
		x.items[root] = it
		i, _ := slices.BinarySearch(x.roots, root)
		x.roots = slices.Insert(x.roots, i, root)
	}
	return it
}

// set applies one entry; a nil value is a deletion. It returns the root that
// it is about.
func (x *index) set(k storage.Key, value []byte) (root string, err error) {
	parts := k.Parts()
	if len(parts) < 3 {
		return "", fmt.Errorf("hoarder: %s is no key of ours", k)
	}
	root = parts[1]
	it := x.get(root)
	switch {
	case parts[0] == claimsPart:
		return root, x.setClaim(it, parts[2], value)
	case parts[0] == demandPart:
		return root, it.setDemand(parts[2], value)
	case len(parts) == 4 && (parts[0] == marksPart || parts[0] == withdrawnPart):
		epoch, err := strconv.Atoi(parts[3])
		if err != nil {
			return root, fmt.Errorf("hoarder: %s: %w", k, err)
		}
		return root, x.setMark(it, parts[0], markKey{id: parts[2], epoch: epoch}, value)
	}
	return root, fmt.Errorf("hoarder: %s is no key of ours", k)
}

func (x *index) setClaim(it *item, peer string, value []byte) error {
	p, err := transport.ParsePeer(peer)
	if err != nil {
		return err
	}
	if value == nil {
		delete(it.claims, p)
		delete(x.claimedBy[p], it.root)
		return nil
	}
	var c claimRecord
	if err := transport.Decode(value, &c); err != nil {
		return err
	}
	it.claims[p] = c.Bytes
	if x.claimedBy[p] == nil {
		x.claimedBy[p] = map[string]bool{}
	}
	x.claimedBy[p][it.root] = true
	return nil
}

func (it *item) setDemand(peer string, value []byte) error {
	p, err := transport.ParsePeer(peer)
	if err != nil || value == nil {
		return err
	}
	var d demandRecord
	if err := transport.Decode(value, &d); err != nil {
		return err
	}
	it.demand[p] = d.Total
	return nil
}

func (x *index) setMark(it *item, part string, k markKey, value []byte) error {
	if value == nil {
		return nil // marks and withdrawals are never deleted
	}
	if part == withdrawnPart {
		it.withdrawn[k] = true
	} else {
		var m markRecord
		if err := transport.Decode(value, &m); err != nil {
			return err
		}
		it.marks[k] = m
	}
	m, marked := it.marks[k]
	if !marked || m.Kind != hoarderapi.Database {
		return nil
	}
	db := database{m.Owner, m.Name}
	if it.withdrawn[k] {
		if _, again := it.liveMark(k.id); !again {
			delete(x.databases[db], it.root)
		}
		return nil
	}
	if x.databases[db] == nil {
		x.databases[db] = map[string]uint64{}
	}
	x.databases[db][it.root] = max(m.Version, x.databases[db][it.root])
	return nil
}

// liveMark finds the mark of an id that is not withdrawn.
func (it *item) liveMark(id string) (markKey, bool) {
	for k := range it.marks {
		if k.id == id && !it.withdrawn[k] {
			return k, true
		}
	}
	return markKey{}, false
}

// liveMarks lists the marks that are not withdrawn, in order.
func (it *item) liveMarks() []markKey {
	var live []markKey
	for k := range it.marks {
		if !it.withdrawn[k] {
			live = append(live, k)
		}
	}
	slices.SortFunc(live, func(a, b markKey) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.epoch, b.epoch))
	})
	return live
}

// nextEpoch is the epoch of a new mark of this id.
func (it *item) nextEpoch(id string) int {
	epoch := 0
	for k := range it.withdrawn {
		if k.id == id {
			epoch = max(epoch, k.epoch+1)
		}
	}
	return epoch
}

// newest is the highest snapshot of a database that somebody claims to hold, or
// the highest of all if nobody does: by version, then by root. A snapshot that
// was lost does not replace the one before it.
func (x *index) newest(db database) (root string, version uint64) {
	claimed := false
	for r, v := range x.databases[db] { // the maximum of a total order: any order will do
		has := len(x.items[r].claims) > 0
		if root == "" || has && !claimed || has == claimed && (v > version || v == version && r > root) {
			root, version, claimed = r, v, has
		}
	}
	return root, version
}

// state is where an item stands.
type state uint8

const (
	unknown    state = iota // claims without a mark: a mark that has not arrived yet
	wanted                  // somebody wants it kept
	withdrawn               // all who wanted it have said that they no longer do
	superseded              // a newer snapshot of the same database is marked
)

func (s state) String() string {
	return [...]string{"unknown", "wanted", "withdrawn", "superseded"}[s]
}

// state returns an item's state and, if it is superseded, by what.
func (x *index) state(it *item) (s state, successor string) {
	if len(it.marks) == 0 {
		return unknown, ""
	}
	s = withdrawn
	for _, k := range it.liveMarks() {
		m := it.marks[k]
		if m.Kind != hoarderapi.Database {
			return wanted, ""
		}
		newest, _ := x.newest(database{m.Owner, m.Name})
		if newest == it.root {
			return wanted, ""
		}
		if s != superseded {
			s, successor = superseded, newest
		}
	}
	return s, successor
}

// target is the number of copies wanted: the highest of the marks.
func (it *item) target() int {
	n := 0
	for k, m := range it.marks {
		if !it.withdrawn[k] {
			n = max(n, m.Target)
		}
	}
	return n
}

// size is the best knowledge of the item's bytes, 0 if there is none.
func (it *item) size() int64 {
	var n int64
	for _, bytes := range it.claims {
		n = max(n, bytes)
	}
	for _, m := range it.marks {
		n = max(n, m.Size)
	}
	return n
}

// totalDemand is at least 1.
func (it *item) totalDemand() int64 {
	var n uint64
	for _, d := range it.demand {
		n += min(d, hoarderapi.DemandMax)
	}
	return max(1, int64(n))
}

// claimants lists who claims a copy and is accepted, in canonical order.
func (it *item) claimants(accept func(transport.Peer) bool) []transport.Peer {
	list := make([]transport.Peer, 0, len(it.claims))
	for p := range it.claims {
		if accept(p) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, transport.Peer.Compare)
	return list
}

// sources lists peers that may have the content besides the claimants: those
// that the marks named.
func (it *item) sources() []transport.Peer {
	seen := map[transport.Peer]bool{}
	for _, m := range it.marks {
		for _, p := range m.Sources {
			seen[p] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), transport.Peer.Compare)
}
