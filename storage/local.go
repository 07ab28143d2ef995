package storage

import (
	"context"

	"github.com/taucloud/tau/clock"
)

// Local is a Store on this node's disk only, below one namespace. Each value
// carries a checksum: one that the disk tore or corrupted is reported as such
// once read by Get (an error that is not ErrNotFound), or, if it was torn by a
// crash, is absent after OpenLocal.
type Local struct {
	local
}

type local struct{}

// OpenLocal opens the store below namespace. loop is the caller's.
func OpenLocal(loop clock.Loop, disk Disk, namespace Key) (*Local, error) { panic("not built yet") }

// Get implements Store.
func (s *Local) Get(k Key) ([]byte, error) { panic("not built yet") }

// List implements Store.
func (s *Local) List(prefix Key) ([]Entry, error) { panic("not built yet") }

// Apply implements Store.
func (s *Local) Apply(b *Batch) error { panic("not built yet") }

// Sync implements Store.
func (s *Local) Sync(ctx context.Context) error { panic("not built yet") }
