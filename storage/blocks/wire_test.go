package blocks

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/transport"
)

// TestResponseEncoding: what a response appends is what the encoder would make of
// its fields, and it is decoded again.
func TestResponseEncoding(t *testing.T) {
	type plainItem struct {
		Found bool   `cbor:"1,keyasint"`
		Raw   []byte `cbor:"2,keyasint"`
		Size  int    `cbor:"3,keyasint"`
	}
	type plain struct {
		Items []plainItem `cbor:"1,keyasint"`
	}
	check := func(t require.TestingT, list []plainItem) {
		response := getResponse{}
		for _, p := range list {
			response.Items = append(response.Items, getItem{p.Found, p.Raw, p.Size})
		}
		raw := transport.Encode(response)
		require.Equal(t, transport.Encode(plain{list}), raw)
		require.LessOrEqual(t, len(raw), response.EncodedLenMax())
		var again getResponse
		require.NoError(t, transport.Decode(raw, &again))
		require.Equal(t, response, again)
	}
	check(t, nil)
	for _, size := range []int{0, 23, 24, 255, 256, 65535, 65536, viewLenMin - 1, viewLenMin, 1<<32 - 1, 1 << 32} {
		check(t, []plainItem{{true, []byte(bytesOf(min(size, 1<<17))), size}, {Size: size}})
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) plainItem {
			raw := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "raw")
			if rapid.Bool().Draw(t, "none") {
				raw = nil
			}
			return plainItem{rapid.Bool().Draw(t, "found"), raw, rapid.IntRange(0, 1<<40).Draw(t, "size")}
		}), 1, 30).Draw(t, "items"))
	})
}

// TestLongBytesAreNotCopied out of the message, and short ones do not keep it.
func TestLongBytesAreNotCopied(t *testing.T) {
	for _, size := range []int{viewLenMin - 1, viewLenMin} {
		raw := transport.Encode(getResponse{Items: []getItem{{true, make([]byte, size), size}}})
		var response getResponse
		require.NoError(t, transport.Decode(raw, &response))
		for i := range raw {
			raw[i] = 0xff
		}
		require.Equal(t, size >= viewLenMin, response.Items[0].Raw[0] == 0xff)
		require.Equal(t, len(response.Items[0].Raw), cap(response.Items[0].Raw), "appending would write to the message")
	}
}
