package jobs

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage/blocks"
)

// ackIsDurable follows each acknowledgement by patrick itself.
type ackIsDurable struct {
	check.Tally
	jobPromises
	answered onDisk
	jobs     evidence.Rota
	by       map[string]string // who acknowledged it last, by job
	// began is when a job was first accepted, struck when a node's disk last lost
	// something.
	began, struck map[string]time.Duration
	rotted        map[string]bool // whose disks forget whenever they start
	// fresh are the acknowledgements since the last poll with one copy only.
	fresh []freshAck
	// since is when two patricks were first seen connected, with no break.
	since map[[2]string]time.Duration
}

type freshAck struct{ job, node string }

// jobPromises is the durability of jobs. bytes are the sizes of their trees: a copy
// of a large one may have been counted long before it is acknowledged.
type jobPromises struct {
	evidence.Durability
	bytes map[string]int64
}

func newJobPromises() jobPromises {
	return jobPromises{evidence.NewDurability("patrick", patrickapi.PushTimeout), map[string]int64{}}
}

// fact learns.
func (p *jobPromises) fact(f check.Fact) {
	p.Durability.Learn(f)
	switch job := f.Text("job"); f.Name {
	case "job-accepted":
		p.bytes[job] = max(p.bytes[job], f.Int("bytes"))
	case "job-acked":
		p.Promise(job, int(f.Int("copies")), f.At-patrickapi.PushTime(p.bytes[job])+patrickapi.PushTimeout)
	}
}

func newAckIsDurable() *ackIsDurable {
	return &ackIsDurable{jobPromises: newJobPromises(), answered: newOnDisk(), rotted: map[string]bool{}, by: map[string]string{}, since: map[[2]string]time.Duration{}, began: map[string]time.Duration{}, struck: map[string]time.Duration{}}
}

func (*ackIsDurable) Name() string { return "ack-is-durable" }

// Witness implements check.OnWitness: at the moment of an acknowledgement the job
// and its tree are on as many disks as it says.
func (c *ackIsDurable) Witness(v check.View, f check.Fact) error {
	job := f.Text("job")
	if f.Name == "push-acknowledged" && f.Text("forgotten") != "true" && c.Copies(job) == 0 {
		return fmt.Errorf("the push of job %s is acknowledged, which no patrick has made durable", job)
	}
	c.strikes(f)
	c.answered.fact(f)
	judged, err := c.answered.judge(v, f, c.lostSince)
	if judged {
		c.Evaluated()
	}
	if err != nil {
		return err
	}
	if f.Service != "patrick" || f.Name != "job-acked" {
		c.fact(f)
		return nil
	}
	defer c.fact(f) // the promise replaces that of an earlier acknowledgement, which is asked about here
	c.jobs.Add(job, f.At)
	c.by[job] = f.Node
	copies := int(f.Int("copies"))
	if copies < 2 {
		c.fresh = append(c.fresh, freshAck{job, f.Node})
	}
	c.Evaluated()
	record, tree := c.onDisks(v, job)
	lost := max(c.lostWhile(job, record.lack), c.lostWhile(job, tree.lack))
	if lost > 0 {
		c.Excused("a disk has lost what it had while the acknowledgement was being made, or since an earlier one")
	}
	if record.have+c.lostWhile(job, record.lack) < copies || tree.have+c.lostWhile(job, tree.lack) < copies {
		return fmt.Errorf("job %s is acknowledged with %d copies; it is on %d disks, and its tree on %d", job, copies, record.have, tree.have)
	}
	return nil
}

// strikes notes when a patrick first had a job, when a disk lost something, and who moves: others have to
// find it, which breaks a connection as a restart does.
func (c *ackIsDurable) strikes(f check.Fact) {
	switch {
	case f.Service == "patrick" && f.Name == "job-accepted":
		if _, known := c.began[f.Text("job")]; !known {
			c.began[f.Text("job")] = f.At
		}
	case f.Service != "node":
	case f.Name == "moved":
		maps.DeleteFunc(c.since, func(pair [2]string, _ time.Duration) bool { return slices.Contains(pair[:], f.Node) })
	case f.Name == "disk-rotted":
		c.struck[f.Node], c.rotted[f.Node] = f.At, true
	case f.Name == "crashed" && f.Text("disk-lost") == "true":
		c.struck[f.Node] = f.At
	}
}

