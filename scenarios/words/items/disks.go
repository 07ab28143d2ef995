package items

import (
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/storage/replicated"
)

// What hoarders really hold is read from their disks: what would survive a power
// cut at this moment, every block compared with its name. No hoarder is believed.

var (
	hoarderLocal = storage.K("local", hoarderapi.Service)
	heldAt       = storage.K("held")
	remainsAt    = storage.K("remains")
)

// heldOnDisk lists the roots of which a hoarder would know after a power cut.
func heldOnDisk(n check.NodeView) []string { return rootsOnDisk(n, heldAt) }

func rootsOnDisk(n check.NodeView, below storage.Key) (roots []string) {
	for _, e := range localkv.OnDisk(n.Disk, hoarderLocal, below) {
		roots = append(roots, e.Key.Parts()[1])
	}
	return roots
}

// recordedOnDisk reports whether a hoarder would know of a copy after a power cut.
func recordedOnDisk(n check.NodeView, root string) bool {
	return localkv.HasOnDisk(n.Disk, hoarderLocal, heldAt+storage.K(root))
}

// wholeOnDisk reports whether all of a content lies on a disk, and how large it
// is.
func wholeOnDisk(n check.NodeView, root string) (bytes int64, whole bool) {
	c, err := cid.Decode(root)
	if err != nil {
		return 0, false
	}
	_, bytes, err = blocks.DAGOnDisk(n.Disk, c)
	return bytes, err == nil
}

// holdsOnDisk reports whether a hoarder really holds a copy, and knows it.
func holdsOnDisk(n check.NodeView, root string) bool {
	_, whole := wholeOnDisk(n, root)
	return whole && recordedOnDisk(n, root)
}

// anyOnDisk reports whether there is an entry below a key that a hoarder's replica
// would have after a power cut.
func anyOnDisk(n check.NodeView, below storage.Key) bool {
	return len(replicated.OnDisk(n.Disk, hoarderapi.Service, "main", below)) > 0
}

// usedOnDisk is how many bytes the copies of a hoarder really have. sizes
// remembers them: a root has one size.
func usedOnDisk(n check.NodeView, sizes map[string]int64) (used int64) {
	for _, root := range heldOnDisk(n) {
		size, known := sizes[root]
		if !known {
			bytes, whole := wholeOnDisk(n, root)
			if size = bytes; whole {
				sizes[root] = bytes
			}
		}
		used += size
	}
	return used
}

// leftOnDisk lists blocks that belong to no copy and to nothing that is known to
// be left of one.
func leftOnDisk(n check.NodeView) (left []cid.Cid) {
	all := blocks.AllOnDisk(n.Disk)
	for _, root := range slices.Concat(heldOnDisk(n), rootsOnDisk(n, remainsAt)) {
		c, err := cid.Decode(root)
		if err != nil {
			continue
		}
		blocks, _, _ := blocks.DAGOnDisk(n.Disk, c)
		for _, b := range blocks {
			delete(all, b)
		}
	}
	for c := range all {
		left = append(left, c)
	}
	slices.SortFunc(left, func(a, b cid.Cid) int { return slices.Compare([]byte(a.KeyString()), []byte(b.KeyString())) })
	return left
}
