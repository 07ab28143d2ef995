package replicated

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/intern"
)

// element records that a delta set a key and that no other has superseded it. It outlives the
// delta. Elements never change and equal ones are shared by all replicas of the process, so that an
// entry costs each of them a pointer.
type element struct {
	key    string
	id     string // of the delta, as go-ds-crdt names it
	dot    dot    // of the delta
	height uint64 // of the delta
	value  []byte // with its tag
	of     uint32 // how many keys the delta set
	hash   uint64 // of all that
}

// elements are shared within the process.
var elements = intern.New(func(a, b *element) bool {
	return a.key == b.key && a.id == b.id && a.dot == b.dot && a.height == b.height && a.of == b.of && bytes.Equal(a.value, b.value)
})

// share computes the hash of e and returns the one that equals it.
func (e *element) share() *element {
	var short [256]byte
	raw := appendBytes(short[:0], e.key)
	raw = appendBytes(raw, e.id)
	raw = appendDot(raw, e.dot)
	raw = binary.AppendUvarint(raw, e.height)
	raw = binary.AppendUvarint(raw, uint64(e.of))
	var h xxhash.Digest
	h.Reset()
	_, _ = h.Write(raw)
	_, _ = h.Write(e.value)
	e.hash = h.Sum64()
	return elements.Get(e.hash, e)
}

// compareElements orders by key, then by delta.
func compareElements(a, b *element) int {
	if c := storage.CompareKeys(a.key, b.key); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

// winner is the element whose value a key has: of the highest delta, and of
// equally high ones the greatest value. It is nil if there is none.
func winner(list []*element) *element {
	var best *element
	for _, e := range list {
		if best == nil || e.height > best.height || e.height == best.height && bytes.Compare(e.value, best.value) > 0 {
			best = e
		}
	}
	return best
}

func sumOf(list []*element) (sum uint64) {
	for _, e := range list {
		sum += e.hash
	}
	return sum
}

// encode leaves out the key.
func (e *element) encode(raw []byte) []byte {
	raw = appendBytes(raw, e.id)
	raw = appendDot(raw, e.dot)
	raw = binary.AppendUvarint(raw, e.height)
	raw = binary.AppendUvarint(raw, uint64(e.of))
	return appendBytes(raw, e.value)
}

// cutElement is the inverse of encode, for bytes of any origin.
func cutElement(key string, raw []byte) (e *element, rest []byte, err error) {
	e = &element{key: key}
	id, rest, err := cutBytes(raw)
	if err != nil || !isDeltaID(string(id)) {
		return nil, nil, fmt.Errorf("%w: element", storage.ErrCorrupt)
	}
	e.id = string(id)
	if e.dot, rest, err = cutDot(rest); err != nil {
		return nil, nil, err
	}
	if e.height, rest, err = cutUvarint(rest); err != nil {
		return nil, nil, err
	}
	of, rest, err := cutUvarint(rest)
	if err != nil || of == 0 || of > deltaKeysMax {
		return nil, nil, fmt.Errorf("%w: element", storage.ErrCorrupt)
	}
	e.of = uint32(of)
	value, rest, err := cutBytes(rest)
	if err != nil || len(value) < len(valueTag) || len(value) > deltaRawMax || e.height == 0 || e.height > heightMax {
		return nil, nil, fmt.Errorf("%w: element", storage.ErrCorrupt)
	}
	e.value = bytes.Clone(value)
	return e.share(), rest, nil
}

// encodeRecord is the record of a key on the disk.
func encodeRecord(list []*element) []byte {
	size := 0
	for _, e := range list {
		size += len(e.id) + len(e.value) + 40
	}
	raw := make([]byte, 0, size)
	for _, e := range list {
		raw = e.encode(raw)
	}
	return raw
}

func decodeRecord(key string, raw []byte) (list []*element, err error) {
	for len(raw) > 0 {
		var e *element
		if e, raw, err = cutElement(key, raw); err != nil {
			return nil, err
		}
		if len(list) > 0 && compareElements(list[len(list)-1], e) >= 0 {
			return nil, fmt.Errorf("%w: record out of order", storage.ErrCorrupt)
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: empty record", storage.ErrCorrupt)
	}
	return list, nil
}
