package token_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/transport"
)

var (
	drawn = bytes.Repeat([]byte{0xa5}, token.SecretLen)
	now   = time.Unix(1_800_000_000, 0)
)

func fresh(t *testing.T) (string, token.Record) {
	text, r, err := token.New(drawn, []string{"shop", "hello", "shop"}, []token.Scope{token.Read}, now, time.Hour)
	require.NoError(t, err)
	return text, r
}

// TestATokenAllowsWhatItSays, where it says it, as long as it says it, and to nobody else.
func TestATokenAllowsWhatItSays(t *testing.T) {
	text, r := fresh(t)
	assert.Equal(t, []string{"hello", "shop"}, r.Projects)
	for _, project := range r.Projects {
		assert.NoError(t, r.Allows(text, project, token.Read, now))
		assert.NoError(t, r.Allows(text, project, token.Read, now.Add(time.Hour)))
	}
	for name, err := range map[string]error{
		"another project": r.Allows(text, "other", token.Read, now),
		"no project":      r.Allows(text, "", token.Read, now),
		"another scope":   r.Allows(text, "shop", token.Write, now),
		"over":            r.Allows(text, "shop", token.Read, now.Add(time.Hour+time.Second)),
		"no token":        r.Allows("", "shop", token.Read, now),
		"its hash":        r.Allows(string(r.Hash), "shop", token.Read, now),
		"its id":          r.Allows(r.ID, "shop", token.Read, now),
		"in capitals":     r.Allows(strings.ToUpper(text), "shop", token.Read, now),
		"an empty record": token.Record{Projects: r.Projects, Scopes: r.Scopes, NotAfter: r.NotAfter}.Allows("", "shop", token.Read, now),
	} {
		assert.ErrorIs(t, err, token.ErrRefused, name)
	}
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		assert.ErrorIs(t, r.Allows(string(changed), "shop", token.Read, now), token.ErrRefused)
	}
}

// TestARecordHoldsNoToken: neither as text nor as the bytes that it was made of; its name tells nothing of them.
func TestARecordHoldsNoToken(t *testing.T) {
	text, r := fresh(t)
	stored := transport.Encode(r)
	for _, part := range [][]byte{drawn[:8], []byte(text[len(text)-16:])} {
		assert.False(t, bytes.Contains(stored, part))
	}
	assert.NotEqual(t, r.ID, text[len(text)-len(r.ID):])
}

func TestID(t *testing.T) {
	text, r := fresh(t)
	id, ok := token.ID(text)
	assert.True(t, ok)
	assert.Equal(t, r.ID, id)
	for _, bad := range []string{"", "tau_", text[1:], text + "0", "x" + text[1:], strings.Replace(text, r.ID, strings.Repeat("/", len(r.ID)), 1), strings.Replace(text, r.ID+"_", r.ID+"0", 1)} {
		_, ok := token.ID(bad)
		assert.False(t, ok, bad)
	}
	other, _, err := token.New(append([]byte{1}, drawn...), []string{"shop"}, []token.Scope{token.Read}, now, time.Hour)
	require.NoError(t, err)
	otherID, _ := token.ID(other)
	assert.NotEqual(t, r.ID, otherID)
}

// TestWhatNoTokenIsMadeFor: too little chance, nothing or nobody, for ever.
func TestWhatNoTokenIsMadeFor(t *testing.T) {
	shop, read := []string{"shop"}, []token.Scope{token.Read}
	for want, ask := range map[string]func() error{
		"made of 31 bytes":  func() error { _, _, err := token.New(drawn[1:], shop, read, now, time.Hour); return err },
		"for 1 to 64":       func() error { _, _, err := token.New(drawn, nil, read, now, time.Hour); return err },
		"projects, by name": func() error { _, _, err := token.New(drawn, []string{""}, read, now, time.Hour); return err },
		"expected scopes":   func() error { _, _, err := token.New(drawn, shop, nil, now, time.Hour); return err },
		"of [read write]":   func() error { _, _, err := token.New(drawn, shop, []token.Scope{"all"}, now, time.Hour); return err },
		"a second to":       func() error { _, _, err := token.New(drawn, shop, read, now, 0); return err },
		"to 366 days":       func() error { _, _, err := token.New(drawn, shop, read, now, token.LifeMax+1); return err },
	} {
		assert.ErrorContains(t, ask(), want)
	}
}
