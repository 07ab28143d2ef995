package blocks

import (
	"bytes"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/taucloud/tau/transport"
)

// FuzzNode: whatever a block has in it that is of the address that was asked for, it is a node or an error, with sizes that
// fit its links.
func FuzzNode(f *testing.F) {
	sink := newBlockSink(func(list []block) error {
		for _, b := range list {
			if b.cid.Type() != cid.Raw {
				f.Add(b.raw)
			}
		}
		return nil
	})
	if _, err := buildDAG(bytes.NewReader(bytes.Repeat([]byte("content "), 100000)), sink); err != nil || sink.flush() != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0x0a, 0x02, 0x08, 0x02})
	f.Fuzz(func(t *testing.T, raw []byte) {
		sum, err := multihash.Sum(raw, multihash.SHA2_256, -1)
		if err != nil {
			t.Fatal(err)
		}
		id := cid.NewCidV1(cid.DagProtobuf, sum)
		_, _, _ = linksOf(block{cid: id, raw: raw})
		n, err := decodeFileNode(id, raw)
		if err == nil && (len(n.sizes) != len(n.links) || n.size < 0) {
			t.Fatalf("%d links, %d sizes, %d bytes in all", len(n.links), len(n.sizes), n.size)
		}
	})
}

// FuzzResponse: what a holder answers is decoded as the rule of the wire says, or refused.
func FuzzResponse(f *testing.F) {
	f.Add(transport.Encode(getResponse{Items: []getItem{{Found: true, Raw: []byte("block"), Size: 5}, {Size: 1 << 20}}}), []byte{1, 0x55, 0x12, 0x20})
	f.Fuzz(func(t *testing.T, raw, address []byte) {
		_, _ = decodeCIDs([][]byte{address, address})
		var r getResponse
		if transport.Decode(raw, &r) != nil {
			return
		}
		var again getResponse
		if err := transport.Decode(transport.Encode(r), &again); err != nil || len(again.Items) != len(r.Items) {
			t.Fatalf("%v: %d items and %d", err, len(r.Items), len(again.Items))
		}
	})
}
