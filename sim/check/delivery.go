package check

import (
	"time"

	"github.com/taucloud/tau/transport"
)

// Delivery is a request, note, publication or stream in the moment at which a handler gets it.
type Delivery struct {
	At   time.Duration // virtual time since the start
	To   string        // the node
	From Standing
	// Name is that of the method or topic.
	Name string
}

// Standing is what a node may do in truth, whatever the engine of another believes of it.
type Standing struct {
	Node string
	// Member of the cloud. Grants are the services that it may then offer.
	Member bool
	Grants transport.Grants
}

// OnDelivery is called with every delivery from one node to another, with the receiver's engine
// locked: it must only compare. An error is a violation.
type OnDelivery interface {
	Checker
	Delivered(d Delivery) error
}
