package versions

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// versions compares what replicas of tns tell a user who asks all the time, and
// watches, with what was published and what it must consist of.
type versions struct {
	check.Tally
	*versionModel
	evidence.Surroundings
	evidence.Durability
	evidence.Calm
	// held is what one replica names as current: newer and newer. durable is what
	// a replica has made durable itself, and the next incarnation must know.
	held    map[replicaBranch]*evidence.MaxRegister
	durable map[replicaBranch]evidence.Height
	// promised are the newest versions that were acknowledged, by branch.
	promised map[tnsapi.BranchRequest]durableVersion
	// sweeping and swept are what is current by the sweep that goes on and by the
	// last one, watched what watchers were told last.
	sweeping, swept map[tnsapi.BranchRequest]evidence.Height
	watched         map[tnsapi.BranchRequest]evidence.Height
	// lengths are those of the histories told last, durableOf counts the jobs of
	// which a version was durable on two replicas or more.
	lengths, durableOf map[tnsapi.BranchRequest]int
	counted            map[string]bool
	everLost           bool // some replica has lost something
}

type replicaBranch struct {
	node   string
	branch tnsapi.BranchRequest
}

func newVersions() *versions {
	return &versions{
		Durability: evidence.NewDurability(tnsapi.Service, publishMax), Calm: evidence.NewCalm(tnsapi.Service), versionModel: newVersionModel(), Surroundings: evidence.NewSurroundings(), held: map[replicaBranch]*evidence.MaxRegister{}, durable: map[replicaBranch]evidence.Height{},
		promised: map[tnsapi.BranchRequest]durableVersion{}, sweeping: map[tnsapi.BranchRequest]evidence.Height{}, watched: map[tnsapi.BranchRequest]evidence.Height{},
		lengths: map[tnsapi.BranchRequest]int{}, durableOf: map[tnsapi.BranchRequest]int{}, counted: map[string]bool{},
	}
}

func (*versions) Name() string { return "versions-are-true" }

// Fact implements check.OnFact.
func (c *versions) Fact(f check.Fact) error {
	c.Durability.Learn(f)
	c.everLost = c.everLost || len(c.Lost) > 0
	c.Surroundings.Learn(f)
	c.Calm.Learn(f)
	c.versionModel.fact(f)
	switch {
	case f.Service == "node" && (f.Name == "crashed" || f.Name == "stopped"):
		c.restart(f)
	case f.Service == "tns" && f.Name == "published":
		c.register(f.Node, evidence.BranchOf(f)).Done(f.At, evidence.HeightOf(f))
	case f.Service == "tns" && f.Name == "publish-durable":
		c.noteDurable(f)
	case f.Name == "current-told", f.Name == "entries-told":
		return c.current(f)
	case f.Name == "version-told":
		return c.version(f, "tells of")
	case f.Name == "rollback-acknowledged":
		return c.rolledBack(f)
	case f.Name == "history-told":
		if f.Text("error") == "" {
			c.lengths[evidence.BranchOf(f)] = int(f.Int("versions"))
		}
		if wrong := f.Text("wrong"); wrong != "" {
			return fmt.Errorf("the history that %s tells is wrong: %s", c.AnsweredBy(f), wrong)
		}
	case f.Name == "entries-read":
		if text := c.readContradiction(f); f.Int("order") != 0 && text != "" {
			return fmt.Errorf("%s lets commit %s be read, and %s", c.AnsweredBy(f), f.Text("commit"), text)
		}
	case f.Name == "watch-told":
		return c.watch(f)
	case f.Name == "audit-swept":
		c.swept, c.sweeping = c.sweeping, map[tnsapi.BranchRequest]evidence.Height{}
	}
	return nil
}

func (c *versions) register(node string, b tnsapi.BranchRequest) *evidence.MaxRegister {
	key := replicaBranch{node, b}
	r := c.held[key]
	if r == nil {
		r = &evidence.MaxRegister{Shared: c.branch(b).begun}
		c.held[key] = r
	}
	return r
}

