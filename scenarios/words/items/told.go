package items

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// itemsTold compares what hoarders tell users with what users said, and with the
// disks. What one hoarder cannot know yet is demanded only while all are well.
type itemsTold struct {
	check.Tally
	model *hoard
	calm  evidence.Calm
	names map[transport.Peer]string
	sizes map[string]int64
	// touched is when something was last said of a hoarder's copies, said when
	// of an item or a database by anybody.
	touched map[string]time.Duration
	said    map[string]time.Duration
	// inReach is since when the client can talk to all hoarders.
	inReach time.Duration
	reaches bool
	flying  int // marks that users wait for
	demands map[string]*demanded
}

// demanded is what users have reported of an item, and whether a hoarder may have
// forgotten some of it.
type demanded struct {
	total uint64
	last  time.Duration
	vague bool
}

func newItemsTold() *itemsTold {
	return &itemsTold{
		model: newHoard(), calm: evidence.NewCalm(hoarderapi.Service), names: map[transport.Peer]string{}, sizes: map[string]int64{},
		touched: map[string]time.Duration{}, said: map[string]time.Duration{}, demands: map[string]*demanded{},
	}
}

func (*itemsTold) Name() string { return "items-are-told" }

// knownAfter is how long it may take until all hoarders that are well know what
// one knows.
const knownAfter = 12 * time.Second

// Poll implements check.OnPoll.
func (c *itemsTold) Poll(v check.View) error {
	c.model.now = v.Now()
	c.calm.Look(v)
	reaches := true
	for _, n := range v.Nodes() {
		c.names[n.Peer] = n.Name
		if c.calm.Members[n.Name] && !v.Connected(scenario.Client, n.Name) {
			reaches = false
		}
	}
	if reaches && !c.reaches {
		c.inReach = v.Now()
	}
	c.reaches = reaches
	return nil
}

// Witness implements check.OnWitness.
func (c *itemsTold) Witness(v check.View, f check.Fact) error {
	c.calm.Learn(f)
	c.model.hear(f)
	c.model.release(f)
	c.note(f)
	switch f.Name {
	case "holders-told":
		return c.holders(v, f)
	case "copy-told":
		return c.copy(v, f)
	case "owners-told":
		return c.owners(f)
	case "owned-told":
		return c.owned(f)
	case "database-told":
		return c.database(f)
	case "database-missing":
		return c.databaseMissing(f)
	case "hoarder-told":
		return c.hoarder(v, f)
	case "retrieved":
		return c.retrieved(v, f)
	case "store-refused":
		return c.refused(v, f)
	}
	return nil
}

// note remembers when things changed.
func (c *itemsTold) note(f check.Fact) {
	root := f.Text("root")
	switch f.Name {
	case "item-claimed", "copy-mended", "item-corrupted", "copy-missing", "claim-withdrawn", "item-released", "inventory", "record-mended":
		c.touched[f.Node], c.said[root] = f.At, f.At
	case "crashed", "stopped", "started", "disk-rotted":
		c.touched[f.Node] = f.At
		for _, d := range c.demands {
			d.vague = d.vague || f.At-d.last < 2*knownAfter || f.Text("disk-lost") == "true"
		}
	case "store-sent":
		c.flying++
		fallthrough
	case "pin-written", "unmark-sent", "unmark-acknowledged", "pin-withdrawn":
		c.said[root] = f.At
	case "store-acknowledged":
		c.said[root], c.flying = f.At, c.flying-1
	case "store-given-up":
		c.flying--
	case "demand-acknowledged":
		d := c.demands[root]
		if d == nil {
			d = new(demanded)
			c.demands[root] = d
		}
		d.total, d.last = d.total+uint64(f.Int("n")), f.At
	}
}

// wellKnown reports whether everybody must know all about an item that was asked
// for: all hoarders are well, and nothing was said of it for a while.
func (c *itemsTold) wellKnown(f check.Fact, what string) bool {
	if !c.calm.Lasts(evidence.Began(f) - knownAfter) {
		c.Excused("not all hoarders were well")
		return false
	}
	if at, said := c.said[what]; said && evidence.Began(f)-at < knownAfter {
		c.Excused("something has just been said of it")
		return false
	}
	return true
}

