package ondisk

import (
	"context"
	"fmt"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
)

// Flush waits until everything that was written to disk before the call
// survives a crash.
func Flush(ctx context.Context, loop clock.Loop, disk storage.Disk) error {
	result := make(chan error, 1)
	err := loop.Park(ctx, func(wake func()) {
		disk.Flush(func(err error) {
			result <- err
			wake()
		})
	})
	if err != nil {
		return err
	}
	if err := <-result; err != nil {
		return fmt.Errorf("storage: sync: %w", err)
	}
	return nil
}
