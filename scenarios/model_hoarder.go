package scenarios

import (
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
)

// hoard is what the hoarders' facts add up to: who holds which item. Disks
// outlive crashes, so a node that is down still holds.
type hoard struct {
	now   time.Duration
	items map[string]*hoardItem
	// databases are the versions of each that were marked.
	databases map[string][]*hoardItem
}

type hoardItem struct {
	root     string
	acked    bool
	copies   int // that were durable when it was acknowledged
	target   int
	bytes    int64
	database string // owner and name; "" for an asset
	version  uint64
	// owners are those who have marked it and not withdrawn, of all owned.
	owners   map[string]bool
	unwanted bool // all who had marked it have withdrawn
	// withdrawnBy wrote the withdrawal first, at withdrawnAt. If it lost its disk
	// since, it may be that nobody knows of it any more: then the item is vague.
	withdrawnBy string
	withdrawnAt time.Duration
	vague       bool
	replaced    bool // a holder let it go for a newer version
	holders     map[string]bool
	losses      []time.Duration // when holders lost their copy by a fault
}

func newHoard() *hoard {
	return &hoard{items: map[string]*hoardItem{}, databases: map[string][]*hoardItem{}}
}

func (h *hoard) item(root string) *hoardItem {
	it := h.items[root]
	if it == nil {
		it = &hoardItem{root: root, holders: map[string]bool{}, owners: map[string]bool{}}
		h.items[root] = it
	}
	return it
}

// roots lists the items in order.
func (h *hoard) roots() []string { return slices.Sorted(maps.Keys(h.items)) }

// hear applies a fact. A release is applied by the caller, who judges it first.
func (h *hoard) hear(f check.Fact) {
	h.now = f.At
	switch {
	case f.Service == "node" && f.Name == "crashed":
		h.crashed(f.Node, f.Text("disk-lost") == "true")
	case f.Service != hoarderapi.Service:
	case f.Name == "inventory" && f.Int("items") == 0:
		h.loseDisk(f.Node)
	case f.Name == "item-claimed" || f.Name == "copy-mended":
		h.item(f.Text("root")).holders[f.Node] = true
	case f.Name == "item-corrupted" || f.Name == "copy-missing" || f.Name == "claim-withdrawn":
		h.lose(h.item(f.Text("root")), f.Node)
	case f.Name == "mark-withdrawn":
		it := h.item(f.Text("root"))
		delete(it.owners, ownerOf(f))
		if len(it.owners) == 0 && !it.unwanted {
			it.unwanted, it.withdrawnBy, it.withdrawnAt = true, f.Node, f.At
		}
	case f.Name == "mark-written":
		h.written(f)
	case f.Name == "item-marked":
		it := h.item(f.Text("root"))
		it.acked = true
		it.copies = max(it.copies, int(f.Int("copies")))
		it.target = max(it.target, int(f.Int("target")))
		it.bytes = f.Int("bytes")
	}
}

func ownerOf(f check.Fact) string { return f.Text("owner") + "/" + f.Text("name") }

// written: a mark counts for what it replaces from when it is written, but
// promises nothing before it is acknowledged.
func (h *hoard) written(f check.Fact) {
	it := h.item(f.Text("root"))
	it.unwanted, it.vague = false, false
	it.owners[ownerOf(f)] = true
	if f.Text("kind") != string(hoarderapi.Database) {
		return
	}
	it.database, it.version = f.Text("owner")+"/"+f.Text("name"), uint64(f.Int("version"))
	if list := h.databases[it.database]; !slices.Contains(list, it) {
		h.databases[it.database] = append(list, it)
	}
}

// newest is the highest version of a database that is neither lost nor
// withdrawn, nil if there is none.
func (h *hoard) newest(database string) *hoardItem {
	var best *hoardItem
	for _, it := range h.databases[database] {
		switch {
		case it.unwanted || it.lost():
		case best == nil, it.version > best.version, it.version == best.version && it.root > best.root:
			best = it
		}
	}
	return best
}

// release believes a release without judging it.
func (h *hoard) release(f check.Fact) {
	if f.Service != hoarderapi.Service || f.Name != "item-released" {
		return
	}
	it := h.item(f.Text("root"))
	delete(it.holders, f.Node)
	it.replaced = it.replaced || f.Text("why") == "supersede"
}

// syncedAfter is how long what was written may not be durable anywhere.
const syncedAfter = 5 * time.Second

func (h *hoard) crashed(node string, diskLost bool) {
	for _, it := range h.items {
		if it.unwanted && it.withdrawnBy == node && (diskLost || h.now-it.withdrawnAt < syncedAfter) {
			it.vague = true
		}
	}
	if diskLost {
		h.loseDisk(node)
	}
}

func (h *hoard) loseDisk(node string) {
	for _, it := range h.items {
		h.lose(it, node)
	}
}

func (h *hoard) lose(it *hoardItem, node string) {
	if it.holders[node] {
		delete(it.holders, node)
		it.losses = append(it.losses, h.now)
	}
}

// wanted reports whether an item is to be kept.
func (h *hoard) wanted(it *hoardItem) bool {
	return it.acked && !it.unwanted && !it.replaced && (it.database == "" || h.newest(it.database) == it)
}

// lost reports whether every copy went, and by faults alone.
func (it *hoardItem) lost() bool { return len(it.holders) == 0 && len(it.losses) > 0 }

// lostSince counts the copies that faults have taken since then.
func (it *hoardItem) lostSince(at time.Duration) int {
	n := 0
	for _, loss := range it.losses {
		if loss >= at {
			n++
		}
	}
	return n
}

// hasLater reports whether somebody holds, or held until a disk was lost, a later
// version of the same database.
func (h *hoard) hasLater(it *hoardItem) bool {
	return slices.ContainsFunc(h.databases[it.database], func(o *hoardItem) bool {
		return o.version > it.version && (len(o.holders) > 0 || len(o.losses) > 0 || o.unwanted)
	})
}
