package blocks

import (
	"sync"
	"weak"

	"github.com/taucloud/tau/storage"
)

const (
	// verifiedFrom is the size in bytes from which on it pays to remember that a
	// block was verified.
	verifiedFrom = 8 << 10
	// verifiedMax bounds how many are remembered.
	verifiedMax = 1 << 14
)

// soundMemory remembers which memory was found to be the content of a block. Blocks are
// never changed in memory: a disk in memory lends the same bytes at each reading, and
// gives other memory to what has rotted. A real disk gives new memory each time, so
// whatever it reads is verified.
var soundMemory = verifiedBlocks{max: verifiedMax, young: map[weak.Pointer[byte]]verifiedBlock{}}

// verifiedBlocks keeps between max/2 and max blocks, and none of them alive.
type verifiedBlocks struct {
	max        int
	mu         sync.Mutex
	young, old map[weak.Pointer[byte]]verifiedBlock
}

// verifiedBlock is what the memory that begins somewhere was found to be.
type verifiedBlock struct {
	cid storage.CID
	len int
}

// has reports whether this very memory was found to be the block.
func (v *verifiedBlocks) has(c storage.CID, raw []byte) bool {
	if len(raw) < verifiedFrom {
		return false
	}
	at, b := weak.Make(&raw[0]), verifiedBlock{c, len(raw)}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.young[at] == b || v.old[at] == b
}

func (v *verifiedBlocks) add(c storage.CID, raw []byte) {
	if len(raw) < verifiedFrom {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= v.max/2 {
		v.old, v.young = v.young, make(map[weak.Pointer[byte]]verifiedBlock, v.max/2)
	}
	v.young[weak.Make(&raw[0])] = verifiedBlock{c, len(raw)}
}
