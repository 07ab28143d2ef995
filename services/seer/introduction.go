package seer

import (
	"context"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"github.com/taucloud/tau/transport/rendezvous"
)

const (
	// introducersMax is how many members are asked in one round who the seers are.
	introducersMax = 4
	// introducedMax bounds the seers that one member names.
	introducedMax = 16
)

// beIntroduced asks some members who the seers are, and tells them what this node says of itself: where
// it does not reach the seers that it knows, and where they would not find it, because both are elsewhere now.
func (d *discovery) beIntroduced(ctx context.Context) {
	d.introducing.ask(ctx, d.inTurn(d.introducers()), func(ctx context.Context, member transport.Peer) (good bool) {
		said, says := d.members.Own()
		resp, err := introduce.Call(ctx, d.env.Wire, member, introduceRequest{Said: said})
		if err != nil || len(resp.Seers) > introducedMax {
			return false
		}
		d.heardBy(member, says)
		before := d.members.Version()
		d.members.Learn(node.Told{Members: resp.Seers})
		if d.members.Version() != before {
			d.goOn()
		}
		return len(d.others()) > 0
	})
}

// introducers are those who may know where the seers are, or are to be told where this one is, in an order of
// this node's own: nobody, unless that is in doubt. A seer asks those of its configuration in any case until it has met them.
func (d *discovery) introducers() []transport.Peer {
	seers := d.seers()
	looks := d.looksForSeers(seers)
	if !looks && !slices.Contains(seers, d.env.Self) {
		return nil
	}
	var list []transport.Peer
	for _, c := range d.members.Contacts() {
		if d.members.Known(c.Peer) == nil {
			list = append(list, c.Peer)
		}
	}
	for _, m := range d.members.List() {
		if looks && !m.Left {
			list = append(list, m.Peer)
		}
	}
	list = slices.DeleteFunc(list, func(p transport.Peer) bool { return p == d.env.Self })
	return rendezvous.Rank(string(d.env.Self[:]), list)
}

// looksForSeers reports whether this node reaches none, or is one that others may not find.
//
// A seer that has told another one what it says is found by that one, and a seer that it has not told looks for
// it as well, or has not moved. So two that have both moved look for each other, and one member that knows
// both, or that both know, is enough.
func (d *discovery) looksForSeers(seers []transport.Peer) bool {
	if len(seers) == 0 || d.unanswered {
		return true
	}
	_, says := d.members.Own()
	untold := func(p transport.Peer) bool { return !d.announced[p] }
	return slices.Contains(seers, d.env.Self) && (d.heard != says || slices.ContainsFunc(seers, untold))
}

// inTurn picks introducersMax, the next ones each time.
func (d *discovery) inTurn(list []transport.Peer) (picked []transport.Peer) {
	for range min(len(list), introducersMax) {
		d.turn++
		picked = append(picked, list[d.turn%len(list)])
	}
	return picked
}

// introduce names seers to whoever asks, and remembers what that one says of itself if it is a seer, or known.
func (d *discovery) introduce(_ context.Context, from transport.Peer, req introduceRequest) (introduceResponse, error) {
	if d.members == nil {
		return introduceResponse{}, nil
	}
	a, err := ofItself(d.env, from, req.Said)
	if err != nil {
		return introduceResponse{}, err
	}
	if a.Offers(seerapi.Service) || d.members.Known(from) != nil {
		d.members.Learn(node.Told{Members: []addressbook.Signed{req.Said}})
	}
	return introduceResponse{Seers: d.members.Introduce(seerapi.Service, introducedMax)}, nil
}

// ofItself opens what a member says of itself. A service that it may not offer is not believed.
func ofItself(env node.Env, from transport.Peer, said addressbook.Signed) (*addressbook.Announcement, error) {
	a, err := said.Open()
	if err != nil {
		return nil, transport.New(transport.Invalid, seerapi.Service, err.Error())
	}
	grants, _ := env.Wire.Grants(from)
	if a.Peer != from || slices.ContainsFunc(a.Services, func(service string) bool { return !grants.Offers(service) }) {
		return nil, transport.New(transport.NotAllowed, seerapi.Service, "a member speaks for itself, and of what it may offer")
	}
	return a, nil
}
