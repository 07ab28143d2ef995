package items

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
)

// Checks are what is expected of content that was marked.
func Checks() []scenario.Check {
	return []scenario.Check{
		{Name: "last-copy-kept", Doc: "what is acknowledged is on as many disks as is said; no hoarder claims what is not on its disk, or releases a copy that other disks do not hold as often as wanted; no copy goes without a fault or a word, and a power cut brings none back that was let go",
			New: func() check.Checker { return newLastCopyKept() }},
		{Name: "copies-restored", Doc: "every item is on as many disks of hoarders that run as are wanted, or as there are hoarders with room",
			New: func() check.Checker { return newCopiesRestored() }},
		{Name: "bounded-surplus", Doc: "no item is on more disks than its target and the tolerated surplus; what nobody wants any more is gone, older snapshots as soon as the newest has its copies",
			New: func() check.Checker { return &boundedSurplus{model: newHoard()} }},
		{Name: "content-intact", Doc: "what a hoarder says it holds is on its disk, all of it, and nothing else is",
			New: func() check.Checker { return &contentIntact{disks: newVerified()} }},
		{Name: "capacity-respected", Doc: "no hoarder's copies have more bytes on its disk than its capacity, and none sets room aside for what it does not fetch",
			New: func() check.Checker { return &capacityRespected{sizes: map[string]int64{}, changed: map[string]bool{}} }},
		{Name: "items-are-told", Doc: "what hoarders tell users of items is true: who holds them, what they are, who wants them, the newest snapshot, and what they say of themselves",
			New: func() check.Checker { return newItemsTold() }},
	}
}

// hoarders lists the hoarders that are up, by node.
func hoarders(v check.View) map[string]Hoarder {
	up := map[string]Hoarder{}
	for _, n := range v.Nodes() {
		if s, ok := n.Service(hoarderapi.Service).(Hoarder); ok && n.Up {
			up[n.Name] = s
		}
	}
	return up
}

// lastCopyKept compares what hoarders and users say with the disks, at the moment
// when it is said.
type lastCopyKept struct {
	check.Tally
	model *hoard
	calm  evidence.Calm
	// cursor is which item is compared next although nothing is said of it.
	cursor int
	sizes  map[string]int64
	// letGo are the copies that were let go and may be on the disk yet, oldest first.
	letGo []copyLetGo
}

func newLastCopyKept() *lastCopyKept {
	return &lastCopyKept{model: newHoard(), calm: evidence.NewCalm(hoarderapi.Service), sizes: map[string]int64{}}
}

func (*lastCopyKept) Name() string { return "last-copy-kept" }

// Witness implements check.OnWitness.
func (c *lastCopyKept) Witness(v check.View, f check.Fact) error {
	c.calm.Learn(f)
	before := c.model.items[f.Text("root")]
	held := before != nil && before.holders[f.Node]
	if f.Name == "pin-withdrawn" {
		if err := c.withdrawal(f); err != nil {
			return err
		}
	}
	c.model.hear(f)
	switch f.Name {
	case "item-claimed", "copy-mended":
		c.forgetLetGo(f)
		return c.claimed(v, f)
	case "item-corrupted", "copy-missing", "claim-withdrawn":
		return c.gaveUp(v, f, held)
	case "item-released":
		err := c.released(v, f)
		c.model.release(f)
		c.noteLetGo(f)
		return err
	case "item-pinned", "store-acknowledged":
		return c.acknowledged(v, f)
	case "unmark-acknowledged":
		return c.unmarked(v, f)
	}
	return nil
}

// troubledFor is how long after a fault a disk may not hold what is said of it:
// what was read just before.
const troubledFor = 30 * time.Second

// excusedDisk reports whether a disk is not to be judged.
func (c *lastCopyKept) excusedDisk(n check.NodeView) bool {
	if c.model.soundFor(n, troubledFor) {
		return false
	}
	c.Excused("a fault has just touched the disk")
	return true
}

func (c *lastCopyKept) claimed(v check.View, f check.Fact) error {
	n, _ := v.Node(f.Node)
	root := f.Text("root")
	if holdsOnDisk(n, root) {
		c.Evaluated()
		return nil
	}
	if c.excusedDisk(n) {
		return nil
	}
	c.Evaluated()
	return fmt.Errorf("%s says it holds %s, which is not on its disk", f.Node, root)
}

// gaveUp: a copy is given up only if it is bad, or gone.
func (c *lastCopyKept) gaveUp(v check.View, f check.Fact, held bool) error {
	n, _ := v.Node(f.Node)
	root := f.Text("root")
	switch {
	case !held:
		return nil
	case c.excusedDisk(n):
		return nil
	}
	c.Evaluated()
	if holdsOnDisk(n, root) {
		return fmt.Errorf("%s gives up its copy of %s, which is sound on its disk", f.Node, root)
	}
	return fmt.Errorf("%s has lost its copy of %s, and no fault has touched its disk", f.Node, root)
}

