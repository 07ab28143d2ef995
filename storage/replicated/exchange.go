package replicated

import (
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/transport"
)

// headsLenMax bounds the heads in a message.
const headsLenMax = 256

// The messages between replicas.
type (
	// newsNote is a delta that was just made or, if that is long, the heads by
	// which others see that they lack it.
	newsNote struct {
		Delta []byte   `cbor:"1,keyasint"`
		Heads [][]byte `cbor:"2,keyasint"`
	}
	// headsNote compares the state of two replicas.
	headsNote struct {
		Heads    [][]byte `cbor:"1,keyasint"` // of each its CID and dot
		Context  uint64   `cbor:"2,keyasint"` // the sum of the vector
		Contents uint64   `cbor:"3,keyasint"` // the sum of the elements
		Answer   bool     `cbor:"4,keyasint"` // to a note; it gets none
	}
	// fetchRequest asks for all deltas that the other has and Have does not include, up to SizeMax
	// bytes; if that is 0, only for its standing.
	fetchRequest struct {
		Have    []byte `cbor:"1,keyasint"` // a vector
		SizeMax int    `cbor:"2,keyasint"`
		// Part is the part of a delta longer than a page that is here already.
		Part *partCursor `cbor:"3,keyasint"`
		// Fold asks for the next page of a fold.
		Fold *foldRequest `cbor:"4,keyasint"`
		// Whole asks for a fold even if deltas would do.
		Whole bool `cbor:"5,keyasint"`
	}
	partCursor struct {
		CID    []byte `cbor:"1,keyasint"`
		Offset int    `cbor:"2,keyasint"`
	}
	foldRequest struct {
		ID uint64     `cbor:"1,keyasint"`
		At foldCursor `cbor:"2,keyasint"`
	}
	fetchResponse struct {
		Standing standing  `cbor:"1,keyasint"`
		Deltas   [][]byte  `cbor:"2,keyasint"` // ancestors first
		More     bool      `cbor:"3,keyasint"`
		Part     *partPage `cbor:"4,keyasint"` // of the next delta
		Fold     *foldPage `cbor:"5,keyasint"` // instead of deltas
	}
	partPage struct {
		CID    []byte `cbor:"1,keyasint"`
		Size   int    `cbor:"2,keyasint"` // of the delta
		Offset int    `cbor:"3,keyasint"`
		Bytes  []byte `cbor:"4,keyasint"`
	}
	foldPage struct {
		ID    uint64     `cbor:"1,keyasint"`
		At    foldCursor `cbor:"2,keyasint"` // of Bytes
		Next  foldCursor `cbor:"3,keyasint"`
		Bytes []byte     `cbor:"4,keyasint"`
		Done  bool       `cbor:"5,keyasint"`
	}
	// pushRequest asks to make Heads and all their ancestors durable. Deltas
	// are some that the other may lack.
	pushRequest struct {
		Heads  [][]byte `cbor:"1,keyasint"`
		Deltas [][]byte `cbor:"2,keyasint"`
	}
	pushResponse struct{}
)

// exchange is a replica's state of its communication with the others.
type exchange struct {
	news  transport.Topic[newsNote]
	heads transport.Note[headsNote]
	fetch transport.Method[fetchRequest, fetchResponse]
	push  transport.Method[pushRequest, pushResponse]

	paces pacing.Paces
	// sink is the fold being received, part the beginning of a long delta; both are kept when a
	// page fails.
	sink      *foldSink
	sinkFrom  transport.Peer
	sinkOwner *int // the pull that receives it
	part      partPage
	progress  time.Duration // when a page came last, in Elapsed

	folds   []*foldSource // that are served
	foldIDs uint64

	orphans  []orphan
	awaiting bool // a timer runs for the orphans

	// lagging are peers with deltas that we lack; one task pulls from them.
	lagging []lag
	pulling bool

	// rounds are the peers still to be asked in this round of anti-entropy.
	rounds []transport.Peer
	pushes int // counts, so that they begin with another peer each time
}

// serve registers the handlers.
func (r *Store) serve() {
	ep, name := r.cfg.Endpoint, r.cfg.Service+"/kv/"+r.cfg.Namespace
	r.exchange.foldIDs = r.cfg.Rand.Uint64()
	rule := transport.Offers(r.cfg.Service) // whose nodes have the other replicas
	r.exchange.news.Name, r.exchange.news.Rule = name, rule
	r.exchange.heads.Name, r.exchange.heads.Rule = name+"/heads", rule
	r.exchange.fetch.Name, r.exchange.fetch.Rule = name+"/fetch", rule
	r.exchange.push.Name, r.exchange.push.Rule = name+"/push", rule
	r.exchange.news.Subscribe(ep, r.onNews)
	r.exchange.heads.Serve(ep, r.onHeads)
	r.exchange.fetch.Serve(ep, r.onFetch)
	r.exchange.push.Serve(ep, r.onPush)
}

// take merges deltas of others into the state.
func (r *Store) take(deltas [][]byte) error {
	if r.ctx.Err() != nil {
		return clock.ErrStopped
	}
	err := r.replica.ingest(deltas)
	if err == nil {
		r.mergeOrphans()
	}
	r.notify()
	return err
}

// namedHead is a head as others name it.
type namedHead struct {
	cid storage.CID
	dot dot
}

func (r *Store) hasAll(heads []namedHead) bool {
	return !slices.ContainsFunc(heads, func(h namedHead) bool { return !r.replica.has(h.dot) })
}

// encodedHeads are our heads, bounded: the others learn of the rest when they pull.
func (r *Store) encodedHeads() (raws [][]byte) {
	heads := r.replica.index.headList()
	for _, h := range heads[:min(len(heads), headsLenMax)] {
		raws = append(raws, appendDot(h.cid.Bytes(), h.dot))
	}
	return raws
}

func decodeHeads(raws [][]byte) ([]namedHead, error) {
	if len(raws) > headsLenMax {
		return nil, transport.New(transport.Invalid, "decode", fmt.Sprintf("%d heads", len(raws)))
	}
	list := make([]namedHead, len(raws))
	for i, raw := range raws {
		n, c, err := cid.CidFromBytes(raw)
		if err != nil {
			return nil, transport.New(transport.Invalid, "decode", err.Error())
		}
		d, _, err := cutDot(raw[n:])
		if err != nil {
			return nil, transport.New(transport.Invalid, "decode", err.Error())
		}
		list[i] = namedHead{c, d}
	}
	return list, nil
}

// others are the peers with the other replicas, in canonical order.
func (r *Store) others() []transport.Peer {
	self := r.cfg.Endpoint.Self()
	all, _ := r.cfg.Endpoint.Directory().Lookup(r.cfg.Service) // who must not miss any asks knowsOthers
	return slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == self })
}

// knowsOthers reports whether others lists all that there are.
func (r *Store) knowsOthers() bool {
	_, known := r.cfg.Endpoint.Directory().Lookup(r.cfg.Service)
	return known
}

// shuffledOthers are the same in an order particular to this node.
func (r *Store) shuffledOthers() []transport.Peer {
	others := r.others()
	r.cfg.Rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return others
}
