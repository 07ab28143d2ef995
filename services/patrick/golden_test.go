package patrick

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is stored.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		cancel{},
		closing{},
		forgotten{},
		grant{},
		loss{},
		rebuild{},
		result{},
		spec{},
	)
}
