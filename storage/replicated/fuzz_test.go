package replicated

import "testing"

// FuzzHeads: what a peer says of its heads is a list of them, or refused.
func FuzzHeads(f *testing.F) {
	f.Add([]byte{1, 0x71, 0x12, 0x20}, 2)
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		list := make([][]byte, uint(n)%(2*headsLenMax))
		for i := range list {
			list[i] = raw
		}
		heads, err := decodeHeads(list)
		if err == nil && (len(heads) != len(list) || len(list) > headsLenMax) {
			t.Fatalf("%d heads of %d", len(heads), len(list))
		}
	})
}
