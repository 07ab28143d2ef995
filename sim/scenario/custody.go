package scenario

import (
	"context"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// Custody is what the people who run a cloud have, and no node: its key, and invitations that are on
// their way to somebody.
type Custody struct {
	// Key is the cloud key, Successor the one by which they would replace it.
	Key, Successor transport.Identity
	// First is the key by which nodes are set up.
	First transport.Peer
	// Issuers are what the cloud key has signed of those that sign for others.
	Issuers []membership.Certificate
	// Replaced says that Successor is the cloud key.
	Replaced func()
	// Addresses are where a node is.
	Addresses func(transport.Peer) []string
	// HandOver gives the nodes that are to join by an invitation of that name a ticket.
	HandOver func(invitation string, t membership.Ticket)
}

type custodyKey struct{}

// WithCustody is a ctx of actions of those who run a cloud.
func WithCustody(ctx context.Context, c *Custody) context.Context {
	return context.WithValue(ctx, custodyKey{}, c)
}

// CustodyOf is the Custody of an action's ctx, nil in none.
func CustodyOf(ctx context.Context) *Custody {
	c, _ := ctx.Value(custodyKey{}).(*Custody)
	return c
}
