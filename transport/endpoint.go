package transport

import (
	"context"

	"github.com/taucloud/tau/clock"
)

// Engine is the protocol of one node: it multiplexes the calls, notes, streams
// and publications of all its services over one conn per peer and direction.
type Engine struct{ engine }

// NewEngine returns an engine over host. Its timers run on loop, the node's
// own, which is not a service's.
func NewEngine(host Host, loop clock.Loop, dir Directory) *Engine { panic("not built yet") }

// Close resets everything; pending calls end with Kind Stopped.
func (e *Engine) Close() error { panic("not built yet") }

// Endpoint is the engine as a service on loop sees it: handlers run as tasks of
// loop, waiting calls park on it.
func (e *Engine) Endpoint(loop clock.Loop) *Endpoint { panic("not built yet") }

type engine struct{}

// Endpoint is all of the network that a service has.
type Endpoint struct{ endpoint }

type endpoint struct{}

// Self is this node.
func (ep *Endpoint) Self() Peer { panic("not built yet") }

// Directory is who offers what.
func (ep *Endpoint) Directory() Directory { panic("not built yet") }

// Loop is the loop that handlers run on.
func (ep *Endpoint) Loop() clock.Loop { panic("not built yet") }

// Call sends a request and waits for the response. The deadline is ctx's, or
// CallTimeout; what is left of it crosses the wire and bounds the handler's
// context. A call to Self is delivered without the network, in a later turn.
func (ep *Endpoint) Call(ctx context.Context, to Peer, method string, request []byte) ([]byte, error) {
	panic("not built yet")
}

// Tell sends a one-way note, best effort, without waiting.
func (ep *Endpoint) Tell(to Peer, method string, message []byte) error { panic("not built yet") }

// Handle serves a method. Each request runs as a task; at most
// HandlersPerPeerMax at once from one peer, the rest is refused.
func (ep *Endpoint) Handle(method string, h func(ctx context.Context, from Peer, request []byte) ([]byte, error)) {
	panic("not built yet")
}

// HandleTell serves a note.
func (ep *Endpoint) HandleTell(method string, h func(ctx context.Context, from Peer, message []byte)) {
	panic("not built yet")
}

// OpenStream opens a stream of messages; hello is delivered to the handler.
func (ep *Endpoint) OpenStream(ctx context.Context, to Peer, method string, hello []byte) (*Stream, error) {
	panic("not built yet")
}

// HandleStream serves streams; the stream is reset when h returns, unless it
// was closed.
func (ep *Endpoint) HandleStream(method string, h func(ctx context.Context, from Peer, hello []byte, s *Stream)) {
	panic("not built yet")
}

// Publish sends a message to every node of the topic's audience but this one,
// best effort, without waiting. A topic is named "<service>/<name>" and its
// audience are the nodes that offer <service>.
func (ep *Endpoint) Publish(topic string, message []byte) { panic("not built yet") }

// Subscribe receives what others publish on a topic.
func (ep *Endpoint) Subscribe(topic string, h func(ctx context.Context, from Peer, message []byte)) {
	panic("not built yet")
}

// Stream is an ordered, flow-controlled sequence of messages in both directions.
type Stream struct{ stream }

type stream struct{}

// Send queues a message, parking while the peer's window is closed.
func (s *Stream) Send(ctx context.Context, message []byte) error { panic("not built yet") }

// Recv waits for the next message. It returns io.EOF after the peer's Close.
func (s *Stream) Recv(ctx context.Context) ([]byte, error) { panic("not built yet") }

// Close ends our direction in order; what was sent is still delivered.
func (s *Stream) Close() error { panic("not built yet") }

// Reset ends both directions at once.
func (s *Stream) Reset() { panic("not built yet") }
