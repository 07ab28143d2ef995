package blocks

import (
	"bytes"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/storage"
)

// OnDisk reads the content of the DAG at root, up to lenMax bytes, from
// what would survive on a disk, and verifies every block. ErrNotFound if one is
// missing.
func OnDisk(disk storage.Durable, root storage.CID, lenMax int) ([]byte, error) {
	var content []byte
	err := readDAG(root, func(c cid.Cid) ([]byte, error) {
		raw, found := disk.Durable(blockKey(c).String())
		if !found {
			return nil, fmt.Errorf("%w: block %s", storage.ErrNotFound, c)
		}
		return raw, verifyBlock(c, raw)
	}, func(part []byte) error {
		if content = append(content, part...); len(content) > lenMax {
			return fmt.Errorf("%w: over %d bytes", storage.ErrTooLarge, lenMax)
		}
		return nil
	})
	return content, err
}

// RootOf is the CID that Store.Add gives to content.
func RootOf(content []byte) (storage.CID, error) {
	return buildDAG(bytes.NewReader(content), newBlockSink(nil))
}

// DAGOnDisk lists the blocks of the DAG at root of what would survive on a disk,
// and their size in bytes; every block is verified. ErrNotFound if one is
// missing, ErrCorrupt if one is bad.
func DAGOnDisk(disk storage.Durable, root storage.CID) (blocks []storage.CID, size int64, err error) {
	blocks, err = walkDAG(root, func(c storage.CID) ([]storage.CID, error) {
		raw, found := disk.Durable(blockKey(c).String())
		if !found {
			return nil, fmt.Errorf("%w: block %s", storage.ErrNotFound, c)
		}
		if err := verifyBlock(c, raw); err != nil {
			return nil, err
		}
		size += int64(len(raw))
		links, _, err := linksOf(block{cid: c, raw: raw})
		return links, err
	})
	return blocks, size, err
}

// AllOnDisk lists all blocks that would survive on a disk with their sizes.
func AllOnDisk(disk storage.Durable) map[storage.CID]int64 {
	all := map[storage.CID]int64{}
	disk.DurableBelow(string(blocksAt)+"/", func(k string, raw []byte) bool {
		if c, err := cid.Decode(k[len(blocksAt)+1:]); err == nil {
			all[c] = int64(len(raw))
		}
		return true
	})
	return all
}
