// Package ask puts a question to the peers that offer a service, one after the other, until one has
// answered. Every client of a replicated service does that; the differences are in its Policy: the
// peer to ask first, the errors that end the round, and the error to return when no peer has
// answered.
package ask

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// Policy says how a client asks. The zero value of each field is the default.
type Policy struct {
	// Service is what the peers offer.
	Service string
	// Final are the kinds of error that end the round: every other peer would answer with the same.
	Final []transport.Kind
	// Telling are the kinds that outrank the errors of peers asked later: if no peer answers, the
	// last such error is returned. But Refused is returned only if no peer that was asked may have
	// done what was asked; otherwise the error of the last one that may have.
	Telling []transport.Kind
	// AsTheyAre are the kinds that are returned unchanged when no peer has answered; any other
	// becomes Unreachable, but for NotAllowed. None: all are returned unchanged.
	AsTheyAre []transport.Kind
	// PeersMax bounds how many are asked, 0: all.
	PeersMax int
	// StayWithLast: the peer that answered last is asked first, so that a client
	// reads what it wrote; else it is the one that ranks first for the key.
	StayWithLast bool
	// InTurn: the peer after the one that answered last is asked first, in an order that differs from client to
	// client, and this node itself last, so that no single peer can keep something from the client.
	InTurn bool
	// AvoidFor is how long a peer that did not answer is asked last.
	AvoidFor time.Duration
}

// Asker asks for one client. It is not safe for concurrent use, like all that
// belongs to one loop.
type Asker struct {
	ep     *transport.Endpoint
	policy Policy
	last   transport.Peer
	// avoid says until when, in Elapsed, a peer is asked last. What is over is forgotten with the next question.
	avoid map[transport.Peer]time.Duration
}

// New returns an Asker that calls through ep.
func New(ep *transport.Endpoint, policy Policy) *Asker {
	return &Asker{ep: ep, policy: policy, avoid: map[transport.Peer]time.Duration{}}
}

// Endpoint is the endpoint of the calls.
func (a *Asker) Endpoint() *transport.Endpoint { return a.ep }

// Answered is the peer that has answered last, the zero Peer before anyone has.
func (a *Asker) Answered() transport.Peer { return a.last }

// Order lists the peers in the order in which they are asked about key: by
// rendezvous, or, if the client stays with the last, that one, this node itself,
// and then the others in an order that differs from node to node; or in turn. Those to avoid
// come at the end.
func (a *Asker) Order(key string) []transport.Peer {
	self := a.ep.Self()
	if a.policy.StayWithLast || a.policy.InTurn {
		key = string(self[:])
	}
	known, _ := a.ep.Directory().Lookup(a.policy.Service) // whoever is known can be asked
	list := rendezvous.Rank(key, known)
	if a.policy.StayWithLast {
		list = rendezvous.Before(a.last, rendezvous.Before(self, list))
	}
	if a.policy.InTurn {
		list = after(a.last, list)
		if i := slices.Index(list, self); i >= 0 {
			list = append(slices.Delete(list, i, i+1), self)
		}
	}
	now := a.ep.Loop().Elapsed()
	maps.DeleteFunc(a.avoid, func(_ transport.Peer, until time.Duration) bool { return now >= until })
	var avoided []transport.Peer
	list = slices.DeleteFunc(list, func(p transport.Peer) bool {
		if _, avoid := a.avoid[p]; !avoid {
			return false
		}
		avoided = append(avoided, p)
		return true
	})
	return append(list, avoided...)
}

// after turns a list so that it begins behind a peer, if that is in it.
func after(p transport.Peer, list []transport.Peer) []transport.Peer {
	i := slices.Index(list, p) + 1
	return slices.Concat(list[i:], list[:i])
}

// Put asks the peers in turn, limit for each, until one has answered: with nil, or with an error of
// a final kind. Of them only those that [Only] allows. method is named in the error when there is no peer to ask. When ctx ends, the error
// is that of the question that was under way.
func (a *Asker) Put(ctx context.Context, method, key string, limit time.Duration, put func(ctx context.Context, peer transport.Peer) error) error {
	told := transport.New(transport.Unreachable, method, a.nobody())
	var unknown error // of a peer that may have done it
	order := a.Order(key)
	peers := Among(ctx, order)
	if len(order) > 0 && len(peers) == 0 {
		told = transport.New(transport.Unreachable, method, "no "+a.policy.Service+" among the peers that may be asked")
	}
	for i, peer := range peers {
		if a.policy.PeersMax > 0 && i == a.policy.PeersMax {
			break
		}
		err := a.once(ctx, peer, limit, put)
		kind := transport.KindOf(err)
		switch {
		case err == nil:
			a.last = peer
			delete(a.avoid, peer)
			return nil
		case slices.Contains(a.policy.Final, kind):
			delete(a.avoid, peer)
			return err
		case ctx.Err() != nil:
			return err
		}
		if a.policy.AvoidFor > 0 {
			a.avoid[peer] = a.ep.Loop().Elapsed() + a.policy.AvoidFor
		}
		if i == 0 || a.telling(kind) || !a.telling(transport.KindOf(told)) {
			told = err
		}
		if transport.MayHaveRun(err) {
			unknown = err
		}
	}
	if unknown != nil && transport.KindOf(told) == transport.Refused {
		told = unknown
	}
	if kind := transport.KindOf(told); len(a.policy.AsTheyAre) > 0 && kind != transport.NotAllowed && !slices.Contains(a.policy.AsTheyAre, kind) {
		told = transport.New(transport.Unreachable, method, told.Error())
	}
	return told
}

// nobody says why there is no peer to ask.
func (a *Asker) nobody() string {
	if transport.PresenceOf(a.ep.Directory(), a.policy.Service) == transport.Unknown {
		return "no " + a.policy.Service + " is known yet"
	}
	return "no " + a.policy.Service + " in the directory"
}

func (a *Asker) telling(kind transport.Kind) bool { return slices.Contains(a.policy.Telling, kind) }

func (a *Asker) once(ctx context.Context, peer transport.Peer, limit time.Duration, put func(context.Context, transport.Peer) error) error {
	ctx, cancel := clock.WithTimeout(ctx, a.ep.Loop(), limit)
	defer cancel()
	return put(ctx, peer)
}

// Call calls a method at the peers in turn, see Put. After an error the response is the zero value.
func Call[Req, Resp any](ctx context.Context, a *Asker, m transport.Method[Req, Resp], key string, limit time.Duration, req Req) (Resp, error) {
	var resp Resp
	err := a.Put(ctx, m.Name, key, limit, func(ctx context.Context, peer transport.Peer) (err error) {
		resp, err = m.Call(ctx, a.ep, peer, req)
		return err
	})
	if err != nil {
		var none Resp
		return none, err
	}
	return resp, nil
}
