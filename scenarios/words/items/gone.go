package items

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
)

// copyLetGo is a copy that its hoarder has let go.
type copyLetGo struct {
	node, root string
	at         time.Duration
}

// lettingGoMax bounds the copies that are waited for: the oldest go.
const lettingGoMax = 4096

func (c *lastCopyKept) noteLetGo(f check.Fact) {
	c.letGo = append(c.letGo, copyLetGo{f.Node, f.Text("root"), f.At})
	c.letGo = c.letGo[max(0, len(c.letGo)-lettingGoMax):]
}

// forgetLetGo: it is here again, on purpose.
func (c *lastCopyKept) forgetLetGo(f check.Fact) {
	c.letGo = slices.DeleteFunc(c.letGo, func(g copyLetGo) bool { return g.node == f.Node && g.root == f.Text("root") })
}

// goneWithin is how long after it was let go a copy may be on record on the disk: until
// the sweep that syncs removals.
func goneWithin(n check.NodeView) time.Duration {
	return evidence.HoarderSettings(n).SweepInterval*3/2 + 5*time.Second
}

// staysGone demands that a power cut would not bring back what was let go for good: in
// time, if all hoarders were well meanwhile.
func (c *lastCopyKept) staysGone(v check.View) error {
	keep := c.letGo[:0]
	for _, g := range c.letGo {
		n, _ := v.Node(g.node)
		if v.Now()-g.at < goneWithin(n) {
			keep = append(keep, g)
			continue
		}
		if s, ok := n.Service(hoarderapi.Service).(Hoarder); !ok || !c.calm.Lasts(g.at) || fetches(s) {
			c.Excused("not all hoarders were well, or it is fetched again")
			continue
		}
		c.Evaluated()
		if recordedOnDisk(n, g.root) {
			return fmt.Errorf("%s let go of its copy of %s %v ago, and a power cut would bring it back", g.node, g.root, v.Now()-g.at)
		}
	}
	c.letGo = keep
	return nil
}

func fetches(h Hoarder) bool {
	_, transfers := h.Reserved()
	return transfers > 0
}
