package seer

import (
	"context"
	"maps"
	"slices"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

const (
	// toldMin is how many seers a node tells what it says of itself; they tell the others. A node with a seer
	// tells all others: if they do not know where it is, nobody does.
	toldMin = 3
	// toldMax bounds how many are told at a time.
	toldMax = 64
)

// announce tells seers what they have not heard yet of this node. Those that do not answer are told in a later
// round; if none of those that are to be told does, any other will do.
func (d *discovery) announce(ctx context.Context) {
	seers := d.seers()
	d.recall(seers)
	first := len(seers)
	if !slices.Contains(seers, d.env.Self) {
		first = min(first, toldMin)
	}
	d.tell(ctx, d.untold(seers[:first]))
	if len(d.announced) == 0 {
		d.tell(ctx, d.untold(seers[first:]))
	}
	if d.alone++; d.heardOf() {
		d.alone = 0
	}
}

// heardOf reports whether the other seers know of this one, by one of them, or there is none.
func (d *discovery) heardOf() bool {
	others := d.others()
	return len(others) == 0 || len(others) == len(d.seers()) || slices.ContainsFunc(others, func(p transport.Peer) bool { return d.announced[p] })
}

// recall forgets whom this node has told what is not so any more, and those that are seers no longer.
func (d *discovery) recall(seers []transport.Peer) {
	_, says := d.members.Own()
	if says != d.says {
		clear(d.announced)
		d.says, d.alone = says, 0
	}
	maps.DeleteFunc(d.announced, func(p transport.Peer, _ bool) bool { return !slices.Contains(seers, p) })
}

// untold are those of some seers that have not heard what this node says, at most toldMax.
func (d *discovery) untold(seers []transport.Peer) []transport.Peer {
	list := slices.DeleteFunc(slices.Clone(seers), func(p transport.Peer) bool { return d.announced[p] })
	return list[:min(len(list), toldMax)]
}

// tell announces this node to some seers, and waits until one has heard it, or none has.
func (d *discovery) tell(ctx context.Context, untold []transport.Peer) {
	d.tellers.ask(ctx, untold, func(ctx context.Context, seer transport.Peer) (heard bool) {
		said, says := d.members.Own()
		resp, err := announceAt.Call(ctx, d.env.Wire, seer, announceRequest{Said: said})
		switch {
		case err != nil: // a later round tries again
		case resp.Newer != nil:
			d.members.Supersede(*resp.Newer)
			d.goOn()
		case says == d.says:
			d.announced[seer] = true
			d.heardBy(seer, says)
			return true
		}
		return false
	})
}

// heardBy notes that somebody has heard what this node says.
func (d *discovery) heardBy(p transport.Peer, says addressbook.Stamp) {
	if p != d.env.Self {
		d.heard = says
	}
}
