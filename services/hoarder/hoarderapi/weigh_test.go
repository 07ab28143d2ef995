package hoarderapi

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

// TestWeighIsSplitMix64 with the first outputs of its published generator for the
// seed 0, whose states are multiples of the golden ratio.
func TestWeighIsSplitMix64(t *testing.T) {
	const golden = 0x9e3779b97f4a7c15
	state := uint64(0)
	for _, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		state += golden
		require.Equal(t, want, weigh(state, transport.Peer{}))
		var p transport.Peer
		binary.BigEndian.PutUint64(p[:], 0x1234)
		require.Equal(t, want, weigh(state^0x1234, p), "the peer counts")
	}
}
