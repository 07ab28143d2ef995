package auth

import (
	"testing"

	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/transport/goldentest"
	"github.com/taucloud/tau/transport/membership"
)

// TestGolden: what is stored.
func TestGolden(t *testing.T) {
	goldentest.Check(t, membership.Signed{}, membership.Revoking{}, tally{}, token.Record{}, sealedSecret{}, sealedCertificate{}, vaultKeysRequest{}, vaultKeysResponse{})
}