// restart forgets what the next incarnation need not know.
func (c *versions) restart(f check.Fact) {
	keys := slices.Collect(maps.Keys(c.held)) // the order does not matter: each is treated by itself
	for _, key := range keys {
		if key.node != f.Node {
			continue
		}
		delete(c.held, key)
		if f.Text("disk-lost") == "true" {
			delete(c.durable, key)
		} else if h, known := c.durable[key]; known && !c.Rotted[f.Node] {
			c.register(key.node, key.branch).Done(f.At, h)
		}
	}
}

// noteDurable notes what is durable.
func (c *versions) noteDurable(f check.Fact) {
	key, h := replicaBranch{f.Node, evidence.BranchOf(f)}, evidence.HeightOf(f)
	if c.durable[key].Compare(h) < 0 {
		c.durable[key] = h
	}
	if id := promiseOf(key.branch, f.Text("job")); f.Int("copies") >= 2 && !c.counted[id] {
		c.counted[id] = true
		c.durableOf[key.branch]++
	}
	if p := c.promised[key.branch]; p.height.Compare(h) <= 0 {
		copies := int(f.Int("copies"))
		if p.height == h {
			copies = max(copies, p.copies)
		}
		c.promised[key.branch] = durableVersion{height: h, copies: copies}
		c.Promise(promiseOf(key.branch, h.String()), copies, f.At)
	}
}

// current judges what a replica says is live.
func (c *versions) current(f check.Fact) error {
	if f.Text("error") != "" {
		return nil // late, lost or refused
	}
	b, by, h := evidence.BranchOf(f), c.AnsweredBy(f), evidence.HeightOf(f)
	if f.Name == "current-told" {
		c.sweeping[b] = h
	}
	if h != (evidence.Height{}) {
		if err := c.version(f, "names as current"); err != nil {
			return err
		}
	}
	if c.Rotted[by] {
		c.Excused("the disk of the replica has rotted")
		return nil
	}
	if c.branch(b).ambiguous {
		c.Excused("a job has published under two orders")
		return nil
	}
	c.Evaluated()
	if err := c.register(by, b).Read(f.At-time.Duration(f.Int("took")), f.At, h); err != nil {
		return fmt.Errorf("%s names commit %q of %s/%s as current: order %w", by, f.Text("commit"), b.Project, b.Branch, err)
	}
	return nil
}

func (c *versions) version(f check.Fact, how string) error {
	c.Evaluated()
	if text := c.contradiction(f); text != "" {
		return fmt.Errorf("%s %s commit %s of %s/%s: %s", c.AnsweredBy(f), how, f.Text("commit"), f.Text("project"), f.Text("branch"), text)
	}
	return nil
}

// rolledBack judges what a user is told who wants an older commit back: it was
// published anew, after what it replaces, or the replica had it as current.
func (c *versions) rolledBack(f check.Fact) error {
	c.Evaluated()
	if text := c.contradiction(f); text != "" {
		return fmt.Errorf("a rollback to commit %s is acknowledged: %s", f.Text("asked"), text)
	}
	if f.Text("commit") != f.Text("asked") {
		return fmt.Errorf("a rollback to commit %s is acknowledged with commit %s of order %s", f.Text("asked"), f.Text("commit"), evidence.HeightOf(f))
	}
	if evidence.HeightOf(f).Minor == 0 {
		return c.current(f) // as it was pushed: it must be live where nothing was to be done
	}
	return nil
}

// watch judges what a watcher is told: newer and newer versions.
func (c *versions) watch(f check.Fact) error {
	b, h := evidence.BranchOf(f), evidence.HeightOf(f)
	if text := c.contradiction(f); text != "" {
		return fmt.Errorf("whoever watches %s/%s is told of commit %s: %s", b.Project, b.Branch, f.Text("commit"), text)
	}
	c.Evaluated()
	if old := c.watched[b]; h.Compare(old) < 0 {
		return fmt.Errorf("whoever watches %s/%s is told of order %s after %s", b.Project, b.Branch, h, old)
	}
	c.watched[b] = h
	return nil
}

// Poll implements check.OnPoll.
func (c *versions) Poll(v check.View) error {
	c.Durability.Look(v)
	c.Surroundings.Look(v)
	c.Calm.Look(v)
	return c.prompt(v)
}

