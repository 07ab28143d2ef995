package blocks

import (
	"context"
	"fmt"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

func (b *Store) onGet(_ context.Context, _ transport.Peer, request getRequest) (response getResponse, err error) {
	if len(request.CIDs) > getLenMax {
		return response, transport.New(transport.Invalid, getBlocks.Name, fmt.Sprintf("%d blocks at once", len(request.CIDs)))
	}
	cids, err := decodeCIDs(request.CIDs)
	if err != nil {
		return response, err
	}
	left := min(max(1, request.SizeMax), pacing.Max)
	for i, c := range cids {
		if err := checkCID(c); err != nil {
			return response, transport.New(transport.Invalid, getBlocks.Name, err.Error())
		}
		raw, err := b.served.read(b.store, c)
		item := getItem{Found: err == nil, Raw: raw, Size: len(raw)}
		if i == 0 && err == nil {
			item.Raw = raw[min(max(0, request.Offset), len(raw)):]
			item.Raw = item.Raw[:min(len(item.Raw), left)]
		} else if len(raw) > left {
			break
		}
		response.Items = append(response.Items, item)
		left -= len(item.Raw)
		if item.Found && len(item.Raw) < item.Size && i == 0 && left <= 0 {
			break // the rest of it first
		}
	}
	return response, nil
}

// servedBlocks is a cache of the blocks served last: one that is sent in parts is read and verified
// once.
type servedBlocks []block

func (s *servedBlocks) read(store *blockStore, c storage.CID) ([]byte, error) {
	for _, b := range *s {
		if b.cid == c {
			return b.raw, nil
		}
	}
	raw, err := store.readBlock(c)
	if err != nil || len(raw) <= pacing.First {
		return raw, err
	}
	if len(*s) >= servedMax {
		*s = append((*s)[:0], (*s)[1:]...)
	}
	*s = append(*s, block{cid: c, raw: raw})
	return raw, nil
}