func (c *itemsTold) holders(v check.View, f check.Fact) error {
	it := c.model.item(f.Text("root"))
	peers := splitPeers(f.Text("holders"))
	by := c.by(f)
	switch f.Text("error") {
	case "":
	case transport.NotFound.String():
		if c.model.wanted(it) && len(it.holders) > 0 && c.wellKnown(f, it.root) {
			c.Evaluated()
			return fmt.Errorf("%s says that nobody holds %s, which %d do", by, it.root, len(it.holders))
		}
		return nil
	default:
		c.Excused("no answer")
		return nil
	}
	c.Evaluated()
	if !slices.Equal(peers, rendezvous.Rank(it.root, peers)) {
		return fmt.Errorf("%s does not name the holders of %s in their order", by, it.root)
	}
	for _, p := range peers {
		if !c.calm.Members[c.names[p]] {
			return fmt.Errorf("%s names %s as a holder of %s, who is no hoarder", by, p, it.root)
		}
	}
	if !c.wellKnown(f, it.root) {
		return nil
	}
	var told []string
	for _, p := range peers {
		told = append(told, c.names[p])
	}
	slices.Sort(told)
	if want := it.holderNames(); !slices.Equal(told, want) {
		return fmt.Errorf("%s names %v as holders of %s, which %v hold", by, told, it.root, want)
	}
	return c.really(v, by, it, told)
}

// really compares holders that were named with their disks.
func (c *itemsTold) really(v check.View, by string, it *hoardItem, told []string) error {
	for _, name := range told {
		n, _ := v.Node(name)
		if !c.model.soundFor(n, v.Now()) {
			c.Excused("a fault has touched the disk")
			continue
		}
		c.Evaluated()
		if !holdsOnDisk(n, it.root) {
			return fmt.Errorf("%s names %s as a holder of %s, which is not on its disk", by, name, it.root)
		}
	}
	return nil
}

func (c *itemsTold) by(f check.Fact) string {
	p, _ := f.Get("by").(transport.Peer)
	return c.names[p]
}

func splitPeers(text string) (peers []transport.Peer) {
	for _, s := range strings.Fields(text) {
		if p, err := transport.ParsePeer(s); err == nil {
			peers = append(peers, p)
		}
	}
	return peers
}

// removalSyncedAfter is how long a copy that was let go may yet be on the disk as a power
// cut would leave it: removals are synced when the releases that run have ended, or
// with the next sweep, after 12.5 s at most.
const removalSyncedAfter = 15 * time.Second

// copy: who says that it holds an item has it on its disk, and who denies it has
// not.
func (c *itemsTold) copy(v check.View, f check.Fact) error {
	n, found := v.Node(c.by(f))
	switch {
	case f.Text("error") != "" || !found:
		c.Excused("no answer")
		return nil
	case c.touched[n.Name] >= evidence.Began(f) || !n.Up || n.DiskBad:
		c.Excused("its copies changed meanwhile")
		return nil
	}
	root, has := f.Text("root"), f.Text("has") == "true"
	c.Evaluated()
	_, whole := wholeOnDisk(n, root)
	switch holds := holdsOnDisk(n, root); {
	case has && !whole: // whatever happened to the disk before it was asked
		return fmt.Errorf("%s says that it has read %s, which is not on its disk", n.Name, root)
	case !has && holds && f.At-c.said[root] < removalSyncedAfter:
		c.Excused("its removal may not be synced yet")
		return nil
	case !has && holds && c.model.soundFor(n, v.Now()):
		return fmt.Errorf("%s says that it does not hold %s, which is on its disk", n.Name, root)
	case f.Int("promise") != 0:
		return fmt.Errorf("%s promises to keep %s for one who is no hoarder", n.Name, root)
	}
	return nil
}

// owners: nobody who never marked, and all who surely want it.
func (c *itemsTold) owners(f check.Fact) error {
	it := c.model.item(f.Text("root"))
	if f.Text("error") != "" && f.Text("error") != transport.NotFound.String() {
		c.Excused("no answer")
		return nil
	}
	told := map[string]bool{}
	for _, s := range strings.Fields(f.Text("owners")) {
		told[s] = true
	}
	return c.compareOwners(f, it, told, f.Text("more") == "true")
}

