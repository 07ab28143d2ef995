package libp2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/taucloud/tau/transport"
)

const (
	// bufferKeptMax bounds what a writer keeps between two frames.
	bufferKeptMax = transport.FrameLenMax + binary.MaxVarintLen64
)

var (
	errClosed    = errors.New("the conn is closed")
	errQueueFull = errors.New("the conn's queue is full")
)

// conn is a transport.Conn: one libp2p stream.
type conn struct {
	host   *Host
	stream network.Stream
	remote transport.Peer
	number uint64
	bulk   bool // we have dialed it for bulk

	ready chan struct{} // the queue may have something
	done  chan struct{} // closed when the conn is

	mu     sync.Mutex
	closed bool
	queue  [][]byte
	bytes  int // in the queue or being written
}

func newConn(h *Host, s network.Stream, remote transport.Peer) *conn {
	return &conn{host: h, stream: s, remote: remote, ready: make(chan struct{}, 1), done: make(chan struct{})}
}

// Remote implements transport.Conn.
func (c *conn) Remote() transport.Peer { return c.remote }

// Send implements transport.Conn.
func (c *conn) Send(frame []byte) error {
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		return errClosed
	case c.bytes > 0 && c.bytes+len(frame) > transport.ConnQueueBytesMax:
		c.mu.Unlock()
		return errQueueFull
	}
	c.queue = append(c.queue, frame)
	c.bytes += len(frame)
	c.mu.Unlock()
	select {
	case c.ready <- struct{}{}:
	default:
	}
	return nil
}

// Close implements transport.Conn. The reset may have to wait for the muxer's
// queue, so it has a goroutine.
func (c *conn) Close() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.queue = nil
	c.mu.Unlock()
	if !was {
		close(c.done)
		go func() { _ = c.stream.Reset() }()
	}
}

// run reads until the conn ends, and reports that.
func (c *conn) run() {
	go c.write()
	err := c.read()
	c.Close()
	c.host.over(c, err)
}

func (c *conn) read() error {
	r, received := bufio.NewReader(c.stream), int64(0)
	for {
		frame, err := readFrame(r, c.stream, c.host.frameTimeout, received)
		if err != nil {
			return err
		}
		received += int64(len(frame))
		c.host.traffic.framesIn.Add(1)
		c.host.traffic.bytesIn.Add(uint64(len(frame)))
		c.host.handler.Frame(c, frame)
	}
}

// write passes the queue on to the stream, each frame in one Write.
func (c *conn) write() {
	var buffer []byte
	for {
		select {
		case <-c.ready:
		case <-c.done:
			return
		}
		for _, frame := range c.take() {
			buffer = binary.AppendUvarint(buffer[:0], uint64(len(frame)))
			buffer = append(buffer, frame...)
			if _, err := c.stream.Write(buffer); err != nil {
				c.Close()
				return
			}
			c.written(len(frame))
			c.host.traffic.framesOut.Add(1)
			c.host.traffic.bytesOut.Add(uint64(len(frame)))
			if cap(buffer) > bufferKeptMax {
				buffer = nil
			}
		}
	}
}

func (c *conn) take() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := c.queue
	c.queue = nil
	return queue
}

func (c *conn) written(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= n
}
