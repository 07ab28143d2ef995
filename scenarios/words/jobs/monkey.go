package jobs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// MonkeyChecks are the expectations about those that build.
func MonkeyChecks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "one-effective-outcome-per-job",
			Doc:  "all publications of a job are of one artifact, no build begins before its token is fenced, none is published after a newer token is known, a success stays one, and what was published is what succeeded",
			New: func() check.Checker {
				return &oneOutcome{jobFigures: newJobFigures(), jobPromises: newJobPromises(), fences: map[[2]string]evidence.Attempt{}, fenced: map[string][]evidence.Attempt{}, artifacts: map[string]string{}, seen: map[[2]string]patrickapi.Status{}, rebuilt: map[string]bool{}, rotted: map[string]bool{}, badDisk: map[string]bool{}, missed: map[[2]string]bool{}}
			},
		},
		{
			Name: "slots-are-kept",
			Doc:  "no monkey builds or holds more jobs at once than it has slots",
			New:  func() check.Checker { return newSlotsKept() },
		},
		{
			Name: "artifacts-are-kept",
			Doc:  "before an artifact is published, it is on as many disks of hoarders as was said; after healing whoever asks can fetch what is live, and it is what the pushed tree must come to",
			New:  func() check.Checker { return newArtifactsKept() },
		},
		{
			Name: "incarnations-rise",
			Of:   []string{}, // of all nodes
			Doc:  "each start of a node on a disk has a greater number than the one before",
			New:  func() check.Checker { return &incarnationsRise{last: map[string]int64{}, rotted: map[string]bool{}} },
		},
		{
			Name: "one-holder-per-job",
			Doc:  "no patrick grants what it has granted and not seen end, nor ends within a lease what it has granted or renewed as not renewed; nobody holds a job longer than a lease after a renewal; of two monkeys that can talk to each other, one at most believes to hold a job, but for a lease after a partition",
			New: func() check.Checker {
				return &oneHolder{leases: leases{}, since: map[string]conflict{}, grants: map[string][]grantFact{}, ended: map[string][]evidence.Attempt{}}
			},
		},
	}
}

// oneOutcome: whatever monkeys do, one outcome counts. Each comparison of what
// happens to a job with what happened to it before is one that it counts.
type oneOutcome struct {
	check.Tally
	*jobFigures
	jobPromises
	// fences is the newest attempt that a tns has heard of, by node and job.
	fences map[[2]string]evidence.Attempt
	// fenced are the attempts that any tns has heard of, by job; fencing: there
	// is a tns at all.
	fenced  map[string][]evidence.Attempt
	fencing bool
	// artifacts is what was built, published or reported, by job.
	artifacts map[string]string
	published []string // jobs, in the order of their first publication
	// looked are the jobs that Poll looks at, seen is the status of a job as a node saw
	// it last.
	looked evidence.Rota
	seen   map[[2]string]patrickapi.Status
	// rotted are nodes whose disks may not have kept what they knew.
	rotted map[string]bool
	// rebuilt are jobs that were begun anew on purpose after they had ended.
	rebuilt map[string]bool
	// missed are those that had ended and that a patrick elsewhere did not know when it was asked last.
	missed map[[2]string]bool
	// badDisk are those that may not be able to save what they know.
	badDisk map[string]bool
}

func (*oneOutcome) Name() string { return "one-effective-outcome-per-job" }

func (c *oneOutcome) Fact(f check.Fact) error {
	c.jobPromises.fact(f)
	switch {
	case f.Service == "tns" && f.Name == "replica-opened":
		c.fencing = true
	case f.Service == "tns" && (f.Name == "fenced" || f.Name == "published"):
		return c.fence(f)
	case f.Name == "build-started" && c.fencing:
		c.Evaluated()
		if !slices.Contains(c.fenced[f.Text("job")], evidence.AttemptOf(f)) {
			return fmt.Errorf("%s builds job %s under attempt %d, which no tns has heard of", f.Node, f.Text("job"), f.Int("attempt"))
		}
	case f.Service == "monkey" && f.Name == "published":
		if !slices.Contains(c.published, f.Text("job")) {
			c.published = append(c.published, f.Text("job"))
		}
		return c.artifact(f)
	case f.Name == "job-finished" && f.Text("status") == patrickapi.Success.String():
		if err := c.artifact(f); err != nil {
			return err
		}
	case f.Name == "job-rebuilt":
		c.rebuilt[f.Text("job")] = true
	case f.Service == "node" && f.Name == "disk-rotted": // it may not find what it knew
		c.rotted[f.Node] = true
	case f.Service == "node" && (f.Name == "crashed" || f.Name == "stopped" && c.badDisk[f.Node]): // it may have forgotten
		maps.DeleteFunc(c.fences, func(k [2]string, _ evidence.Attempt) bool { return k[0] == f.Node })
		maps.DeleteFunc(c.seen, func(k [2]string, _ patrickapi.Status) bool { return k[0] == f.Node })
	}
	return c.jobFigures.Fact(f)
}

