package storage

// Local is a Store on this node's disk only. Each value carries a checksum: one
// that the disk tore or corrupted is reported as such once read (ErrCorrupt), and
// is absent after the next start; Dropped lists those.
type Local interface {
	Store
	// Dropped lists the keys, in order, whose value was corrupt when the store was opened and that
	// were not written since, also after further restarts: so the owner learns what it has lost.
	Dropped() []Key
}
