package tnsapi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// Each replica is given TryTimeout, then the next is asked. Writes wait for a
// disk and for a second replica.
const (
	TryTimeout      = 2 * time.Second
	TryWriteTimeout = 8 * time.Second
)

// Client speaks with the tns replicas of the directory, one after the other
// until one answers. Errors have the Kinds NotFound (no replica that answered
// has it), Conflict (fenced, or out of date: give up), Invalid, and Unreachable
// (nobody answered; a write may or may not have happened: repeat it).
type Client struct {
	ep *transport.Endpoint
	// last is the replica that answered last. It is asked first, so that a
	// client reads what it wrote.
	last transport.Peer
	// rollbacks counts those that were asked for
	rollbacks int
}

// NewClient returns a client that speaks through ep.
func NewClient(ep *transport.Endpoint) *Client { return &Client{ep: ep} }

// Fence makes token known: from now on every lower token of the job is refused
// with Conflict, as is this call if a higher one is known already. Call it
// before building.
func (c *Client) Fence(ctx context.Context, project, branch, job string, token Token) error {
	_, err := try(ctx, c, Fence, TryWriteTimeout, FenceRequest{Project: project, Branch: branch, Job: job, Token: token})
	return err
}

// Publish makes a version visible, whole or not at all. It is durable on the
// replica that answered, and on a second one if one was reachable. Conflict: a
// higher token of the job is known, or the branch has moved on so far that this
// version would not be kept.
func (c *Client) Publish(ctx context.Context, req PublishRequest) (PublishResponse, error) {
	return try(ctx, c, Publish, TryWriteTimeout, req)
}

// Current returns the current version of a branch.
func (c *Client) Current(ctx context.Context, project, branch string) (Version, error) {
	return try(ctx, c, Current, TryTimeout, BranchRequest{Project: project, Branch: branch})
}

// Lookup lists the entries of the current version at or below prefix ("" for
// all), in path order. All are of one version.
func (c *Client) Lookup(ctx context.Context, project, branch, prefix string) ([]Entry, error) {
	req := LookupRequest{Project: project, Branch: branch, Prefix: prefix}
	var all []Entry
	for {
		page, err := try(ctx, c, Lookup, TryTimeout, req)
		if err != nil {
			return nil, err
		}
		if err := transport.CheckPage(Lookup.Name, req.After, page.Entries, entryPath, strings.Compare); err != nil {
			return nil, err
		}
		if all = append(all, page.Entries...); len(all) > EntriesMax {
			return nil, transport.New(transport.Invalid, Lookup.Name, "more entries than a version has")
		}
		if !page.More || len(page.Entries) == 0 {
			return all, nil
		}
		req.Pin, req.After = page.Pin, page.Entries[len(page.Entries)-1].Path
	}
}

// History lists the versions of a branch that are kept, current first.
func (c *Client) History(ctx context.Context, project, branch string) ([]Version, error) {
	resp, err := try(ctx, c, History, TryTimeout, BranchRequest{Project: project, Branch: branch})
	return resp.Versions, err
}

// Rollback makes an older commit of the history current again, by publishing it
// anew.
func (c *Client) Rollback(ctx context.Context, project, branch, commit string) (Version, error) {
	c.rollbacks++
	now := c.ep.Loop().Now().UnixNano() // a name, not an order
	resp, err := try(ctx, c, Rollback, TryWriteTimeout, RollbackRequest{
		Project: project, Branch: branch, Commit: commit, ID: fmt.Sprintf("%s-%d-%d", c.ep.Self(), now, c.rollbacks),
	})
	return resp.Version, err
}

// try calls a method at one replica after the other.
func try[Req, Resp any](ctx context.Context, c *Client, m transport.Method[Req, Resp], limit time.Duration, req Req) (Resp, error) {
	var none Resp
	last := transport.New(transport.Unreachable, m.Name, "no tns in the directory")
	notFound := false
	for _, replica := range c.ep.AskOrder(Service, c.last) {
		resp, err := callWithin(ctx, c.ep, replica, m, limit, req)
		switch kind := transport.KindOf(err); {
		case err == nil:
			c.last = replica
			return resp, nil
		case ctx.Err() != nil, kind == transport.Conflict, kind == transport.Invalid:
			return none, err
		case kind == transport.NotFound:
			notFound = true // there, but perhaps not at another that has seen more
		}
		if !notFound || transport.KindOf(err) == transport.NotFound {
			last = err
		}
	}
	if kind := transport.KindOf(last); kind != transport.NotFound && kind != transport.Refused {
		last = transport.New(transport.Unreachable, m.Name, last.Error())
	}
	return none, last
}

func callWithin[Req, Resp any](ctx context.Context, ep *transport.Endpoint, to transport.Peer, m transport.Method[Req, Resp], limit time.Duration, req Req) (Resp, error) {
	ctx, cancel := clock.WithTimeout(ctx, ep.Loop(), limit)
	defer cancel()
	return m.Call(ctx, ep, to, req)
}

func entryPath(e Entry) string { return e.Path }
