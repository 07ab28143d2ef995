package run

import (
	"slices"
	"strings"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// view is the world without clients, which are no part of a cloud, and with what the ledger knows.
func (r *runner) view() check.View { return cloud{World: r.world, runner: r} }

// cloud is a view of a world as those see it that judge: of all its clouds, or of one.
type cloud struct {
	World
	runner *runner
	// name is the one that it is of; of all if alone is not set.
	name  string
	alone bool
}

func (c cloud) ledger() *fault.Ledger { return c.runner.ledger }

// shows reports whether a node is part of what is seen.
func (c cloud) shows(name string) bool {
	of, known := c.runner.cloudOf[name]
	return known && (!c.alone || of == c.name) && !c.runner.isClient(name) && !c.runner.outside[name] && !c.ledger().Left(name) && !c.runner.excluded.gone[name]
}

// Node implements check.View.
func (c cloud) Node(name string) (check.NodeView, bool) {
	n, found := c.World.Node(name)
	n.ShouldBeUp = found && c.ledger().ShouldBeUp(name)
	return n, found && c.shows(name)
}

// Nodes implements check.View.
func (c cloud) Nodes() []check.NodeView {
	all := slices.DeleteFunc(c.World.Nodes(), func(n check.NodeView) bool { return !c.shows(n.Name) })
	for i := range all {
		all[i].ShouldBeUp = c.ledger().ShouldBeUp(all[i].Name)
	}
	return all
}

// Connected implements check.View: the client is that of the cloud that is seen.
func (c cloud) Connected(a, b string) bool {
	if c.alone {
		own := c.runner.scenario.ClientOf(c.name)
		if a == scenario.Client {
			a = own
		}
		if b == scenario.Client {
			b = own
		}
	}
	return c.runner.excluded.connects(a, b) && c.World.Connected(a, b)
}

// Belongs reports whether a peer is a node or a client of the cloud that is seen, in whatever state it is: also one that
// has left, or attacks.
func (c cloud) Belongs(p transport.Peer) bool {
	i := slices.IndexFunc(c.World.Nodes(), func(n check.NodeView) bool { return n.Peer == p })
	if i < 0 {
		return false
	}
	of, known := c.runner.cloudOf[c.World.Nodes()[i].Name]
	return known && (!c.alone || of == c.name)
}

func (r *runner) isClient(name string) bool { return r.scenario.ClientOf(r.cloudOf[name]) == name }

// custody is what those have who run a cloud.
func (r *runner) custody(name string) *scenario.Custody {
	c := r.world.Custody(name)
	return &scenario.Custody{
		Key: c.Key, Successor: c.Successor, First: c.First, Issuers: c.Issuers, Replaced: c.Turned,
		Addresses: r.world.AddressesOf,
		HandOver:  func(invitation string, t membership.Ticket) { r.handOver(name, invitation, t) },
	}
}

// handOver gives the nodes that wait for an invitation its ticket, and boots them when it is their time.
func (r *runner) handOver(cloud, invitation string, t membership.Ticket) {
	for _, n := range r.scenario.Nodes {
		if n.Cloud != cloud || n.Invitation != invitation || !r.outside[n.Name] {
			continue
		}
		r.world.Invite(n.Name, t)
		r.world.At(max(n.StartAt, r.world.Now()), "boot "+n.Name+", which is invited", func() { r.ledger.Boot(n.Name) })
	}
}

// joined makes a node part of its cloud that has come into it by an invitation.
func (r *runner) joined(f check.Fact) {
	if f.Service != node.MembershipService || f.Name != node.JoinedFact || !r.outside[f.Node] {
		return
	}
	delete(r.outside, f.Node)
	r.world.Joined(f.Node, strings.Fields(f.Text("services")))
}

// each is a checker of a run with several clouds: one for each of them, which hears and sees nothing of
// the others. Who is of no cloud - a stranger - is heard of by all.
type each struct {
	name    string
	clouds  []string
	parts   []check.Checker
	cloudOf map[string]string
}

// perCloud makes the checker of a run: what make makes, or one of it for each cloud.
func (r *runner) perCloud(c scenario.Check) check.Checker {
	if len(r.scenario.Clouds) < 2 {
		return c.New()
	}
	e := &each{name: c.Name, clouds: r.scenario.Clouds, cloudOf: r.cloudOf}
	for range e.clouds {
		e.parts = append(e.parts, c.New())
	}
	return e
}

// Name implements check.Checker.
func (e *each) Name() string { return e.name }

// of calls f with the parts that hear of a node.
func (e *each) of(node string, f func(part check.Checker, cloud string) error) error {
	of, known := e.cloudOf[node]
	for i, part := range e.parts {
		if known && e.clouds[i] != of {
			continue
		}
		if err := f(part, e.clouds[i]); err != nil {
			return err
		}
	}
	return nil
}

func (v cloud) of(name string) check.View {
	v.name, v.alone = name, true
	return v
}

// Fact implements check.OnFact.
func (e *each) Fact(f check.Fact) error {
	return e.of(f.Node, func(part check.Checker, _ string) error {
		if listener, ok := part.(check.OnFact); ok {
			return listener.Fact(f)
		}
		return nil
	})
}

// Witness implements check.OnWitness.
func (e *each) Witness(v check.View, f check.Fact) error {
	return e.of(f.Node, func(part check.Checker, name string) error {
		if witness, ok := part.(check.OnWitness); ok {
			return witness.Witness(v.(cloud).of(name), f)
		}
		return nil
	})
}

// Delivered implements check.OnDelivery: it is heard by the receiver's cloud.
func (e *each) Delivered(d check.Delivery) error {
	return e.of(d.To, func(part check.Checker, _ string) error {
		if listener, ok := part.(check.OnDelivery); ok {
			return listener.Delivered(d)
		}
		return nil
	})
}

// Poll implements check.OnPoll.
func (e *each) Poll(v check.View) error {
	return e.of("", func(part check.Checker, name string) error {
		if looker, ok := part.(check.OnPoll); ok {
			return looker.Poll(v.(cloud).of(name))
		}
		return nil
	})
}

// Settled implements check.OnSettled. A cloud in which there is nothing to judge has settled.
func (e *each) Settled(v check.View) error {
	return e.of("", func(part check.Checker, name string) error {
		if settles, ok := part.(check.OnSettled); ok {
			return settles.Settled(v.(cloud).of(name))
		}
		return nil
	})
}

// Counting and Counted implement check.Counts.
func (e *each) Counting(p check.Part) {
	for _, part := range e.parts {
		if c, ok := part.(check.Counts); ok {
			c.Counting(p)
		}
	}
}

// Counted adds up the judgements about all clouds.
func (e *each) Counted(p check.Part) (sum check.Count) {
	for _, part := range e.parts {
		c, ok := part.(check.Counts)
		if !ok {
			continue
		}
		one := c.Counted(p)
		sum.Evaluated += one.Evaluated
		for why, n := range one.Excused {
			if sum.Excused == nil {
				sum.Excused = map[string]int{}
			}
			sum.Excused[why] += n
		}
	}
	return sum
}

// Figures implements check.Figures: the sum over all clouds, but the extreme of what is one.
func (e *each) Figures() map[string]float64 {
	out := map[string]float64{}
	for i, part := range e.parts {
		c, ok := part.(check.Figures)
		if !ok {
			continue
		}
		for name, x := range c.Figures() {
			was, known := out[name]
			switch last := name[strings.LastIndexByte(name, '.')+1:]; {
			case i == 0 || !known || was != was: // the first, or no number
				out[name] = x
			case last == "min":
				out[name] = min(was, x)
			case last == "max" || strings.HasSuffix(name, "-seconds"):
				out[name] = max(was, x)
			case x == x:
				out[name] = was + x
			}
		}
	}
	return out
}
