package transport

import (
	"slices"
	"time"
)

// Meddler is implemented by the Host of a simulated world only: it injects faults into messages
// above the checksums of the network, where only the services can notice.
//
// Its methods are called in turns of the node, with the engine locked: they must
// not call it.
type Meddler interface {
	// Again reports whether a request, note or publication that has just arrived is delivered a
	// second time, and how much later. The answer to the second request is dropped.
	Again(from Peer) (later time.Duration, again bool)
	// Answer returns the response to send instead of response, which is handed over.
	Answer(to Peer, method string, response []byte) []byte
	// Written converts data, encoded by this release, to the encoding of the node's release. It may
	// be called without the lock.
	Written(data []byte) []byte
}

// Witness is implemented by the Host of a simulated world only: it is told of each request, note,
// publication and stream in the moment at which a handler gets it, whatever rule let it in.
//
// Handled is called with the engine locked: it must not call it.
type Witness interface {
	Handled(from Peer, name string)
}

// Written converts data, made by Encode, to the encoding of the node's release. In the real world
// that is data itself.
func (ep *Endpoint) Written(data []byte) []byte {
	if ep.engine.meddler == nil {
		return data
	}
	return ep.engine.meddler.Written(data)
}

// again delivers a message a second time if the meddler says so.
func (e *Engine) again(s *session, f frame, a *actions) {
	if f.typ != frameRequest && f.typ != frameNote && f.typ != framePublication {
		return
	}
	later, again := e.meddler.Again(s.remote.peer)
	if !again {
		return
	}
	f.name, f.message = slices.Clone(f.name), slices.Clone(f.message)
	second := func(a *actions) {
		switch {
		case e.closed:
		case f.typ == frameRequest:
			e.serveAgain(s, f, a)
		default:
			e.hear(s.remote.peer, f, a)
		}
	}
	a.add(func() { e.loop.AfterFunc(later, func() { e.do(second) }) })
}

// serveAgain starts the handler of a duplicated request; its answer is dropped. The conn of the
// first one may be gone.
func (e *Engine) serveAgain(s *session, f frame, a *actions) {
	m := e.methods[string(f.name)]
	if m == nil || m.request == nil || e.allowed(s.remote.peer, m.rule) != nil || e.crowded(s.link, len(f.message)) {
		return
	}
	sv := e.take(m, s, f)
	sv.declined = true
	e.startRequest(sv, f, a)
}

// meddled is the response to send, as the meddler decides.
func (e *Engine) meddled(sv *serving, response []byte, err error) []byte {
	if e.meddler == nil || err != nil || sv.declined {
		return response
	}
	return e.meddler.Answer(sv.session.remote.peer, sv.method.name, response)
}
