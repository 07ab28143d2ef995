package transport

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Publisher carries publications between nodes. The engine's own sends each to
// every peer of the audience; see PublishWith for another.
type Publisher interface {
	// Publish sends a message to the other nodes that subscribe to a topic, best
	// effort, without waiting. The message still belongs to the caller.
	Publish(topic string, message []byte)
	// Subscribe calls deliver with others' publications, on any goroutine, until cancel is called.
	// Deliver owns the message and does not wait.
	Subscribe(topic string, deliver func(from Peer, message []byte)) (cancel func())
}

// Publish sends a message to every node of the topic's audience but this one, best effort, without
// waiting. A topic is named "<service>/<name>" and its audience are the nodes that offer <service>.
// A message longer than MessageLenMax is dropped.
func (ep *Endpoint) Publish(topic string, message []byte) {
	ServiceOf(topic)
	if checkMessage(topic, message) == nil && !ep.isClosed() {
		ep.engine.publisher.Publish(topic, message)
	}
}

// ServiceOf is the part of a topic's name that names the audience's service.
func ServiceOf(topic string) string {
	service, _, ok := strings.Cut(topic, "/")
	if !ok {
		panic(fmt.Sprintf("transport: topic %q is not named <service>/<name>", topic))
	}
	return service
}

// Subscribe receives others' publications on a topic; with the engine's own fan-out in the order in
// which each of them published it. A topic may have several subscribers on a node. A node that is
// not of the audience receives nothing. What the rule does not allow its publisher is dropped.
func (ep *Endpoint) Subscribe(topic string, rule Rule, h func(ctx context.Context, from Peer, message []byte)) {
	ServiceOf(topic)
	ep.mustBeHome(topic)
	mustBeRule(topic, rule)
	e := ep.engine
	e.do(func(a *actions) {
		sub := e.topics[topic]
		if sub == nil {
			sub = &subscription{}
			e.topics[topic] = sub
			a.add(func() { e.join(topic, sub) })
		}
		sub.methods = append(sub.methods, &method{ep: ep, name: topic, rule: rule, note: h})
	})
}

// subscription is a node's interest in a topic.
type subscription struct {
	methods []*method // in the order in which they subscribed
	over    bool
	cancel  func() // nil until the publisher has it
}

// join subscribes at the publisher.
func (e *Engine) join(topic string, sub *subscription) {
	cancel := e.publisher.Subscribe(topic, func(from Peer, message []byte) {
		e.do(func(a *actions) {
			if from != e.self && e.inAudience(topic) {
				e.published(sub, from, message, a)
			}
		})
	})
	e.do(func(a *actions) {
		sub.cancel = cancel
		if sub.over {
			a.add(cancel)
		}
	})
}

func (e *Engine) inAudience(topic string) bool {
	audience, _ := e.dir.Lookup(ServiceOf(topic))
	_, found := slices.BinarySearchFunc(audience, e.self, Peer.Compare)
	return found
}

// leave ends the subscription.
func (sub *subscription) leave(a *actions) {
	sub.over = true
	if sub.cancel != nil {
		a.add(sub.cancel)
	}
}

// published hands a publication to the subscribers. Each owns what it gets.
func (e *Engine) published(sub *subscription, from Peer, message []byte, a *actions) {
	for i, m := range sub.methods {
		if e.allowed(from, m.rule) != nil {
			continue
		}
		if i > 0 {
			message = slices.Clone(message)
		}
		e.deliver(m, from, message, a)
	}
}

// fanOut is the engine's own Publisher: it sends to each peer of the audience,
// in canonical order. What comes in is dispatched with the other frames.
type fanOut struct{ engine *Engine }

// Publish implements Publisher.
func (f fanOut) Publish(topic string, message []byte) {
	e := f.engine
	audience, _ := e.dir.Lookup(ServiceOf(topic)) // best effort: who is not known yet hears of it otherwise
	e.do(func(a *actions) {
		for _, p := range audience {
			if p != e.self {
				o := outbound{frame: encodeNamed(framePublication, topic, message), flow: flowKey{lane: laneNamed, name: topic}}
				_ = e.originate(p, Control, o, a)
			}
		}
	})
}

// Subscribe implements Publisher.
func (f fanOut) Subscribe(string, func(Peer, []byte)) (cancel func()) { return func() {} }
