package blocks

import (
	"context"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage/memdisk"
)

// TestAnAuditFindsWhatIsDamaged, and names it.
func TestAnAuditFindsWhatIsDamaged(t *testing.T) {
	ctx, disk := context.Background(), memdisk.New()
	require.NoError(t, disk.Put(ctx, datastore.NewKey("/a"), []byte("value")))
	for _, content := range []string{"one", "two"} {
		c, err := RootOf([]byte(content))
		require.NoError(t, err)
		require.NoError(t, disk.Put(ctx, blockKey(c), []byte(content)))
	}
	a, err := AuditDisk(ctx, disk)
	require.NoError(t, err)
	require.Equal(t, Audit{Keys: 3, Blocks: 2, Bytes: 11}, a)
	c, err := RootOf([]byte("two"))
	require.NoError(t, err)
	require.NoError(t, disk.Put(ctx, blockKey(c), []byte("tow")))
	a, err = AuditDisk(ctx, disk)
	require.NoError(t, err)
	require.Equal(t, 1, a.Damaged)
	require.Contains(t, a.Examples[0], c.String())
}
