package transport

// Class is a kind of traffic between two nodes. Each class that is used has a conn of its own
// beside the others', with room, turns and limits of its own: so bulk traffic never delays a call,
// note or beacon.
type Class uint8

const (
	// Control is for latency-sensitive traffic: calls, notes, publications and streams of
	// occasional messages. Its conn stays open.
	Control Class = iota
	// Bulk is for content: long messages, or many requests. Its conn is opened when it is needed,
	// and closed when it has been idle for BulkIdleTime.
	Bulk

	classCount = iota
)

// linkTo returns the link of a class to a peer, making it if need be.
func (e *Engine) linkTo(p Peer, class Class) *link {
	return &e.remoteOf(p).links[class]
}

// classTo is the class of the conn that traffic of a class to a peer takes: to
// itself, a node has one conn for all.
func (e *Engine) classTo(p Peer, class Class) Class {
	if p == e.self {
		return Control
	}
	return class
}

func (e *Engine) remoteOf(p Peer) *remote {
	r := e.remotes[p]
	if r == nil {
		r = &remote{peer: p}
		for class := range r.links {
			r.links[class].remote, r.links[class].class = r, Class(class)
		}
		e.remotes[p] = r
	}
	return r
}

// forgetIdle forgets a node without conns and without state to remember.
func (e *Engine) forgetIdle(r *remote) {
	if r.idle() && e.remotes[r.peer] == r {
		delete(e.remotes, r.peer)
	}
}
