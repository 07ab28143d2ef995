package transport

import (
	"bytes"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// rich is a message with everything that can grow when it is decoded.
type rich struct {
	Names   []string          `cbor:"1,keyasint,omitempty"`
	Records []record          `cbor:"2,keyasint,omitempty"`
	Gauges  map[string]int64  `cbor:"3,keyasint,omitempty"`
	Next    *rich             `cbor:"4,keyasint,omitempty"`
	Raw     []byte            `cbor:"5,keyasint,omitempty"`
	Lists   [][][]uint64      `cbor:"6,keyasint,omitempty"`
	Peers   map[Peer]struct{} `cbor:"7,keyasint,omitempty"`
}

type record struct {
	Peer    Peer           `cbor:"1,keyasint,omitempty"`
	Text    string         `cbor:"2,keyasint,omitempty"`
	Numbers [8]uint64      `cbor:"3,keyasint,omitempty"`
	Extra   map[int]string `cbor:"4,keyasint,omitempty"`
}

// weigh is what a value takes in memory, besides itself.
func weigh(v reflect.Value) (bytes int) {
	switch v.Kind() {
	case reflect.String:
		bytes = v.Len()
	case reflect.Slice:
		bytes = v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			bytes += weigh(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			bytes += weigh(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			bytes += weigh(v.Field(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			bytes += int(k.Type().Size()+v.Type().Elem().Size()) + weigh(k) + weigh(v.MapIndex(k))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			bytes = int(v.Type().Elem().Size()) + weigh(v.Elem())
		}
	}
	return bytes
}

// arrayOf is the CBOR of an array of n times item.
func arrayOf(n int, item ...byte) []byte {
	head := []byte{0x9a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return append(head, bytes.Repeat(item, n)...)
}

// TestDecodingIsBounded: what would become much larger is refused before it has.
func TestDecodingIsBounded(t *testing.T) {
	const n = 1 << 20
	for name, row := range map[string]struct {
		data []byte
		into any
	}{
		"records":         {arrayOf(n, 0xa0), new([]record)},
		"nested lists":    {arrayOf(n/4, 0x83, 0x80, 0x80, 0x80), new([][][]uint64)},
		"strings":         {arrayOf(n, 0x60), new([]string)},
		"pairs":           {append([]byte{0xba, 0, 8, 0, 0}, bytes.Repeat([]byte{0xa0, 0xa0}, 1<<19)...), new(map[string]record)},
		"pointers":        {arrayOf(n, 0xa0), new([]*record)},
		"more than there": {[]byte{0x9a, 0xff, 0xff, 0xff, 0xff}, new([]record)},
		"endless array":   {[]byte{0x9f, 0xa0, 0xff}, new([]record)},
		"endless bytes":   {[]byte{0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, new([]byte)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Decode(row.data, row.into)
		runtime.ReadMemStats(&after)
		require.Equal(t, Invalid, KindOf(err), name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), name)
	}
}

// TestHonestMessagesAreDecoded: records with something in them are far from the
// bound.
func TestHonestMessagesAreDecoded(t *testing.T) {
	var records []record
	var names []string
	for i := range 20_000 {
		records = append(records, record{Peer: Peer{byte(i)}, Text: "x"})
		names = append(names, "name")
	}
	for _, v := range []any{
		rich{Records: records, Names: names, Gauges: map[string]int64{"a-max": 1}, Next: &rich{Raw: make([]byte, 1<<20)}},
		records, names,
		make([][]byte, 1000), make([]uint64, 100_000),
		map[string]int64{"a": math.MaxInt64},
	} {
		back := reflect.New(reflect.TypeOf(v))
		require.NoError(t, Decode(Encode(v), back.Interface()))
		require.Equal(t, v, back.Elem().Interface())
	}
}

// TestOnlyBoundedTypesTravel: an interface could become anything.
func TestOnlyBoundedTypesTravel(t *testing.T) {
	for _, v := range []any{
		new(struct{ Any any }), new([]any), new([3]any), new(map[any]int), new(map[int]any), new(*any), new(struct{ In struct{ any } }),
	} {
		require.Panics(t, func() { _ = Decode([]byte{0xa0}, v) }, "%T", v)
	}
}

// FuzzDecode: no bytes make it panic, or make a value that is larger than is
// promised, and what is decoded can be encoded.
func FuzzDecode(f *testing.F) {
	for _, v := range []any{
		rich{Names: []string{"a", ""}, Records: []record{{Text: "x"}, {}}, Raw: []byte{1}},
		rich{Gauges: map[string]int64{"b": -1}, Next: &rich{Lists: [][][]uint64{{{1}, nil}, {}}}},
		[]record{{Extra: map[int]string{1: "y"}, Peer: Peer{9}}},
	} {
		f.Add(Encode(v))
	}
	f.Add(arrayOf(3, 0xa0))
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{new(rich), new([]record), new(map[string]record), new([][][]uint64)} {
			if Decode(data, v) != nil {
				continue
			}
			require.LessOrEqual(t, weigh(reflect.ValueOf(v).Elem()), decodeFree+(decodeGrowth+1)*len(data))
			require.NotPanics(t, func() { Encode(v) })
		}
	})
}
