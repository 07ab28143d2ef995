package localkv

import (
	"slices"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// OnDisk lists what would survive of a store below a key, in key order. What
// is corrupt is left out.
func OnDisk(disk storage.Durable, namespace, below storage.Key) []storage.Entry {
	var list []storage.Entry
	disk.DurableBelow(string(namespace+below), func(k string, sealed []byte) bool {
		if key := storage.Key(k); !key.Has(namespace + below) {
			return true // another's, of which the name is longer
		}
		if value, err := ondisk.Unseal(k, sealed); err == nil {
			list = append(list, storage.Entry{Key: storage.Key(k[len(namespace):]), Value: value})
		}
		return true
	})
	slices.SortFunc(list, storage.Entry.Compare) // a disk orders by bytes
	return list
}

// HasOnDisk reports whether a key of a store would survive, and is sound.
func HasOnDisk(disk storage.Durable, namespace, key storage.Key) bool {
	at := string(namespace + key)
	sealed, found := disk.Durable(at)
	if !found {
		return false
	}
	_, err := ondisk.Unseal(at, sealed)
	return err == nil
}
