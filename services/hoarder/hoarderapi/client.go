package hoarderapi

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// PinTimeout bounds one hoarder's attempt at a pin of content of negligible size. Large content
// adds its time on a slow link twice, for two copies, see transport.TransferTime.
const PinTimeout = 20 * time.Second

// Client speaks to hoarders. It tries them in rendezvous order of the root, so that requests about
// an item tend to go to its holders.
type Client struct {
	asker *ask.Asker
}

// NewClient returns a client on the loop of ep.
func NewClient(ep *transport.Endpoint) *Client {
	return &Client{asker: ask.New(ep, policy)}
}

// policy: a NotFound may come from a replica that lags, so it counts only when all say so. A
// Conflict counts at once: the next hoarder may not know of its cause yet. A refusal outranks the
// silence of hoarders tried after it.
var policy = ask.Policy{
	Service:  Service,
	Final:    []transport.Kind{transport.Invalid, transport.Conflict},
	Telling:  []transport.Kind{transport.Refused},
	PeersMax: 6,
}

// Pin asks that content be kept. It returns when content and pin are on the disk of a hoarder and,
// if a second copy is wanted and a hoarder with room is reachable, on that one's too; the caller
// may stop then. Refused: no hoarder that was asked has room, and none has taken it. Conflict: the
// owner has withdrawn it with this Seq or a higher one. Pinning is idempotent; try again after Timeout or Unreachable.
func (c *Client) Pin(ctx context.Context, req PinRequest) (PinResponse, error) {
	return ask.Call(ctx, c.asker, Pin, req.Root, PinTimeout+2*transport.TransferTime(req.Size), req)
}

// Unpin withdraws the owner's pins with Seq or less. It returns when the withdrawal is on the disks
// of two hoarders, or of one if no other answers. The content is dropped when it has no owner left.
// It is idempotent, and no error if nothing was pinned: a pin that arrives later is covered too.
func (c *Client) Unpin(ctx context.Context, req UnpinRequest) error {
	_, err := ask.Call(ctx, c.asker, Unpin, req.Root, callTimeout, req)
	return err
}

// Owners lists the owners of an item, as known to the first hoarder that answers.
func (c *Client) Owners(ctx context.Context, req OwnersRequest) (OwnersResponse, error) {
	return ask.Call(ctx, c.asker, Owners, req.Root, callTimeout, req)
}

// Locate returns hoarders that claim the content and are believed alive, best-ranked first.
// NotFound if no hoarder that was asked knows of any.
func (c *Client) Locate(ctx context.Context, root string) ([]transport.Peer, error) {
	resp, err := ask.Call(ctx, c.asker, Locate, root, callTimeout, RootRequest{Root: root})
	return resp.Holders, err
}

// Demand reports n more uses of an item. A report may be lost in a crash: demand is a hint.
func (c *Client) Demand(ctx context.Context, root string, n int) error {
	_, err := ask.Call(ctx, c.asker, Demand, root, callTimeout, DemandRequest{Root: root, N: n})
	return err
}

// Database returns the newest snapshot of the owner's database that the first
// answering hoarder knows of.
func (c *Client) Database(ctx context.Context, owner, name string) (DatabaseResponse, error) {
	return ask.Call(ctx, c.asker, NewestSnapshot, name, callTimeout, DatabaseRequest{Owner: owner, Name: name})
}

// Status asks one hoarder about itself.
func (c *Client) Status(ctx context.Context, hoarder transport.Peer) (StatusResponse, error) {
	ctx, cancel := clock.WithTimeout(ctx, c.asker.Endpoint().Loop(), callTimeout)
	defer cancel()
	return Status.Call(ctx, c.asker.Endpoint(), hoarder, Done{})
}

const callTimeout = 3 * time.Second
