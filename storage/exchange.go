package storage

import (
	"fmt"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// headsLenMax bounds the heads in a message.
const headsLenMax = 256

// What replicas say to each other, besides news, which are just a delta.
type (
	// headsNote compares the state of two replicas.
	headsNote struct {
		Heads  [][]byte `cbor:"1,keyasint"`
		Answer bool     `cbor:"2,keyasint"` // to a note; it gets none
	}
	// fetchRequest asks for all that the other has, except what Have names and
	// its ancestors.
	fetchRequest struct {
		Have [][]byte `cbor:"1,keyasint"`
		// Far says that Have reaches as far back as it ever will.
		Far bool `cbor:"2,keyasint"`
		// After is the last of the previous page, empty at first.
		After []byte `cbor:"3,keyasint"`
	}
	fetchResponse struct {
		Deltas [][]byte `cbor:"1,keyasint"` // ancestors first
		More   bool     `cbor:"2,keyasint"`
		// Unknown says: Have names nothing that I know, look further back.
		Unknown bool `cbor:"3,keyasint"`
		// Last names the last of Deltas.
		Last []byte `cbor:"4,keyasint"`
	}
	// pushRequest asks to make Heads and all their ancestors durable. Deltas
	// are some that the other may lack.
	pushRequest struct {
		Heads  [][]byte `cbor:"1,keyasint"`
		Deltas [][]byte `cbor:"2,keyasint"`
	}
	pushResponse struct{}
)

// exchange is what a replica needs to speak with the others.
type exchange struct {
	news  string // the topic
	heads transport.Note[headsNote]
	fetch transport.Method[fetchRequest, fetchResponse]
	push  transport.Method[pushRequest, pushResponse]

	orphans  []orphan
	awaiting bool // a timer runs for the orphans

	// lagging are peers that have something that we lack; one task pulls.
	lagging []lag
	pulling bool

	// rounds are the peers still to be asked in this round of anti-entropy.
	rounds []transport.Peer
	pushes int // counts, so that they begin with another peer each time
}

// serve registers the handlers.
func (r *Replicated) serve() {
	ep, name := r.cfg.Endpoint, r.cfg.Service+"/kv/"+r.cfg.Namespace
	r.exchange.news = name
	r.exchange.heads.Name = name + "/heads"
	r.exchange.fetch.Name = name + "/fetch"
	r.exchange.push.Name = name + "/push"
	ep.Subscribe(name, r.onNews)
	r.exchange.heads.Serve(ep, r.onHeads)
	r.exchange.fetch.Serve(ep, r.onFetch)
	r.exchange.push.Serve(ep, r.onPush)
}

// take makes deltas of others part of the state.
func (r *Replicated) take(deltas [][]byte) error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	err := r.replica.ingest(deltas)
	if err == nil {
		r.adopt()
	}
	r.notify()
	return err
}

func (r *Replicated) hasAll(cids []CID) bool {
	return !slices.ContainsFunc(cids, func(c CID) bool { return !r.replica.has(c) })
}

// encodedHeads are enough of our heads: with one more than it can name, the
// others find out about the rest when they pull.
func (r *Replicated) encodedHeads() [][]byte {
	heads := r.replica.heads()
	return encodeCIDs(heads[:min(len(heads), headsLenMax)])
}

// others are the peers with the other replicas, in canonical order.
func (r *Replicated) others() []transport.Peer {
	self := r.cfg.Endpoint.Self()
	all := r.cfg.Endpoint.Directory().Peers(r.cfg.Service)
	return slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == self })
}

// shuffledOthers are the same in an order of our own.
func (r *Replicated) shuffledOthers() []transport.Peer {
	others := r.others()
	r.cfg.Rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return others
}

func encodeCIDs(list []CID) [][]byte {
	raws := make([][]byte, len(list))
	for i, c := range list {
		raws[i] = c.Bytes()
	}
	return raws
}

func decodeCIDs(raws [][]byte) ([]CID, error) {
	if len(raws) > headsLenMax {
		return nil, transport.New(transport.Invalid, "decode", fmt.Sprintf("%d heads", len(raws)))
	}
	list := make([]CID, len(raws))
	for i, raw := range raws {
		c, err := cid.Cast(raw)
		if err != nil {
			return nil, transport.New(transport.Invalid, "decode", err.Error())
		}
		list[i] = c
	}
	return list, nil
}
