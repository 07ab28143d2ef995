package monkeyapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent, or stored as it is.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		monkeyapi.HoldsRequest{},
		monkeyapi.HoldsResponse{},
		monkeyapi.StatusRequest{},
		monkeyapi.StatusResponse{},
	)
}
