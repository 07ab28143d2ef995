package node

import (
	"context"
	"fmt"
	"time"
)

// Readier is implemented by a service that may refuse to serve for a while after
// its start, or after it was cut off: because it does not know enough yet.
type Readier interface {
	// Ready returns nil if the instance serves, else the reason why it refuses. It is atomic.
	Ready() error
}

// ReadyBounder is a Readier whose settings determine how long it may refuse; otherwise its spec
// does.
type ReadyBounder interface {
	Readier
	// ReadyWithin is as in [Spec].
	ReadyWithin() time.Duration
}

// NotReady lists, by service, why services of this node refuse to serve; nil: all do. It must be called by a
// task of the node's loop, and waits for a turn of each service's.
func (n *Node) NotReady(ctx context.Context) (why []string) {
	for _, in := range n.running {
		r, ok := in.service.(Readier)
		if !ok {
			continue
		}
		if err := n.on(ctx, in, "ready", stopTimeout, func(context.Context) error { return r.Ready() }); err != nil {
			why = append(why, fmt.Sprintf("%s: %v", in.name, err))
		}
	}
	return why
}

// ServicesReady says of each service of this node whether it serves. It must be called by a task of the node's loop, and
// waits for a turn of those that may refuse to.
func (n *Node) ServicesReady(ctx context.Context) map[string]bool {
	ready := map[string]bool{}
	for _, in := range n.running {
		r, ok := in.service.(Readier)
		ready[in.name] = !ok || n.on(ctx, in, "ready", stopTimeout, func(context.Context) error { return r.Ready() }) == nil
	}
	return ready
}