func (c *itemsTold) compareOwners(f check.Fact, it *hoardItem, told map[string]bool, partial bool) error {
	known := c.wellKnown(f, it.root)
	for _, owner := range slices.Sorted(maps.Keys(it.voices)) {
		voice := it.voices[owner]
		key := it.root + "/" + owner
		listed := told[key]
		delete(told, key)
		says := voice.says(c.model.now)
		c.Evaluated()
		switch {
		case listed && says == silent:
			return fmt.Errorf("%s says that %s wants %s, who never marked it", c.by(f), owner, it.root)
		case known && listed && says == done:
			return fmt.Errorf("%s says that %s wants %s, who has withdrawn", c.by(f), owner, it.root)
		case known && !listed && says == wants && !partial:
			return fmt.Errorf("%s does not say that %s wants %s", c.by(f), owner, it.root)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(told)) {
		if strings.HasPrefix(key, it.root+"/") {
			return fmt.Errorf("%s names an owner that never marked: %s", c.by(f), key)
		}
	}
	return nil
}

// owned: a page has all of a stretch of roots.
func (c *itemsTold) owned(f check.Fact) error {
	if f.Text("error") != "" {
		c.Excused("no answer")
		return nil
	}
	told := map[string]map[string]bool{}
	for _, s := range strings.Fields(f.Text("owned")) {
		root, _, _ := strings.Cut(s, "/")
		if told[root] == nil {
			told[root] = map[string]bool{}
		}
		told[root][s] = true
	}
	after, next := f.Text("root"), f.Text("next")
	for _, it := range c.model.order {
		if it.root <= after || next != "" && it.root > next || !c.usersOnly(it) {
			delete(told, it.root)
			continue
		}
		page := told[it.root]
		delete(told, it.root)
		if page == nil {
			page = map[string]bool{}
		}
		if err := c.compareOwners(f, it, page, false); err != nil {
			return err
		}
	}
	if len(told) > 0 {
		return fmt.Errorf("%s lists %d roots that nobody marked", c.by(f), len(told))
	}
	return nil
}

// usersOnly reports whether all who have ever spoken of an item are users, whose
// names begin alike.
func (c *itemsTold) usersOnly(it *hoardItem) bool {
	for owner := range it.voices {
		if !strings.HasPrefix(owner, "client") {
			return false
		}
	}
	return true
}

func (c *itemsTold) database(f check.Fact) error {
	if f.Text("error") != "" {
		return nil // database-missing says the same
	}
	name := f.Text("owner") + "/" + f.Text("name")
	it := c.model.item(f.Text("root"))
	version := uint64(f.Int("version"))
	c.Evaluated()
	if it.database != name || it.version != version {
		return fmt.Errorf("%s says that %s is version %d of %s, which was never stored", c.by(f), it.root, version, name)
	}
	newest := c.model.newest(name)
	if newest == nil || !newest.acked || !c.wellKnownDatabase(f, name) {
		return nil
	}
	if version < newest.version {
		return fmt.Errorf("%s says that version %d of %s is the newest, and %d is", c.by(f), version, name, newest.version)
	}
	if f.Text("holders") == "" {
		return fmt.Errorf("%s knows nobody who holds %s", c.by(f), name)
	}
	return nil
}

func (c *itemsTold) databaseMissing(f check.Fact) error {
	name := f.Text("owner") + "/" + f.Text("name")
	newest := c.model.newest(name)
	if f.Text("error") != transport.NotFound.String() || newest == nil || !newest.acked || !c.wellKnownDatabase(f, name) {
		return nil
	}
	return fmt.Errorf("%s does not know the database %s", c.by(f), name)
}

func (c *itemsTold) wellKnownDatabase(f check.Fact, name string) bool {
	for _, it := range c.model.databases[name] {
		if !c.wellKnown(f, it.root) {
			return false
		}
	}
	c.Evaluated()
	return true
}
