package blocks

import (
	"bytes"
	"testing"
	"weak"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
)

// TestVerifiedIsMemoryAndNotContent: a copy that has rotted is no block, nor is a
// part of one that was verified, whatever was verified before.
func TestVerifiedIsMemoryAndNotContent(t *testing.T) {
	raw := bytes.Repeat([]byte("x"), 4*verifiedFrom)
	c, err := merkledag.V1CidPrefix().Sum(raw)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, verifyBlock(c, raw))
	}
	rotten := bytes.Clone(raw)
	rotten[len(raw)/2] ^= 1
	for range 2 {
		require.ErrorIs(t, verifyBlock(c, rotten), storage.ErrCorrupt)
		require.ErrorIs(t, verifyBlock(c, raw[:len(raw)-1]), storage.ErrCorrupt)
		require.ErrorIs(t, verifyBlock(c, raw[1:]), storage.ErrCorrupt)
	}
	other, err := merkledag.V1CidPrefix().Sum(rotten)
	require.NoError(t, err)
	require.ErrorIs(t, verifyBlock(other, raw), storage.ErrCorrupt)
	require.NoError(t, verifyBlock(other, rotten))
	require.NoError(t, verifyBlock(c, raw))
}

// TestVerifiedIsBounded verifies more blocks than are remembered: the last half of as many as may be always are.
func TestVerifiedIsBounded(t *testing.T) {
	v := verifiedBlocks{max: 64, young: map[weak.Pointer[byte]]verifiedBlock{}}
	raw := make([]byte, verifiedFrom+200)
	for i := range 200 {
		v.add(storage.CID{}, raw[i:])
		require.LessOrEqual(t, len(v.young)+len(v.old), 64)
		for last := max(0, i-31); last <= i; last++ {
			require.True(t, v.has(storage.CID{}, raw[last:]), "%d of %d", last, i)
		}
	}
	require.False(t, v.has(storage.CID{}, raw), "the first is forgotten")
}
