package patrick

import (
	"testing"

	"github.com/taucloud/tau/services/patrick/refs"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is stored, and what patricks send each other.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		refs.Known{},
		cancel{},
		closing{},
		delivered{},
		forgotten{},
		grant{},
		keepRequest{},
		keepResponse{},
		lookNote{},
		loss{},
		moveRequest{},
		pingRequest{},
		pingResponse{},
		rebuild{},
		result{},
		spec{},
	)
}
