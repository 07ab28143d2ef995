package transport

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// costs are upper bounds of what decoding into any part of a type allocates, in bytes: for an
// element of a slice, for a pair of a map, for what pointers point to.
type costs struct{ element, pair, pointed int }

// item is an upper bound for one data item, which has one byte at least.
func (c costs) item() int { return max(c.element, c.pair) + c.pointed }

var knownCosts sync.Map // reflect.Type to costs

func costsOf(t reflect.Type) costs {
	if known, ok := knownCosts.Load(t); ok {
		return known.(costs)
	}
	c := costs{}
	c.add(t, map[reflect.Type]bool{})
	knownCosts.Store(t, c)
	return c
}

// add looks at all types that a value of t may hold.
func (c *costs) add(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] || opaque(t) {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			c.add(t.Field(i).Type, seen)
		}
	case reflect.Slice:
		c.element = max(c.element, int(t.Elem().Size()))
		c.add(t.Elem(), seen)
	case reflect.Map:
		c.pair = max(c.pair, pairSize(t))
		c.add(t.Key(), seen)
		c.add(t.Elem(), seen)
	case reflect.Pointer:
		c.pointed += int(t.Elem().Size()) // of all pointers, which no item has
		c.add(t.Elem(), seen)
	case reflect.Array:
		c.add(t.Elem(), seen)
	case reflect.Interface:
		panic(fmt.Sprintf("transport: %s on the wire: what would be decoded into it has no bounds", t))
	}
}

// pairSize is the memory of a pair of a map: the tables are at least 7/16 full.
func pairSize(t reflect.Type) int { return 3 * int(t.Key().Size()+t.Elem().Size()+1) }

var (
	ownBinary = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	ownCBOR   = reflect.TypeFor[cbor.Unmarshaler]()
)

// opaque types decode themselves, from bytes.
func opaque(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(ownBinary) || p.Implements(ownCBOR)
}

func kindOf(t reflect.Type) reflect.Kind {
	if t == nil || opaque(t) {
		return reflect.Invalid
	}
	return t.Kind()
}

// fields are those of a struct, as package cbor finds them.
type fields struct {
	list   []reflect.Type
	byName map[string]reflect.Type // numbers in decimal, with a # before them
}

var knownFields sync.Map // reflect.Type to *fields

func fieldsOf(t reflect.Type) *fields {
	if known, ok := knownFields.Load(t); ok {
		return known.(*fields)
	}
	f := &fields{byName: map[string]reflect.Type{}}
	f.add(t)
	knownFields.Store(t, f)
	return f
}

func (f *fields) add(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("cbor"), ",")
		switch {
		case tag == "-":
			continue
		case field.Anonymous && tag == "" && field.Type.Kind() == reflect.Struct:
			f.add(field.Type)
			continue
		case !field.IsExported():
			continue
		case tag == "":
			tag = field.Name
		case strings.Contains(options, "keyasint"):
			tag = "#" + tag
		}
		f.list = append(f.list, field.Type)
		f.byName[tag] = field.Type
	}
}

func (f *fields) at(i int) reflect.Type {
	if i < len(f.list) {
		return f.list[i]
	}
	return nil
}

// named is the type of the field that an encoded key names.
func (f *fields) named(key []byte) reflect.Type {
	s := sizer{rest: key}
	switch major := key[0] >> 5; major {
	case 0, 1:
		n, _ := s.number()
		if major == 1 {
			return f.byName["#-"+strconv.FormatUint(n+1, 10)]
		}
		return f.byName["#"+strconv.FormatUint(n, 10)]
	case 3:
		_, n, _ := s.head()
		name := string(s.rest[:n])
		if t := f.byName[name]; t != nil {
			return t
		}
		for known, t := range f.byName {
			if strings.EqualFold(known, name) {
				return t
			}
		}
	}
	return nil
}
