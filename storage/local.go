package storage

// Local is a Store on this node's disk only. Each value carries a checksum: one
// that the disk tore or corrupted is reported as such once read (ErrCorrupt), and
// is absent after the next start; Dropped lists those.
type Local interface {
	Store
	// Dropped lists the keys, in order, of which the value was corrupt when the
	// store was opened, as long as nothing else is written there: after a crash,
	// too, the owner learns of what it has lost.
	Dropped() []Key
}
