package versions

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/replicas"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Checks are the expectations about versions.
func Checks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "whole-versions-only",
			Doc:  "no tns replica ever holds a part of a version",
			New:  func() check.Checker { return &wholeVersionsOnly{checked: map[string][]string{}} },
		},
		{
			Name: "versions-are-true",
			Doc:  "whatever a user asks tns at any moment, or is told by a watch, is a version that was published, of the entries and the artifact that its tree must come to, and no older than what that replica named before; after healing everybody is told of the newest version that was acknowledged",
			New:  func() check.Checker { return newVersions() },
		},
		{
			Name: "projects-are-of-one-commit",
			Doc:  "what a user reads of a project at any moment - configuration and routes from a tns, each asset out of the artifact from hoarders - is all of one commit, and what that comes to; its provenance names that commit, its job and its builder; what cannot be built fails at the first attempt; after healing projects can be read",
			New:  func() check.Checker { return newProjects() },
		},
		{
			Name: "projects-are-of-their-heads",
			Doc:  "what a user reads of a project that is kept in several repositories is at any moment of one commit of each, which was pushed there; after healing it is of what was pushed last to each of them",
			New:  func() check.Checker { return newParts() },
		},
		{
			Name: "newest-success-is-live",
			Doc:  "a push is newer than all that had been acknowledged before it was made; after healing, the newest push of a branch that succeeded is live on every tns, or what was published or rolled back after it",
			New:  func() check.Checker { return newNewestIsLive() },
		},
		{
			Name: "no-stale-publish",
			Doc:  "no tns replica accepts a publish under a lower token than it has accepted or fenced for the job",
			New:  func() check.Checker { return &noStalePublish{nodes: map[string]*tokensSeen{}} },
		},
		{
			Name: "replicas-converged",
			Doc:  "after healing, all replicas of each replicated store are equal, and all tns name the same current commits",
			New:  func() check.Checker { return &replicasConverged{read: map[string]seenReplica{}} },
		},
		{
			Name: "live-artifacts-kept",
			Doc:  "after healing, some hoarder holds the artifact of what is live of every branch, unless disks were lost",
			New:  func() check.Checker { return &liveArtifacts{} },
		},
		{
			Name: "history-kept",
			Doc:  "after healing, every version that was durable on two replicas or more and is among the newest of its branch is kept, unless as many disks were lost",
			New: func() check.Checker {
				return &historyKept{Durability: evidence.NewDurability("tns", publishMax), branches: map[tnsapi.BranchRequest]map[string]durableVersion{}}
			},
		},
	}
}