// others counts the hoarders but one on whose disks an item really is.
func (c *lastCopyKept) others(v check.View, it *hoardItem, but string) int {
	count := 0
	for _, name := range it.holderNames() {
		if n, found := v.Node(name); found && name != but {
			if _, whole := wholeOnDisk(n, it.root); whole {
				count++
			}
		}
	}
	return count
}

// released compares a release with the disks of the others. Copies that faults
// took after the others were asked count: they were confirmed in good faith.
func (c *lastCopyKept) released(v check.View, f check.Fact) error {
	it := c.model.item(f.Text("root"))
	asked := time.Duration(f.Int("asked"))
	word := c.model.word(it)
	c.Evaluated()
	switch why := f.Text("why"); {
	case why == "discard":
		if word == wants {
			return fmt.Errorf("%s discarded %s, which is wanted", f.Node, it.root)
		}
	case why == "supersede":
		if it.acked && !c.model.hasLater(it) {
			return fmt.Errorf("%s released version %d (%s) of %s, which nothing replaces", f.Node, it.version, it.root, it.database)
		}
		return c.replaced(v, f, it)
	case word == wants:
		others := c.others(v, it, f.Node) + it.lostSince(f.At-asked-asked/10-time.Millisecond) + c.rottenSince(v, it, f)
		if target := c.model.target(it); others == 0 || others < target {
			return fmt.Errorf("%s released a copy of %s which %d others hold, of %d wanted; it believed in %d", f.Node, it.root, others, target, f.Int("copies"))
		}
	}
	return nil
}

// replaced demands that a newer version has all its copies when a holder lets an
// older one go - or one, if there is no room for the newer one beside it. It need
// not be the newest: who has just asked after that one's predecessor may not know of it.
func (c *lastCopyKept) replaced(v check.View, f check.Fact, it *hoardItem) error {
	if c.calm.Lasts(f.At - troubledFor) {
		for _, later := range c.model.later(it) {
			if c.others(v, later, "") >= c.copiesToReplace(v, f, it, later) {
				c.Evaluated()
				return nil
			}
		}
	}
	newest := c.model.newest(it.database)
	if newest == nil || newest == it || !newest.acked || !c.calm.Lasts(f.At-troubledFor) {
		c.Excused("the newer version was not acknowledged, or not all hoarders were well")
		return nil
	}
	c.Evaluated()
	return fmt.Errorf("%s released version %d (%s) of %s, while version %d is on %d disks of %d", f.Node, it.version, it.root, it.database,
		newest.version, c.others(v, newest, ""), c.copiesToReplace(v, f, it, newest))
}

// copiesToReplace is on how many disks a later version must be when a holder lets it go.
func (c *lastCopyKept) copiesToReplace(v check.View, f check.Fact, it, later *hoardItem) int {
	n, _ := v.Node(f.Node)
	free := evidence.HoarderSettings(n).Capacity - usedOnDisk(n, c.sizes) - it.bytes
	want := max(1, min(c.model.target(later), len(c.calm.Members)))
	if !later.holders[f.Node] && free < 2*later.bytes+1<<20 {
		return 1
	}
	return want
}

// rottenSince counts the others whose disks a fault has touched since they were
// asked, so that their copies may have gone although they have not noticed.
func (c *lastCopyKept) rottenSince(v check.View, it *hoardItem, f check.Fact) int {
	count := 0
	asked := time.Duration(f.Int("asked"))
	for _, name := range it.holderNames() {
		n, found := v.Node(name)
		if !found {
			continue
		}
		at, troubled := c.model.troubled[name]
		_, whole := wholeOnDisk(n, it.root)
		if name != f.Node && !whole && (n.DiskBad || troubled && f.At-at <= asked+asked/10+time.Millisecond) {
			c.Excused("a confirmed copy has rotted since")
			count++
		}
	}
	return count
}

