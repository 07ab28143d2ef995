package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTransferTime(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{
		-1: 0, 0: 0, rateMin - 1: 0, rateMin: time.Second, 1 << 20: 256 * time.Second, 1 << 40: time.Hour,
	} {
		require.Equal(t, want, TransferTime(bytes), "%d bytes", bytes)
	}
}
