package membership

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

func TestGolden(t *testing.T) {
	goldentest.Check(t, Signed{}, Certificate{}, Presented{}, Rotation{}, Revocation{}, Revoking{}, Invitation{}, Contact{}, Ticket{}, Admission{})
}
