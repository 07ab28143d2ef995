package transport

import (
	"encoding/binary"
	"errors"
	"reflect"
)

const (
	// decodeGrowth bounds the memory per encoded byte, in bytes, beyond decodeFree: a list of a
	// million empty records is one byte each on the wire and a hundred in memory.
	decodeGrowth = 8
	decodeFree   = 64 << 10
	// decodeDepthMax bounds how deep values may be nested.
	decodeDepthMax = 16
)

var (
	errTooRich = errors.New("it would take many times its length in memory")
	errTooDeep = errors.New("it is nested too deep")
	errNoCBOR  = errors.New("not CBOR of definite lengths")
)

// checkGrowth refuses data that would become much larger when it is decoded
// into a value of type t. It goes over the heads of all data items without
// decoding anything, unless there is so little data that it could not.
func checkGrowth(data []byte, t reflect.Type) error {
	most := costsOf(t)
	if len(data)*most.item() <= decodeFree {
		return nil
	}
	s := sizer{rest: data, left: decodeFree + decodeGrowth*len(data), most: most}
	return s.item(t, 0)
}

// sizer goes over CBOR and counts what decoding it would allocate.
type sizer struct {
	rest []byte
	left int   // bytes that may still be allocated
	most costs // of items without a place in the type: the worst case is assumed
}

// item goes over one data item that is decoded into a t; nil means that the type is unknown.
func (s *sizer) item(t reflect.Type, depth int) error {
	if depth > decodeDepthMax {
		return errTooDeep
	}
	major, n, err := s.head()
	if err != nil {
		return err
	}
	for t != nil && t.Kind() == reflect.Pointer && !opaque(t) {
		t = t.Elem()
		if err := s.charge(1, int(t.Size())); err != nil {
			return err
		}
	}
	switch major {
	case 2, 3: // bytes and text stay as long as they are
		s.rest = s.rest[n:]
		return nil
	case 4:
		return s.array(t, n, depth)
	case 5:
		return s.pairs(t, n, depth)
	}
	return nil
}

func (s *sizer) charge(n, size int) error {
	if size > 0 && n > s.left/size {
		return errTooRich
	}
	s.left -= n * size
	return nil
}

func (s *sizer) array(t reflect.Type, n, depth int) error {
	var of func(i int) reflect.Type
	size := s.most.element
	switch kindOf(t) {
	case reflect.Slice:
		size = int(t.Elem().Size())
		of = func(int) reflect.Type { return t.Elem() }
	case reflect.Array:
		size = 0
		of = func(int) reflect.Type { return t.Elem() }
	case reflect.Struct:
		size = 0
		of = fieldsOf(t).at
	default:
		of = func(int) reflect.Type { return nil }
	}
	if err := s.charge(n, size); err != nil {
		return err
	}
	for i := range n {
		if err := s.item(of(i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *sizer) pairs(t reflect.Type, n, depth int) error {
	key, size := reflect.Type(nil), s.most.pair
	of := func([]byte) reflect.Type { return nil }
	switch kindOf(t) {
	case reflect.Map:
		key, size = t.Key(), pairSize(t)
		of = func([]byte) reflect.Type { return t.Elem() }
	case reflect.Struct:
		size = 0
		of = fieldsOf(t).named
	}
	if err := s.charge(n, size); err != nil {
		return err
	}
	for range n {
		start := s.rest
		if err := s.item(key, depth+1); err != nil {
			return err
		}
		if err := s.item(of(start[:len(start)-len(s.rest)]), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// head takes the head of a data item. n is a length or a count, and at most what
// is left.
func (s *sizer) head() (major byte, n int, err error) {
	if len(s.rest) == 0 {
		return 0, 0, errNoCBOR
	}
	major = s.rest[0] >> 5
	value, ok := s.number()
	if !ok {
		return 0, 0, errNoCBOR
	}
	if major < 2 || major > 5 {
		return major, 0, nil
	}
	if value > uint64(len(s.rest)) {
		return 0, 0, errNoCBOR
	}
	return major, int(value), nil
}

// number takes the number in a head.
func (s *sizer) number() (value uint64, ok bool) {
	info := s.rest[0] & 31
	if info < 24 {
		s.rest = s.rest[1:]
		return uint64(info), true
	}
	size := 1 << (info - 24)
	if info > 27 || len(s.rest) <= size {
		return 0, false
	}
	var wide [8]byte
	copy(wide[8-size:], s.rest[1:1+size])
	s.rest = s.rest[1+size:]
	return binary.BigEndian.Uint64(wide[:]), true
}
