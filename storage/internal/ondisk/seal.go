// Package ondisk is what the stores share about their disk format: sealed values, scans and
// flushes.
package ondisk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/ipfs/go-datastore"
	"github.com/taucloud/tau/storage"
)

// Every value on the disk is sealed: 4 bytes of CRC-32C over the key and the
// value, then the value. The key is part of it so that a value that turns up
// under another key is noticed too.
const sealLen = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Seal returns value with its checksum before it.
func Seal(key string, value []byte) []byte {
	sealed := make([]byte, sealLen+len(value))
	copy(sealed[sealLen:], value)
	binary.LittleEndian.PutUint32(sealed, checksum(key, value))
	return sealed
}

// Unseal returns the value within sealed, not a copy.
func Unseal(key string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealLen {
		return nil, fmt.Errorf("%w: %s has %d bytes", storage.ErrCorrupt, key, len(sealed))
	}
	value := sealed[sealLen:]
	if binary.LittleEndian.Uint32(sealed) != checksum(key, value) {
		return nil, fmt.Errorf("%w: checksum of %s", storage.ErrCorrupt, key)
	}
	return value, nil
}

func checksum(key string, value []byte) uint32 {
	// The string is copied: crc32 has no string variant, and keys are short.
	var short [128]byte
	sum := crc32.Update(0, castagnoli, append(short[:0], key...))
	return crc32.Update(sum, castagnoli, value)
}

// ReadingsMax is how often something is read before it counts as corrupt: a reading may fail
// transiently.
const ReadingsMax = 3

// ReadSound reads a key until check accepts the value, up to ReadingsMax times, so that transient
// faults of the disk do not matter.
func ReadSound(disk storage.Disk, k storage.Key, check func(raw []byte) error) (err error) {
	for range ReadingsMax {
		var raw []byte
		raw, err = disk.Get(context.Background(), datastore.RawKey(string(k)))
		if errors.Is(err, datastore.ErrNotFound) {
			return storage.ErrNotFound
		}
		if err != nil {
			err = fmt.Errorf("storage: read %s: %w", k, err)
			continue
		}
		if err = check(raw); err == nil {
			return nil
		}
	}
	return err
}
