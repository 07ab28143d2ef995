package seer

import (
	"context"
	"maps"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
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
	d.alone++
	for _, p := range d.others() {
		if d.announced[p] {
			d.heard, d.alone = d.says, 0
		}
	}
	if !slices.Contains(seers, d.env.Self) || len(seers) == 1 {
		d.alone = 0
	}
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

// tell announces this node to some seers.
func (d *discovery) tell(ctx context.Context, untold []transport.Peer) {
	said, says := d.members.Own()
	ctx, cancel := clock.WithTimeout(ctx, d.env.Loop, seerapi.TryTimeout)
	defer cancel()
	_ = clock.First(ctx, d.env.Loop, len(untold), len(untold), func(ctx context.Context, i int) error {
		resp, err := announceAt.Call(ctx, d.env.Wire, untold[i], announceRequest{Said: said})
		switch {
		case err != nil: // a later round tries again
		case resp.Newer != nil:
			d.members.Supersede(*resp.Newer)
		case says == d.says:
			d.announced[untold[i]] = true
		}
		return nil
	})
}
