package blocks

import (
	"context"

	boxo "github.com/ipfs/boxo/exchange"
	blockformat "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Exchange is our block exchange behind boxo's interface, for what is built on
// boxo; bitswap is another. Its methods must be called by tasks of b's loop.
func (b *Store) Exchange(holders []transport.Peer) boxo.Interface {
	return &blockExchange{blocks: b, holders: holders}
}

type blockExchange struct {
	blocks  *Store
	holders []transport.Peer
}

// GetBlock implements exchange.Fetcher. It asks one holder after the other.
func (e *blockExchange) GetBlock(ctx context.Context, c cid.Cid) (blockformat.Block, error) {
	if err := checkCID(c); err != nil {
		return nil, err
	}
	err := storage.ErrNotFound
	for _, peer := range e.holders {
		f := &fetch{blocks: e.blocks, parts: map[storage.CID]*blockPart{}}
		raw, getErr := f.one(ctx, &holder{peer: peer, lacks: map[storage.CID]bool{}}, c)
		if getErr == nil {
			return blockformat.NewBlockWithCid(raw, c)
		}
		err = getErr
	}
	return nil, err
}

// one gets one block from one holder, without storing it.
func (f *fetch) one(ctx context.Context, h *holder, c storage.CID) ([]byte, error) {
	for part := f.part(h, c); ; {
		response, err := f.blocks.askFor(ctx, h.peer, []storage.CID{c}, len(part.raw))
		if err != nil {
			return nil, err
		}
		list, err := f.sort(h, part, []storage.CID{c}, response.Items)
		switch {
		case err != nil:
			return nil, err
		case h.lacks[c]:
			return nil, storage.ErrNotFound
		case len(list) > 0:
			return list[0].raw, verifyBlock(c, list[0].raw)
		}
	}
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
