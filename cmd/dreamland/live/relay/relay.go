// Package relay is the network between the nodes of a rehearsal: each TCP connection of one node to another passes through
// it, in both directions by themselves, so that faults can cut, hold, slow, lose and end what passes from one to the other. A node says with each
// dial who it is and where it dials (package rehearsal); who is there, the relay asks.
package relay

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/sim/fault"
)

const (
	// dialTimeout bounds the wait of a dial for a link that is cut: by then the node has given up.
	dialTimeout = 10 * time.Second
	// connsMax bounds the connections; further ones are closed.
	connsMax = 8192
)

// State is what faults do to the link from one node to another, and what it is like without them.
type State struct {
	fault.LinkState
	Base fault.Shape
}

// shape is what the link is like.
func (s State) shape() fault.Shape { return s.Base.With(s.Shape) }

func (s State) closed() bool { return s.Cut || s.Held }

// stops is the part of a state that lets nothing pass.
func (s State) stops() fault.LinkPart {
	if s.Cut {
		return fault.PartCut
	}
	return fault.PartHeld
}

// Relay is a relay that listens.
type Relay struct {
	listener net.Listener
	began    time.Time
	resolve  func(address string) (node string, known bool)
	running  sync.WaitGroup

	mu       sync.Mutex
	state    func(from, to string) State
	affected func(from, to string, part fault.LinkPart)
	changed  chan struct{} // closed when the state changes
	conns    map[*conn]struct{}
	passed   map[[2]string]int64 // bytes, by from and to
	over     bool
}

// Listen starts a relay on loopback. resolve says which node is at an address, host:port, at this moment; it is called on any goroutine.
func Listen(resolve func(address string) (node string, known bool)) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{
		listener: l, began: time.Now(), resolve: resolve, changed: make(chan struct{}), conns: map[*conn]struct{}{}, passed: map[[2]string]int64{},
		state: func(string, string) State { return State{} }, affected: func(string, string, fault.LinkPart) {},
	}
	r.running.Go(r.accept)
	return r, nil
}

// Address is where it listens: host:port.
func (r *Relay) Address() string { return r.listener.Addr().String() }

// SetLinks replaces the state of all links. affected is called, on any goroutine, each time that a part of it makes a difference.
func (r *Relay) SetLinks(state func(from, to string) State, affected func(from, to string, part fault.LinkPart)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.affected = state, affected
	close(r.changed)
	r.changed = make(chan struct{})
}

// Passed is how many bytes each node has sent to each other one.
func (r *Relay) Passed() map[[2]string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.passed)
}

// Reset ends the conns between nodes for which match says so, and returns how many there were.
func (r *Relay) Reset(match func(a, b string) bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if match(c.from, c.to) || match(c.to, c.from) {
			c.close()
			n++
		}
	}
	return n
}

// Close ends all conns.
func (r *Relay) Close() {
	r.mu.Lock()
	r.over = true
	_ = r.listener.Close()
	for c := range r.conns {
		c.close()
	}
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	r.running.Wait()
}

func (r *Relay) accept() {
	for {
		c, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many files, say
			time.Sleep(10 * time.Millisecond)
			continue
		}
		r.running.Go(func() { r.serve(c) })
	}
}

// serve lets a dial come true, or closes it.
func (r *Relay) serve(dialer net.Conn) {
	c := &conn{ends: [2]net.Conn{dialer, nil}}
	_ = dialer.SetDeadline(time.Now().Add(dialTimeout))
	from, address, err := rehearsal.Accept(dialer)
	to, known := r.resolve(address)
	if c.from, c.to = from, to; err != nil || !known || !r.enter(c) {
		_ = dialer.Close()
		return
	}
	defer r.leave(c)
	if !r.passable(from, to) {
		return
	}
	target, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil || !c.connect(target) || rehearsal.Answer(dialer) != nil {
		return
	}
	_ = dialer.SetDeadline(time.Time{})
	var both sync.WaitGroup
	both.Go(func() { r.pass(c, from, to, dialer, target) })
	both.Go(func() { r.pass(c, to, from, target, dialer) })
	both.Wait()
}

func (r *Relay) enter(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || len(r.conns) >= connsMax {
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *Relay) leave(c *conn) {
	c.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// passable waits until a dial can pass and be answered; false: it is refused, or nobody waits any more.
func (r *Relay) passable(from, to string) bool {
	end := time.After(dialTimeout)
	for {
		there, changed := r.link(from, to)
		back, _ := r.link(to, from)
		switch {
		case there.Refused:
			r.tell(from, to, fault.PartRefused)
			return false
		case !there.closed() && !back.closed():
			return !r.isOver()
		case there.closed():
			r.tell(from, to, there.stops())
		default:
			r.tell(to, from, back.stops())
		}
		select {
		case <-changed:
		case <-end:
			return false
		}
		if r.isOver() {
			return false
		}
	}
}

// link is the state of a link, and what is closed when it may have changed.
func (r *Relay) link(from, to string) (State, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state(from, to), r.changed
}

func (r *Relay) tell(from, to string, part fault.LinkPart) {
	r.mu.Lock()
	affected := r.affected
	r.mu.Unlock()
	affected(from, to, part)
}

func (r *Relay) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

func newCourse() course {
	return course{rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
}
