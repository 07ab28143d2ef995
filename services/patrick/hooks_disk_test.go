package patrick

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestAWebhookOnOneDiskIsNotAcknowledged while another patrick answers: the forge is to deliver it again.
func TestAWebhookOnOneDiskIsNotAcknowledged(t *testing.T) {
	onStreet(t, setup{change: func(s *Settings) { s.PollEvery = 24 * time.Hour }}, func(s *street) {
		s.forgeErr = errors.New("down")
		s.patricks[1].Disk.SetFaults(memdisk.Faults{Fail: func(o memdisk.Op, _ string) error {
			if o == memdisk.OpWrite {
				return errors.New("the disk refuses")
			}
			return nil
		}})
		status, body := s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		require.Equal(t, 503, status)
		require.Contains(t, body, "second patrick")
		s.patricks[1].Disk.SetFaults(memdisk.Faults{})
		status, _ = s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		require.Equal(t, 202, status)
	})
}
