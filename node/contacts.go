package node

import (
	"slices"

	"github.com/taucloud/tau/transport"
)

// Contact is a member that a node is told of in its configuration: it is enough that one of them, or of
// those that the node has met since, can be reached.
type Contact struct {
	Peer      transport.Peer
	Addresses []string
	// Services are those that it is known to offer before it has said so, nil if nothing is known.
	Services []string
}

// contactsOf are those of the configuration, and the auths that honour the invitation that the node has: when all others are
// gone, those know the way.
func contactsOf(cfg Config) []Contact {
	list := slices.Clone(cfg.Contacts)
	for _, inviter := range cfg.World.Membership.inviters() {
		if !slices.ContainsFunc(list, func(c Contact) bool { return c.Peer == inviter.Peer }) {
			list = append(list, inviter)
		}
	}
	return list
}

// Contacts are those of the configuration.
func (m *Members) Contacts() []Contact { return m.contacts }

// AllContacts reports whether the contacts of the configuration are all members that there are, but this one.
func (m *Members) AllContacts() bool { return m.whole }

// offering are those who say that they offer a service, and the contacts of which the configuration says so that have said nothing
// yet.
func (m *Members) offering(service string) []transport.Peer {
	list := m.book.Offering(service)
	for _, c := range m.contacts {
		if slices.Contains(c.Services, service) && m.book.Get(c.Peer) == nil && !m.isRevoked(c.Peer) {
			at, found := slices.BinarySearchFunc(list, c.Peer, transport.Peer.Compare)
			if !found {
				list = slices.Insert(slices.Clip(list), at, c.Peer)
			}
		}
	}
	return list
}