// fence demands that a tns accepts nothing of an older attempt than it knows of.
func (c *oneOutcome) fence(f check.Fact) error {
	key, now := [2]string{f.Node, f.Text("job")}, evidence.AttemptOf(f)
	old, known := c.fences[key]
	switch {
	case known && c.rotted[f.Node]:
		c.Excused("a fault has touched the disk")
	case known:
		c.Evaluated()
	}
	if now.Less(old) && !c.rotted[f.Node] {
		return fmt.Errorf("%s: %s of job %s under attempt %d of %s, after attempt %d of %s was known", f.Node, f.Name, key[1], now.Number, now.Holder, old.Number, old.Holder)
	}
	c.fences[key] = now
	if !slices.Contains(c.fenced[key[1]], now) {
		c.fenced[key[1]] = append(c.fenced[key[1]], now)
	}
	return nil
}

func (c *oneOutcome) artifact(f check.Fact) error {
	job, now := f.Text("job"), f.Text("artifact")
	old, found := c.artifacts[job]
	if found {
		c.Evaluated()
	}
	if found && old != now {
		return fmt.Errorf("job %s has two artifacts, %s and, by attempt %d of %s, %s", job, old, f.Int("attempt"), f.Text("holder"), now)
	}
	c.artifacts[job] = now
	return nil
}

// Poll demands that no patrick forgets a final state for a lesser one.
func (c *oneOutcome) Poll(v check.View) error {
	c.Look(v)
	for _, n := range v.Nodes() {
		c.badDisk[n.Name] = n.DiskBad
	}
	for _, job := range c.order[len(c.looked.Ids):] {
		c.looked.Add(job, v.Now())
	}
	due := c.looked.Due(v.Now())
	up, _ := patricksUp(v)
	for _, name := range slices.Sorted(maps.Keys(up)) {
		for _, job := range slices.Concat(due[0], due[1]) {
			key := [2]string{name, job}
			was, is := c.seen[key], up[name].Status(job)
			switch forgot := up[name].Forgot(job); {
			case forgot && is != patrickapi.Unknown:
				return fmt.Errorf("job %s has ended and was forgotten on %s, and is now %s", job, name, is)
			case forgot || c.jobs[job].forgotten && is == patrickapi.Unknown:
				is = was // it does not go back
			case was.Final() && is == patrickapi.Unknown && newer(up[name]) && !c.missed[key]:
				c.missed[key] = true // that it was forgotten may not be heard yet: whoever looks next time knows
				continue
			}
			delete(c.missed, key)
			if was.Final() {
				c.Evaluated()
			}
			if was.Final() && is < was && !c.rotted[name] && (was == patrickapi.Success || !c.rebuilt[job]) {
				return fmt.Errorf("job %s was %s on %s and is now %s", job, was, name, is)
			}
			c.seen[key] = is
		}
	}
	return nil
}

// Settled demands that what was published succeeded.
func (c *oneOutcome) Settled(v check.View) error {
	up, _ := patricksUp(v)
	for _, job := range c.published {
		if c.Void(job) {
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(up)) {
			c.Evaluated()
			switch j := up[name].Job(job); {
			case c.jobs[job] != nil && c.jobs[job].forgotten:
			case j.Status != patrickapi.Success:
				return fmt.Errorf("job %s was published and is %s on %s", job, j.Status, name)
			case j.Artifact != c.artifacts[job]:
				return fmt.Errorf("job %s was published with artifact %s and has %s on %s", job, c.artifacts[job], j.Artifact, name)
			}
		}
	}
	return nil
}