// lostSince reports whether a node's disk may have lost what came after a moment.
func (c *ackIsDurable) lostSince(node string, since time.Duration) bool {
	at, struck := c.struck[node]
	return c.rotted[node] || struck && at >= since
}

// lostWhile counts those of the nodes that lack a job whose disks may have had it:
// they lost something after the job was there, or since it was acknowledged
// before. No patrick can notice that of a copy that was synced.
func (c *ackIsDurable) lostWhile(job string, lack []string) int {
	lost := 0
	began, known := c.began[job]
	for _, node := range lack {
		at, struck := c.struck[node]
		if struck && known && at >= began || c.LostOf(job, func(n string) bool { return n == node }) > 0 {
			lost++
		}
	}
	return lost
}

// spread is how many disks have something, and whose lack it.
type spread struct {
	have int
	lack []string
}

func (s *spread) add(node string, has bool) {
	if has {
		s.have++
	} else {
		s.lack = append(s.lack, node)
	}
}

// onDisks finds a job, and its tree, on the disks of patricks; they may be on
// different ones. The tree of a job that has ended is needed no more.
func (c *ackIsDurable) onDisks(v check.View, job string) (record, tree spread) {
	var nodes []check.NodeView
	var known patrickapi.Job
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, "patrick") {
			continue
		}
		nodes = append(nodes, n)
		j := patrick.OnDisk(n.Disk, job)
		if record.add(n.Name, j.Status != patrickapi.Unknown); j.Status >= known.Status {
			known = j
		}
	}
	root, err := cid.Decode(known.Source)
	if err != nil || known.Status.Final() {
		return record, record
	}
	for _, n := range nodes {
		_, err := blocks.OnDisk(n.Disk, root, patrickapi.TreeLenMax)
		tree.add(n.Name, err == nil)
	}
	return record, tree
}

// Poll implements check.OnPoll.
func (c *ackIsDurable) Poll(v check.View) error {
	c.Look(v)
	c.answered.look(v)
	if err := c.alone(v); err != nil {
		return err
	}
	up, down := patricksUp(v)
	for _, part := range c.jobs.Due(v.Now()) {
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
func (c *ackIsDurable) survives(up map[string]Patrick, down int, job string) error {
	gone := down + c.LostOf(job, func(node string) bool { return up[node] != nil })
	if gone >= c.Copies(job) {
		c.Excused("as many patricks are down or without their disk as were promised to be survived")
		return nil
	}
	if c.Void(job) {
		c.Excused("as many disks were lost as were promised to be survived")
		return nil
	}
	c.Evaluated()
	switch {
	case forgotByAny(up, job):
	case !knownToAny(up, job):
		return fmt.Errorf("job %s was acknowledged by %s with %d copies; %d patricks are down, and no other one knows it", job, c.by[job], c.Copies(job), down)
	case !treeAtAny(up, job):
		return fmt.Errorf("job %s was acknowledged by %s with %d copies, and no running patrick has its tree", job, c.by[job], c.Copies(job))
	}
	return nil
}

// alone demands that a patrick that acknowledged with one copy had no other to
// turn to.
func (c *ackIsDurable) alone(v check.View) error {
	up, _ := patricksUp(v)
	names := slices.Sorted(maps.Keys(up))
	if len(names) > evidence.MembersMax {
		names = names[:evidence.MembersMax]
		c.Excused("more patricks than are followed")
	}
	c.steady(v, names)
	fresh := c.fresh
	c.fresh = nil
	for _, f := range fresh {
		c.Evaluated()
		for _, other := range names {
			pair := [2]string{min(f.node, other), max(f.node, other)}
			if since, connected := c.since[pair]; connected && v.Now()-since > evidence.SteadyAfter {
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
