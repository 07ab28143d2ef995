package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

const (
	invitationsName = "invitations-are-kept"
	expiredName     = "expired-are-out"
	renewedName     = "certificates-are-renewed"
)

// invitationsAreKept counts who comes by which invitation.
type invitationsAreKept struct {
	check.Tally
	made    map[string]check.Fact
	by      map[string][]string // the auths that honour it
	came    map[string][]string
	joined  int
	refused int
}

func newInvitationsAreKept() *invitationsAreKept {
	return &invitationsAreKept{made: map[string]check.Fact{}, by: map[string][]string{}, came: map[string][]string{}}
}

func (*invitationsAreKept) Name() string { return invitationsName }

// Figures implements check.Figures.
func (c *invitationsAreKept) Figures() map[string]float64 {
	return map[string]float64{"nodes.joined": float64(c.joined), "nodes.turned-away": float64(c.refused)}
}

// Fact implements check.OnFact.
func (c *invitationsAreKept) Fact(f check.Fact) error {
	id := f.Text("invitation")
	switch f.Name {
	case "invited", "honours":
		c.by[id] = append(c.by[id], f.Node)
	case invitationMade:
		c.made[id] = f
	case node.JoinedFact:
		c.joined++
	case "turned-away":
		c.refused++
	case "admitted":
		return c.admitted(f, id)
	}
	return nil
}

// admitted judges who comes.
func (c *invitationsAreKept) admitted(f check.Fact, id string) error {
	c.Evaluated()
	made, known := c.made[id]
	if !known {
		return fmt.Errorf("%s admits %s by an invitation that nobody was given", f.Node, f.Text("name"))
	}
	if !slices.Contains(c.by[id], f.Node) {
		return fmt.Errorf("%s admits %s by an invitation that %s honour", f.Node, f.Text("name"), strings.Join(c.by[id], ", "))
	}
	if end := made.At + time.Duration(made.Int("expires")); f.At > end+time.Second {
		return fmt.Errorf("%s comes by an invitation that ended at %s", f.Text("name"), end)
	}
	if subject := f.Text("subject"); !slices.Contains(c.came[id], subject) {
		c.came[id] = append(c.came[id], subject)
	}
	if n := int64(len(c.came[id])); n > made.Int("uses") {
		return fmt.Errorf("%s is number %d by an invitation for %d", f.Text("name"), n, made.Int("uses"))
	}
	return nil
}

// expiredAreOut compares deliveries with the ends of certificates.
type expiredAreOut struct {
	check.Tally
	until map[string]int64 // by node: the latest end of what it has shown, in seconds since 1970
	// replaced: what a node has shown is of a key that was replaced since, as far as the node knows or not.
	replaced map[string]bool
}

func newExpiredAreOut() *expiredAreOut {
	return &expiredAreOut{until: map[string]int64{}, replaced: map[string]bool{}}
}

func (*expiredAreOut) Name() string { return expiredName }

// epoch is the reading of a right wall clock at the start of a run.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// lookedFor is within what time a certificate's end is noticed, and acted on.
const lookedFor = credentials.LookInterval + 2*time.Second

// Witness implements check.OnWitness.
func (c *expiredAreOut) Witness(v check.View, f check.Fact) error {
	switch f.Name {
	case "certificate-shown", "certificate-renewed", node.JoinedFact:
		if f.Name == "certificate-shown" && c.replaced[f.Node] {
			break // the same as before
		}
		delete(c.replaced, f.Node)
		if until := f.Int("until"); until > c.until[f.Node] {
			c.until[f.Node] = until
		}
	case keyReplaced:
		// What the old key has signed, also by others whom it has certified, ends with it. Auths have others at once.
		ends := epoch.Add(f.At + time.Duration(f.Int("overlap"))).Unix()
		for _, n := range v.Nodes() {
			if until, known := c.until[n.Name]; known && !slices.Contains(n.Services, authapi.Service) {
				c.until[n.Name], c.replaced[n.Name] = min(until, ends), true
			}
		}
	}
	return nil
}

// Delivered implements check.OnDelivery.
func (c *expiredAreOut) Delivered(d check.Delivery) error {
	until, known := c.until[d.From.Node]
	if !known || d.Name == authapi.Renew.Name || d.Name == authapi.Admit.Name {
		return nil
	}
	c.Evaluated()
	if end := time.Unix(until, 0).Add(membership.SkewMax + lookedFor); epoch.Add(d.At).After(end) {
		return fmt.Errorf("%s handles %s of %s, whose certificate has ended at %s", d.To, d.Name, d.From.Node, time.Unix(until, 0).Sub(epoch))
	}
	return nil
}

// renewed looks at what nodes show.
type renewed struct {
	check.Tally
	alone    map[string]time.Duration // when a node last was down, paused or reached no auth
	replaced int
}

func newRenewed() *renewed { return &renewed{alone: map[string]time.Duration{}} }

func (*renewed) Name() string { return renewedName }

// shower is the agent of a node, as a checker sees it.
type shower interface {
	Until() int64
	Turned() int
}

// renewWithin is how long a node that reaches an auth may show what does not count: it tries every 10 s.
const renewWithin = 40 * time.Second

// Fact implements check.OnFact.
func (c *renewed) Fact(f check.Fact) error {
	if f.Name == keyReplaced {
		c.replaced++
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *renewed) Poll(v check.View) error {
	nodes := v.Nodes()
	for _, n := range nodes {
		reaches := slices.ContainsFunc(nodes, func(of check.NodeView) bool {
			return of.Up && !of.Paused && slices.Contains(of.Services, authapi.Service) && v.Connected(n.Name, of.Name)
		})
		if !n.Up || n.Paused || !reaches {
			c.alone[n.Name] = v.Now()
		}
		agent, ok := n.Service(node.MembershipService).(shower)
		if !ok || v.Now()-max(c.alone[n.Name], n.Since) < renewWithin {
			continue
		}
		c.Evaluated()
		if agent.Until() == 0 {
			return fmt.Errorf("%s shows a certificate that does not count, and has reached an auth for %s", n.Name, v.Now()-max(c.alone[n.Name], n.Since))
		}
	}
	return nil
}

// Settled implements check.OnSettled.
func (c *renewed) Settled(v check.View) error {
	for _, n := range v.Nodes() {
		agent, ok := n.Service(node.MembershipService).(shower)
		switch {
		case !ok:
			return fmt.Errorf("%s does not run", n.Name)
		case agent.Until() == 0:
			return fmt.Errorf("%s shows a certificate that does not count", n.Name)
		case agent.Turned() != c.replaced:
			return fmt.Errorf("%s knows of %d replacements of the cloud key, of %d", n.Name, agent.Turned(), c.replaced)
		}
		c.Evaluated()
	}
	return nil
}
