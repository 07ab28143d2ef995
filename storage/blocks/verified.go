package blocks

import (
	"sync"
	"weak"

	"github.com/taucloud/tau/storage"
)

const (
	// verifiedFrom is the size in bytes from which remembering that a block was verified pays.
	verifiedFrom = 8 << 10
	// verifiedMax bounds how many are remembered.
	verifiedMax = 1 << 14
)

// soundMemory remembers which memory was verified to be the content of a block. Blocks are never
// changed in memory: a disk in memory lends the same bytes at each reading, and different memory
// for corrupted content. A real disk returns new memory each time, so each of its readings is
// verified.
var soundMemory = verifiedBlocks{max: verifiedMax, young: map[weak.Pointer[byte]]verifiedBlock{}}

// verifiedBlocks remembers between max/2 and max blocks, by weak references.
type verifiedBlocks struct {
	max        int
	mu         sync.Mutex
	young, old map[weak.Pointer[byte]]verifiedBlock
}

// verifiedBlock is the block that the memory at an address was verified to be.
type verifiedBlock struct {
	cid storage.CID
	len int
}

// has reports whether this memory was verified to be the block.
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
