package scenario

import (
	"context"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// Stranger is the name of what a node of strangers runs.
const Stranger = "stranger"

// Attacker is a hostile node, as an attack sees it: a stranger, or a member that is trusted to
// offer some services and runs none of them.
type Attacker struct {
	// Envs are those of what the node pretends to run, by service; a stranger has one.
	Envs map[string]node.Env
	// Memory is what the attacks of this life of the node share: the next one may begin before this one has ended.
	Memory map[string]any
	// Dial opens a conn of the attacker's own, past its node's engine.
	Dial func(to transport.Peer, class transport.Class, h transport.HostHandler, opened func(transport.Conn, error))
	// Cloud is the one that the attacker is of, "" of a stranger.
	Cloud string
	// Targets are the honest nodes, in the order of the scenario.
	Targets []Target
}

// Target is a node that can be attacked.
type Target struct {
	Name     string
	Peer     transport.Peer
	Services []string
	// Cloud is the one that it is of.
	Cloud string
	// Says is what it announces of itself, as all members of its cloud have it; not if it is down.
	Says func() (said addressbook.Signed, up bool)
}

// Env is that of a service, or of the first that the attacker has.
func (a Attacker) Env(service string) node.Env {
	if env, has := a.Envs[service]; has {
		return env
	}
	return a.Envs[sortedKeys(a.Envs)[0]]
}

// Pretends reports whether the attacker is trusted to offer a service.
func (a Attacker) Pretends(service string) bool {
	_, has := a.Envs[service]
	return has && service != Stranger
}

// Offering are the targets that run a service; "" is all.
func (a Attacker) Offering(service string) (list []Target) {
	for _, t := range a.Targets {
		if service == "" || slices.Contains(t.Services, service) {
			list = append(list, t)
		}
	}
	return list
}

// Attack is what attackers do on their nodes, in place of an action's Run.
type Attack func(ctx context.Context, a Attacker, params any, n int) error

// Hostile reports whether a node attacks.
func (n *Node) Hostile() bool { return n.Stranger || len(n.Bad) > 0 }

// attackers are the nodes on which an attack runs.
func (b *builder) attackers(a *Action, word entry, params any) []string {
	by := a.By(params)
	names := b.scenario.roster.match(by)
	at := word.value
	if v := at.get("by"); v != nil {
		at = v
	}
	var hostile []string
	for _, n := range b.scenario.Nodes {
		if n.Hostile() {
			hostile = append(hostile, n.Name)
		}
	}
	switch {
	case len(hostile) == 0:
		b.fail(at, "add strangers: [{name: mallory}], or a group of nodes with bad: [monkey]", "%s: nobody here attacks", a.Name)
	case by == "":
		b.fail(at, "attackers: "+list(hostile), "%s: by is missing", a.Name)
	case len(names) == 0:
		b.fail(at, suggest(by, b.scenario.roster.known()), "by: no node is called %s", quote(by))
	case slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(hostile, name) }):
		b.fail(at, "attackers: "+list(hostile), "by: %s does not attack: it is neither a stranger nor bad", quote(by))
	}
	return names
}
