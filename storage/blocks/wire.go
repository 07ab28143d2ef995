package blocks

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/taucloud/tau/transport"
)

// Method is the method that serves blocks, whose answers the caller can verify.
const Method = "blocks/get"

// getBlocks asks a node for blocks.
var getBlocks = transport.Method[getRequest, getResponse]{Name: Method, Rule: transport.Member, Class: transport.Bulk, Everywhere: true}

type (
	// getRequest asks for up to SizeMax bytes of blocks, of the first one from
	// Offset on.
	getRequest struct {
		CIDs    [][]byte `cbor:"1,keyasint"`
		Offset  int      `cbor:"2,keyasint"`
		SizeMax int      `cbor:"3,keyasint"`
	}
	// getResponse answers the first CIDs of the request, in their order.
	getResponse struct {
		Items []getItem `cbor:"1,keyasint"`
	}
	// getItem is a block or, if it is alone, a part of one.
	getItem struct {
		Found bool `cbor:"1,keyasint"`
		Raw   view `cbor:"2,keyasint"`
		Size  int  `cbor:"3,keyasint"` // of the whole block
	}
)

// view is bytes that alias the message in which they arrived, which is never written to, to save a
// copy of large blocks. A short one is copied, so that it does not keep a long message in memory.
type view []byte

// viewLenMin is from which length on bytes are not copied.
const viewLenMin = 16 << 10

// UnmarshalBinary implements encoding.BinaryUnmarshaler, but for its rule that data
// is copied.
func (v *view) UnmarshalBinary(data []byte) error {
	if len(data) < viewLenMin {
		data = bytes.Clone(data)
	}
	*v = data[:len(data):len(data)]
	return nil
}

// The heads of CBOR, RFC 8949, as far as getResponse needs them.
const (
	cborNumber = 0 << 5
	cborBytes  = 2 << 5
	cborArray  = 4 << 5
	cborMap    = 5 << 5
	cborFalse  = 7<<5 | 20
	cborTrue   = 7<<5 | 21
	cborNull   = 7<<5 | 22
	// headLenMax is how long a head is at most, itemLenMax an item without Raw.
	headLenMax = 9
	itemLenMax = 5 + 2*headLenMax
)

// EncodedLenMax implements transport.Appender.
func (r getResponse) EncodedLenMax() int {
	n := 2 + headLenMax + itemLenMax*len(r.Items)
	for _, item := range r.Items {
		n += len(item.Raw)
	}
	return n
}

// AppendEncoded implements transport.Appender: each byte of a block is moved once.
func (r getResponse) AppendEncoded(b []byte) []byte {
	b = append(b, cborMap|1, 1)
	if r.Items == nil {
		return append(b, cborNull)
	}
	b = appendHead(b, cborArray, len(r.Items))
	for _, item := range r.Items {
		found := byte(cborFalse)
		if item.Found {
			found = cborTrue
		}
		b = append(b, cborMap|3, 1, found, 2)
		if item.Raw == nil {
			b = append(b, cborNull)
		} else {
			b = append(appendHead(b, cborBytes, len(item.Raw)), item.Raw...)
		}
		b = appendHead(append(b, 3), cborNumber, item.Size)
	}
	return b
}

// appendHead appends the shortest head of a data item; n is not negative.
func appendHead(b []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), uint64(n))
}
