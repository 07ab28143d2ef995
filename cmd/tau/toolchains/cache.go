package toolchains

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cache keeps what was made, at most max bytes of it: what was not asked for the longest goes first. It may lose anything.
type cache struct {
	dir string
	max int64
	mu  sync.Mutex
}

func (c *cache) file(key string) string { return filepath.Join(c.dir, "assets", key) }

// get returns an asset whole, or none.
func (c *cache) get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw, err := os.ReadFile(c.file(key))
	if err != nil || len(raw) < sha256.Size {
		return nil, false
	}
	sum := sha256.Sum256(raw[sha256.Size:])
	if !slices.Equal(sum[:], raw[:sha256.Size]) {
		_ = os.Remove(c.file(key)) // the disk has changed it
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(c.file(key), now, now) // it was asked for
	return raw[sha256.Size:], true
}

// put keeps an asset, and lets go what is too much. That it cannot is no failure: it is made again.
func (c *cache) put(key string, asset []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(asset)) > c.max || os.MkdirAll(filepath.Dir(c.file(key)), 0o700) != nil {
		return
	}
	sum := sha256.Sum256(asset)
	if writeWhole(c.file(key), append(sum[:], asset...)) == nil {
		c.trim()
	}
}

func (c *cache) trim() {
	entries, err := os.ReadDir(filepath.Join(c.dir, "assets"))
	if err != nil {
		return
	}
	var files []os.FileInfo
	sum := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			files = append(files, info)
			sum += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if sum <= c.max {
			return
		}
		if os.Remove(filepath.Join(c.dir, "assets", f.Name())) == nil {
			sum -= f.Size()
		}
	}
}

// writeWhole writes a file whole or not at all, for this user alone.
func writeWhole(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// lockEvery is how often a lock is tried that another node holds.
const lockEvery = 200 * time.Millisecond

// lock makes sure that one node at a time makes what several share, until unlock is called or the process ends.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockEvery):
		}
	}
}
