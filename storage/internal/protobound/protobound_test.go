package protobound

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
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
