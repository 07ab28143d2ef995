package versions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// parts compares what users read of projects that are kept in several repositories with the marks of what was pushed to each.
type parts struct {
	check.Tally
	// repositories are those of a project; pushed are the marks of a branch of one, the newest last.
	repositories map[string][]string
	pushed       map[pushedTo][]string
	of           map[string]pushedTo // by mark
	told         map[tnsapi.BranchRequest][]string
	asked, swept bool
}

// pushedTo is a branch of a repository.
type pushedTo struct{ repository, branch string }

// headBranch is what the repositories of a simulated forge show first.
const headBranch = "main"

func newParts() *parts {
	return &parts{
		repositories: map[string][]string{}, pushed: map[pushedTo][]string{}, of: map[string]pushedTo{}, told: map[tnsapi.BranchRequest][]string{},
	}
}

func (*parts) Name() string { return "projects-are-of-their-heads" }

// Fact implements check.OnFact.
func (c *parts) Fact(f check.Fact) error {
	switch f.Name {
	case "part-sent":
		project, to, mark := f.Text("project"), pushedTo{f.Text("repository"), f.Text("branch")}, f.Text("mark")
		if !slices.Contains(c.repositories[project], to.repository) {
			c.repositories[project] = append(c.repositories[project], to.repository)
		}
		c.pushed[to] = append(c.pushed[to], mark)
		c.of[mark] = to
	case "project-told":
		return c.read(f)
	case "audit-swept":
		c.swept, c.asked = c.asked, false
	}
	return nil
}

// read judges what was read of a project: of each repository it is of one commit at most, which was pushed there.
func (c *parts) read(f check.Fact) error {
	b := evidence.BranchOf(f)
	if f.Text("error") != "" || len(c.repositories[b.Project]) == 0 {
		return nil
	}
	c.asked = true
	c.Evaluated()
	marks, seen := strings.FieldsFunc(f.Text("commits"), func(r rune) bool { return r == ' ' || r == ',' }), map[string]string{}
	says := func(what string) error {
		return fmt.Errorf("what is read of %s/%s, at order %d, is no whole: %s", b.Project, b.Branch, f.Int("order"), what)
	}
	if wrong := f.Text("wrong"); wrong != "" {
		return says(wrong)
	}
	for _, mark := range marks {
		to, known := c.of[mark]
		switch {
		case !known || !slices.Contains(c.repositories[b.Project], to.repository):
			return says(fmt.Sprintf("nobody has pushed %s to a repository of the project", mark))
		case to.branch != b.Branch && to.branch != headBranch:
			return says(fmt.Sprintf("%s is of branch %s of %s", mark, to.branch, to.repository))
		case seen[to.repository] != "":
			return says(fmt.Sprintf("%s and %s are both of %s", seen[to.repository], mark, to.repository))
		}
		seen[to.repository] = mark
	}
	c.told[b] = marks
	return nil
}

// Settled demands that what is live of each branch has, of every repository, what was pushed to that branch last; of a repository without the
// branch, some of what was pushed to the one that it shows first: what comes there later makes no job of the branch.
func (c *parts) Settled(check.View) error {
	if len(c.repositories) == 0 {
		return nil
	}
	c.Evaluated()
	if !c.swept {
		return fmt.Errorf("nobody could read a project after healing")
	}
	for _, to := range slices.SortedFunc(maps.Keys(c.pushed), func(a, b pushedTo) int {
		return strings.Compare(a.repository+"\x00"+a.branch, b.repository+"\x00"+b.branch)
	}) {
		for _, project := range slices.Sorted(maps.Keys(c.repositories)) {
			repositories := c.repositories[project]
			b := tnsapi.BranchRequest{Project: project, Branch: to.branch}
			if !slices.Contains(repositories, to.repository) {
				continue
			}
			for _, r := range repositories {
				marks := c.pushed[pushedTo{r, to.branch}]
				if len(marks) > 0 {
					marks = marks[len(marks)-1:]
				} else {
					marks = c.pushed[pushedTo{r, headBranch}]
				}
				if len(marks) > 0 && !slices.ContainsFunc(marks, func(m string) bool { return slices.Contains(c.told[b], m) }) {
					return fmt.Errorf("what is live of %s/%s is of %q, without %s, which %s has", b.Project, b.Branch, strings.Join(c.told[b], " "), strings.Join(marks, " or "), r)
				}
			}
		}
	}
	return nil
}
