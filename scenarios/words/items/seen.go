package items

import (
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/storage"
)

// Hoarder is what checks see of a hoarder that runs.
type Hoarder interface {
	// Held lists the roots of which it says that it holds a copy, in order.
	Held() []string
	// Reserved is how many bytes are set aside for how many transfers.
	Reserved() (bytes int64, transfers int)
	Replica() storage.Replicated
}

var _ Hoarder = (*hoarder.Service)(nil)
