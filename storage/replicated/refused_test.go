package replicated

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestApplySaysWhatTheDiskRefuses of what was applied before. What was refused is not there, and goes in when the disk has recovered.
func TestApplySaysWhatTheDiskRefuses(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		large := func(key string) *storage.Batch {
			return new(storage.Batch).Put(storage.Key(key), make([]byte, deltaSizeMax-len(key)-writeOverhead))
		}
		full := errors.New("full")
		m.In(func(context.Context) {
			require.NoError(t, m.r.Apply(large("/a")))
			m.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
				if op == memdisk.OpWrite {
					return full
				}
				return nil
			}})
			require.NoError(t, m.r.Apply(large("/b")), "what was applied before is in memory, and is not yet asked of the disk")
			require.ErrorIs(t, m.r.Apply(large("/c")), full)
			_, err := m.r.Get("/c")
			require.ErrorIs(t, err, storage.ErrNotFound)
			m.Disk.SetFaults(memdisk.Faults{})
			require.NoError(t, m.r.Apply(large("/c")))
			require.NoError(t, m.r.commit())
			require.Len(t, m.r.Entries(""), 3)
			require.Equal(t, 3, m.r.Stats().Deltas)
		})
	})
}

// TestApplySaysWhatCannotBeCommitted: what was pending stays so, and what had no room beside it is refused.
func TestApplySaysWhatCannotBeCommitted(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		m.In(func(context.Context) {
			large := func(key string) *storage.Batch {
				return new(storage.Batch).Put(storage.Key(key), make([]byte, deltaSizeMax-len(key)-writeOverhead))
			}
			require.NoError(t, m.r.Apply(large("/a")))
			last := m.r.replica.index.vector.last
			m.r.replica.index.vector.last = maps.Clone(last)
			for n := range uint64(writersMax) {
				m.r.replica.index.vector.last[n+1] = 1
			}
			require.ErrorIs(t, m.r.Apply(large("/b")), storage.ErrTooLarge)
			m.r.replica.index.vector.last = last
			require.NoError(t, m.r.commit())
			require.Len(t, m.r.Entries(""), 1)
		})
	})
}
