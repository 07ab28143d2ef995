package seerapi

import (
	"context"
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// TryTimeout bounds the request to one seer; then the next is asked.
const TryTimeout = 2 * time.Second

// Client asks the seers of the directory.
type Client struct {
	asker *ask.Asker
}

// NewClient returns a client that speaks through ep.
func NewClient(ep *transport.Endpoint) *Client {
	return &Client{asker: ask.New(ep, policy)}
}

// policy: another seer may be able to answer after any error of the first.
var policy = ask.Policy{Service: Service, AsTheyAre: []transport.Kind{transport.Refused}, StayWithLast: true}

// Lookup lists the live members that offer service and may ("" for all) in canonical order, for occasional
// questions; use a Follower to stay up to date. The seers are asked in turn. The error has Kind
// Unreachable when there is no seer or one that was asked did not answer, and Kind Refused when
// those that do answer do not know yet: they have just started, or were paused.
func (c *Client) Lookup(ctx context.Context, service string) (members []Member, err error) {
	err = c.asker.Put(ctx, Lookup.Name, "", TryTimeout, func(ctx context.Context, seer transport.Peer) (err error) {
		members, err = c.lookupAt(ctx, seer, service)
		return err
	})
	return members, err
}

// lookupAt asks one seer, page by page.
func (c *Client) lookupAt(ctx context.Context, seer transport.Peer, service string) ([]Member, error) {
	var members []Member
	var after transport.Peer
	for {
		page, err := Lookup.Call(ctx, c.asker.Endpoint(), seer, LookupRequest{Service: service, After: after})
		if err != nil {
			return nil, err
		}
		if err := transport.CheckPage(Lookup.Name, after, page.Members, memberPeer, transport.Peer.Compare); err != nil {
			return nil, err
		}
		for _, m := range page.Members {
			if c.mayOffer(m.Peer, service) {
				members = append(members, m)
			}
		}
		if len(members) > followedMax {
			return nil, transport.New(transport.Invalid, Lookup.Name, "more members than anybody keeps")
		}
		if !page.More || len(page.Members) == 0 {
			return members, nil
		}
		after = page.Members[len(page.Members)-1].Peer
	}
}

// mayOffer reports whether a peer may offer a service ("": any), as far as this node knows: seers
// tell what members say of themselves. Whom it has not met it believes until it does: to dial a
// peer is to see its certificate.
func (c *Client) mayOffer(p transport.Peer, service string) bool {
	if service == "" {
		return true
	}
	g, known := c.asker.Endpoint().Grants(p)
	return !known || g.Offers(service)
}

func memberPeer(m Member) transport.Peer { return m.Peer }
