package live

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"github.com/taucloud/tau/transport/membership"
)

// cloud is what nodes of a story are members of.
type cloud struct {
	network string // its domain name
	key     transport.Identity
	serial  uint64
	issuers []membership.Certificate
	// directory is that of users: they are told of all nodes.
	directory *transport.StaticDirectory
	finder    string // the node that introduces the others if none of the story does, "" for none
}

// domain ends the names of all clouds.
const domain = "rehearsal.example"

// cloud is that of a name in the story. Its key is new with each run.
func (w *World) cloud(name string) *cloud {
	c := w.clouds[name]
	if c == nil {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		c = &cloud{network: domain, key: transport.NewIdentity(secret), directory: transport.NewStaticDirectory()}
		if name != "" {
			c.network = name + "." + domain
		}
		w.clouds[name] = c
	}
	return c
}

// certify makes a node a member, signed by the cloud's key.
func (m *machine) certify() (membership.Presented, error) {
	begins := time.Now().Add(-membership.SkewMax)
	m.cloud.serial++
	is := membership.Certificate{
		Cloud: m.cloud.network, Serial: m.cloud.serial, Subject: m.identity.Peer(), Name: m.name,
		Services:  slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.services, m.cfg.Granted)))),
		Issues:    slices.Compact(slices.Sorted(slices.Values(m.cfg.Issues))),
		NotBefore: begins.Unix(), NotAfter: begins.Add(membership.ValidityMax).Unix(),
	}
	signed, err := membership.Issue(m.cloud.key, is)
	if len(is.Issues) > 0 {
		m.cloud.issuers = append(m.cloud.issuers, is)
	}
	return membership.Presented{Certificate: signed}, err
}

// contactsOf are the nodes that a node is told of: those of the story, or, where nobody finds others, the one that introduces them.
func (w *World) contactsOf(m *machine) (names []string) {
	switch {
	case m.cloud.finder != "" && m.name != m.cloud.finder:
		return []string{m.cloud.finder}
	case m.cfg.Contacts != nil:
		return slices.DeleteFunc(slices.Clone(m.cfg.Contacts), func(name string) bool { return name == m.name })
	}
	return nil
}

// AddFinder adds a node to a cloud, which no fault reaches, that runs spec alone and that all others are told of: in a story
// without such a node the simulator tells all nodes of each other.
func (w *World) AddFinder(name, of string, spec node.Spec) error {
	w.cloud(of).finder = name
	err := w.AddNode(sim.NodeConfig{Name: name, Cloud: of, Services: append([]node.Configured{{Spec: spec}}, alwaysOf(w.cfg.Words)...)})
	if err == nil {
		w.Start(name)
	}
	return err
}

func alwaysOf(words scenario.Vocabulary) (list []node.Configured) {
	for _, s := range words.Always {
		list = append(list, node.Configured{Spec: s})
	}
	return list
}

// Custody implements run.Clouds.
func (w *World) Custody(name string) sim.Custody {
	c := w.cloud(name)
	return sim.Custody{Cloud: c.network, Key: c.key, Successor: c.key, First: c.key.Peer(), Issuers: slices.Clone(c.issuers), Turned: func() {}}
}

// Invite implements run.Clouds; stories with invitations are refused.
func (w *World) Invite(string, membership.Ticket) {}

// Joined implements run.Clouds.
func (w *World) Joined(string, []string) {}

// Unlist implements run.Clouds: users hear that a node was excluded.
func (w *World) Unlist(name string) {
	m := w.node(name)
	m.cloud.directory.Remove(m.identity.Peer())
}

// Says implements run.Clouds: nobody here knows what a process announces.
func (w *World) Says(string) (said addressbook.Signed, up bool) { return said, false }

// AddressesOf implements run.Clouds.
func (w *World) AddressesOf(p transport.Peer) []string {
	for _, m := range w.nodes {
		if m.identity.Peer() == p && m.local == nil {
			return []string{multiaddr(m.address)}
		}
	}
	return nil
}
