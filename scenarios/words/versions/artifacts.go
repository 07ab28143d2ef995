package versions

import (
	"fmt"
	"maps"
	"slices"

	"github.com/taucloud/tau/sim/check"
)

// liveArtifacts demands that what tns names as live can be had.
type liveArtifacts struct {
	check.Tally
	lost bool // some disk, or some of one
}

func (*liveArtifacts) Name() string { return "live-artifacts-kept" }

// Fact implements check.OnFact.
func (c *liveArtifacts) Fact(f check.Fact) error {
	if f.Service == "node" && (f.Name == "disk-rotted" || f.Name == "crashed" && f.Text("disk-lost") == "true") {
		c.lost = true
	}
	return nil
}

// Settled implements check.OnSettled.
func (c *liveArtifacts) Settled(v check.View) error {
	held := map[string]bool{}
	for _, n := range v.Nodes() {
		if h, ok := n.Service("hoarder").(Hoarder); ok && n.Up {
			for _, root := range h.Held() {
				held[root] = true
			}
		}
	}
	if err := check.Missing(v, "hoarder"); err != nil {
		return err
	}
	if c.lost {
		c.Excused("disks were lost")
		return nil
	}
	live := map[string]string{}
	err := eachTNS(v, func(name string, s TNS) error {
		branches, err := s.Branches()
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", name, err)
		}
		for _, b := range branches {
			current, err := s.Current(b.Project, b.Branch)
			if err != nil {
				return fmt.Errorf("%s: %s/%s: %w", name, b.Project, b.Branch, err)
			}
			live[b.Project+"/"+b.Branch] = current.Artifact
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, branch := range slices.Sorted(maps.Keys(live)) {
		if live[branch] == "" {
			continue
		}
		c.Evaluated()
		if !held[live[branch]] {
			return fmt.Errorf("what is live of %s is artifact %s, and no hoarder has it", branch, live[branch])
		}
	}
	return nil
}
