package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/taucloud/tau/clock"
)

// errSync says that the disk failed to flush: what was written may be lost, also
// if the next flush succeeds.
var errSync = errors.New("storage: sync")

// flush waits until everything that was written to disk before the call
// survives a crash.
func flush(ctx context.Context, loop clock.Loop, disk Disk) error {
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
		return fmt.Errorf("%w: %w", errSync, err)
	}
	return nil
}
