package substrateapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent.
func TestGolden(t *testing.T) {
	goldentest.Check(t, substrateapi.StatusRequest{}, substrateapi.StatusResponse{}, substrateapi.LogsRequest{}, substrateapi.LogsResponse{}, substrateapi.LogLine{},
		substrateapi.UsageRequest{}, substrateapi.UsageResponse{}, substrateapi.Usage{})
}
