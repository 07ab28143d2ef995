package transport

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/taucloud/tau/clock"
)

const (
	// CallTimeout bounds a call whose context has no deadline.
	CallTimeout = 10 * time.Second
	// HandlersPerPeerMax bounds the calls and streams of one peer that are served at once; further
	// ones are Refused.
	HandlersPerPeerMax = 256
	// servingPerPeerMax and servingBytesMax bound the bytes of the requests that are served at
	// once, for one peer and for all; further ones are Refused, except small ones.
	servingPerPeerMax = 16 << 20
	servingBytesMax   = 64 << 20
	// NotesPerPeerMax bounds the notes and publications of one peer that wait or are handled at
	// once by one endpoint; further ones are dropped.
	NotesPerPeerMax = 4096
)

// Engine is the protocol of one node: it multiplexes the calls, notes, streams
// and publications of all its services over one conn per peer, class and direction of
// dialing.
//
// It has no goroutines of its own: it acts when the host reports or a service asks, and now and then by itself while
// messages are incomplete or peers dead. mu guards all state of the engine, of its links, sessions, endpoints, calls and
// streams; it is never held while calling out. Calls to the outside are collected under the lock as actions and made after
// it is released.
type Engine struct {
	host Host
	loop clock.Loop
	dir  Directory
	self Peer

	authority Authority
	proving   Proving // the authority, if its members prove what they are; otherwise nil
	admit     func(Peer) bool
	publisher Publisher
	meddler   Meddler // nil in the real world, as is
	witness   Witness

	versionMin, versionMax uint64

	mu           sync.Mutex
	closed       bool
	remotes      map[Peer]*remote
	sessions     map[Conn]*session
	sessionCount uint64
	calls        map[uint64]*call
	outbound     [classCount]int // bytes that have not arrived, over all sessions of a class
	windows      int             // bytes of streams that peers may send, beyond ConnWindowMin of each
	inbound      int             // bytes of frames that are not complete
	waiting      []waiting       // for room, in order
	watching     bool            // dropStalled will look
	serving      int             // bytes of requests that handlers are at
	strangers    int             // sessions of those who are no members
	halfOpen     int             // accepted sessions whose peer has not said hello
	dead         []*remote       // whose last dial failed, in the order of that
	forgetting   bool            // forgetDead will look
	callCount    uint64
	methods      map[string]*method
	topics       map[string]*subscription
}

// Option changes what an Engine does.
type Option func(*Engine)

// Admit makes the engine accept conns from, and dial, only peers for which admit returns true.
// admit is called on any goroutine and must not wait.
func Admit(admit func(Peer) bool) Option { return func(e *Engine) { e.admit = admit } }

// PublishWith makes p carry publications, in place of the engine's own fan-out
// to all peers of the audience.
func PublishWith(p Publisher) Option { return func(e *Engine) { e.publisher = p } }

// NewEngine returns an engine over host. It reads the time of loop, the node's
// own, which is not a service's. A dir that is an Authority as well says who may call
// what, unless AuthorizeBy names another; without any, all peers are strangers.
func NewEngine(host Host, loop clock.Loop, dir Directory, options ...Option) *Engine {
	e := &Engine{
		host: host, loop: loop, dir: dir, self: host.ID(),
		admit:    func(Peer) bool { return true },
		remotes:  map[Peer]*remote{},
		sessions: map[Conn]*session{},

		versionMin: VersionMin, versionMax: VersionMax,
		calls:   map[uint64]*call{},
		methods: map[string]*method{},
		topics:  map[string]*subscription{},
	}
	e.publisher, e.authority = fanOut{e}, strangers{}
	if a, ok := dir.(Authority); ok {
		e.authority = a
	}
	e.meddler, _ = host.(Meddler)
	e.witness, _ = host.(Witness)
	for _, o := range options {
		o(e)
	}
	if e.proving, _ = e.authority.(Proving); e.proving != nil {
		e.proving.Watch(e.membershipChanged)
		if d, ok := host.(Doorkeeper); ok {
			d.SetMembers(func(p Peer) bool { return !e.isStranger(p) })
		}
	}
	host.Handle((*receiver)(e))
	return e
}

// Endpoint is the engine as a service on loop sees it: handlers run as tasks of
// loop, waiting calls park on it.
func (e *Engine) Endpoint(loop clock.Loop) *Endpoint {
	return &Endpoint{member: &member{engine: e, home: loop, inboxes: map[Peer]*inbox{}}, loop: loop}
}

// Close resets everything; pending calls end with Kind Stopped.
func (e *Engine) Close() error {
	e.do(func(a *actions) {
		if e.closed {
			return
		}
		e.closed = true
		for _, s := range e.sessionsInOrder() {
			e.drop(s, stoppedError, a)
		}
		for _, l := range e.linksInOrder() {
			e.dropWaiting(l, stoppedError, a)
		}
		for _, topic := range slices.Sorted(maps.Keys(e.topics)) {
			e.topics[topic].leave(a)
		}
		e.topics = map[string]*subscription{}
	})
	return e.host.Close()
}

