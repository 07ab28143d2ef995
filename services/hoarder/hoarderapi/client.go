package hoarderapi

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// PinTimeout bounds one hoarder's attempt at a pin of content that moves in no
// time. What is large has the time beside that it takes twice, for two copies,
// over a slow link, see transport.TransferTime.
const PinTimeout = 20 * time.Second

// Client speaks to hoarders. It tries them in rendezvous order of the root, so
// that what is asked of an item tends to go to those that hold it.
type Client struct {
	ep *transport.Endpoint
	// attemptsMax is how many hoarders one operation tries.
	attemptsMax int
}

// NewClient returns a client on the loop of ep.
func NewClient(ep *transport.Endpoint) *Client { return &Client{ep: ep, attemptsMax: 6} }

// Pin asks that content be kept. It returns when content and pin are on the
// disk of a hoarder and, if a second one with room is reachable and wanted, on
// that one's too; so the caller may go away then. Refused: no hoarder that was
// asked has room. Conflict: the owner has withdrawn it with this Seq or a higher
// one. Pinning is idempotent; try again after Timeout or Unreachable.
func (c *Client) Pin(ctx context.Context, req PinRequest) (PinResponse, error) {
	return try(ctx, c, PinMethod, req.Root, req, PinTimeout+2*transport.TransferTime(req.Size))
}

// Unpin withdraws what the owner has pinned with Seq or less. It returns when
// that is on the disks of two hoarders, or of one if no other answers. The
// content is let go when it has no owner left. It is idempotent, and no error if
// nothing was pinned: a pin that is still on its way is covered.
func (c *Client) Unpin(ctx context.Context, req UnpinRequest) error {
	_, err := try(ctx, c, UnpinMethod, req.Root, req, callTimeout)
	return err
}

// Owners lists who wants an item kept, as the first hoarder that answers knows.
func (c *Client) Owners(ctx context.Context, req OwnersRequest) (OwnersResponse, error) {
	return try(ctx, c, OwnersMethod, req.Root, req, callTimeout)
}

// Owned lists a page of what owners with a prefix have pinned, for an owner that
// compares what is kept for it with what it still wants.
func (c *Client) Owned(ctx context.Context, req OwnedRequest) (OwnedResponse, error) {
	return try(ctx, c, OwnedMethod, req.Prefix, req, callTimeout)
}

// Locate returns hoarders that claim the content and are believed alive, the
// best first. NotFound if no hoarder that was asked knows of any.
func (c *Client) Locate(ctx context.Context, root string) ([]transport.Peer, error) {
	resp, err := try(ctx, c, LocateMethod, root, RootRequest{Root: root}, callTimeout)
	return resp.Holders, err
}

// Demand reports n more uses of an item. What was reported may be lost in a
// crash: demand is a hint.
func (c *Client) Demand(ctx context.Context, root string, n int) error {
	_, err := try(ctx, c, DemandMethod, root, DemandRequest{Root: root, N: n}, callTimeout)
	return err
}

// Database returns the newest snapshot of the owner's database that the first
// answering hoarder knows of.
func (c *Client) Database(ctx context.Context, owner, name string) (DatabaseResponse, error) {
	return try(ctx, c, DatabaseMethod, name, DatabaseRequest{Owner: owner, Name: name}, callTimeout)
}

// Status asks one hoarder about itself.
func (c *Client) Status(ctx context.Context, hoarder transport.Peer) (StatusResponse, error) {
	ctx, cancel := clock.WithTimeout(ctx, c.ep.Loop(), callTimeout)
	defer cancel()
	return StatusMethod.Call(ctx, c.ep, hoarder, Done{})
}

const callTimeout = 3 * time.Second

// try calls hoarders one after the other until one succeeds. A NotFound may be
// a replica that lags, so it is believed only when all say so. A Conflict is
// believed at once: the next one may not have heard yet of what it rests on.
func try[Req, Resp any](ctx context.Context, c *Client, m transport.Method[Req, Resp], root string, req Req, limit time.Duration) (resp Resp, err error) {
	peers := rendezvous.Rank(root, c.ep.Directory().Peers(Service))
	err = transport.New(transport.Unreachable, m.Name, "there is no hoarder")
	for i, p := range peers {
		if i == c.attemptsMax {
			break
		}
		var once error
		resp, once = attempt(ctx, c, m, p, req, limit)
		if once == nil {
			return resp, nil
		}
		// A refusal says more than the silence of those tried after it.
		if i == 0 || transport.KindOf(err) != transport.Refused {
			err = once
		}
		if kind := transport.KindOf(once); kind == transport.Invalid || kind == transport.Conflict || ctx.Err() != nil {
			return resp, once
		}
	}
	return resp, err
}

func attempt[Req, Resp any](ctx context.Context, c *Client, m transport.Method[Req, Resp], p transport.Peer, req Req, limit time.Duration) (Resp, error) {
	ctx, cancel := clock.WithTimeout(ctx, c.ep.Loop(), limit)
	defer cancel()
	return m.Call(ctx, c.ep, p, req)
}
