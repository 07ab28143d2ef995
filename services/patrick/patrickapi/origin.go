package patrickapi

import (
	"strings"

	"github.com/taucloud/tau/transport"
)

// Origin is the source of a job of a forge: it says where its tree is. It is kept like a tree, so whatever keeps a job's tree, fetches
// it when it is missing or lets go of it does the same with an Origin.
type Origin struct {
	Repository, Ref, Commit string
}

// NoCommit is the commit of a branch that was deleted, as Git writes it. Its job publishes that there is nothing.
var NoCommit = strings.Repeat("0", 40)

// Encode returns the bytes of an origin. Equal ones have equal bytes.
func (o Origin) Encode() []byte { return transport.Encode(o) }
