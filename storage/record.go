package storage

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// record is what go-ds-crdt keeps about one key. It has these as many entries
// of its datastore; we have one, in memory and on the disk.
type record struct {
	value    []byte   // with its tag; nil: the key is not present
	priority []byte   // of the value, as go-ds-crdt encodes it
	elements []string // ids of the deltas that set the key, those not superseded
	dirty    bool     // it differs from what is on the disk
}

func (r *record) isEmpty() bool {
	return r.value == nil && r.priority == nil && len(r.elements) == 0
}

// get returns one part; an element has no value.
func (r *record) get(e entry) (value []byte, found bool) {
	switch e.part {
	case partValue:
		return r.value, r.value != nil
	case partPriority:
		return r.priority, r.priority != nil
	case partElement:
		return nil, slices.Contains(r.elements, e.id)
	}
	return nil, false
}

func (r *record) set(e entry, value []byte) {
	switch e.part {
	case partValue:
		r.value = value
	case partPriority:
		r.priority = value
	case partElement:
		if at, found := slices.BinarySearch(r.elements, e.id); !found {
			r.elements = slices.Insert(r.elements, at, e.id)
		}
	}
}

// remove removes one part; a tombstone removes its element.
func (r *record) remove(e entry) {
	switch e.part {
	case partValue:
		r.value = nil
	case partPriority:
		r.priority = nil
	case partElement, partTomb:
		if at, found := slices.BinarySearch(r.elements, e.id); found {
			r.elements = slices.Delete(r.elements, at, at+1)
		}
	}
}

// encode is value, priority and elements, each behind its length.
func (r *record) encode() []byte {
	size := len(r.value) + len(r.priority) + 3*binary.MaxVarintLen32
	for _, id := range r.elements {
		size += len(id) + binary.MaxVarintLen32
	}
	raw := appendBytes(make([]byte, 0, size), r.value)
	raw = appendBytes(raw, r.priority)
	for _, id := range r.elements {
		raw = appendBytes(raw, id)
	}
	return raw
}

func appendBytes[T []byte | string](raw []byte, part T) []byte {
	return append(binary.AppendUvarint(raw, uint64(len(part))), part...)
}

func decodeRecord(raw []byte) (*record, error) {
	var parts [][]byte
	for len(raw) > 0 {
		size, n := binary.Uvarint(raw)
		if n <= 0 || size > uint64(len(raw)-n) {
			return nil, fmt.Errorf("%w: record", ErrCorrupt)
		}
		end := n + int(size)
		parts = append(parts, raw[n:end:end])
		raw = raw[end:]
	}
	if len(parts) < 2 {
		return nil, fmt.Errorf("%w: record of %d parts", ErrCorrupt, len(parts))
	}
	r := &record{}
	if len(parts[0]) > 0 {
		r.value = parts[0]
	}
	if len(parts[1]) > 0 {
		r.priority = parts[1]
	}
	for _, id := range parts[2:] {
		r.elements = append(r.elements, string(id))
	}
	return r, nil
}
