package trust

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

const revokedName = "revoked-are-out"

const (
	// knownWithin is within what time a node that reaches an auth that knows of a revocation does, too.
	knownWithin = 5 * time.Second
	// spreadWithin is the same for an auth: it hears of it at once if it can be reached then, and otherwise when it
	// compares what it has with the others, one after the other, every 5 s.
	spreadWithin = 30 * time.Second
)

// Figures describe those of this package's checks.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "nodes.joined", Unit: "nodes", Doc: "nodes that have come by an invitation"},
		{Name: "nodes.turned-away", Unit: "nodes", Doc: "starts of nodes that an auth would not admit by their invitation"},
	}
}

// Constant are the checks that are expected in every scenario.
func Constant() []string { return []string{revokedName} }

// Checks are what is demanded of auth, and of all nodes' doors.
func Checks() []scenario.Check {
	return []scenario.Check{{
		Name: revokedName,
		Doc:  "a revocation is on as many auths' disks as its acknowledgement says; a node that was up for 5 s since a revocation was acknowledged, and reached an auth that knew of it (for 12 s, if it had been cut off), knows of it, also when it has started anew with the same disk, and no handler of it gets anything that is for members from whom it is about; an auth knows within 30 s of reaching another one that does; expected in every scenario",
		Of:   []string{authapi.Service},
		New:  func() check.Checker { return newRevokedAreOut() },
	}, {
		Name: invitationsName,
		Doc:  "by an invitation come no more nodes than it is for, and none when it has ended; an auth that has not said that it honours it admits nobody by it",
		Of:   []string{authapi.Service},
		New:  func() check.Checker { return newInvitationsAreKept() },
	}, {
		Name: expiredName,
		Doc:  "no handler gets anything that is for members from a node whose certificate has ended, as it was last renewed, by more than 5 m, which clocks may differ, and 32 s, in which all look for ends",
		Of:   []string{authapi.Service},
		New:  func() check.Checker { return newExpiredAreOut() },
	}, {
		Name: renewedName,
		Doc:  "a node that has been up, and reached an auth, for 40 s shows a certificate that counts; after healing each does, and knows each replacement of the cloud key",
		Of:   []string{authapi.Service},
		New:  func() check.Checker { return newRenewed() },
	}}
}

// revokedAreOut compares deliveries with what users were told was revoked.
type revokedAreOut struct {
	check.Tally
	revoked map[string]time.Duration // by node: when that was acknowledged
	peers   map[string]transport.Peer
	// alone is when a node last was down, paused or without an auth in reach that knows of a revocation: by that node
	// and the one that was revoked.
	alone map[[2]string]time.Duration
	// knew is since when a node that runs has been seen to know, by the same.
	knew map[[2]string]time.Duration
	// cut is when a node was last cut off from all auths that know.
	cut map[[2]string]time.Duration
	// kept is since when a node has been seen to know, in this life or an earlier one with the same disk.
	kept map[[2]string]time.Duration
	// diskLost is when a disk was last lost; 0: never.
	diskLost time.Duration
}

func newRevokedAreOut() *revokedAreOut {
	return &revokedAreOut{revoked: map[string]time.Duration{}, peers: map[string]transport.Peer{}, alone: map[[2]string]time.Duration{}, knew: map[[2]string]time.Duration{},
		cut: map[[2]string]time.Duration{}, kept: map[[2]string]time.Duration{}}
}

func (*revokedAreOut) Name() string { return revokedName }

var (
	_ check.OnFact     = (*revokedAreOut)(nil)
	_ check.OnWitness  = (*revokedAreOut)(nil)
	_ check.OnPoll     = (*revokedAreOut)(nil)
	_ check.OnDelivery = (*revokedAreOut)(nil)
)

// knower is the agent of a node, as a checker sees it.
type knower interface {
	Knows(transport.Peer) bool
}

// Fact implements check.OnFact.
func (c *revokedAreOut) Fact(f check.Fact) error {
	switch f.Name {
	case memberRevoked:
		of := f.Text("node")
		c.peers[of], _ = f.Get("peer").(transport.Peer)
		c.revoked[of] = f.At
	case "started", "crashed", "stopped":
		for of := range c.revoked {
			c.alone[[2]string{f.Node, of}] = f.At
			delete(c.knew, [2]string{f.Node, of})
			c.mayForget(f, [2]string{f.Node, of})
		}
	case "disk-rotted":
		for of := range c.revoked {
			delete(c.kept, [2]string{f.Node, of})
		}
	}
	return nil
}

// keptWithin is within what time what a node knows is on its disk, if that does what it is told.
const keptWithin = 5 * time.Second

