package replicated

import (
	"slices"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// OnDisk lists the entries of a replicated store at or below a key that the next incarnation of a
// node finds on its disk alone, in key order. Corrupt ones are left out.
func OnDisk(disk storage.Durable, service, namespace string, below storage.Key) []storage.Entry {
	var list []storage.Entry
	place := storage.K("kv", service, namespace)
	at := place + diskKeys + storage.Key(generationOnDisk(disk, place))
	disk.DurableBelow(string(at+below), func(k string, sealed []byte) bool {
		key := storage.Key(k[len(at):])
		if !key.Has(below) { // "/ab" begins with "/a" and is not below it
			return true
		}
		if value, present := presentIn(k, string(key), sealed); present {
			list = append(list, storage.Entry{Key: key, Value: value})
		}
		return true
	})
	slices.SortFunc(list, storage.Entry.Compare) // a disk orders by bytes
	return list
}

// generationOnDisk is the one that is in use.
func generationOnDisk(disk storage.Durable, place storage.Key) generation {
	key := string(place) + diskState
	if sealed, found := disk.Durable(key); found {
		if raw, err := ondisk.Unseal(key, sealed); err == nil {
			if sums, err := decodeSums(raw); err == nil {
				return sums.gen
			}
		}
	}
	return generationA
}

// presentIn is the value in a record as it lies on a disk.
func presentIn(diskKey, key string, sealed []byte) (value []byte, present bool) {
	raw, err := ondisk.Unseal(diskKey, sealed)
	if err != nil {
		return nil, false
	}
	list, err := decodeRecord(key, raw)
	if err != nil {
		return nil, false
	}
	return winner(list).value[len(valueTag):], true
}
