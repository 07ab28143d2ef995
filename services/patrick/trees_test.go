package patrick

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

func TestKeepTimeFollowsTheSize(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{
		-1: 4 * time.Second, 0: 4 * time.Second, 8 << 10: 6 * time.Second,
		patrickapi.TreeLenMax: 772 * time.Second, patrickapi.TreeLenMax * 2: 772 * time.Second,
	} {
		require.Equal(t, want, keepTime(bytes), "%d bytes", bytes)
	}
}
