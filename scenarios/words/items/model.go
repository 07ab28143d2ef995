package items

import (
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
)

// hoard is what users said, and what the hoarders' facts add up to: who wants
// which item, and who holds it. lastCopyKept compares each fact with the disks.
// Disks outlive crashes, so a node that is down still holds.
type hoard struct {
	now   time.Duration
	items map[string]*hoardItem
	order []*hoardItem // in the order in which they became known
	// databases are the versions of each that were marked.
	databases map[string][]*hoardItem
	// troubled is when a fault last touched a node's disk.
	troubled map[string]time.Duration
}

type hoardItem struct {
	root     string
	voices   map[string]*voice // by owner and name
	acked    bool
	copies   int // that were durable when it was acknowledged
	bytes    int64
	digest   string // of the content, if a user stored it
	database string // owner and name; "" for an asset
	version  uint64
	replaced bool // a holder let it go for a newer version
	holders  map[string]bool
	losses   []time.Duration // when holders lost their copy by a fault
}

func newHoard() *hoard {
	return &hoard{items: map[string]*hoardItem{}, databases: map[string][]*hoardItem{}, troubled: map[string]time.Duration{}}
}

func (h *hoard) item(root string) *hoardItem {
	it := h.items[root]
	if it == nil {
		it = &hoardItem{root: root, voices: map[string]*voice{}, holders: map[string]bool{}}
		h.items[root] = it
		h.order = append(h.order, it)
	}
	return it
}

func (it *hoardItem) voice(f check.Fact) *voice {
	key := f.Text("owner") + "/" + f.Text("name")
	v := it.voices[key]
	if v == nil {
		v = new(voice)
		it.voices[key] = v
	}
	return v
}

// hear applies a fact. A release is applied by the caller, who judges it first.
func (h *hoard) hear(f check.Fact) {
	h.now = f.At
	switch f.Name {
	case "crashed":
		if f.Service == "node" {
			h.crashed(f.Node, f.Text("disk-lost") == "true")
		}
	case "disk-rotted":
		h.troubled[f.Node] = f.At
	case "inventory":
		if f.Service == hoarderapi.Service && f.Int("items") == 0 {
			h.loseDisk(f.Node)
		}
	case "item-claimed", "copy-mended":
		h.item(f.Text("root")).holders[f.Node] = true
	case "item-corrupted", "copy-missing", "claim-withdrawn":
		h.lose(h.item(f.Text("root")), f.Node)
	case "store-sent", "pin-written", "item-pinned", "store-acknowledged", "unmark-sent", "unmark-acknowledged", "pin-withdrawn":
		h.said(f)
	}
}

// said: a mark counts for what it replaces from when it is written, but promises
// nothing before it is acknowledged.
func (h *hoard) said(f check.Fact) {
	it := h.item(f.Text("root"))
	it.voice(f).hear(f)
	switch f.Name {
	case "store-sent":
		it.digest = f.Text("digest")
		return
	case "store-acknowledged", "item-pinned":
		it.acked = true
		it.copies = max(it.copies, int(f.Int("copies")))
		it.bytes = max(it.bytes, f.Int("bytes"))
	case "pin-written":
	default:
		return
	}
	if f.Text("kind") != string(hoarderapi.Database) {
		return
	}
	it.database, it.version = f.Text("owner")+"/"+f.Text("name"), uint64(f.Int("version"))
	if list := h.databases[it.database]; !slices.Contains(list, it) {
		h.databases[it.database] = append(list, it)
	}
}

// word sums up what its owners say: wants if one surely does, done if all are.
func (h *hoard) word(it *hoardItem) word {
	all := done
	for _, v := range it.voices {
		switch v.says(h.now) {
		case wants:
			return wants
		case unsure:
			all = unsure
		}
	}
	if len(it.voices) == 0 {
		return silent
	}
	return all
}

// target is the number of copies that those want who surely do.
func (h *hoard) target(it *hoardItem) int {
	n := 0
	for _, v := range it.voices {
		if v.says(h.now) == wants {
			n = max(n, v.target)
		}
	}
	return n
}

// targetMax is the number of copies that somebody may want.
func (h *hoard) targetMax(it *hoardItem) int {
	n := 0
	for _, v := range it.voices {
		if says := v.says(h.now); says == wants || says == unsure {
			n = max(n, v.target, hoarderapi.TargetDefault)
		}
	}
	return n
}

// newest is the highest version of a database that is neither lost nor
// withdrawn, nil if there is none.
func (h *hoard) newest(database string) *hoardItem {
	var best *hoardItem
	for _, it := range h.databases[database] {
		switch {
		case h.word(it) == done || it.lost():
		case best == nil, it.version > best.version, it.version == best.version && it.root > best.root:
			best = it
		}
	}
	return best
}

// later lists the later versions of an item's database that are not withdrawn.
func (h *hoard) later(it *hoardItem) (list []*hoardItem) {
	for _, o := range h.databases[it.database] {
		if o.version > it.version && h.word(o) != done {
			list = append(list, o)
		}
	}
	return list
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

func (h *hoard) crashed(node string, diskLost bool) {
	for _, it := range h.order {
		for _, v := range it.voices {
			v.lose(node, diskLost, h.now)
		}
	}
	if diskLost {
		h.troubled[node] = h.now
		h.loseDisk(node)
	}
}

func (h *hoard) loseDisk(node string) {
	for _, it := range h.order {
		h.lose(it, node)
	}
}

func (h *hoard) lose(it *hoardItem, node string) {
	if it.holders[node] {
		delete(it.holders, node)
		it.losses = append(it.losses, h.now)
	}
}

// wanted reports whether an item is surely to be kept.
func (h *hoard) wanted(it *hoardItem) bool {
	return it.acked && h.word(it) == wants && !it.replaced && (it.database == "" || h.newest(it.database) == it)
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
		return o.version > it.version && (len(o.holders) > 0 || len(o.losses) > 0 || h.word(o) == done)
	})
}

// holderNames lists who is believed to hold an item, in order.
func (it *hoardItem) holderNames() []string { return slices.Sorted(maps.Keys(it.holders)) }

// soundFor reports whether no fault has touched a node's disk for so long.
func (h *hoard) soundFor(n check.NodeView, d time.Duration) bool {
	at, troubled := h.troubled[n.Name]
	return !n.DiskBad && (!troubled || h.now-at > d)
}
