package transport

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// told decodes itself from bytes, whatever it is made of.
type told []uint64

func (t *told) UnmarshalBinary([]byte) error { return nil }

// listed is an array on the wire.
type listed struct {
	_    struct{} `cbor:",toarray"`
	A, B uint64
}

// TestWhatHasAPlaceCostsNothing: fields and elements of arrays are within what holds them; slices, maps and pointers cost what
// they hold, and what the type has no place for, the worst that the type could have.
func TestWhatHasAPlaceCostsNothing(t *testing.T) {
	worst := costs{element: 100, pair: 1000}
	size := func(t reflect.Type) int { return int(t.Size()) }
	for name, row := range map[string]struct {
		of   reflect.Type
		data []byte
		cost int
	}{
		"an array":            {reflect.TypeFor[[3]uint64](), []byte{0x83, 1, 2, 3}, 0},
		"a struct as a list":  {reflect.TypeFor[listed](), []byte{0x82, 1, 2}, 0},
		"a struct":            {reflect.TypeFor[record](), []byte{0xa2, 1, 0x40, 2, 0x61, 'x'}, 0},
		"an array in a field": {reflect.TypeFor[record](), []byte{0xa1, 3, 0x82, 1, 2}, 0},
		"a slice":             {reflect.TypeFor[[]uint64](), []byte{0x83, 1, 2, 3}, 24},
		"an array of slices":  {reflect.TypeFor[[2][]uint64](), []byte{0x82, 0x81, 1, 0x82, 1, 2}, 24},
		"a map":               {reflect.TypeFor[map[int]string](), []byte{0xa2, 1, 0x60, 2, 0x60}, 2 * pairSize(reflect.TypeFor[map[int]string]())},
		"a pointer":           {reflect.TypeFor[*record](), []byte{0xa0}, size(reflect.TypeFor[record]())},
		"two pointers":        {reflect.TypeFor[**record](), []byte{0xa0}, 8 + size(reflect.TypeFor[record]())},
		"text":                {reflect.TypeFor[string](), []byte{0x62, 'a', 'b'}, 0},
		"what decodes itself": {reflect.TypeFor[told](), []byte{0x82, 1, 2}, 200},
		"a list as a number":  {reflect.TypeFor[uint64](), []byte{0x82, 1, 2}, 200},
		"an unknown field":    {reflect.TypeFor[record](), []byte{0xa1, 0x18, 99, 0x82, 1, 0xa1, 1, 2}, 1200},
	} {
		for left := max(0, row.cost-1); left <= row.cost+1; left++ {
			s := sizer{rest: row.data, left: left, most: worst}
			err := s.item(row.of, 0)
			if left < row.cost {
				require.ErrorIs(t, err, errTooRich, name)
				continue
			}
			require.NoError(t, err, name)
			require.Equal(t, left-row.cost, s.left, name)
			require.Empty(t, s.rest, name)
		}
	}
}
