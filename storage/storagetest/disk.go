package storagetest

import (
	"context"

	"github.com/ipfs/go-datastore/query"

	"github.com/taucloud/tau/storage"
)

// datastoreKeys lists all keys on a disk.
func datastoreKeys(ctx context.Context, disk storage.Disk) (keys []string, err error) {
	results, err := disk.Query(ctx, query.Query{KeysOnly: true, Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		return nil, err
	}
	entries, err := results.Rest()
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys, err
}