// acknowledged: as many disks as are said have the content, and the mark.
func (c *lastCopyKept) acknowledged(v check.View, f check.Fact) error {
	it := c.model.item(f.Text("root"))
	said, saidRecords := int(f.Int("copies")), int(f.Int("records"))
	copies, records, excused := 0, 0, 0
	look := func(n check.NodeView) {
		holds := it.holders[n.Name] && holdsOnDisk(n, it.root)
		knows := anyOnDisk(n, storage.K("pins", it.root)) || anyOnDisk(n, storage.K("withdrawn", it.root))
		if holds {
			copies++
		}
		if knows {
			records++
		}
		if (!holds || !knows) && !c.model.soundFor(n, troubledFor) {
			excused++
		}
	}
	for _, name := range it.holderNames() {
		if n, found := v.Node(name); found {
			look(n)
		}
	}
	if copies < said || records < saidRecords { // usually who holds it is who has the mark
		for _, n := range v.Nodes() {
			if copies >= said && records >= saidRecords {
				break
			}
			if slices.Contains(n.Services, hoarderapi.Service) && !it.holders[n.Name] {
				look(n)
			}
		}
	}
	c.Evaluated()
	if excused > 0 {
		c.Excused("a fault has just touched a disk")
	}
	released := c.model.word(it) != wants // its owner has withdrawn it meanwhile
	switch {
	case released:
		c.Excused("withdrawn before the acknowledgement came")
	case copies+excused < max(1, said):
		return fmt.Errorf("%s was acknowledged with %d copies, and is on %d disks", it.root, said, copies)
	case records+excused < max(1, saidRecords):
		return fmt.Errorf("the mark of %s was acknowledged with %d records, and is on %d disks", it.root, saidRecords, records)
	case f.Name == "store-acknowledged":
		return c.enough(v, f, said, saidRecords)
	}
	return nil
}

// enough demands a second copy and a second record where nothing stood in the way.
func (c *lastCopyKept) enough(v check.View, f check.Fact, copies, records int) error {
	if !c.calm.Lasts(f.At-time.Duration(f.Int("took"))) || len(c.calm.Members) < 2 {
		c.Excused("not all hoarders can be reached")
		return nil
	}
	c.Evaluated()
	if records < 2 {
		return fmt.Errorf("the mark of %s is said to be on %d disks, although all hoarders are well", f.Text("root"), records)
	}
	if copies > 1 || f.Int("target") == 1 {
		return nil
	}
	for _, n := range v.Nodes() {
		if !c.calm.Members[n.Name] || n.Peer == f.Get("holder") {
			continue
		}
		if room := evidence.HoarderSettings(n).Capacity - usedOnDisk(n, c.sizes); room > 4*(f.Int("bytes")+1<<20) {
			return fmt.Errorf("%s was acknowledged with one copy, although all hoarders are well and %s has room for %d bytes", f.Text("root"), n.Name, room)
		}
	}
	return nil
}

// unmarked: a withdrawal that was acknowledged is on two disks, if two are well.
func (c *lastCopyKept) unmarked(v check.View, f check.Fact) error {
	records, excused := 0, 0
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, hoarderapi.Service) {
			continue
		}
		if anyOnDisk(n, storage.K("withdrawn", f.Text("root"))) {
			records++
		} else if !c.model.soundFor(n, troubledFor) {
			excused++
		}
	}
	want := 1
	if c.calm.Lasts(f.At-time.Duration(f.Int("took"))) && len(c.calm.Members) > 1 {
		want = 2
	}
	c.Evaluated()
	if records+excused < want {
		return fmt.Errorf("the withdrawal of %s by %s was acknowledged, and is on %d disks of %d", f.Text("root"), f.Text("owner"), records, want)
	}
	return nil
}

// withdrawal: nobody withdraws for another.
func (c *lastCopyKept) withdrawal(f check.Fact) error {
	it := c.model.item(f.Text("root"))
	voice := it.voice(f)
	if !voice.client {
		return nil
	}
	c.Evaluated()
	switch seq := oneMore(uint64(f.Int("seq"))); {
	case f.Text("why") == "ended" && (voice.ends == 0 || f.At < voice.ends):
		return fmt.Errorf("%s ended the mark of %s by %s too early", f.Node, it.root, f.Text("owner"))
	case f.Text("why") != "ended" && voice.withdrawing < seq:
		return fmt.Errorf("%s withdrew the mark of %s by %s, which has not said so", f.Node, it.root, f.Text("owner"))
	}
	return nil
}

// comparedPerPoll is how many items are compared with the disks at each poll
// although nobody says anything of them.
const comparedPerPoll = 4

// Poll holds the model against what is really on the disks, a few items at a
// time. No copy goes without a word.
func (c *lastCopyKept) Poll(v check.View) error {
	c.model.now = v.Now()
	c.calm.Look(v)
	if err := c.staysGone(v); err != nil {
		return err
	}
	for range min(comparedPerPoll, len(c.model.order)) {
		c.cursor = (c.cursor + 1) % len(c.model.order)
		it := c.model.order[c.cursor]
		for _, name := range it.holderNames() {
			n, found := v.Node(name)
			if !found || !c.model.soundFor(n, v.Now()) { // a disk that was ever touched may rot unseen until it is read
				c.Excused("a fault has touched the disk")
				continue
			}
			c.Evaluated()
			if !holdsOnDisk(n, it.root) {
				return fmt.Errorf("%s no longer holds %s and has not said why", name, it.root)
			}
		}
	}
	return nil
}