// eachTNS calls f for each live replica until it returns an error.
func eachTNS(v check.View, f func(name string, s TNS) error) error {
	for _, n := range v.Nodes() {
		if s, ok := n.Service("tns").(TNS); ok && n.Up {
			if err := f(n.Name, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// wholeVersionsOnly looks at what is stored, not at what readers see: they would
// not see a version of which something is missing. It counts the replicas that it
// has looked through since something was published.
type wholeVersionsOnly struct {
	check.Tally
	checked   map[string][]string // by node, the heads that were found to be whole
	published int
}

func (*wholeVersionsOnly) Name() string { return "whole-versions-only" }

// Fact implements check.OnFact.
func (c *wholeVersionsOnly) Fact(f check.Fact) error {
	if f.Service != "tns" {
		return nil
	}
	switch f.Name {
	case "published":
		c.published++
	case "version-torn":
		return fmt.Errorf("%s sees a part of %s/%s commit %s", f.Node, f.Text("project"), f.Text("branch"), f.Text("commit"))
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *wholeVersionsOnly) Poll(v check.View) error {
	return eachTNS(v, func(name string, s TNS) error {
		heads := s.Replica().Heads()
		if slices.Equal(heads, c.checked[name]) {
			return nil
		}
		torn, err := s.Torn()
		if err != nil {
			c.Excused("the replica cannot be read")
			return nil // so nobody reads half of it
		}
		if c.published > 0 {
			c.Evaluated()
		}
		if len(torn) > 0 {
			return fmt.Errorf("%s: %s", name, torn[0])
		}
		c.checked[name] = heads
		return nil
	})
}

// noStalePublish keeps, for each replica, the tokens that bind it. It counts what
// a replica accepted for a job of which it knew a token.
type noStalePublish struct {
	check.Tally
	nodes map[string]*tokensSeen
}

// tokensSeen: what was accepted binds the incarnation that accepted it, what was
// made durable binds all until the disk is lost.
type tokensSeen struct {
	accepted, durable map[string]fencing.Token // by job
}

func (*noStalePublish) Name() string { return "no-stale-publish" }

// Fact implements check.OnFact.
func (c *noStalePublish) Fact(f check.Fact) error {
	if f.Service == "node" && f.Name == "disk-rotted" {
		delete(c.nodes, f.Node) // it may not find what it knew
	}
	if f.Service != "tns" {
		return nil
	}
	t := c.nodes[f.Node]
	if t == nil || (f.Name == "replica-opened" && f.Int("incarnation") == 1) {
		t = &tokensSeen{accepted: map[string]fencing.Token{}, durable: map[string]fencing.Token{}}
		c.nodes[f.Node] = t
	}
	holder, _ := f.Get("holder").(transport.Peer)
	token, job := fencing.Token{Attempt: uint64(f.Int("attempt")), Holder: holder}, f.Text("job")
	switch f.Name {
	case "replica-opened":
		t.accepted = maps.Clone(t.durable)
	case "published", "fenced":
		if _, bound := t.accepted[job]; bound {
			c.Evaluated()
		}
		if token.Compare(t.accepted[job]) < 0 {
			return fmt.Errorf("%s: %s %s under token %s, it knew of %s", f.Node, job, f.Name, token, t.accepted[job])
		}
		t.accepted[job] = token
	case "publish-durable", "fence-durable":
		if t.durable[job].Compare(token) < 0 {
			t.durable[job] = token
		}
	}
	return nil
}

// replicasConverged compares heads first, as most looks come before they are
// equal, and then contents. It counts each replica that is found to be equal to
// another and is not empty.
type replicasConverged struct {
	check.Tally
	read map[string]seenReplica // by service and node
}

// seenReplica is the content of a replica as it was read last: as long as its
// heads are the same it is not read again.
type seenReplica struct {
	replica storage.Replicated
	heads   []string
	sum     []byte
}

func (*replicasConverged) Name() string { return "replicas-converged" }

// Settled implements check.OnSettled.
func (c *replicasConverged) Settled(v check.View) error {
	for _, service := range replicas.Services {
		if err := c.storesEqual(v, service); err != nil {
			return err
		}
	}
	return currentEqual(v)
}

func (c *replicasConverged) storesEqual(v check.View, service string) error {
	var nodes []string
	var seen []seenReplica
	for _, n := range check.Expected(v, service) {
		owner, ok := n.Service(service).(replicas.Owner)
		if !ok || !n.Up || owner.Replica() == nil {
			return fmt.Errorf("%s on %s has not opened its replica", service, n.Name)
		}
		r := seenReplica{replica: owner.Replica(), heads: owner.Replica().Heads()}
		nodes, seen = append(nodes, n.Name), append(seen, r)
		if !slices.Equal(seen[0].heads, r.heads) {
			return fmt.Errorf("%s on %s and %s have different heads", service, nodes[0], n.Name)
		}
	}
	for i, name := range nodes {
		if err := c.readOnce(service+" "+name, &seen[i]); err != nil {
			return fmt.Errorf("%s on %s cannot be read: %w", service, name, err)
		}
		if !bytes.Equal(seen[0].sum, seen[i].sum) {
			clear(c.read) // that must not be for what was read at another time
			return fmt.Errorf("%s on %s and %s have equal heads and different contents", service, nodes[0], name)
		}
		if i > 0 && len(seen[i].heads) > 0 {
			c.Evaluated()
		}
	}
	return nil
}

// readOnce fills in the content.
func (c *replicasConverged) readOnce(key string, r *seenReplica) error {
	if last := c.read[key]; last.replica == r.replica && slices.Equal(last.heads, r.heads) {
		r.sum = last.sum
		return nil
	}
	list, err := r.replica.List("")
	if err == nil {
		r.sum = contentOf(list)
		c.read[key] = *r
	}
	return err
}

func contentOf(list []storage.Entry) []byte {
	h := sha256.New()
	var line []byte
	for _, e := range list {
		line = binary.AppendUvarint(line[:0], uint64(len(e.Key)))
		line = append(line, e.Key...)
		line = binary.AppendUvarint(line, uint64(len(e.Value)))
		h.Write(line)
		h.Write(e.Value)
	}
	return h.Sum(nil)
}

// currentEqual compares what readers see.
func currentEqual(v check.View) error {
	var want map[tnsapi.BranchRequest]string
	first := ""
	return eachTNS(v, func(name string, s TNS) error {
		got := map[tnsapi.BranchRequest]string{}
		branches, err := s.Branches()
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", name, err)
		}
		for _, b := range branches {
			current, err := s.Current(b.Project, b.Branch)
			if err != nil {
				return fmt.Errorf("%s: %s/%s: %w", name, b.Project, b.Branch, err)
			}
			got[b] = fmt.Sprintf("%s by %s at %d", current.Commit, current.Job, current.Order)
		}
		if first == "" {
			first, want = name, got
		}
		if !maps.Equal(want, got) {
			return fmt.Errorf("%s and %s name different current commits: %v and %v", first, name, want, got)
		}
		return nil
	})
}

// historyKept remembers what was durable on two replicas or more, by branch and
// job.
type historyKept struct {
	check.Tally
	evidence.Durability
	branches map[tnsapi.BranchRequest]map[string]durableVersion
}

// promiseOf names the promise that a version of a branch is kept.
func promiseOf(b tnsapi.BranchRequest, job string) string {
	return b.Project + "/" + b.Branch + " " + job
}

type durableVersion struct {
	height evidence.Height
	copies int
}

// publishMax is longer than a publish takes from the first durable copy on.
const publishMax = 30 * time.Second

func (*historyKept) Name() string { return "history-kept" }

// Fact implements check.OnFact.
func (c *historyKept) Fact(f check.Fact) error {
	c.Durability.Learn(f)
	if f.Service != "tns" || f.Name != "publish-durable" || f.Int("copies") < 2 {
		return nil
	}
	b := tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")}
	if c.branches[b] == nil {
		c.branches[b] = map[string]durableVersion{}
	}
	c.branches[b][f.Text("job")] = durableVersion{evidence.HeightOf(f), int(f.Int("copies"))}
	c.Promise(promiseOf(b, f.Text("job")), int(f.Int("copies")), f.At)
	return nil
}

// Poll implements check.OnPoll.
func (c *historyKept) Poll(v check.View) error {
	c.Look(v)
	return nil
}

// Settled implements check.OnSettled.
func (c *historyKept) Settled(v check.View) error {
	return eachTNS(v, func(name string, s TNS) error {
		for _, b := range slices.SortedFunc(maps.Keys(c.branches), evidence.CompareBranches) {
			durable := maps.Clone(c.branches[b])
			maps.DeleteFunc(durable, func(job string, _ durableVersion) bool { return c.Void(promiseOf(b, job)) })
			for range len(c.branches[b]) - len(durable) {
				c.Excused("as many disks were lost as were promised to be survived")
			}
			c.EvaluatedMany(len(durable))
			kept, err := s.History(b.Project, b.Branch)
			if err != nil {
				return fmt.Errorf("%s cannot be read: %w", name, err)
			}
			if err := keptNewest(kept, durable, s.KeepVersions()); err != nil {
				return fmt.Errorf("%s: %s/%s: %w", name, b.Project, b.Branch, err)
			}
		}
		return nil
	})
}

// keptNewest: what is missing of durable must be older than keep others.
func keptNewest(kept []tnsapi.Version, durable map[string]durableVersion, keep int) error {
	jobs := map[string]bool{}
	for _, v := range kept {
		jobs[v.Job] = true
	}
	for _, job := range slices.Sorted(maps.Keys(durable)) {
		newer := 0
		for _, v := range kept {
			if (evidence.Height{Major: v.Order, Minor: uint64(v.Rollback)}).Compare(durable[job].height) >= 0 { // of equal orders the token decides
				newer++
			}
		}
		if !jobs[job] && newer < keep {
			return fmt.Errorf("job %s was durable and is missing, only %d newer versions are kept", job, newer)
		}
	}
	return nil
}