// tellWatchersWithin is how long a change may take to whoever watches.
const tellWatchersWithin = 3 * time.Second

// prompt demands that watchers are told of a change when it happens, if the cloud
// is whole and they can talk to all of it.
func (c *versions) prompt(v check.View) error {
	for member := range c.Calm.Members {
		if !v.Connected(scenario.Client, member) {
			c.Whole = false
		}
	}
	for _, b := range slices.SortedFunc(maps.Keys(c.watched), evidence.CompareBranches) {
		t := c.branch(b)
		if t.newestAt == 0 || v.Now()-t.newestAt < tellWatchersWithin || t.ambiguous || c.watched[b].Compare(t.newest) >= 0 {
			continue
		}
		if !c.Lasts(t.newestAt) {
			c.Excused("the cloud was not whole")
			continue
		}
		return fmt.Errorf("whoever watches %s/%s was told of order %s last, %v after order %s was published", b.Project, b.Branch, c.watched[b], v.Now()-t.newestAt, t.newest)
	}
	return nil
}

// Witness implements check.OnWitness: when tns says that a version or a fence is
// durable, it is on as many disks.
func (c *versions) Witness(v check.View, f check.Fact) error {
	if f.Service != tnsapi.Service || f.Name != "publish-durable" && f.Name != "fence-durable" {
		return nil
	}
	b := evidence.BranchOf(f)
	holder, _ := f.Get("holder").(transport.Peer)
	token, job := fencing.Token{Attempt: uint64(f.Int("attempt")), Holder: holder}, f.Text("job")
	if t := c.branch(b); t.newerThan(job, c.Keep) || t.later(job, evidence.AttemptOf(f)) {
		c.Excused("newer versions may have taken its place")
		return nil
	}
	copies, found := int(f.Int("copies")), 0
	for _, n := range v.Nodes() {
		if found >= copies {
			break // there may be more
		}
		if slices.Contains(n.Services, tnsapi.Service) &&
			(f.Name == "fence-durable" && tns.FencedOnDisk(n.Disk, b.Project, b.Branch, job, token) || tns.OnDisk(n.Disk, b.Project, b.Branch, job, token)) {
			found++
		}
	}
	for node, l := range c.Lost {
		if l.At > f.At-tnsapi.TryWriteTimeout && c.Durability.Members[node] {
			found++ // it may have had it when it was asked
		}
	}
	c.Evaluated()
	if found < copies {
		return fmt.Errorf("%s of job %s under attempt %d is said to be on %d disks, it is on %d", f.Name, job, token.Attempt, copies, found)
	}
	return nil
}

// Settled demands that whoever asks or watches is told of the newest version that
// was acknowledged, or of a newer one.
func (c *versions) Settled(v check.View) error {
	if err := check.Missing(v, tnsapi.Service); err != nil {
		return err
	}
	if c.swept == nil {
		return fmt.Errorf("nobody has asked tns after healing yet")
	}
	for _, b := range slices.SortedFunc(maps.Keys(c.promised), evidence.CompareBranches) {
		p := c.promised[b]
		if c.Void(promiseOf(b, p.height.String())) {
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		}
		if c.branch(b).ambiguous {
			c.Excused("a job has published under two orders")
			continue
		}
		c.Evaluated()
		if told := c.swept[b]; told.Compare(p.height) < 0 {
			return fmt.Errorf("whoever asks is told that order %s of %s/%s is current, order %s was acknowledged", told, b.Project, b.Branch, p.height)
		}
		if kept := min(c.Keep, c.durableOf[b]); c.lengths[b] < kept && !c.everLost {
			return fmt.Errorf("whoever asks for the history of %s/%s is told of %d versions, %d are kept", b.Project, b.Branch, c.lengths[b], kept)
		}
		if told, watches := c.watched[b]; watches && told.Compare(p.height) < 0 {
			return fmt.Errorf("whoever watches %s/%s was told of order %s last, order %s was acknowledged", b.Project, b.Branch, told, p.height)
		}
	}
	return nil
}
