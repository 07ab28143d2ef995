package versions

import (
	"fmt"
	"slices"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// projects compares what users read of projects - configuration, routes, assets - with the marks of the commits that they pushed, and
// counts what was built for it.
type projects struct {
	check.Tally
	assets map[commitName][]string // digests that a commit may have
	// broken are the jobs of trees that cannot be built, by how many attempts have said so.
	broken map[string]int
	// crashed: some node did, so that what one was told may be forgotten.
	crashed       bool
	built, reused int
	swept, asked  bool
}

// commitName tells commits of a branch apart.
type commitName struct {
	branch tnsapi.BranchRequest
	commit string
}

func newProjects() *projects {
	return &projects{assets: map[commitName][]string{}, broken: map[string]int{}}
}

func (*projects) Name() string { return "projects-are-of-one-commit" }

// Figures implements check.Figures.
func (c *projects) Figures() map[string]float64 {
	return map[string]float64{"projects.built": float64(c.built), "projects.reused": float64(c.reused)}
}

// Fact implements check.OnFact.
func (c *projects) Fact(f check.Fact) error {
	switch f.Name {
	case "project-sent":
		name := commitName{evidence.BranchOf(f), f.Text("commit")}
		c.assets[name] = append(c.assets[name], f.Text("assets"))
	case "push-sent":
		if _, known := c.broken[f.Text("job")]; !known && f.Text("fail") == "permanent" {
			c.broken[f.Text("job")] = 0
		}
	case "crashed":
		c.crashed = true
	case "step-built":
		c.built++
	case "asset-reused":
		c.reused++
	case "project-told":
		return c.told(f)
	case "audit-swept":
		c.swept, c.asked = c.asked, false
	}
	if f.Service == patrickapi.Service {
		return c.ends(f)
	}
	return nil
}

// ends demands that the fault of who has pushed ends a job at once: a second attempt would come to the same.
func (c *projects) ends(f check.Fact) error {
	job := f.Text("job")
	attempts, broken := c.broken[job]
	switch {
	case !broken:
	case f.Name == "job-rebuilt":
		c.broken[job] = 0
	case f.Name == "job-released" && f.Text("success") != "true" && f.Text("abandoned") != "true":
		c.broken[job]++
	case f.Name == "job-finished" && f.Text("status") == patrickapi.Failed.String():
		if c.crashed {
			c.Excused("a patrick may have forgotten what it was told")
			return nil
		}
		c.Evaluated()
		if attempts > 1 {
			return fmt.Errorf("job %s cannot be built, and was tried %d times", job, attempts)
		}
	}
	return nil
}

// told judges what was read of a project.
func (c *projects) told(f check.Fact) error {
	if f.Text("error") != "" {
		return nil // late, lost or refused
	}
	c.asked = true
	b, commit := evidence.BranchOf(f), f.Text("commit")
	c.Evaluated()
	says := func(what string) error {
		return fmt.Errorf("what is read of commit %s of %s/%s, at order %d, is no whole: %s", commit, b.Project, b.Branch, f.Int("order"), what)
	}
	switch want := c.assets[commitName{b, commit}]; {
	case f.Text("wrong") != "":
		return says(f.Text("wrong"))
	case f.Text("commits") != commit:
		return says(fmt.Sprintf("its configuration, routes and assets are of %q", f.Text("commits")))
	case !slices.Contains(want, f.Text("assets")):
		return says("its assets are not what the commit comes to")
	}
	return nil
}

// Settled demands that projects can be read.
func (c *projects) Settled(check.View) error {
	if len(c.assets) == 0 {
		return nil
	}
	c.Evaluated()
	if !c.swept {
		return fmt.Errorf("nobody could read a project after healing")
	}
	return nil
}
