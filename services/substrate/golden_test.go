package substrate

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is stored.
func TestGolden(t *testing.T) { goldentest.Check(t, ownersRecord{}) }
