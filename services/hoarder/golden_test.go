package hoarder

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is stored.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		claimRecord{},
		demandRecord{},
		heldRecord{},
		pinRecord{},
	)
}
