package seerapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent, or stored as it is.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		seerapi.ChangesRequest{},
		seerapi.ChangesResponse{},
		seerapi.LookupRequest{},
		seerapi.LookupResponse{},
	)
}
