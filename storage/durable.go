package storage

import (
	"bytes"
	"fmt"

	"github.com/ipfs/go-cid"
)

// Durable is what is left of a disk for sure if its node loses power at this
// moment: what was flushed. It is for checks, which believe no service.
type Durable interface {
	// Durable returns a value that would survive, lent.
	Durable(key string) (value []byte, found bool)
	// DurableBelow calls f for all that would survive whose key begins with
	// prefix, in byte order of keys, until f returns false.
	DurableBelow(prefix string, f func(key string, value []byte) bool)
}

// ReplicaOnDisk lists what the next incarnation of a node finds of a replicated
// store at or below a key without asking anybody, in key order. What is corrupt
// is left out.
func ReplicaOnDisk(disk Durable, service, namespace string, below Key) []Entry {
	var list []Entry
	place := K("kv", service, namespace)
	at := place + diskKeys + Key(generationOnDisk(disk, place))
	disk.DurableBelow(string(at+below), func(k string, sealed []byte) bool {
		key := Key(k[len(at):])
		if !key.Has(below) { // "/ab" begins with "/a" and is not below it
			return true
		}
		if value, present := presentIn(k, string(key), sealed); present {
			list = append(list, Entry{Key: key, Value: value})
		}
		return true
	})
	return list
}

// generationOnDisk is the one that is in use.
func generationOnDisk(disk Durable, place Key) generation {
	key := string(place) + diskState
	if sealed, found := disk.Durable(key); found {
		if raw, err := unseal(key, sealed); err == nil {
			if sums, err := decodeSums(raw); err == nil {
				return sums.gen
			}
		}
	}
	return generationA
}

// presentIn is the value in a record as it lies on a disk.
func presentIn(diskKey, key string, sealed []byte) (value []byte, present bool) {
	raw, err := unseal(diskKey, sealed)
	if err != nil {
		return nil, false
	}
	list, err := decodeRecord(key, raw)
	if err != nil {
		return nil, false
	}
	return winner(list).value[len(valueTag):], true
}

// BlocksOnDisk reads the content of the DAG at root, up to lenMax bytes, from
// what would survive on a disk, and verifies every block. ErrNotFound if one is
// missing.
func BlocksOnDisk(disk Durable, root CID, lenMax int) ([]byte, error) {
	var content []byte
	err := readDAG(root, func(c cid.Cid) ([]byte, error) {
		raw, found := disk.Durable(blockKey(c).String())
		if !found {
			return nil, fmt.Errorf("%w: block %s", ErrNotFound, c)
		}
		return raw, verifyBlock(c, raw)
	}, func(part []byte) error {
		if content = append(content, part...); len(content) > lenMax {
			return fmt.Errorf("%w: over %d bytes", ErrTooLarge, lenMax)
		}
		return nil
	})
	return content, err
}

// RootOf is the CID that Blocks.Add gives to a content.
func RootOf(content []byte) (CID, error) {
	return buildDAG(bytes.NewReader(content), newBlockSink(nil))
}

// LocalOnDisk lists what would survive of a Local below a key, in key order. What
// is corrupt is left out.
func LocalOnDisk(disk Durable, namespace, below Key) []Entry {
	var list []Entry
	disk.DurableBelow(string(namespace+below), func(k string, sealed []byte) bool {
		key := Key(k[len(namespace):])
		if value, err := unseal(k, sealed); err == nil && key.Has(below) {
			list = append(list, Entry{Key: key, Value: value})
		}
		return true
	})
	return list
}

// HasLocalOnDisk reports whether a key of a Local would survive, and is sound.
func HasLocalOnDisk(disk Durable, namespace, key Key) bool {
	at := string(namespace + key)
	sealed, found := disk.Durable(at)
	if !found {
		return false
	}
	_, err := unseal(at, sealed)
	return err == nil
}

// DAGOnDisk lists the blocks of the DAG at root of what would survive on a disk,
// and their size in bytes; every block is verified. ErrNotFound if one is
// missing, ErrCorrupt if one is bad.
func DAGOnDisk(disk Durable, root CID) (blocks []CID, size int64, err error) {
	blocks, err = walkDAG(root, func(c CID) ([]CID, error) {
		raw, found := disk.Durable(blockKey(c).String())
		if !found {
			return nil, fmt.Errorf("%w: block %s", ErrNotFound, c)
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

// AllBlocksOnDisk lists all blocks that would survive on a disk with their sizes.
func AllBlocksOnDisk(disk Durable) map[CID]int64 {
	all := map[CID]int64{}
	disk.DurableBelow(string(blocksAt)+"/", func(k string, raw []byte) bool {
		if c, err := cid.Decode(k[len(blocksAt)+1:]); err == nil {
			all[c] = int64(len(raw))
		}
		return true
	})
	return all
}
