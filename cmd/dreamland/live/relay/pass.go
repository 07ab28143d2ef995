package relay

import (
	"net"
	"sync"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

const (
	// chunkLen is how much is passed on at once, in bytes; chunksMax is how many are on their way in a direction: beyond that the
	// sender waits, as for a window of TCP.
	chunkLen  = 16 << 10
	chunksMax = 64
)

// conn is a connection of two nodes: two of TCP.
type conn struct {
	from, to string

	mu   sync.Mutex
	ends [2]net.Conn // of the dialer, of the other end
	over bool
}

func (c *conn) connect(other net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		_ = other.Close()
		return false
	}
	c.ends[1] = other
	return true
}

// close resets both.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for _, end := range c.ends {
		if t, is := end.(*net.TCPConn); is {
			_ = t.SetLinger(0)
		}
		if end != nil {
			_ = end.Close()
		}
	}
}

func (c *conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// chunk is something on its way; without data it is the news that the sender is gone, after which the conn is over.
type chunk struct {
	data []byte
	at   time.Duration // when it arrives, as long as the link is open
}

// pass carries what one node sends to the other, until one of them is gone and the other could hear of it.
func (r *Relay) pass(c *conn, from, to string, source, target net.Conn) {
	way := make(chan chunk, chunksMax)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(way)
		r.read(from, to, source, way)
	})
	ends := true
	for one := range way {
		time.Sleep(one.at - time.Since(r.began))
		if !r.open(c, from, to) || len(one.data) == 0 {
			break
		}
		if _, err := target.Write(one.data); err != nil {
			ends = false // the other end is gone, and what it has sent tells this one, if it arrives
			break
		}
	}
	if ends && r.open(c, from, to) {
		c.close()
	}
	for range way { // what nobody gets
	}
	reading.Wait()
}

// read takes what a node sends.
func (r *Relay) read(from, to string, source net.Conn, way chan<- chunk) {
	course := newCourse()
	for {
		buffer := make([]byte, chunkLen)
		n, err := source.Read(buffer)
		s, _ := r.link(from, to)
		if n > 0 {
			r.count(from, to, n)
			way <- chunk{buffer[:n], course.arrival(time.Since(r.began), n, s.shape())}
			if s.Shape != (fault.Shape{}) {
				r.tell(from, to, fault.PartShape)
			}
		}
		if err != nil {
			way <- chunk{nil, course.arrival(time.Since(r.began), 0, s.shape())}
			return
		}
	}
}

// count notes that something was sent.
func (r *Relay) count(from, to string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed[[2]string{from, to}] += int64(n)
}

// open waits until a link lets something pass; false: the conn is over.
func (r *Relay) open(c *conn, from, to string) bool {
	for {
		s, changed := r.link(from, to)
		if c.isOver() || r.isOver() {
			return false
		}
		if !s.closed() {
			return true
		}
		r.tell(from, to, s.stops())
		select {
		case <-changed:
		case <-time.After(time.Second): // the conn may be over
		}
	}
}
