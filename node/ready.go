package node

import "time"

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
