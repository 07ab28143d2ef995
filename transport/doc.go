// Package transport is how nodes speak: calls with deadlines, one-way notes,
// streams, publish and subscribe, and a directory of who offers what.
//
// There is one protocol implementation, [Engine], over the narrow port [Host];
// package transport/libp2p gives that port over any libp2p host, package sim
// over the simulated wire. A node has one Engine. Each of its services has an
// [Endpoint], which is the engine seen from the service's own loop, and uses it
// mostly through the typed values [Method], [Note] and [Topic]:
//
//	// package xapi: what crosses the wire
//	var Get = transport.Method[GetRequest, GetResponse]{Name: "tns/get", Rule: transport.Member}
//
//	// the service
//	xapi.Get.Serve(ep, func(ctx context.Context, from transport.Peer, r xapi.GetRequest) (xapi.GetResponse, error) {
//		return xapi.GetResponse{}, transport.New(transport.NotFound, "tns/get", "no such branch")
//	})
//
//	// the caller
//	response, err := xapi.Get.Call(ctx, ep, peer, xapi.GetRequest{Branch: "main"})
//	if transport.KindOf(err) == transport.NotFound { ... }
//
// # What is promised
//
// A call ends: with the response, with the handler's error, or with an error of this node. It ends
// no later than the deadline of its context; if that has none, after [CallTimeout], or the duration
// given to [Patient], without progress. The time left is sent and bounds the handler's context; that
// context also ends when the caller gives up or its conn breaks. The rest of an unwanted answer is
// not sent. After Unreachable and Timeout the call may have been served or not ([MayHaveRun]):
// operations that must not happen twice need an idempotency key.
//
// A note, and so a publication, arrives at most once. Notes of one sender and one name are started
// in the order in which they were sent, as long as the conn lasts: a handler that does not park is
// over before the next one starts. Notes of different names may overtake each other. The loss of a
// note is not reported, so send it again or send state instead of changes.
//
// A stream delivers its messages in order, without gaps, until it ends: with io.EOF after the
// peer's CloseWrite, otherwise with an error. A sender parks when the receiver is a window behind,
// when all streams of the conn together are the conn's window behind, and while 1 MiB of stream
// messages wait to be sent on the conn. Windows are in bytes, and a message counts 64 more than it
// has. That of a stream is 16 KiB at first ([StreamWindowMin]) and doubles up to 4 MiB
// ([StreamWindowMax]) while its reader keeps up; that of a conn is 256 KiB ([ConnWindowMin]) and
// grows with its streams' up to 24 MiB ([ConnWindowMax]); on a control conn streams do not grow
// beyond 256 KiB together. Large content belongs on a stream of class Bulk.
//
// An [Error] has a [Kind], which survives the wire, and callers decide on that
// alone.
//
// # Who may call what
//
// Each method, note, stream and topic declares a [Rule] beside its name: anyone, members
// of the cloud, or members that may offer one of some services. The engine asks the one
// [Authority] of the node who the authenticated peer is, and compares, before it decodes
// anything: whom the rule does not allow gets NotAllowed, and its notes and publications
// are dropped. A method without a rule cannot be registered. Services do not repeat
// the check; whose an object is they decide by the peer that they are given.
//
// # Who owns bytes
//
// A message received from this package belongs to the receiver. A message passed to this package
// still belongs to the caller after the call has returned: it was copied into a frame.
//
// # Bounds
//
// A message has at most [MessageLenMax] bytes. A peer has at most [HandlersPerPeerMax] calls and streams
// served at once - a stream keeps its place until the peer has ended it, too - and [NotesPerPeerMax] notes
// waiting; further ones are refused or, if they are notes, dropped. The traffic that waits for a dial is
// bounded, too. After a dial that failed, calls fail at once, until another one, which they cause, has
// succeeded. A peer that breaks the protocol loses its conn.
//
// Of streams that were opened and closed here and that the peer does not end, a conn has 512
// at most: the oldest is reset. A peer has at most 16 conns. The bounds of what is served
// and sent hold for each class of traffic (see below) by itself.
//
// Over all peers, a node holds at most 64 MiB of messages that have not arrived at their receivers
// (16 MiB for one peer; each may have 64 KiB whatever the others use) and 64 MiB of messages that
// have come in part (8 MiB from one peer), has 256 KiB of stream messages for each conn and 128 MiB
// for all together that nobody has taken yet, and serves requests of at most 64 MiB at once (16 MiB
// from one peer). A request or stream message that does not fit waits, a note is lost, and a
// response becomes a refusal. A message of which no part has come for [FrameTimeout] costs its
// sender the conn. A decoded value takes at most 8 times its length on the wire: see [Decode].
//
// # Conns
//
// Between two nodes there is a conn for each [Class] of traffic that they use: one for control,
// which stays open, and one for bulk, which is opened when a method of that class is called, and
// closed when it has not been used for [BulkIdleTime] to twice that. They share nothing, so that a
// slow or stalled bulk conn does not delay any call, note or beacon. Each end begins with a [Hello]
// and sends nothing else before that of the other end has come: a conn speaks the highest version
// of the protocol that both ends do, and if there is none, calls fail with Refused.
//
// # Sharing a conn
//
// All traffic of a class shares a conn. Messages of up to 2 KiB (beacons, renewals, most calls) go
// before longer ones and stream messages, and leave them a fifth. Longer ones are cut, and take
// turns. No more is given to the socket than the link carries in about a quarter of a second, so
// that urgent frames do not wait behind megabytes that are in flight already: see outbox and
// window.
package transport
