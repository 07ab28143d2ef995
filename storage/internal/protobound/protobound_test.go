package protobound

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
)

func TestProtoMessagesAreBounded(t *testing.T) {
	link := append([]byte{0x12, 40}, make([]byte, 40)...)
	for name, row := range map[string]struct {
		raw  []byte
		good bool
	}{
		"empty":           {nil, true},
		"links":           {bytes.Repeat(link, 10_000), true},
		"few empty links": {bytes.Repeat([]byte{0x12, 0}, 64), true},
		"a million":       {bytes.Repeat([]byte{0x12, 0}, 1<<19), false},
		"numbers":         {bytes.Repeat([]byte{0x08, 1}, 1<<19), false},
		"cut off":         {link[:20], false},
		"no tag":          {[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
	} {
		require.Equal(t, row.good, Check(row.raw) == nil, name)
	}
}

// TestTheBoundOfFields: 64, and one more for each 8 bytes.
func TestTheBoundOfFields(t *testing.T) {
	for _, x := range []struct{ fields, of, most int }{
		{64, 2, 85}, // 64 + 170/8
		{64, 8, 1 << 20},
		{64, 7, 512}, // 64 + 3584/8
	} {
		field := append([]byte{0x12, byte(x.of - 2)}, make([]byte, x.of-2)...)
		if x.most == 1<<20 {
			require.NoError(t, Check(bytes.Repeat(field, x.most)))
			continue
		}
		require.NoError(t, Check(bytes.Repeat(field, x.most)), "%d of %d bytes", x.most, x.of)
		require.ErrorIs(t, Check(bytes.Repeat(field, x.most+1)), storage.ErrTooLarge, "%d of %d bytes", x.most+1, x.of)
	}
}
