package dreamland

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// writableFile returns an error if a file cannot be written, before a run is made whose
// page or scenario would be lost. It leaves what is there as it is.
func writableFile(flag, file string) error {
	info, err := os.Stat(file)
	switch {
	case file == "":
		return nil
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(file)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s %s: there is no directory %s", flag, file, dir)
		}
		return writableDir(flag, dir)
	case err != nil:
		return fmt.Errorf("%s: %w", flag, err)
	case info.IsDir():
		return fmt.Errorf("%s %s: it is a directory; name a file", flag, file)
	case !info.Mode().IsRegular():
		return nil // a pipe is opened once
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return f.Close()
}

// writableDir returns an error if nothing can be written to a directory, or it cannot
// be made.
func writableDir(flag, dir string) error {
	if dir == "" {
		return nil
	}
	there := filepath.Clean(dir)
	for {
		info, err := os.Stat(there)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s %s: %s is no directory", flag, dir, there)
		}
		missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
		if !missing || filepath.Dir(there) == there {
			break
		}
		there = filepath.Dir(there)
	}
	f, err := os.CreateTemp(there, ".dreamland-")
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, dir, errors.Unwrap(err))
	}
	_ = f.Close() // nothing was written
	return os.Remove(f.Name())
}
