package blocks

import (
	"context"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/taucloud/tau/storage"
)

// damagedMax is how many damaged keys an audit names.
const damagedMax = 20

// Audit is what came of reading all that is on a disk.
type Audit struct {
	Keys, Blocks int
	Bytes        int64
	// Damaged is how many values cannot be read, or are blocks that are not what their address says; Examples says
	// of the first ones what is wrong.
	Damaged  int
	Examples []string
}

// AuditDisk reads each value on a disk and holds each block against its address. It may take as long as the disk takes to
// be read, and must not be called in a turn. What is written or deleted meanwhile may be missed.
func AuditDisk(ctx context.Context, disk storage.Disk) (a Audit, err error) {
	results, err := disk.Query(ctx, query.Query{KeysOnly: true})
	if err != nil {
		return a, err
	}
	defer results.Close()
	for r := range results.Next() {
		if r.Error != nil {
			a.damage("the keys: " + r.Error.Error())
			break
		}
		if err := ctx.Err(); err != nil {
			return a, err
		}
		a.key(ctx, disk, datastore.RawKey(r.Key))
	}
	return a, nil
}

func (a *Audit) key(ctx context.Context, disk storage.Disk, key datastore.Key) {
	raw, err := disk.Get(ctx, key)
	if err == datastore.ErrNotFound {
		return // deleted since
	}
	a.Keys++
	if err != nil {
		a.damage(err.Error())
		return
	}
	a.Bytes += int64(len(raw))
	name, below := key.String(), string(blocksAt)+"/"
	if len(name) <= len(below) || name[:len(below)] != below {
		return
	}
	a.Blocks++
	c, err := cid.Decode(name[len(below):])
	if err == nil {
		err = verifyBlock(c, raw)
	}
	if err != nil {
		a.damage(fmt.Sprintf("block %s: %v", name[len(below):], err))
	}
}

func (a *Audit) damage(text string) {
	if a.Damaged++; len(a.Examples) < damagedMax {
		a.Examples = append(a.Examples, text)
	}
}
