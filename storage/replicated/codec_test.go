package replicated

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
)

// TestHeadCodec: what is encoded is decoded, and nothing that is cut short,
// renamed or out of bounds is.
func TestHeadCodec(t *testing.T) {
	source, raws := sourceOf(t)
	defer source.close()
	for _, h := range source.index.headList() {
		raw := h.encode()
		got, rest, err := cutHead(append(bytes.Clone(raw), 7))
		require.NoError(t, err)
		require.Equal(t, []any{h.cid, h.id, h.dot, h.height}, []any{got.cid, got.id, got.dot, got.height})
		require.Equal(t, []byte{7}, rest)
		for n := range raw {
			_, _, err := cutHead(raw[:n])
			require.Error(t, err, "%d of %d bytes", n, len(raw))
		}
		for name, bad := range map[string]*head{
			"no id":      {id: "", dot: h.dot, height: 1},
			"no slash":   {id: "x" + h.id[1:], dot: h.dot, height: 1},
			"no base32":  {id: h.id[:len(h.id)-1] + "1", dot: h.dot, height: 1},
			"no height":  {id: h.id, dot: h.dot},
			"too high":   {id: h.id, dot: h.dot, height: heightMax + 1},
			"before one": {id: h.id, dot: dot{1, 0}, height: 1},
		} {
			_, _, err := cutHead(bad.encode())
			require.Error(t, err, name)
		}
	}
	_, err := decodeDelta(make([]byte, deltaRawMax+1))
	require.ErrorIs(t, err, storage.ErrTooLarge)
	for n := range raws[0] {
		_, err := decodeDelta(raws[0][:n])
		require.Error(t, err, "%d of %d bytes of a delta", n, len(raws[0]))
	}
}

// TestElementCodec does the same for the elements of a record.
func TestElementCodec(t *testing.T) {
	source, _ := sourceOf(t)
	defer source.close()
	list := source.index.record("/k/1")
	require.Len(t, list, 1)
	raw := encodeRecord(list)
	got, err := decodeRecord("/k/1", raw)
	require.NoError(t, err)
	require.Equal(t, list, got)
	for n := range raw {
		_, err := decodeRecord("/k/1", raw[:n])
		require.ErrorIs(t, err, storage.ErrCorrupt, "%d of %d bytes", n, len(raw))
	}
	_, err = decodeRecord("/k/1", append(bytes.Clone(raw), raw...))
	require.ErrorIs(t, err, storage.ErrCorrupt, "twice the same")
	for name, change := range map[string]func(e *element){
		"no keys":     func(e *element) { e.of = 0 },
		"many keys":   func(e *element) { e.of = deltaKeysMax + 1 },
		"no height":   func(e *element) { e.height = 0 },
		"too high":    func(e *element) { e.height = heightMax + 1 },
		"no tag":      func(e *element) { e.value = nil },
		"long":        func(e *element) { e.value = make([]byte, deltaRawMax+1) },
		"foreign id":  func(e *element) { e.id = "/x" },
		"without dot": func(e *element) { e.dot.seq = 0 },
	} {
		bad := *list[0]
		change(&bad)
		_, err := decodeRecord("/k/1", encodeRecord([]*element{&bad}))
		require.ErrorIs(t, err, storage.ErrCorrupt, name)
	}
}
