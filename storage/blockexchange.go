package storage

import (
	"context"

	boxo "github.com/ipfs/boxo/exchange"
	blockformat "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/transport"
)

// Exchange is our block exchange behind boxo's interface, for what is built on
// boxo; bitswap is another. Its methods must be called by tasks of b's loop.
func (b *Blocks) Exchange(holders []transport.Peer) boxo.Interface {
	return &blockExchange{blocks: b, holders: holders}
}

type blockExchange struct {
	blocks  *Blocks
	holders []transport.Peer
}

// GetBlock implements exchange.Fetcher. It asks one holder after the other.
func (e *blockExchange) GetBlock(ctx context.Context, c cid.Cid) (blockformat.Block, error) {
	if err := checkCID(c); err != nil {
		return nil, err
	}
	err := ErrNotFound
	for _, peer := range e.holders {
		response, callErr := getBlocks.Call(ctx, e.blocks.endpoint, peer, getRequest{CIDs: encodeCIDs([]CID{c})})
		switch {
		case callErr != nil:
			err = callErr
		case len(response.Items) == 1 && response.Items[0].Found:
			raw := response.Items[0].Raw
			if err = verifyBlock(c, raw); err == nil {
				return blockformat.NewBlockWithCid(raw, c)
			}
		}
	}
	return nil, err
}

// GetBlocks implements exchange.Fetcher: what is not found is left out.
func (e *blockExchange) GetBlocks(ctx context.Context, cids []cid.Cid) (<-chan blockformat.Block, error) {
	found := make(chan blockformat.Block, len(cids))
	defer close(found)
	for _, c := range cids {
		if block, err := e.GetBlock(ctx, c); err == nil {
			found <- block
		} else if ctx.Err() != nil {
			return nil, err
		}
	}
	return found, nil
}

// NotifyNewBlocks implements exchange.Interface: what is here is served.
func (e *blockExchange) NotifyNewBlocks(context.Context, ...blockformat.Block) error { return nil }

// Close implements io.Closer.
func (e *blockExchange) Close() error { return nil }
