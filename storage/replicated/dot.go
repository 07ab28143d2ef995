package replicated

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/storage"
)

// writersMax bounds the writers in a vector, which takes some 10 bytes each on
// the wire and 40 in memory: a cloud of 100 nodes that all restart once a day
// and write reaches it after seven years.
const writersMax = 1 << 18

// dot names a delta: the seq-th of a writer, from 1 on. A writer is one opening
// of one replica, drawn at random when it first writes: no crash, no restored
// and no copied disk can make two deltas of one dot.
type dot struct{ writer, seq uint64 }

// vector is a causal context: all deltas of each writer up to one of them. Two
// contexts are equal if their sums are.
type vector struct {
	last map[uint64]uint64 // by writer
	sum  uint64            // of all dots that are the last of their writer
}

func newVector() *vector { return &vector{last: map[uint64]uint64{}} }

func (v *vector) clone() *vector { return &vector{last: maps.Clone(v.last), sum: v.sum} }

func (v *vector) has(d dot) bool { return d.seq <= v.last[d.writer] }

// add includes d and all before it.
func (v *vector) add(d dot) {
	old := v.last[d.writer]
	if d.seq <= old {
		return
	}
	if old > 0 {
		v.sum -= (dot{d.writer, old}).hash()
	}
	v.sum += d.hash()
	v.last[d.writer] = d.seq
}

func (v *vector) join(o *vector) {
	for w, seq := range o.last {
		v.add(dot{w, seq})
	}
}

// covers reports whether v includes all of o.
func (v *vector) covers(o *vector) bool {
	for w, seq := range o.last {
		if v.last[w] < seq {
			return false
		}
	}
	return true
}

// dots are the last of each writer, in the order of writers.
func (v *vector) dots() []dot {
	list := make([]dot, 0, len(v.last))
	for _, w := range slices.Sorted(maps.Keys(v.last)) {
		list = append(list, dot{w, v.last[w]})
	}
	return list
}

func (v *vector) encode() []byte {
	raw := make([]byte, 0, 10*len(v.last))
	for _, d := range v.dots() {
		raw = appendDot(raw, d)
	}
	return raw
}

// decodeVector is the inverse of encode, for bytes of any origin.
func decodeVector(raw []byte) (*vector, error) {
	if len(raw)/dotLenMin > writersMax {
		return nil, fmt.Errorf("%w: a vector of %d bytes", storage.ErrTooLarge, len(raw))
	}
	v := newVector()
	for len(raw) > 0 {
		d, rest, err := cutDot(raw)
		if err != nil {
			return nil, err
		}
		v.add(d)
		raw = rest
	}
	return v, nil
}

func (d dot) hash() uint64 {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], d.writer)
	binary.LittleEndian.PutUint64(raw[8:], d.seq)
	return xxhash.Sum64(raw[:])
}

// dotLenMin is the length of the shortest encoded dot.
const dotLenMin = 9

func appendDot(raw []byte, d dot) []byte {
	return binary.AppendUvarint(binary.LittleEndian.AppendUint64(raw, d.writer), d.seq)
}

func cutDot(raw []byte) (d dot, rest []byte, err error) {
	if len(raw) < dotLenMin {
		return d, nil, fmt.Errorf("%w: dot", storage.ErrCorrupt)
	}
	d.writer = binary.LittleEndian.Uint64(raw)
	if d.seq, rest, err = cutUvarint(raw[8:]); err != nil || d.seq == 0 {
		return d, nil, fmt.Errorf("%w: dot", storage.ErrCorrupt)
	}
	return d, rest, nil
}

func cutUvarint(raw []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(raw)
	if size <= 0 {
		return 0, nil, fmt.Errorf("%w: number", storage.ErrCorrupt)
	}
	return n, raw[size:], nil
}

func appendBytes[T []byte | string](raw []byte, part T) []byte {
	return append(binary.AppendUvarint(raw, uint64(len(part))), part...)
}

// cutBytes is the inverse of appendBytes; part is not a copy.
func cutBytes(raw []byte) (part, rest []byte, err error) {
	size, rest, err := cutUvarint(raw)
	if err != nil || size > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("%w: length", storage.ErrCorrupt)
	}
	return rest[:size:size], rest[size:], nil
}
