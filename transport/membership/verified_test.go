package membership

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

// TestMemo: at least the last half of as many as may be is remembered, and never more than all.
func TestMemo(t *testing.T) {
	var m memo
	key := func(i int) [sha256.Size]byte { return [sha256.Size]byte{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 2 * verifiedMax {
		require.False(t, m.has(key(i)))
		m.add(key(i))
		require.True(t, m.has(key(i)))
		require.True(t, m.has(key(max(0, i-verifiedMax/2+1))))
		require.LessOrEqual(t, len(m.young)+len(m.old), verifiedMax)
	}
	require.False(t, m.has(key(verifiedMax-1)), "what is older is let go of")
	require.True(t, m.has(key(verifiedMax)))
}

// TestOnlyWhatIsRightIsRemembered, with all that it is.
func TestOnlyWhatIsRightIsRemembered(t *testing.T) {
	var m memo
	right := sign(cloudKey, forCertificate, node())
	for name, wrong := range map[string]Signed{
		"another signer":    {right.Body, strange.Peer(), right.Signature},
		"another body":      {append([]byte{0}, right.Body...), right.By, right.Signature},
		"another signature": {right.Body, right.By, append([]byte{0}, right.Signature...)},
		"no signature":      {right.Body, right.By, nil},
		"nobody":            {right.Body, transport.Peer{}, right.Signature},
	} {
		require.False(t, m.holds(forCertificate, wrong), name)
		require.False(t, m.holds(forRotation, right), name)
		require.True(t, m.holds(forCertificate, right), name)
		require.False(t, m.holds(forCertificate, wrong), "%s, again", name)
		require.Len(t, m.young, 1)
	}
}