// actions are the calls to make when the lock is free, in order.
type actions struct {
	list []func()
	few  [3]func() // where list begins, to allocate once
}

func (a *actions) add(f func()) { a.list = append(a.list, f) }

// collected are actions that are used again: there are some twenty for each request over a stream.
var collected = sync.Pool{New: func() any { return &actions{} }}

// do runs f, which must not keep a, under the lock, and then the actions that f has collected.
func (e *Engine) do(f func(a *actions)) {
	a := collected.Get().(*actions)
	a.list = a.few[:0]
	e.mu.Lock()
	f(a)
	e.mu.Unlock()
	for _, act := range a.list {
		act()
	}
	a.list, a.few = nil, [3]func(){}
	collected.Put(a)
}

// sessionsInOrder are the sessions in the order in which they came to be.
func (e *Engine) sessionsInOrder() []*session {
	return slices.SortedFunc(maps.Values(e.sessions), func(s, t *session) int { return cmp.Compare(s.number, t.number) })
}

// linksInOrder are the links in the order of their peers and classes.
func (e *Engine) linksInOrder() (list []*link) {
	for _, r := range slices.SortedFunc(maps.Values(e.remotes), func(r, q *remote) int { return r.peer.Compare(q.peer) }) {
		for class := range r.links {
			list = append(list, &r.links[class])
		}
	}
	return list
}

// receiver is the engine as the host sees it.
type receiver Engine

// Accepted implements HostHandler.
func (r *receiver) Accepted(c Conn) {
	e := (*Engine)(r)
	e.do(func(a *actions) {
		if e.closed || !e.admit(c.Remote()) {
			a.add(c.Close)
			return
		}
		e.accepted(c, a)
	})
}

// Closed implements HostHandler.
func (r *receiver) Closed(c Conn, err error) {
	e := (*Engine)(r)
	e.do(func(a *actions) {
		if s := e.sessions[c]; s != nil {
			e.drop(s, unreachable(fmt.Sprintf("conn closed: %v", err)), a)
		}
	})
}

// Frame implements HostHandler. A peer that sends a malformed frame, or one
// that makes no sense now, loses its conn.
func (r *receiver) Frame(c Conn, data []byte) {
	e := (*Engine)(r)
	f, err := decodeFrame(data)
	if err == nil {
		err = e.examine(c, &f)
	}
	e.do(func(a *actions) {
		s := e.sessions[c]
		if s == nil {
			return
		}
		if len(data) > FrameLenMax {
			err = errMalformed
		}
		if err == nil && s.stranger {
			err = s.countStrange(len(data))
		}
		if err == nil {
			err = e.receive(s, f, a)
		}
		if err != nil {
			e.drop(s, unreachable(err.Error()), a)
		}
	})
}

// receive dispatches a frame. An error is the peer's breach of the protocol.
func (e *Engine) receive(s *session, f frame, a *actions) error {
	if f.typ >= frameUnknown {
		return nil
	}
	if !s.greeted {
		return e.greeted(s, f, a)
	}
	s.moves++
	if e.meddler != nil {
		e.again(s, f, a)
	}
	switch f.typ {
	case frameRequest:
		return e.serve(s, f, a)
	case frameResponse:
		e.answered(s, f.id, f.message, nil, a)
	case frameFailure:
		e.answered(s, f.id, nil, f.err(), a)
	case frameCancel:
		e.cancelServing(s, f.id, a)
		e.declined(s, f.id, a)
	case frameDecline:
		e.declined(s, f.id, a)
	case frameNote, framePublication:
		e.hear(s.remote.peer, f, a)
	case frameBegin:
		return e.beginParts(s, f, a)
	case framePart:
		return e.part(s, f, a)
	case frameDrop:
		e.forgetPart(s, f.id)
	case frameRetire:
		e.retiredByPeer(s, a)
	case frameHello:
		return fmt.Errorf("a second hello")
	case frameCredentials:
		e.shownAgain(s, f, a)
	case frameAsk:
		e.urgent(s, encodeID(frameAck, f.id), a)
	case frameAck:
		return e.answeredTo(s, f.id, a)
	default:
		return e.receiveStream(s, f, a)
	}
	return nil
}

// hear dispatches a note or a publication. One that its sender is not allowed is dropped.
func (e *Engine) hear(from Peer, f frame, a *actions) {
	if f.typ == framePublication {
		if sub := e.topics[string(f.name)]; sub != nil {
			e.published(sub, from, f.message, a)
		}
	} else if m := e.methods[string(f.name)]; m != nil && m.note != nil && e.allowed(from, m.rule) == nil {
		e.deliver(m, from, f.message, a)
	}
}

// unreachable is the error for a missing conn. The caller adds the Op.
func unreachable(text string) *Error { return &Error{Kind: Unreachable, Text: text} }

var stoppedError = &Error{Kind: Stopped, cause: clock.ErrStopped}

// withOp is a copy of e that names the operation.
func (e *Error) withOp(op string) *Error {
	named := *e
	named.Op = op
	return &named
}
