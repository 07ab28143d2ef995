package transport

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestLittleDataIsBounded: what is let through because there is little of it would have been let through anyway,
// or is refused by the decoder.
func TestLittleDataIsBounded(t *testing.T) {
	types := []reflect.Type{
		reflect.TypeFor[rich](), reflect.TypeFor[[]record](), reflect.TypeFor[map[string]record](), reflect.TypeFor[[]*record](),
		reflect.TypeFor[[][][]uint64](), reflect.TypeFor[**rich](),
	}
	heads := []byte{0x00, 0x17, 0x20, 0x40, 0x41, 0x60, 0x61, 'x', 0x80, 0x81, 0x83, 0x97, 0x98, 0x9f, 0xa0, 0xa1, 0xa2, 0xb7, 0xc0, 0xf5, 0xf6, 0x01, 0x02, 0x03, 0x04}
	little := 0
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.SampledFrom(types).Draw(t, "type")
		data := rapid.SliceOfN(rapid.SampledFrom(heads), 0, 400).Draw(t, "data")
		if len(data)*costsOf(of).item() > decodeFree {
			return
		}
		little++
		s := sizer{rest: data, left: decodeFree + decodeGrowth*len(data), most: costsOf(of)}
		err := s.item(of, 0)
		require.NotErrorIs(t, err, errTooRich)
		if err != nil {
			require.Error(t, Decode(data, reflect.New(of).Interface()), "%x", data)
		}
	})
	require.Positive(t, little)
}

// TestDepthIsBounded, whether there is much data or little.
func TestDepthIsBounded(t *testing.T) {
	type list [][][][]uint64
	deep := func(n int) []byte { return append(make([]byte, 0, n+1), append(repeated(0x81, n), 0)...) }
	var v rich
	require.Error(t, Decode(append([]byte{0xa1, 0x18, 99}, deep(decodeDepthMax)...), &v))
	require.NoError(t, Decode(append([]byte{0xa1, 0x18, 99}, deep(decodeDepthMax-1)...), &v))
	var l list
	require.NoError(t, Decode(deep(4), &l))
}

func repeated(b byte, n int) (list []byte) {
	for range n {
		list = append(list, b)
	}
	return list
}
