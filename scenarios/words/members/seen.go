package members

import (
	"time"

	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/transport"
)

// Seer is what checks see of a seer that runs.
type Seer interface {
	Live() []transport.Peer
	Settled() bool
	Elapsed() time.Duration
}

var _ Seer = (*seer.Service)(nil)
