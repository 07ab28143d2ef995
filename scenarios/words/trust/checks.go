package trust

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

const revokedName = "revoked-are-out"

// knownWithin is within what time a node that reaches an auth knows of a revocation.
const knownWithin = 5 * time.Second

// Constant are the checks that are expected in every scenario.
func Constant() []string { return []string{revokedName} }

// Checks are what is demanded of auth, and of all nodes' doors.
func Checks() []scenario.Check {
	return []scenario.Check{{
		Name: revokedName,
		Doc:  "a node that was up and reached an auth for 5 s since a revocation was acknowledged knows of it, and no handler of it gets anything that is for members from whom it is about; expected in every scenario",
		Of:   []string{authapi.Service},
		New:  func() check.Checker { return newRevokedAreOut() },
	}}
}

// revokedAreOut compares deliveries with what users were told was revoked.
type revokedAreOut struct {
	check.Tally
	revoked map[string]time.Duration // by node: when that was acknowledged
	// alone is when a node was last seen down, paused or without an auth that it reaches.
	alone map[string]time.Duration
	peers map[string]string  // by node that was revoked: its key
	known map[[2]string]bool // by node and key: a node has said that it knows
}

func newRevokedAreOut() *revokedAreOut {
	return &revokedAreOut{revoked: map[string]time.Duration{}, alone: map[string]time.Duration{}, peers: map[string]string{}, known: map[[2]string]bool{}}
}

func (*revokedAreOut) Name() string { return revokedName }

var (
	_ check.OnFact     = (*revokedAreOut)(nil)
	_ check.OnPoll     = (*revokedAreOut)(nil)
	_ check.OnDelivery = (*revokedAreOut)(nil)
)

// Fact implements check.OnFact.
func (c *revokedAreOut) Fact(f check.Fact) error {
	switch f.Name {
	case memberRevoked:
		c.revoked[f.Text("node")] = f.At
		c.peers[f.Text("node")] = f.Text("peer")
	case "revocation-known":
		c.known[[2]string{f.Node, f.Text("subject")}] = true
	case "started", "crashed", "stopped":
		c.alone[f.Node] = f.At
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *revokedAreOut) Poll(v check.View) error {
	if len(c.revoked) == 0 {
		return nil
	}
	nodes := v.Nodes()
	for _, n := range nodes {
		reaches := func(of check.NodeView) bool {
			return of.Up && !of.Paused && slices.Contains(of.Services, authapi.Service) && (of.Name == n.Name || v.Connected(n.Name, of.Name))
		}
		if !n.Up || n.Paused || !slices.ContainsFunc(nodes, reaches) {
			c.alone[n.Name] = v.Now()
		}
		if err := c.judge(v, n); err != nil {
			return err
		}
	}
	return nil
}

// judge looks at what a node must know now.
func (c *revokedAreOut) judge(v check.View, n check.NodeView) error {
	for _, of := range slices.Sorted(maps.Keys(c.revoked)) {
		at := c.revoked[of]
		if of == n.Name || !slices.Contains(n.Services, node.MembershipService) || v.Now()-max(at, c.alone[n.Name]) <= knownWithin+check.PollInterval {
			continue
		}
		c.Evaluated()
		if !c.known[[2]string{n.Name, c.peers[of]}] {
			return fmt.Errorf("%s does not know that %s was revoked at %s", n.Name, of, at)
		}
	}
	return nil
}

// Delivered implements check.OnDelivery.
func (c *revokedAreOut) Delivered(d check.Delivery) error {
	at, revoked := c.revoked[d.From.Node]
	if !revoked || d.Name == authapi.Renew.Name || d.Name == authapi.Admit.Name {
		return nil
	}
	if since := max(at, c.alone[d.To]); d.At-since <= knownWithin+check.PollInterval {
		return nil
	}
	return fmt.Errorf("%s handles %s of %s, which was revoked at %s", d.To, d.Name, d.From.Node, at)
}
