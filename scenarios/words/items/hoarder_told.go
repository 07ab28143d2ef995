package items

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
)

// hoarder compares what one says of itself with its disk and its settings.
func (c *itemsTold) hoarder(v check.View, f check.Fact) error {
	n, found := v.Node(c.by(f))
	if f.Text("error") != "" || !found {
		c.Excused("no answer")
		return nil
	}
	c.Evaluated()
	if capacity := evidence.HoarderSettings(n).Capacity; f.Int("max") != capacity {
		return fmt.Errorf("%s says it has %d bytes, and has %d", n.Name, f.Int("max"), capacity)
	}
	if c.touched[n.Name] >= evidence.Began(f)-knownAfter || !n.Up || !c.model.soundFor(n, v.Now()) {
		c.Excused("its copies have just changed, or its disk was touched")
		return nil
	}
	held, used := len(heldOnDisk(n)), usedOnDisk(n, c.sizes)
	switch {
	case int(f.Int("held")) != held || f.Int("used") != used:
		return fmt.Errorf("%s says it holds %d items of %d bytes, and on its disk are %d of %d", n.Name, f.Int("held"), f.Int("used"), held, used)
	case f.Int("corrupted") != 0:
		return fmt.Errorf("%s says that %d of its copies are corrupted, and no fault has touched its disk", n.Name, f.Int("corrupted"))
	}
	return c.population(f, n)
}

func (c *itemsTold) population(f check.Fact, n check.NodeView) error {
	if !c.calm.Lasts(evidence.Began(f) - knownAfter) {
		c.Excused("not all hoarders were well")
		return nil
	}
	c.Evaluated()
	if others := int(f.Int("others")); others != len(c.calm.Members)-1 {
		return fmt.Errorf("%s says that %d others live, and %d do", n.Name, others, len(c.calm.Members)-1)
	}
	wanted := 0
	for _, it := range c.model.order {
		if at := c.said[it.root]; c.model.wanted(it) && evidence.Began(f)-at >= knownAfter {
			wanted++
		}
	}
	if items := int(f.Int("items")); items < wanted || items > len(c.model.order) {
		return fmt.Errorf("%s says that it knows %d items, of %d that are wanted and %d that ever were", n.Name, items, wanted, len(c.model.order))
	}
	return nil
}

// retrieved: what was read is what was stored, and what is wanted can be read.
func (c *itemsTold) retrieved(v check.View, f check.Fact) error {
	it := c.model.item(f.Text("root"))
	if f.Text("whole") == "true" {
		c.Evaluated()
		if it.digest != "" && f.Text("digest") != it.digest {
			return fmt.Errorf("what was read of %s is not what was stored", it.root)
		}
		return nil
	}
	switch {
	case !c.model.wanted(it) || it.lost():
		c.Excused("it is not wanted any more, or lost")
		return nil
	case !c.reaches || c.inReach > evidence.Began(f)-knownAfter:
		c.Excused("the user cannot reach all hoarders")
		return nil
	case c.onlyLiars(v, it):
		c.Excused("all who hold it lie about blocks")
		return nil
	case !c.wellKnown(f, it.root):
		return nil
	}
	took := time.Duration(f.Int("took"))
	if took >= evidence.LookTimeout && took < evidence.LookTimeout+transport.TransferTime(it.bytes) {
		c.Excused("the user did not wait for as long as a slow link takes")
		return nil
	}
	c.Evaluated()
	return fmt.Errorf("%s could not be read in %v, although all hoarders are well", it.root, took)
}

// onlyLiars reports whether nobody who holds an item gives it out as it is.
func (c *itemsTold) onlyLiars(v check.View, it *hoardItem) bool {
	for _, name := range it.holderNames() {
		if n, _ := v.Node(name); !n.Lies {
			return false
		}
	}
	return true
}

// refused: nobody refuses while all have room.
func (c *itemsTold) refused(v check.View, f check.Fact) error {
	if !c.calm.Lasts(evidence.Began(f)) || c.flying > flyingMax {
		c.Excused("not all hoarders were well, or they were busy")
		return nil
	}
	c.Evaluated()
	for _, n := range v.Nodes() {
		if c.calm.Members[n.Name] && evidence.HoarderSettings(n).Capacity-usedOnDisk(n, c.sizes) < 4*(f.Int("size")+1<<20)*int64(1+c.flying) {
			return nil
		}
	}
	return fmt.Errorf("%s was refused, although all hoarders have room", f.Text("root"))
}

// flyingMax is how many marks every hoarder serves at once.
const flyingMax = 32

// Settled implements check.OnSettled: what was demanded is on record.
func (c *itemsTold) Settled(v check.View) error {
	c.model.now = v.Now()
	if err := check.Missing(v, hoarderapi.Service); err != nil {
		return err
	}
	for _, it := range c.model.order {
		d := c.demands[it.root]
		switch {
		case d == nil || !c.model.wanted(it):
			continue
		case d.vague:
			c.Excused("a hoarder went down before it wrote the demand")
			continue
		}
		c.Evaluated()
		if total := demandOnDisks(v, it.root); total < d.total {
			return fmt.Errorf("users reported %d uses of %s, and %d are on record", d.total, it.root, total)
		}
	}
	return nil
}

// demandOnDisks is the demand for an item as the hoarder knows it that knows most.
func demandOnDisks(v check.View, root string) (most uint64) {
	for _, n := range check.Expected(v, hoarderapi.Service) {
		var total uint64
		for _, e := range replicated.OnDisk(n.Disk, hoarderapi.Service, "main", storage.K("demand", root)) {
			var record struct{ Total uint64 }
			if transport.Decode(e.Value, &record) == nil {
				total += record.Total
			}
		}
		most = max(most, total)
	}
	return most
}
