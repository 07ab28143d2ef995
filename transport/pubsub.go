package transport

import (
	"context"
	"fmt"
	"strings"
)

// Publish sends a message to every node of the topic's audience but this one,
// best effort, without waiting. A topic is named "<service>/<name>" and its
// audience are the nodes that offer <service>. A message longer than
// MessageLenMax reaches nobody.
func (ep *Endpoint) Publish(topic string, message []byte) {
	if checkMessage(topic, message) != nil {
		return
	}
	service, _, ok := strings.Cut(topic, "/")
	if !ok {
		panic(fmt.Sprintf("transport: topic %q is not named <service>/<name>", topic))
	}
	for _, p := range ep.engine.dir.Peers(service) {
		if p != ep.engine.self {
			ep.send(p, encodeNamed(framePublication, topic, message))
		}
	}
}

// Subscribe receives what others publish on a topic, in the order in which each
// of them published it. A topic may have several subscribers on a node.
func (ep *Endpoint) Subscribe(topic string, h func(ctx context.Context, from Peer, message []byte)) {
	e := ep.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.subscriptions[topic] = append(e.subscriptions[topic], &method{ep: ep, name: topic, note: h})
}
