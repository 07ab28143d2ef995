package patrick

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is stored, and what patricks send each other.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		cancel{},
		closing{},
		forgotten{},
		grant{},
		keepRequest{},
		keepResponse{},
		loss{},
		pingRequest{},
		pingResponse{},
		rebuild{},
		result{},
		spec{},
	)
}
