package ondisk

import (
	"context"

	"github.com/ipfs/go-datastore/query"
	"github.com/taucloud/tau/storage"
)

// Scan calls f for everything strictly below prefix, in the disk's order.
func Scan(disk storage.Disk, prefix storage.Key, f func(k storage.Key, value []byte) error) error {
	results, err := disk.Query(context.Background(), query.Query{Prefix: string(prefix)})
	if err != nil {
		return err
	}
	defer results.Close()
	for {
		r, ok := results.NextSync()
		if !ok {
			return nil
		}
		if r.Error != nil {
			return r.Error
		}
		if err := f(storage.Key(r.Key), r.Value); err != nil {
			return err
		}
	}
}
