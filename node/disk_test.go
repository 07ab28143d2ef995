package node

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestADiskIsOfOneCloud: whose first member it was.
func TestADiskIsOfOneCloud(t *testing.T) {
	local, err := localkv.Open(nil, memdisk.New(), storage.K("local", MembershipService))
	require.NoError(t, err)
	require.NoError(t, bindDisk(local, "north"))
	require.NoError(t, bindDisk(local, "north"))
	require.ErrorIs(t, bindDisk(local, "south"), ErrOtherCloud)
	require.ErrorContains(t, bindDisk(local, "south"), `of "north", and this node is to be of "south"`)
}

// TestAFailedSyncIsTheLastOne: whatever the disk says afterwards.
func TestAFailedSyncIsTheLastOne(t *testing.T) {
	gone, answer := 0, error(nil)
	under := memdisk.New()
	under.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
		if op == memdisk.OpFlush {
			return answer
		}
		return nil
	}})
	disk := &suspectDisk{Disk: under, failed: func(error) { gone++ }}
	flush := func() (result error) { disk.Flush(func(err error) { result = err }); return result }

	require.NoError(t, flush())
	answer = clock.ErrStopped // the node ends anyway
	require.ErrorIs(t, flush(), clock.ErrStopped)
	require.Zero(t, gone)

	answer = errors.New("i/o error")
	require.ErrorIs(t, flush(), answer)
	bad := answer
	answer = nil
	require.ErrorIs(t, flush(), bad)
	require.ErrorIs(t, flush(), bad)
	require.Equal(t, 1, gone)
}
