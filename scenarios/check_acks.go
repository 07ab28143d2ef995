package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
)

// ackIsDurable follows each acknowledgement by patrick itself.
type ackIsDurable struct {
	check.Tally
	jobPromises
	jobs rota
	by   map[string]string // who acknowledged it last, by job
	// fresh are the acknowledgements since the last poll with one copy only.
	fresh []freshAck
	// since is when two patricks were first seen connected, with no break.
	since map[[2]string]time.Duration
}

type freshAck struct{ job, node string }

// jobPromises is the durability of jobs.
type jobPromises struct{ durability }

func newJobPromises() jobPromises {
	return jobPromises{newDurability("patrick", patrickapi.PushTimeout)}
}

// fact learns.
func (p *jobPromises) fact(f check.Fact) {
	p.durability.fact(f)
	if f.Name == "job-acked" {
		p.promise(f.Text("job"), int(f.Int("copies")), f.At)
	}
}

// steadyAfter is how long two nodes must have been connected before a call
// between them is sure to succeed: a broken conn is noticed late.
const steadyAfter = 20 * time.Second

func newAckIsDurable() *ackIsDurable {
	return &ackIsDurable{jobPromises: newJobPromises(), by: map[string]string{}, since: map[[2]string]time.Duration{}}
}

func (*ackIsDurable) Name() string { return "ack-is-durable" }

// Witness implements check.OnWitness: at the moment of an acknowledgement the job
// and its tree are on as many disks as it says.
func (c *ackIsDurable) Witness(v check.View, f check.Fact) error {
	acked := f.Service == "patrick" && f.Name == "job-acked"
	job, copies := f.Text("job"), int(f.Int("copies"))
	lost := 0
	if f.Name == "push-acknowledged" && f.Text("forgotten") != "true" && c.copies(job) == 0 {
		return fmt.Errorf("the push of job %s is acknowledged, which no patrick has made durable", job)
	}
	if acked { // a second acknowledgement may rest on what the first one had made durable
		lost = min(copies-1, c.lostOf(job, func(string) bool { return true }))
	}
	c.fact(f)
	if !acked {
		return nil
	}
	c.jobs.add(job, f.At)
	c.by[job] = f.Node
	if copies < 2 {
		c.fresh = append(c.fresh, freshAck{job, f.Node})
	}
	if lost > 0 {
		c.Excused("a disk was lost after an earlier acknowledgement")
	}
	c.Evaluated()
	records, trees := c.onDisks(v, job)
	if records < copies-lost || trees < copies-lost {
		return fmt.Errorf("job %s is acknowledged with %d copies; it is on %d disks, and its tree on %d", job, copies, records, trees)
	}
	return nil
}

// onDisks counts the disks of patricks that hold a job, and its tree, which may
// be others. The tree of a job that has ended is needed no more.
func (c *ackIsDurable) onDisks(v check.View, job string) (records, trees int) {
	var disks []storage.Durable
	var known patrickapi.Job
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, "patrick") {
			continue
		}
		disks = append(disks, n.Disk)
		if j := patrick.OnDisk(n.Disk, job); j.Status != patrickapi.Unknown {
			records++
			if j.Status >= known.Status {
				known = j
			}
		}
	}
	root, err := cid.Decode(known.Source)
	if err != nil || known.Status.Final() {
		return records, records
	}
	for _, disk := range disks {
		if _, err := storage.BlocksOnDisk(disk, root, patrickapi.TreeLenMax); err == nil {
			trees++
		}
	}
	return records, trees
}

// Poll implements check.OnPoll.
func (c *ackIsDurable) Poll(v check.View) error {
	c.look(v)
	if err := c.alone(v); err != nil {
		return err
	}
	up, down := patricksUp(v)
	for _, part := range c.jobs.due(v.Now()) {
		for _, job := range part {
			if err := c.survives(up, down, job); err != nil {
				return err
			}
		}
	}
	return nil
}

// survives demands that somebody has a job, unless more is out of reach than was
// promised to be survived.
func (c *ackIsDurable) survives(up map[string]*patrick.Service, down int, job string) error {
	gone := down + c.lostOf(job, func(node string) bool { return up[node] != nil })
	if gone >= c.copies(job) {
		c.Excused("as many patricks are down or without their disk as were promised to be survived")
		return nil
	}
	if c.void(job) {
		c.Excused("as many disks were lost as were promised to be survived")
		return nil
	}
	c.Evaluated()
	switch {
	case forgotByAny(up, job):
	case !knownToAny(up, job):
		return fmt.Errorf("job %s was acknowledged by %s with %d copies; %d patricks are down, and no other one knows it", job, c.by[job], c.copies(job), down)
	case !treeAtAny(up, job):
		return fmt.Errorf("job %s was acknowledged by %s with %d copies, and no running patrick has its tree", job, c.by[job], c.copies(job))
	}
	return nil
}

// alone demands that a patrick that acknowledged with one copy had no other to
// turn to.
func (c *ackIsDurable) alone(v check.View) error {
	up, _ := patricksUp(v)
	names := slices.Sorted(maps.Keys(up))
	if len(names) > membersMax {
		names = names[:membersMax]
		c.Excused("more patricks than are followed")
	}
	c.steady(v, names)
	fresh := c.fresh
	c.fresh = nil
	for _, f := range fresh {
		c.Evaluated()
		for _, other := range names {
			pair := [2]string{min(f.node, other), max(f.node, other)}
			if since, connected := c.since[pair]; connected && v.Now()-since > steadyAfter {
				return fmt.Errorf("%s acknowledged job %s with one copy, though %s and %s have been connected for %v", f.node, f.job, pair[0], pair[1], v.Now()-since)
			}
		}
	}
	return nil
}

// steady follows how long which patricks have been connected. What a troubled
// disk is asked to keep may not become durable in time.
func (c *ackIsDurable) steady(v check.View, names []string) {
	bad := map[string]bool{}
	for _, n := range v.Nodes() {
		bad[n.Name] = n.DiskBad
	}
	now := map[[2]string]time.Duration{}
	for i, a := range names {
		for _, b := range names[i+1:] {
			if bad[a] || bad[b] || !v.Connected(a, b) {
				continue
			}
			pair := [2]string{a, b}
			since, known := c.since[pair]
			if !known {
				since = v.Now()
			}
			now[pair] = since
		}
	}
	c.since = now
}
