package transport

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/taucloud/tau/clock"
)

// Endpoint is a service's access to the network. Its methods that take a context must be called by
// tasks of its loop; the others from anywhere.
type Endpoint struct {
	*member
	loop clock.Loop
}

// member is a service on the network. All its endpoints, on whatever loops, are one.
type member struct {
	engine *Engine
	home   clock.Loop // that its handlers are registered from

	// Guarded by engine.mu.
	closed  bool
	inboxes map[Peer]*inbox
}

// branch is the endpoint for a task of a branch of the service's loop.
func (ep *Endpoint) branch() *Endpoint { return &Endpoint{member: ep.member, loop: ep.loop.Branch()} }

// Branch is the endpoint for tasks of a branch of its loop, which have turns of their own: for what comes in by
// another way than streams, see [Endpoint.HandleStreamApart].
func (ep *Endpoint) Branch() *Endpoint { return ep.branch() }

// Self is this node.
func (ep *Endpoint) Self() Peer { return ep.engine.self }

// Directory says which peers offer which services.
func (ep *Endpoint) Directory() Directory { return ep.engine.dir }

// Loop is the loop that handlers run on.
func (ep *Endpoint) Loop() clock.Loop { return ep.loop }

// Handle serves a method. Each request runs as a task; at most HandlersPerPeerMax at once from one
// peer; further ones are refused. The handler owns request; the response is handed over. An error
// crosses the wire with its Kind, Op and the first KiB of its Text; one without a Kind is Internal.
// A method has one handler on a node: a second one is a bug. Whom rule does not
// allow gets NotAllowed, and the handler does not hear of it.
func (ep *Endpoint) Handle(name string, rule Rule, h func(ctx context.Context, from Peer, request []byte) ([]byte, error)) {
	ep.register(&method{ep: ep, name: name, rule: rule, task: "serve " + name, request: h})
}

// HandleTell serves a note. The handler owns message.
func (ep *Endpoint) HandleTell(name string, rule Rule, h func(ctx context.Context, from Peer, message []byte)) {
	ep.register(&method{ep: ep, name: name, rule: rule, note: h})
}

// HandleStream serves streams; the stream is reset when h returns, unless it
// was closed. ctx ends when the stream is reset or its conn is lost.
func (ep *Endpoint) HandleStream(name string, rule Rule, h func(ctx context.Context, from Peer, hello []byte, s *Stream)) {
	ep.register(&method{ep: ep, name: name, rule: rule, task: "stream " + name, stream: h})
}

// StreamHandler serves streams as the function of [Endpoint.HandleStream] does, each on a
// loop of its own.
type StreamHandler interface {
	ServeStream(ctx context.Context, from Peer, hello []byte, s *Stream)
}

// HandleStreamApart is HandleStream for a data plane: each stream is served by a task of a
// branch of the endpoint's loop, so that a real node serves them on all its cores. The
// handler parks on [Stream.Endpoint]'s loop, makes its own calls through that endpoint,
// and reaches what it has in common with its service by clock.Within or in a
// clock.Owned. A handler that holds anything else through which it could reach that is
// a bug, see clock.CheckShareable.
func (ep *Endpoint) HandleStreamApart(name string, rule Rule, h StreamHandler) {
	if err := clock.CheckShareable(h); err != nil {
		panic(fmt.Sprintf("transport: the handler of %s cannot have loops of its own: %v", name, err))
	}
	ep.register(&method{ep: ep, name: name, rule: rule, task: "stream " + name, stream: h.ServeStream, apart: true})
}

// mustBeHome: an endpoint on a branch has no handlers. They would outlive what the
// branch is for.
func (ep *Endpoint) mustBeHome(name string) {
	if ep.loop != ep.home {
		panic(fmt.Sprintf("transport: %s is registered at an endpoint of a branch", name))
	}
}

func mustBeRule(name string, rule Rule) {
	if !rule.IsRule() {
		panic(fmt.Sprintf("transport: %q has no rule that says who may call it: Anyone, Member or Offers", name))
	}
}

func (ep *Endpoint) register(m *method) {
	ep.mustBeHome(m.name)
	mustBeRule(m.name, m.rule)
	e := ep.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(m.name) == 0 || len(m.name) > nameLenMax || e.methods[m.name] != nil {
		panic(fmt.Sprintf("transport: method %q is handled already, or cannot be named so", m.name))
	}
	e.methods[m.name] = m
}

func (ep *Endpoint) isClosed() bool {
	ep.engine.mu.Lock()
	defer ep.engine.mu.Unlock()
	return ep.closed
}

// Close ends what a service has on the network, on all its loops: its handlers are taken away and
// cancelled, whoever waits for them and its own calls and streams hear of it at
// once. The engine and its conns stay.
func (ep *Endpoint) Close() {
	e := ep.engine
	e.do(func(a *actions) {
		if ep.closed {
			return
		}
		ep.closed = true
		ep.unregister(a)
		ep.inboxes = map[Peer]*inbox{}
		for _, s := range e.sessionsInOrder() {
			ep.leave(s, a)
		}
		for _, l := range e.linksInOrder() {
			for _, o := range l.waiting {
				if o.stream != nil && o.stream.ep.member == ep.member {
					o.stream.end(stoppedError, a)
				}
			}
		}
		for _, id := range slices.Sorted(maps.Keys(e.calls)) {
			if c := e.calls[id]; c != nil && c.ep.member == ep.member {
				e.abandon(c, stoppedError, a)
			}
		}
		for _, w := range e.waiting {
			if w.call != nil && w.call.ep.member == ep.member {
				e.finish(w.call, nil, stoppedError, a)
			}
		}
	})
}

func (ep *Endpoint) unregister(a *actions) {
	e := ep.engine
	maps.DeleteFunc(e.methods, func(_ string, m *method) bool { return m.ep.member == ep.member })
	for _, topic := range slices.Sorted(maps.Keys(e.topics)) {
		sub := e.topics[topic]
		sub.methods = slices.DeleteFunc(sub.methods, func(m *method) bool { return m.ep.member == ep.member })
		if len(sub.methods) == 0 {
			delete(e.topics, topic)
			sub.leave(a)
		}
	}
}

// leave ends the endpoint's calls, streams and handlers on a session.
func (ep *Endpoint) leave(s *session, a *actions) {
	e := ep.engine
	for _, id := range slices.Sorted(maps.Keys(s.serving)) {
		sv := s.serving[id]
		if sv.method.ep.member != ep.member {
			continue
		}
		e.named(s, sv.method.name, encodeFailure(frameFailure, id, stoppedError.withOp(sv.method.name)), a)
		e.cancelServing(s, id, a)
		e.uncount(sv)
	}
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		if st := s.streams[id]; st.ep.member == ep.member {
			st.abort(stoppedError, a)
		}
	}
}
