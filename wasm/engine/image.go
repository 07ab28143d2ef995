package engine

// An image is memory as it was when a snapshot was taken. A linear is the memory of one instance: Reallocate makes it larger,
// reset makes it equal to the image again. There are two kinds of both: mapped (image_linux.go), where only the pages that
// were written are copied back, and copied (image_copied.go), for other systems.

// pagesForgotten is how many pages, and how many times the usual, may be written before the pages are given back instead of
// being copied back at every reset from then on: a page once written stays private to its instance.
const (
	pagesForgotten = 64
	timesForgotten = 2
)

// linear is what both kinds do.
type linear interface {
	// Reallocate, Free: for the runtime (experimental.LinearMemory).
	Reallocate(size uint64) []byte
	Free()
	// shrinkNext makes the next Reallocate answer with a length.
	shrinkNext(size uint64)
	length() uint64
	peak() uint64 // the greatest length since the last reset
	// reset puts back what was written, and returns how many pages those were. Usual is how many it mostly is.
	reset(usual int) int
	// own is how many bytes there are beside the image.
	own() int64
	close()
}
