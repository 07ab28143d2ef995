package pebbledisk

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The end of a log is what a power cut cuts short, so by itself nobody can tell that from what was damaged since (further
// in front pebble does: each piece of a log says how much was synced before it). After an orderly end there is a
// file that says how all logs end.
const cleanName = "CLEAN"

// asideSuffix is that of the file while the disk is being opened.
const asideSuffix = ".aside"

// cleanLenMax bounds that file, in bytes.
const cleanLenMax = 64 << 10

// logsOf describes the logs in a directory: a line each with its name, size and checksum.
func logsOf(fs vfs.FS, dir string) (string, error) {
	names, err := fs.List(dir)
	if err != nil {
		return "", fmt.Errorf("storage: list %s: %w", dir, err)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			return "", fmt.Errorf("storage: read %s: %w", name, err)
		}
		sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		size, err := io.Copy(sum, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("storage: read %s: %w", name, err)
		}
		fmt.Fprintf(&b, "%s %d %08x\n", name, size, sum.Sum32())
	}
	return b.String(), nil
}

// writeClean writes the file after an orderly end. Without room for it there is none.
func writeClean(fs vfs.FS, dir string) error {
	logs, err := logsOf(fs, dir)
	if err != nil {
		return err
	}
	if err := writeWhole(fs, dir, cleanName, logs); err != nil {
		_ = fs.Remove(fs.PathJoin(dir, cleanName)) // a half one would lie
	}
	return nil
}

// checkClean compares the logs with what an orderly end has left, and reports whether the last one was. It changes nothing.
func checkClean(fs vfs.FS, dir string) (clean bool, err error) {
	path := fs.PathJoin(dir, cleanName)
	left, err := readAll(fs, path, cleanLenMax)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("storage: read %s: %w", path, err)
	}
	logs, err := logsOf(fs, dir)
	if err != nil {
		return false, err
	}
	if logs != left {
		return false, fmt.Errorf("%w: %s: its logs are not as they were when the node ended in order: %s", ErrDamaged, dir, Remedy)
	}
	return true, nil
}

// setCleanAside takes the file away before pebble, which changes the logs, opens the directory. It is kept under another
// name, which means nothing to the next start, so that keepClean needs no room.
func setCleanAside(fs vfs.FS, dir string) error {
	path := fs.PathJoin(dir, cleanName)
	if err := fs.Rename(path, path+asideSuffix); err != nil {
		return fmt.Errorf("storage: rename %s: %w", path, err)
	}
	return syncDir(fs, dir)
}

// keepClean brings it back after pebble has not opened the directory, if the logs are still as it says.
func keepClean(fs vfs.FS, dir string) {
	path := fs.PathJoin(dir, cleanName)
	left, err := readAll(fs, path+asideSuffix, cleanLenMax)
	if logs, unread := logsOf(fs, dir); err == nil && unread == nil && logs == left && fs.Rename(path+asideSuffix, path) == nil {
		_ = syncDir(fs, dir)
	}
}
