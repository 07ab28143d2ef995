package gatewayapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent.
func TestGolden(t *testing.T) {
	goldentest.Check(t, gatewayapi.StatusRequest{}, gatewayapi.StatusResponse{})
}
