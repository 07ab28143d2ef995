package items

import (
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/sim/check"
)

// verified remembers which copies on which disks were read and found whole: until
// something is said of them, or a fault touches the disk.
type verified struct {
	whole map[string]map[string]bool // by node and root
	// rotted are the nodes whose disks a fault has ever touched.
	rotted map[string]bool
}

func newVerified() verified {
	return verified{whole: map[string]map[string]bool{}, rotted: map[string]bool{}}
}

func (d verified) fact(f check.Fact) {
	if f.Name == "disk-rotted" {
		d.rotted[f.Node] = true
	}
	switch f.Name {
	case "crashed", "disk-rotted", "stopped", "started":
		delete(d.whole, f.Node)
	default:
		delete(d.whole[f.Node], f.Text("root"))
	}
}

func (d verified) holds(n check.NodeView, root string) bool {
	if d.whole[n.Name] == nil {
		d.whole[n.Name] = map[string]bool{}
	}
	if !d.whole[n.Name][root] && holdsOnDisk(n, root) && !n.DiskBad {
		d.whole[n.Name][root] = true
	}
	return d.whole[n.Name][root]
}

// scrubsSoon is how long a run waits for a scrub to find what nobody has read.
const scrubsSoon = 10 * time.Minute

// unread reports whether a copy may be bad and its hoarder cannot know that: a
// fault has touched the disk, and it is a long time until all of it has been read.
func (d verified) unread(n check.NodeView) bool {
	return d.rotted[n.Name] && evidence.HoarderSettings(n).ScrubInterval > scrubsSoon
}
