package node

import (
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// Membership is what a node knows of its cloud without asking: its name and key, and
// the certificate that the node was given, if it has one.
type Membership struct {
	Cloud       string
	Key         transport.Peer
	Certificate *membership.Presented
}

// authorize makes the node's Authority.
func (n *Node) authorize() (options []transport.Option, err error) {
	m := n.cfg.World.Membership
	if m == nil {
		return nil, nil
	}
	n.authority = credentials.New(n.loop, n.cfg.Identity.Peer(), membership.NewTrust(m.Cloud, m.Key))
	if m.Certificate != nil {
		if err := n.authority.SetOwn(*m.Certificate); err != nil {
			return nil, err
		}
	}
	return []transport.Option{transport.AuthorizeBy(n.authority)}, nil
}