// mayForget: with its disk a node loses what it knew, and in a power cut what it has just learned.
func (c *revokedAreOut) mayForget(f check.Fact, pair [2]string) {
	if f.Name == "crashed" && (f.Text("disk-lost") == "true" || f.At-c.kept[pair] < keptWithin) {
		delete(c.kept, pair)
	}
}

// Witness implements check.OnWitness: at the moment of an acknowledgement the revocation is on the disks of as
// many auths as it says.
func (c *revokedAreOut) Witness(v check.View, f check.Fact) error {
	subject, ok := f.Get("subject").(transport.Peer)
	switch {
	case f.Name == "crashed" && f.Text("disk-lost") == "true":
		c.diskLost = f.At
	case f.Service == authapi.Service && f.Name == "revoked" && ok:
		have := 0
		for _, n := range v.Nodes() {
			if slices.Contains(n.Services, authapi.Service) && auth.RevokedOnDisk(n.Disk, subject) {
				have++
			}
		}
		c.Evaluated()
		if copies := int(f.Int("copies")); have < copies && c.diskLost > 0 && f.At-c.diskLost < lossWithin {
			c.Excused("a disk has lost what it had while the acknowledgement was being made")
		} else if have < copies {
			return fmt.Errorf("a revocation is acknowledged with %d copies, and on the disks of %d auths", copies, have)
		}
	}
	return nil
}

// lossWithin is how long before an acknowledgement a disk may have lost what it counts.
const lossWithin = 10 * time.Second

// Poll implements check.OnPoll.
func (c *revokedAreOut) Poll(v check.View) error {
	nodes := v.Nodes()
	for _, of := range slices.Sorted(maps.Keys(c.revoked)) {
		for _, n := range nodes {
			if n.Name == of || !slices.Contains(n.Services, node.MembershipService) {
				continue
			}
			if err := c.judge(v, n, nodes, of); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge looks at what a node must know now of one that was revoked.
func (c *revokedAreOut) judge(v check.View, n check.NodeView, nodes []check.NodeView, of string) error {
	knows := func(n check.NodeView) bool {
		agent, ok := n.Service(node.MembershipService).(knower)
		return ok && agent.Knows(c.peers[of])
	}
	tells := func(auth check.NodeView) bool {
		return auth.Up && !auth.Paused && slices.Contains(auth.Services, authapi.Service) && knows(auth) && v.Connected(n.Name, auth.Name)
	}
	pair := [2]string{n.Name, of}
	switch {
	case !n.Up, n.Paused:
		c.alone[pair] = v.Now()
	case !slices.ContainsFunc(nodes, tells):
		c.alone[pair], c.cut[pair] = v.Now(), v.Now()
	}
	_, known := c.knew[pair]
	switch _, kept := c.kept[pair]; {
	case n.DiskBad:
		delete(c.kept, pair)
	case n.Up && knows(n) && !kept:
		c.kept[pair] = v.Now()
	case n.Up && !knows(n) && kept && v.Now()-n.Since > check.PollInterval:
		return fmt.Errorf("%s knew that %s was revoked, and has forgotten it since it started anew", n.Name, of)
	}
	if !n.Up || !knows(n) {
		delete(c.knew, pair)
	} else if !known {
		c.knew[pair] = v.Now()
	}
	allowed := within(n.Services)
	if c.cut[pair] > 0 && c.cut[pair] == c.alone[pair] {
		allowed += afterCut
	}
	if v.Now()-max(c.revoked[of], c.alone[pair]) <= allowed {
		return nil
	}
	c.Evaluated()
	if !knows(n) {
		return fmt.Errorf("%s does not know that %s was revoked at %s", n.Name, of, c.revoked[of])
	}
	return nil
}

// afterCut is what it takes longer after a cut: a dial that hangs in it takes 5 s to end, and who has not answered is
// asked again 2 s later.
const afterCut = 7 * time.Second

// within is how long a node with some services may take, with what passes between two looks.
func within(services []string) time.Duration {
	if slices.Contains(services, authapi.Service) {
		return spreadWithin + check.PollInterval
	}
	return knownWithin + check.PollInterval
}

// Delivered implements check.OnDelivery. What had come before the node knew may still wait for its turn.
func (c *revokedAreOut) Delivered(d check.Delivery) error {
	knew, known := c.knew[[2]string{d.To, d.From.Node}]
	if !known || d.At-knew <= check.PollInterval || d.Name == authapi.Renew.Name || d.Name == authapi.Admit.Name {
		return nil
	}
	return fmt.Errorf("%s handles %s of %s, which was revoked at %s", d.To, d.Name, d.From.Node, c.revoked[d.From.Node])
}
