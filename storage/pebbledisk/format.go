package pebbledisk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrLocked says that another process has the directory.
	ErrLocked = errors.New("storage: the disk is in use")
	// ErrFormat says that a directory is not in the format of this release, or is no disk.
	ErrFormat = errors.New("storage: the disk is not in the format of this release")
)

const (
	// format is the version of what lies in a directory. A release reads those that it knows.
	format       = 1
	formatName   = "FORMAT"
	formatPrefix = "tau disk "
	formatLenMax = 128
)

// ID is that of the disk in a directory, drawn when it was made: two disks differ. "" if there is none. ErrFormat: what
// is there has none.
func ID(dir string) (string, error) {
	text, err := readAll(vfs.Default, vfs.Default.PathJoin(dir, formatName), formatLenMax)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return "", noDirectory(dir)
	}
	_, id, _ := strings.Cut(text, "\n")
	if id = strings.TrimSpace(id); err == nil && id == "" {
		err = fmt.Errorf("%w: %s names no disk", ErrFormat, dir)
	}
	return id, err
}

func noDirectory(dir string) error {
	return fmt.Errorf("storage: %s is no directory, where the disk of a node should be: move it away", dir)
}

// prepare takes a directory, and makes sure that it is one of ours.
func prepare(fs vfs.FS, dir string) (*pebble.Lock, error) {
	if err := fs.MkdirAll(dir, 0o700); errors.Is(err, syscall.ENOTDIR) {
		return nil, noDirectory(dir)
	} else if err != nil {
		return nil, fmt.Errorf("storage: make %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, fs)
	switch {
	case errors.Is(err, syscall.EAGAIN), err != nil && strings.Contains(err.Error(), "held by current process"):
		return nil, fmt.Errorf("%w: another node has %s: stop that first", ErrLocked, dir)
	case err != nil:
		return nil, fmt.Errorf("storage: lock %s: %w", dir, err)
	}
	if err := checkFormat(fs, dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// checkFormat reads the format of a directory, and writes it into an empty one. A disk without an id is given one.
func checkFormat(fs vfs.FS, dir string) error {
	path := fs.PathJoin(dir, formatName)
	text, err := readAll(fs, path, formatLenMax)
	if errors.Is(err, os.ErrNotExist) {
		names, err := fs.List(dir)
		if err != nil {
			return fmt.Errorf("storage: list %s: %w", dir, err)
		}
		for _, name := range names {
			if name != "LOCK" && !strings.HasPrefix(name, formatName) {
				return fmt.Errorf("%w: %s has no file %s but has %s: give the disk a directory of its own, or bring the file back from a backup", ErrFormat, dir, formatName, name)
			}
		}
		return writeFormat(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("storage: read %s: %w", path, err)
	}
	first, rest, _ := strings.Cut(text, "\n")
	number, ours := strings.CutPrefix(strings.TrimSpace(first), formatPrefix)
	version, err := strconv.Atoi(number)
	switch {
	case !ours || err != nil || version < 1:
		return fmt.Errorf("%w: %s does not say %q: it is damaged, or %s is no disk", ErrFormat, path, formatPrefix+"1", dir)
	case version > format:
		return fmt.Errorf("%w: %s is in format %d, this release knows %d: start the release that wrote it, or a later one; nothing was changed", ErrFormat, dir, version, format)
	case strings.TrimSpace(rest) == "": // an earlier release has made it
		return writeFormat(fs, dir)
	}
	return nil
}

func readAll(fs vfs.FS, path string, lenMax int64) (string, error) {
	f, err := fs.Open(path)
	if err != nil {
		return "", err
	}
	raw, err := io.ReadAll(io.LimitReader(f, lenMax))
	return string(raw), errors.Join(err, f.Close())
}

// writeFormat makes the file durable before anything else is in the directory.
func writeFormat(fs vfs.FS, dir string) error {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return writeWhole(fs, dir, formatName, fmt.Sprintf("%s%d\n%x\n", formatPrefix, format, id))
}

// writeWhole writes a file whole or not at all, and makes it durable.
func writeWhole(fs vfs.FS, dir, name, text string) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("storage: write %s: %w", path, err)
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = fs.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("storage: write %s: %w", path, err)
	}
	return syncDir(fs, dir)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("storage: sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
