package addressbook

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMemo: at least the half of as many as may be that was used last is remembered, and never
// more than all.
func TestMemo(t *testing.T) {
	m := newMemo()
	of := func(i int) Signed { return Signed{Signature: fmt.Appendf(nil, "%064d", i)} }
	used, known := &Announcement{Name: "used"}, Signed{Body: []byte("used"), Signature: fmt.Appendf(nil, "%64s", "used")}
	m.put(known, used)
	for i := range 2 * memoLenMax {
		require.Nil(t, m.get(of(i)))
		a := &Announcement{Counter: uint64(i)}
		m.put(of(i), a)
		require.Same(t, a, m.get(of(i)))
		if i%(memoLenMax/4) == 0 {
			require.Same(t, used, m.get(known), "%d", i)
		}
		require.LessOrEqual(t, len(m.young)+len(m.old), memoLenMax)
	}
	require.NotNil(t, m.get(of(2*memoLenMax-memoLenMax/2+memoLenMax/8)))
	require.Nil(t, m.get(of(memoLenMax/2)))
	require.Nil(t, m.get(Signed{Body: []byte("other"), Signature: known.Signature}), "what a right signature is not of")
	require.Nil(t, m.get(Signed{Body: known.Body, Signature: known.Signature[1:]}))
}
