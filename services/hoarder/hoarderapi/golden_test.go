package hoarderapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent, or stored as it is.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		hoarderapi.DatabaseRequest{},
		hoarderapi.DatabaseResponse{},
		hoarderapi.DemandRequest{},
		hoarderapi.Done{},
		hoarderapi.HaveRequest{},
		hoarderapi.HaveResponse{},
		hoarderapi.LocateResponse{},
		hoarderapi.PinRequest{},
		hoarderapi.PinResponse{},
		hoarderapi.OwnedRequest{},
		hoarderapi.OwnedResponse{},
		hoarderapi.OwnersRequest{},
		hoarderapi.OwnersResponse{},
		hoarderapi.RootRequest{},
		hoarderapi.StatusResponse{},
		hoarderapi.UnpinRequest{},
	)
}
