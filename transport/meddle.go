package transport

import (
	"slices"
	"time"
)

// Meddler is what the Host of a simulated world is as well: it meddles with
// messages above the checksums of the network, where only the services can
// notice. A live Host is none, and then an engine carries nothing of this.
//
// Its methods are called in turns of the node, with the engine locked: they must
// not call it.
type Meddler interface {
	// Again reports whether a request, note or publication of a peer, which has
	// just come, comes once more, and how much later. The answer to the second
	// request is dropped.
	Again(from Peer) (later time.Duration, again bool)
	// Answer returns what the node answers to a peer instead of response. The
	// caller gives response up.
	Answer(to Peer, method string, response []byte) []byte
	// Written is how the node's release encodes what this release encodes as data.
	// It may be called without the lock.
	Written(data []byte) []byte
}

// Written is what to send or store for data that Encode has made, in the release
// that the node is of. In the real world that is data.
func (ep *Endpoint) Written(data []byte) []byte {
	if ep.engine.meddler == nil {
		return data
	}
	return ep.engine.meddler.Written(data)
}

// again has a message delivered once more if the meddler wants it.
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

// serveAgain starts the handler of a request whose answer nobody waits for. The
// conn of the first one may be gone.
func (e *Engine) serveAgain(s *session, f frame, a *actions) {
	m := e.methods[string(f.name)]
	if m == nil || m.request == nil || e.crowded(s.link, len(f.message)) {
		return
	}
	sv := e.take(m, s, f)
	sv.declined = true
	e.startRequest(sv, f, a)
}

// meddled is what a handler's response becomes.
func (e *Engine) meddled(sv *serving, response []byte, err error) []byte {
	if e.meddler == nil || err != nil || sv.declined {
		return response
	}
	return e.meddler.Answer(sv.session.remote.peer, sv.method.name, response)
}
