package seerapi

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// TryTimeout bounds the question to one seer; the next is asked after it.
const TryTimeout = 2 * time.Second

// Client asks the seers of the directory.
type Client struct {
	ep *transport.Endpoint
	// last is the seer that answered last; it is asked first.
	last transport.Peer
}

// NewClient returns a client that speaks through ep.
func NewClient(ep *transport.Endpoint) *Client { return &Client{ep: ep} }

// Lookup lists the live members that offer service ("" for all) in canonical
// order, for a question now and then: who must know it all the time takes a
// Follower. The seers are asked in turn. The error has Kind Unreachable when
// there is no seer or none answers, and Kind Refused when one answers that it
// does not know yet: it has just started, or was paused.
func (c *Client) Lookup(ctx context.Context, service string) (members []Member, err error) {
	err = c.ask(ctx, Lookup.Name, func(ctx context.Context, seer transport.Peer) (err error) {
		members, err = c.lookupAt(ctx, seer, service)
		return err
	})
	return members, err
}

// ask puts a question to the seers in turn until one has answered.
func (c *Client) ask(ctx context.Context, method string, put func(ctx context.Context, seer transport.Peer) error) error {
	err := transport.New(transport.Unreachable, method, "no seer in the directory")
	for _, seer := range c.ep.AskOrder(Service, c.last) {
		if err = c.try(ctx, seer, put); err == nil {
			c.last = seer
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
	if transport.KindOf(err) != transport.Refused {
		err = transport.New(transport.Unreachable, method, err.Error())
	}
	return err
}

func (c *Client) try(ctx context.Context, seer transport.Peer, put func(ctx context.Context, seer transport.Peer) error) error {
	ctx, cancel := clock.WithTimeout(ctx, c.ep.Loop(), TryTimeout)
	defer cancel()
	return put(ctx, seer)
}

// lookupAt asks one seer, page by page.
func (c *Client) lookupAt(ctx context.Context, seer transport.Peer, service string) ([]Member, error) {
	var members []Member
	var after transport.Peer
	for {
		page, err := Lookup.Call(ctx, c.ep, seer, LookupRequest{Service: service, After: after})
		if err != nil {
			return nil, err
		}
		if err := transport.CheckPage(Lookup.Name, after, page.Members, memberPeer, transport.Peer.Compare); err != nil {
			return nil, err
		}
		if members = append(members, page.Members...); len(members) > FollowedMax {
			return nil, transport.New(transport.Invalid, Lookup.Name, "more members than anybody keeps")
		}
		if !page.More || len(page.Members) == 0 {
			return members, nil
		}
		after = page.Members[len(page.Members)-1].Peer
	}
}

func memberPeer(m Member) transport.Peer { return m.Peer }
