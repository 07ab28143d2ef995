package seer

import (
	"context"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// followAt asks one seer what has changed, page by page. The error is that it did not answer, or does not
// know of all members yet; what it does know is taken all the same.
func (d *discovery) followAt(ctx context.Context, seer transport.Peer) error {
	told := node.Told{Services: d.asked}
	_, says := d.members.Own()
	req := followRequest{Cursor: d.cursor, Services: d.asked, Says: says, Some: true}
	for range followPagesMax {
		page, err := follow.Call(ctx, d.env.Wire, seer, req)
		if err != nil {
			return err
		}
		if page.Full {
			told.Whole, told.Members, told.Gone = true, nil, nil
		}
		told.Members, told.Gone = append(told.Members, page.Members...), append(told.Gone, page.Gone...)
		req.Cursor = page.Cursor
		if page.More {
			continue
		}
		told.Known = page.Known
		d.members.Learn(told)
		if page.Newer != nil {
			d.members.Supersede(*page.Newer)
		}
		if page.Announce {
			delete(d.announced, seer)
		}
		if d.cursor = req.Cursor; !page.Known {
			d.cursor = seerapi.Cursor{}
			return transport.New(transport.Refused, follow.Name, "this seer does not know of all members yet")
		}
		return nil
	}
	return transport.New(transport.Invalid, follow.Name, "too many pages")
}

// followPagesMax bounds the pages of one answer.
const followPagesMax = 256
