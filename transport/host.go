package transport

import "time"

// Host is the port to a network. Reports may come on any goroutine, but those about one Conn come
// one after the other.
type Host interface {
	// ID is this node.
	ID() Peer
	// Open makes a new conn to a peer and reports exactly once, with the conn or
	// with an error of Kind Unreachable. The report precedes the conn's first
	// Frame. It does not wait. Class says what the conn is for: traffic of one
	// class should not have to wait for that of another below the port either.
	Open(to Peer, class Class, opened func(Conn, error))
	// Handle sets the receiver of all that arrives. It is called once, before
	// anything is opened.
	Handle(h HostHandler)
	// Close resets all conns. Nothing is reported after it returned.
	Close() error
}

// Addressed is a Host that reaches peers by addresses. A host without finds them by itself.
type Addressed interface {
	// Addresses are where others reach this host now, the best first.
	Addresses() []string
	// SetAddresses replaces what was said before of where a peer is. What it cannot read it leaves out.
	SetAddresses(p Peer, addresses []string)
}

// Doorkeeper is a Host that bounds what happens below its conns, so that strangers do not use up what
// members need: it has to know who is one.
type Doorkeeper interface {
	// SetMembers is told, before anything is opened, how to find out whether a peer has proven that it is
	// a member. proven may be called on any goroutine at any time; it does not wait.
	SetMembers(proven func(Peer) bool)
}

// Conn is one persistent, ordered, reliable link to a peer, carrying whole
// frames of at most FrameLenMax bytes in both directions.
type Conn interface {
	// Remote is the authenticated peer at the other end.
	Remote() Peer
	// Send queues a frame and takes ownership of it. It does not wait; it
	// returns an error when the conn is closed or when more than
	// ConnQueueBytesMax bytes would wait: the engine keeps far below that.
	Send(frame []byte) error
	// Close resets the conn. Both ends hear of it through Closed.
	Close()
}

// HostHandler receives what a Host reports.
type HostHandler interface {
	// Accepted: a peer opened a conn to us. It precedes its first Frame.
	Accepted(c Conn)
	// Frame: a whole frame came in. The receiver owns it.
	Frame(c Conn, frame []byte)
	// Closed: the conn is over, whoever ended it. Reported exactly once for
	// each conn that was accepted or opened.
	Closed(c Conn, err error)
}

const (
	// FrameLenMax bounds a frame, in bytes. Longer messages come in parts.
	FrameLenMax = 64 << 10
	// ConnQueueBytesMax bounds the frames that a Conn has accepted and not passed on: live, those
	// that wait for the socket, in a simulation those in flight.
	ConnQueueBytesMax = 12 << 20
	// FrameTimeout bounds how long a frame, and a message between two of its
	// parts, may take to arrive: a peer that is slower loses its conn.
	FrameTimeout = 30 * time.Second
)
