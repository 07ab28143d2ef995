package rewrite

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errShort = errors.New("it ends in the middle of something, or a length in it is wrong")

// reader reads bytes that nobody trusts. After the first error all reads give zero, at is the end and counts are none, so
// that loops over what is read come to their end; err is looked at where it matters.
type reader struct {
	in  []byte
	at  int
	err error
	of  *module // whose indices instructions may use
}

func (r *reader) more() bool { return r.at < len(r.in) }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.at = len(r.in)
}

func (r *reader) failf(format string, args ...any) { r.fail(fmt.Errorf(format, args...)) }

func (r *reader) byte() byte {
	if r.at >= len(r.in) {
		r.fail(errShort)
		return 0
	}
	b := r.in[r.at]
	r.at++
	return b
}

// bytes returns the next n bytes, which are not copied.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.in)-r.at) {
		r.fail(errShort)
		return nil
	}
	start := r.at
	r.at += int(n)
	return r.in[start:r.at:r.at]
}

func (r *reader) vector() []byte { return r.bytes(r.u32()) }

// u32 reads an unsigned LEB128 of 32 bits.
func (r *reader) u32() uint32 {
	if r.at < len(r.in) && r.in[r.at] < 0x80 { // most are
		r.at++
		return uint32(r.in[r.at-1])
	}
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			if shift == 28 && b > 0x0f {
				break
			}
			return v
		}
	}
	r.fail(errors.New("a number has more than 32 bits"))
	return 0
}

// s64 reads a signed LEB128 of at most the given number of bytes.
func (r *reader) s64(bytesMax int) int64 {
	var v int64
	for i, shift := 0, 0; i < bytesMax; i++ {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		shift += 7
		if b < 0x80 {
			if shift < 64 && b&0x40 != 0 {
				v |= -1 << shift
			}
			return v
		}
	}
	r.fail(errors.New("a number is too long"))
	return 0
}

// count reads how many elements follow, each of which takes at least elemLenMin bytes. The bytes can hold them.
func (r *reader) count(elemLenMin int) int {
	n := r.u32()
	if uint64(n)*uint64(elemLenMin) > uint64(len(r.in)-r.at) {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

func appendU(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendS(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendVector(b, content []byte) []byte {
	return append(appendU(b, uint32(len(content))), content...)
}
