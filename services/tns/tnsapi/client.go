package tnsapi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// Each replica is given tryTimeout, then the next is asked. Writes wait for a
// disk and for a second replica.
const (
	tryTimeout      = 2 * time.Second
	TryWriteTimeout = 8 * time.Second
)

// Client speaks with the tns replicas of the directory, one after the other
// until one answers. Errors have the Kinds NotFound (no replica that answered
// has it), Conflict (fenced, or out of date: give up), Invalid, and Unreachable
// (nobody answered; a write may or may not have happened: repeat it).
type Client struct {
	asker *ask.Asker
	// rollbacks counts the requested rollbacks
	rollbacks int
}

// NewClient returns a client that speaks through ep.
func NewClient(ep *transport.Endpoint) *Client {
	return &Client{asker: ask.New(ep, policy)}
}

// policy: a replica that lacks something has answered, but another may have it.
var policy = ask.Policy{
	Service:      Service,
	Final:        []transport.Kind{transport.Conflict, transport.Invalid},
	Telling:      []transport.Kind{transport.NotFound},
	AsTheyAre:    []transport.Kind{transport.NotFound, transport.Refused},
	StayWithLast: true,
}

// Fence makes token known: from now on every lower token of the job is refused
// with Conflict, as is this call if a higher one is known already. Call it
// before building.
func (c *Client) Fence(ctx context.Context, project, branch, job string, token fencing.Token) error {
	_, err := ask.Call(ctx, c.asker, Fence, "", TryWriteTimeout, FenceRequest{Project: project, Branch: branch, Job: job, Token: token})
	return err
}

// Publish makes a version visible, whole or not at all. It is durable on the
// replica that answered, and on a second one if one was reachable. Conflict: a
// higher token of the job is known, or the branch has moved on so far that this
// version would not be kept.
func (c *Client) Publish(ctx context.Context, req PublishRequest) (PublishResponse, error) {
	return ask.Call(ctx, c.asker, Publish, "", TryWriteTimeout, req)
}

// Current returns the current version of a branch.
func (c *Client) Current(ctx context.Context, project, branch string) (Version, error) {
	return ask.Call(ctx, c.asker, Current, "", tryTimeout, BranchRequest{Project: project, Branch: branch})
}

// Lookup lists the entries of the current version at or below prefix ("" for
// all), in path order. All are of one version.
func (c *Client) Lookup(ctx context.Context, project, branch, prefix string) ([]Entry, error) {
	_, all, err := c.Contents(ctx, project, branch, prefix)
	return all, err
}

// Contents is Lookup that says of which version the entries are.
func (c *Client) Contents(ctx context.Context, project, branch, prefix string) (of Version, all []Entry, err error) {
	req := LookupRequest{Project: project, Branch: branch, Prefix: prefix}
	for size := 0; ; {
		page, err := ask.Call(ctx, c.asker, Lookup, "", tryTimeout, req)
		if err != nil {
			return of, nil, err
		}
		if err := transport.CheckPage(Lookup.Name, req.After, page.Entries, entryPath, strings.Compare); err != nil {
			return of, nil, err
		}
		for _, e := range page.Entries {
			size += len(e.Path) + len(e.Value)
		}
		if all = append(all, page.Entries...); len(all) > EntriesMax || size > VersionLenMax {
			return of, nil, transport.New(transport.Invalid, Lookup.Name, "more entries than a version has")
		}
		if of = page.Version; !page.More || len(page.Entries) == 0 {
			return of, all, nil
		}
		req.Pin, req.After = page.Pin, page.Entries[len(page.Entries)-1].Path
	}
}

// History lists the versions of a branch that are kept, current first.
func (c *Client) History(ctx context.Context, project, branch string) ([]Version, error) {
	resp, err := ask.Call(ctx, c.asker, History, "", tryTimeout, BranchRequest{Project: project, Branch: branch})
	return resp.Versions, err
}

// Answered is the replica that has answered last.
func (c *Client) Answered() transport.Peer { return c.asker.Answered() }

// Rollback makes an older commit of the history current again, by publishing it
// anew. It is a Duplicate if the commit is current already: then nothing changes.
func (c *Client) Rollback(ctx context.Context, project, branch, commit string) (PublishResponse, error) {
	c.rollbacks++
	now := c.asker.Endpoint().Loop().Now().UnixNano() // a name, not an order
	return ask.Call(ctx, c.asker, Rollback, "", TryWriteTimeout, RollbackRequest{
		Project: project, Branch: branch, Commit: commit, ID: fmt.Sprintf("%s-%d-%d", c.asker.Endpoint().Self(), now, c.rollbacks),
	})
}

func entryPath(e Entry) string { return e.Path }
