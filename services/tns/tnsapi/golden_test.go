package tnsapi_test

import (
	"testing"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent, or stored as it is.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		tnsapi.BranchRequest{},
		tnsapi.FollowRequest{},
		tnsapi.FollowResponse{},
		tnsapi.FenceRequest{},
		tnsapi.FenceResponse{},
		tnsapi.HistoryResponse{},
		tnsapi.LookupRequest{},
		tnsapi.LookupResponse{},
		tnsapi.PublishRequest{},
		tnsapi.PublishResponse{},
		tnsapi.RollbackRequest{},
		fencing.Token{},
		tnsapi.Version{},
	)
}
