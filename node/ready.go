package node

// Readier is implemented by a service that may refuse to serve for a while after
// its start, or after it was cut off: because it does not know enough yet.
type Readier interface {
	// Ready is nil if the instance serves, else why it refuses. It is atomic.
	Ready() error
}
