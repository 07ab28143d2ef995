package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/pebbledisk"
)

// openAgain is the pause after a disk could not be opened because it is full.
const openAgain = time.Second

// lockRun makes sure that one process at a time is the node of a shape, before anything is touched.
func lockRun(paths shape.Paths) (io.Closer, error) {
	if err := os.MkdirAll(paths.Run, 0o700); err != nil {
		return nil, readOnly(err)
	}
	path := strings.TrimSuffix(paths.Socket, filepath.Ext(paths.Socket)) + ".lock"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, readOnly(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("this node runs already: another process holds %s; tau status asks it", path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// readOnly says what to do about a file system that nothing can be written to.
func readOnly(err error) error {
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %s", err, pebbledisk.ReadOnlyRemedy)
	}
	return err
}

// openDisk opens the node's disk, and waits for room if there is none to open it; nil when ctx has ended
// before. Nothing that pebble does while it opens can be interrupted: the process ends meanwhile.
func (r *running) openDisk(ctx context.Context) (*pebbledisk.Disk, error) {
	reserve, err := shape.ParseSize(r.cfg.Shape.DiskReserve)
	if err != nil {
		return nil, err
	}
	if err := takeDisk(r.cfg.Paths, r.cfg.AcceptEmptyDisk); err != nil {
		return nil, err
	}
	type opened struct {
		disk *pebbledisk.Disk
		err  error
	}
	for {
		done := make(chan opened, 1)
		go func() {
			d, err := pebbledisk.Open(r.cfg.Paths.Data, pebbledisk.Options{Reserve: reserve, Log: r.cfg.Log.Logger, FS: r.cfg.Rehearse.files()})
			done <- opened{d, err}
		}()
		select {
		case <-ctx.Done():
			return nil, nil
		case o := <-done:
			if o.err == nil {
				r.setDoing("the node is starting")
				return r.marked(o.disk)
			}
			if !errors.Is(o.err, storage.ErrFull) {
				return nil, o.err
			}
			r.setDoing(o.err.Error())
			r.cfg.Log.Warn("the disk cannot be opened yet: it is tried again", slog.String("error", o.err.Error()))
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(openAgain):
		}
	}
}

func (r *running) setDoing(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing = what
}

// takeDisk is ExpectDisk for a node that starts. An empty disk that is accepted is the node's from now on, also if the
// process is killed after it has made the new one and before it has noted which that is.
func takeDisk(paths shape.Paths, acceptEmpty bool) error {
	if err := ExpectDisk(paths, acceptEmpty); err != nil || !acceptEmpty {
		return err
	}
	if is, err := pebbledisk.ID(paths.Data); err != nil || is != "" {
		return nil // it is the one that is noted, or who opens it says what is wrong
	}
	if err := os.Remove(paths.Disk); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ExpectDisk compares the disk with the one that the node had when it ran before, which is noted beside its keys: a file
// system that is not mounted looks like an empty disk, and nobody should lose what he has by a typing error.
func ExpectDisk(paths shape.Paths, acceptEmpty bool) error {
	raw, err := os.ReadFile(paths.Disk)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	is, err := pebbledisk.ID(paths.Data)
	if errors.Is(err, pebbledisk.ErrFormat) {
		return nil // who opens it says what is wrong
	}
	if err != nil {
		return err
	}
	if was := strings.TrimSpace(string(raw)); is == was || acceptEmpty && is == "" {
		return nil
	}
	if is == "" {
		return fmt.Errorf("the disk of this node is gone: %s is empty or not there, and the node has run with another one: mount it, or bring it back from a backup; "+
			"or, if it is lost, tau start --accept-empty-disk %s: then the node gets what other members hold too, and what only it had is lost", paths.Data, paths.Flags())
	}
	return fmt.Errorf("the disk in %s is not the one that this node has run with: mount that; or, if it is right, remove %s", paths.Data, paths.Disk)
}

// marked closes a disk that cannot be noted.
func (r *running) marked(d *pebbledisk.Disk) (*pebbledisk.Disk, error) {
	if err := r.markDisk(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// markDisk notes which disk the node has.
func (r *running) markDisk() error {
	id, err := pebbledisk.ID(r.cfg.Paths.Data)
	if err != nil {
		return err
	}
	if was, err := os.ReadFile(r.cfg.Paths.Disk); err == nil && strings.TrimSpace(string(was)) == id {
		return nil
	}
	return WriteFile(r.cfg.Paths.Disk, []byte(id+"\n"))
}
