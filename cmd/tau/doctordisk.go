package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/storage/pebbledisk"
)

func (d *doctor) disk(s *shape.Shape) {
	reserve, err := shape.ParseSize(s.DiskReserve)
	if err != nil {
		return // Load has checked it
	}
	dir := d.paths.Data
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) { // the first that is there
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		d.bad("disk", "look whether it is mounted", "%s: %v", dir, err)
		return
	}
	free := fs.Bavail * uint64(fs.Bsize)
	err = tryWriting(dir)
	switch {
	case errors.Is(err, unix.EROFS):
		d.bad("disk", pebbledisk.ReadOnlyRemedy, "the file system of %s is read-only", dir)
	case errors.Is(err, unix.EIO):
		d.bad("disk", "the kernel's log (dmesg) says what is wrong with the hardware, or with what is below the file system", "nothing can be written to %s: %v", dir, err)
	case unix.Access(dir, unix.W_OK) != nil:
		d.bad("disk", "give the directory to the user that runs the node: chown -R USER "+dir, "this user may not write to %s", dir)
	case free < reserve:
		d.bad("disk", "make room, or give the node a larger disk", "%d MiB are free in %s, less than the reserve of %s: what is new is refused", free>>20, dir, s.DiskReserve)
	case free < 4*reserve:
		d.warn("disk", "make room before it is full", "%d MiB are free in %s, and %s of them are kept in reserve", free>>20, dir, s.DiskReserve)
	default:
		d.ok("disk", "%d MiB are free in %s", free>>20, dir)
	}
}

// tryWriting makes a small file durable in a directory, and removes it: a file system that has met an error refuses that, whatever
// it says of itself.
func tryWriting(dir string) error {
	f, err := os.CreateTemp(dir, ".tau-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("tau doctor has tried whether it can write here")
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// deep reads the whole disk: the node does it if it runs.
func (d *doctor) deep() {
	var a blocks.Audit
	err := error(nil)
	if d.running {
		err = d.ask(d.cmd, "audit", nil, nil, &a)
	} else if id, _ := pebbledisk.ID(d.paths.Data); id == "" {
		d.ok("contents", "there is no disk yet in %s", d.paths.Data)
		return
	} else {
		a, err = d.auditClosed()
	}
	switch {
	case err != nil:
		d.bad("contents", "if it is damaged: "+pebbledisk.Remedy, "%v", err)
	case a.Damaged > 0:
		d.bad("contents", pebbledisk.Remedy, "%d of %d values are damaged, such as %v", a.Damaged, a.Keys, a.Examples)
	default:
		d.ok("contents", "%d values, %d blocks of them, %d MiB: all as they were written", a.Keys, a.Blocks, a.Bytes>>20)
	}
}

func (d *doctor) auditClosed() (a blocks.Audit, err error) {
	disk, err := pebbledisk.Open(d.paths.Data, pebbledisk.Options{})
	if err != nil {
		return a, err
	}
	a, err = blocks.AuditDisk(context.Background(), disk)
	return a, errors.Join(err, disk.Close())
}
