package vault_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/services/auth/vault"
	"github.com/taucloud/tau/transport"
)

func rawKey(n byte) []byte { return bytes.Repeat([]byte{n}, vault.KeyLen) }

func ring(t require.TestingT, keys ...byte) vault.Ring {
	var raw [][]byte
	for _, n := range keys {
		raw = append(raw, rawKey(n))
	}
	r, err := vault.NewRing(raw...)
	require.NoError(t, err)
	return r
}

func drawPlace(t *rapid.T) vault.Place {
	return vault.Place{Project: rapid.StringN(0, 8, 256).Draw(t, "project"), Name: rapid.StringN(0, 8, 256).Draw(t, "name"), Version: rapid.Uint64().Draw(t, "version")}
}

// TestOnlyItsPlaceOpensASecret: with its key it opens where it was sealed for, and nowhere else, whole.
func TestOnlyItsPlaceOpensASecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, at, other := ring(t, 1), drawPlace(t), drawPlace(t)
		secret := rapid.SliceOfN(rapid.Byte(), 16, 256).Draw(t, "secret")
		s, err := r.Seal(at, secret)
		require.NoError(t, err)
		assert.False(t, bytes.Contains(transport.Encode(s), secret), "it is stored in plain")
		got, err := r.Open(at, s)
		require.NoError(t, err)
		assert.Equal(t, secret, got)
		if other != at {
			_, err = r.Open(other, s)
			assert.ErrorIs(t, err, vault.ErrNotGenuine)
		}
		_, err = ring(t, 2).Open(at, s)
		assert.ErrorIs(t, err, vault.ErrNoKey)
	})
}

// TestPartsOfAPlaceDoNotRunTogether: "ab" and "c" is not "a" and "bc".
func TestPartsOfAPlaceDoNotRunTogether(t *testing.T) {
	r := ring(t, 1)
	s, err := r.Seal(vault.Place{Project: "ab", Name: "c", Version: 1}, []byte("a secret of some length"))
	require.NoError(t, err)
	for _, at := range []vault.Place{{"a", "bc", 1}, {"abc", "", 1}, {"", "abc", 1}, {"ab", "c", 2}} {
		_, err = r.Open(at, s)
		assert.ErrorIs(t, err, vault.ErrNotGenuine, "%v", at)
	}
}

// TestAChangedSecretDoesNotOpen, whichever byte it is.
func TestAChangedSecretDoesNotOpen(t *testing.T) {
	r, at := ring(t, 1), vault.Place{Project: "p", Name: "n"}
	s, err := r.Seal(at, []byte("secret"))
	require.NoError(t, err)
	for _, part := range []*[]byte{&s.Nonce, &s.Data} {
		whole := *part
		for i := range whole {
			*part = bytes.Clone(whole)
			(*part)[i] ^= 1
			_, err := r.Open(at, s)
			assert.ErrorIs(t, err, vault.ErrNotGenuine)
		}
		*part = whole[:len(whole)-1]
		_, err := r.Open(at, s)
		assert.ErrorIs(t, err, vault.ErrNotGenuine)
		*part = whole
	}
	_, err = r.Open(at, vault.Sealed{Key: s.Key})
	assert.ErrorIs(t, err, vault.ErrNotGenuine)
}

// TestNoNonceTwice: two secrets of one place, or one of two places, have different ones; the same has the same.
func TestNoNonceTwice(t *testing.T) {
	r, seen := ring(t, 1), map[string]string{}
	for _, at := range []vault.Place{{"p", "n", 1}, {"p", "n", 2}, {"p", "m", 1}, {"q", "n", 1}} {
		for _, secret := range []string{"", "a", "b"} {
			s, err := r.Seal(at, []byte(secret))
			require.NoError(t, err)
			assert.Empty(t, seen[string(s.Nonce)])
			seen[string(s.Nonce)] = fmt.Sprint(at, secret)
			again, err := r.Seal(at, []byte(secret))
			require.NoError(t, err)
			assert.Equal(t, s, again)
		}
	}
}

// TestAKeyIsReplaced, step by step, and at each of them every node opens what any node has sealed.
func TestAKeyIsReplaced(t *testing.T) {
	at := vault.Place{Project: "p", Name: "n", Version: 1}
	before, added, moved, after := ring(t, 1), ring(t, 1, 2), ring(t, 2, 1), ring(t, 2)
	for _, step := range [][]vault.Ring{{before, added}, {added, moved}} {
		for _, by := range step {
			s, err := by.Seal(at, []byte("secret"))
			require.NoError(t, err)
			for _, reader := range step {
				got, err := reader.Open(at, s)
				require.NoError(t, err)
				assert.Equal(t, "secret", string(got))
			}
		}
	}
	old, err := before.Seal(at, []byte("secret"))
	require.NoError(t, err)
	assert.False(t, added.Stale(old))
	assert.True(t, moved.Stale(old))
	anew, err := moved.Seal(at, []byte("secret"))
	require.NoError(t, err)
	assert.False(t, moved.Stale(anew))
	_, err = after.Open(at, anew)
	assert.NoError(t, err)
	_, err = after.Open(at, old)
	assert.ErrorIs(t, err, vault.ErrNoKey)
}

func TestParseRing(t *testing.T) {
	one, two := base64.StdEncoding.EncodeToString(rawKey(1)), base64.StdEncoding.EncodeToString(rawKey(2))
	r, err := vault.ParseRing("# of today\n" + one + "\r\n\n  " + two)
	require.NoError(t, err)
	assert.Equal(t, ring(t, 1, 2).IDs(), r.IDs())
	r, err = vault.ParseRing("")
	require.NoError(t, err)
	assert.True(t, r.Empty())
	assert.Empty(t, r.IDs())

	for text, want := range map[string]string{
		"\nc2hvcnQ=":                              "line 2 is no key: expected 32 bytes in base64",
		"not-base64-but-SECRET":                   "line 1 is no key",
		one + "\n" + one:                          "key 2 is there twice",
		strings.Join(many(vault.KeysMax+1), "\n"): "9 keys, at most 8",
	} {
		_, err := vault.ParseRing(text)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, fmt.Sprint(err), "SECRET")
		assert.NotContains(t, fmt.Sprint(err), one)
	}
}

func many(n int) (lines []string) {
	for i := range n {
		lines = append(lines, base64.StdEncoding.EncodeToString(rawKey(byte(i+1))))
	}
	return lines
}

// TestBounds: what could not be opened is not sealed.
func TestBounds(t *testing.T) {
	at := vault.Place{Project: "p", Name: strings.Repeat("n", 256)}
	r, most := ring(t, 1), bytes.Repeat([]byte("s"), vault.SecretLenMax)
	s, err := r.Seal(at, most)
	require.NoError(t, err)
	got, err := r.Open(at, s)
	require.NoError(t, err)
	assert.Equal(t, most, got)

	_, err = r.Seal(at, append(most, 's'))
	assert.ErrorContains(t, err, "at most 16384 bytes")
	at.Name += "n"
	_, err = r.Seal(at, nil)
	assert.ErrorContains(t, err, "at most 256 bytes")
	_, err = vault.Ring{}.Seal(at, nil)
	assert.ErrorIs(t, err, vault.ErrNoKey)
	_, err = vault.NewRing(rawKey(1)[1:])
	assert.ErrorContains(t, err, "31 bytes instead of 32")
}
