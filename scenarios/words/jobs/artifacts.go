package jobs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage/blocks"
)

// artifactsKept: what is published can be fetched, whatever becomes of its
// monkey.
type artifactsKept struct {
	check.Tally
	evidence.Durability
	// current is the artifact that is live, by branch, as tns told a user last.
	current map[tnsapi.BranchRequest]string
	// read are the artifacts that a user fetched in the last sweep that has ended, sweeping those since: whether whole, the last time.
	sweeping, read map[string]bool
	swept          bool
}

func newArtifactsKept() *artifactsKept {
	return &artifactsKept{
		Durability: evidence.NewDurability(hoarderapi.Service, hoarderapi.PinTimeout), current: map[tnsapi.BranchRequest]string{}, sweeping: map[string]bool{},
	}
}

func (*artifactsKept) Name() string { return "artifacts-are-kept" }

// Witness implements check.OnWitness.
func (c *artifactsKept) Witness(v check.View, f check.Fact) error {
	c.Learn(f)
	switch {
	case f.Service == "monkey" && f.Name == "artifact-kept":
		c.Promise(f.Text("artifact"), int(f.Int("copies")), f.At)
		return c.onDisk(v, f, max(1, int(f.Int("copies"))))
	case f.Service == "monkey" && f.Name == "published":
		if c.Copies(f.Text("artifact")) == 0 {
			return fmt.Errorf("%s publishes job %s, and no hoarder was asked to keep artifact %s", f.Node, f.Text("job"), f.Text("artifact"))
		}
		if c.Void(f.Text("artifact")) {
			c.Excused("as many disks were lost as were promised to be survived")
			return nil
		}
		return c.onDisk(v, f, 1)
	case f.Name == "current-told" && f.Text("error") == "":
		c.current[evidence.BranchOf(f)] = f.Text("artifact")
	case f.Name == "artifact-read":
		c.sweeping[f.Text("root")] = f.Text("whole") == "true"
	case f.Name == "audit-swept":
		c.read, c.sweeping, c.swept = c.sweeping, map[string]bool{}, true
	}
	return nil
}

// onDisk demands that an artifact is on the disks of hoarders.
func (c *artifactsKept) onDisk(v check.View, f check.Fact, copies int) error {
	root, err := cid.Decode(f.Text("artifact"))
	if err != nil {
		return fmt.Errorf("%s: artifact %q: %w", f.Node, f.Text("artifact"), err)
	}
	found := 0
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, hoarderapi.Service) {
			continue
		}
		if _, err := blocks.OnDisk(n.Disk, root, evidence.ArtifactMax); err == nil {
			found++
		}
	}
	c.Evaluated()
	if lost := c.LostOf(f.Text("artifact"), func(string) bool { return true }); found+lost < copies {
		return fmt.Errorf("%s relies on %d copies of artifact %s of job %s at hoarders, there are %d", f.Node, copies, f.Text("artifact"), f.Text("job"), found)
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *artifactsKept) Poll(v check.View) error {
	c.Look(v)
	return nil
}

// Settled demands that a user can fetch what is live.
func (c *artifactsKept) Settled(v check.View) error {
	if !c.swept {
		return fmt.Errorf("nobody has fetched artifacts after healing yet")
	}
	for _, b := range slices.SortedFunc(maps.Keys(c.current), evidence.CompareBranches) {
		root := c.current[b]
		if root == "" {
			continue
		}
		if c.Copies(root) == 0 || c.Void(root) {
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		}
		c.Evaluated()
		whole, again := c.sweeping[root] // a sweep over slow links takes longer than an artifact
		if !again {
			whole = c.read[root]
		}
		if !whole {
			return fmt.Errorf("artifact %s is live on %s/%s and could not be fetched", root, b.Project, b.Branch)
		}
	}
	return nil
}
