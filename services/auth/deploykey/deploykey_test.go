package deploykey_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/taucloud/tau/services/auth/deploykey"
)

// TestPairs: others read what is written here, and it is the key of the seed.
func TestPairs(t *testing.T) {
	for n := range 20 {
		seed := bytes.Repeat([]byte{byte(n)}, 32)
		pair, err := deploykey.New(seed, "site"[:n%5])
		require.NoError(t, err)
		again, err := deploykey.New(seed, "site"[:n%5])
		require.NoError(t, err)
		require.Equal(t, pair, again)
		raw, err := ssh.ParseRawPrivateKey(pair.Private)
		require.NoError(t, err)
		require.Equal(t, ed25519.NewKeyFromSeed(seed), *raw.(*ed25519.PrivateKey))
		public, comment, _, rest, err := ssh.ParseAuthorizedKey([]byte(pair.Public))
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, "site"[:n%5], comment)
		signer, err := ssh.NewSignerFromKey(raw)
		require.NoError(t, err)
		require.Equal(t, signer.PublicKey().Marshal(), public.Marshal())
	}
	_, err := deploykey.New(nil, "")
	require.Error(t, err)
}
