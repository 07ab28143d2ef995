package localkv

import (
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// OnDisk lists what would survive of a store below a key, in key order. What
// is corrupt is left out.
func OnDisk(disk storage.Durable, namespace, below storage.Key) []storage.Entry {
	var list []storage.Entry
	disk.DurableBelow(string(namespace+below), func(k string, sealed []byte) bool {
		key := storage.Key(k[len(namespace):])
		if value, err := ondisk.Unseal(k, sealed); err == nil && key.Has(below) {
			list = append(list, storage.Entry{Key: key, Value: value})
		}
		return true
	})
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
