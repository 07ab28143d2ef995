package transport

import (
	"context"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:  decodeDepthMax,
		MaxArrayElements: 1 << 20, // checkGrowth allows fewer, by what they are
		MaxMapPairs:      1 << 20,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode is the one encoding of everything that crosses the wire or is stored:
// CBOR in core deterministic form, so equal values have equal bytes. It panics
// on a value that cannot be encoded: wire types are chosen by us.
func Encode(v any) []byte {
	if a, ok := v.(Appender); ok {
		return a.AppendEncoded(make([]byte, 0, a.EncodedLenMax()))
	}
	return must(encMode.Marshal(v))
}

// Appender is a large message that encodes itself, to copy its content only once. Its bytes are
// those that the encoder would make of its fields.
type Appender interface {
	// AppendEncoded appends the encoding, of at most EncodedLenMax bytes.
	AppendEncoded(b []byte) []byte
	EncodedLenMax() int
}

// Decode is the inverse of Encode, for bytes of any origin; v is a pointer. The value takes at most
// 8 times the length of data in memory, and 64 KiB: data that would take more is refused before it
// is decoded. An error has Kind Invalid.
func Decode(data []byte, v any) error {
	err := checkGrowth(data, reflect.TypeOf(v).Elem())
	if err == nil {
		err = decMode.Unmarshal(data, v)
	}
	if err != nil {
		return &Error{Kind: Invalid, Op: "decode", Text: err.Error()}
	}
	return nil
}

// Method is a typed call. Declare one per method in a service's xapi package:
//
//	var Push = transport.Method[PushRequest, PushResponse]{Name: "patrick/push", Rule: transport.Member}
//
// Its calls travel over the conn of its Class. Rule is who may call it. It is named
// "<service>/<name>", and where members prove what they are, only those that may offer the service
// are believed what they answer.
type Method[Req, Resp any] struct {
	Name  string
	Rule  Rule
	Class Class
	// Everywhere: all nodes serve it, whatever they may offer.
	Everywhere bool
}

// Call sends a request to a peer and waits for its response.
func (m Method[Req, Resp]) Call(ctx context.Context, ep *Endpoint, to Peer, req Req) (resp Resp, err error) {
	raw, err := ep.CallOn(ctx, m.Class, to, m.Name, ep.Written(Encode(req)))
	if err == nil && !m.Everywhere && !ep.engine.mayServe(to, m.Name) {
		err = New(NotAllowed, m.Name, "who has answered may not offer that service")
	}
	if err != nil {
		return resp, err
	}
	return resp, Decode(raw, &resp)
}

// Serve handles the method.
func (m Method[Req, Resp]) Serve(ep *Endpoint, h func(ctx context.Context, from Peer, req Req) (Resp, error)) {
	ep.Handle(m.Name, m.Rule, func(ctx context.Context, from Peer, raw []byte) ([]byte, error) {
		var req Req
		if err := Decode(raw, &req); err != nil {
			return nil, err
		}
		resp, err := h(ctx, from, req)
		if err != nil {
			return nil, err
		}
		return ep.Written(Encode(resp)), nil
	})
}

// Note is a typed one-way message to one peer. Rule is who may send it.
type Note[M any] struct {
	Name string
	Rule Rule
}

// Tell sends it, best effort.
func (n Note[M]) Tell(ep *Endpoint, to Peer, m M) error {
	return ep.Tell(to, n.Name, ep.Written(Encode(m)))
}

// Serve handles it. Undecodable messages are dropped.
func (n Note[M]) Serve(ep *Endpoint, h func(ctx context.Context, from Peer, m M)) {
	ep.HandleTell(n.Name, n.Rule, decoded(h))
}

// RawNote is a note that encodes itself.
type RawNote struct {
	Name string
	Rule Rule
}

// Tell sends it, best effort.
func (n RawNote) Tell(ep *Endpoint, to Peer, message []byte) error {
	return ep.Tell(to, n.Name, message)
}

// Serve handles it.
func (n RawNote) Serve(ep *Endpoint, h func(ctx context.Context, from Peer, message []byte)) {
	ep.HandleTell(n.Name, n.Rule, h)
}

// Topic is a typed publication. Name is "<service>/<name>". Rule is who may publish.
type Topic[M any] struct {
	Name string
	Rule Rule
}

// StreamName is the name of a stream and who may open it. What its messages are, its
// api says.
type StreamName struct {
	Name string
	Rule Rule
}

// Open opens a stream, see Endpoint.OpenStream.
func (n StreamName) Open(ctx context.Context, ep *Endpoint, to Peer, hello []byte) (*Stream, error) {
	return ep.OpenStream(ctx, to, n.Name, hello)
}

// Serve handles it, see Endpoint.HandleStream.
func (n StreamName) Serve(ep *Endpoint, h func(ctx context.Context, from Peer, hello []byte, s *Stream)) {
	ep.HandleStream(n.Name, n.Rule, h)
}

// Publish sends it to the topic's audience.
func (t Topic[M]) Publish(ep *Endpoint, m M) { ep.Publish(t.Name, ep.Written(Encode(m))) }

// Subscribe receives it. Undecodable messages are dropped.
func (t Topic[M]) Subscribe(ep *Endpoint, h func(ctx context.Context, from Peer, m M)) {
	ep.Subscribe(t.Name, t.Rule, decoded(h))
}

func decoded[M any](h func(ctx context.Context, from Peer, m M)) func(context.Context, Peer, []byte) {
	return func(ctx context.Context, from Peer, raw []byte) {
		var m M
		if Decode(raw, &m) == nil {
			h(ctx, from, m)
		}
	}
}
