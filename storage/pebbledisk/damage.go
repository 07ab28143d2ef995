package pebbledisk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged says that files of a disk are missing, or not what was written.
var ErrDamaged = errors.New("storage: the disk is damaged")

// Remedy is what helps against that.
const Remedy = "what other members hold too comes back by itself: stop the node, move the directory away (it may help to find out what happened) " +
	"and start with --accept-empty-disk, or put a backup of the directory in its place; then look after the hardware"

// ReadOnlyRemedy is what helps where nothing can be written.
const ReadOnlyRemedy = "the kernel makes a file system read-only when it meets an error: its log (dmesg) says which. Check the file system (fsck), mount it for " +
	"writing and start the node: what it had acknowledged is there"

// explain says what an error of pebble's means for whoever runs the node.
func explain(dir string, err error) error {
	if isDamage(err) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s: %w: %s", ErrDamaged, dir, err, Remedy)
	}
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("storage: open the disk in %s: %w: %s", dir, err, ReadOnlyRemedy)
	}
	return fmt.Errorf("storage: open the disk in %s: %w", dir, err)
}

// isDamage reports whether what was read is not what was written. Not all such errors of pebble's are marked.
func isDamage(err error) bool {
	if pebble.IsCorruptionError(err) {
		return true
	}
	text := err.Error()
	for _, part := range []string{"corruption", "checksum", "MANIFEST", "invalid chunk", "marker"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// damaged tells whoever runs the node, once, that something is not as it was written.
func (d *Disk) damaged(err error) {
	if err != nil && pebble.IsCorruptionError(err) && d.told.CompareAndSwap(false, true) {
		d.log.Error("the disk is damaged: some of it is not what was written; tau doctor --deep says how much of it",
			slog.String("dir", d.room.dir), slog.String("error", err.Error()), slog.String("remedy", Remedy))
	}
}
