package token_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/auth/token"
)

// TestBoundsOfRecords: what New would not make is not stored either.
func TestBoundsOfRecords(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	projects := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("p%05d", i))
		}
		return list
	}
	for name, c := range map[string]struct {
		projects []string
		ok       bool
	}{
		"as many as may":          {projects(token.ProjectsMax), true},
		"one more":                {projects(token.ProjectsMax + 1), false},
		"none":                    {nil, false},
		"one without a name":      {[]string{""}, false},
		"a name of 256 bytes":     {[]string{strings.Repeat("p", 256)}, true},
		"a longer one among them": {[]string{"a", strings.Repeat("p", 257)}, false},
	} {
		_, _, err := token.New(make([]byte, token.SecretLen), c.projects, []token.Scope{token.Read}, now, time.Hour)
		require.Equal(t, c.ok, err == nil, name)
		r := token.Record{ID: "00000000000000aa", Hash: make([]byte, 32), Projects: c.projects, Scopes: []token.Scope{token.Read}, NotAfter: now.Unix() + 1}
		require.Equal(t, c.ok, r.Check(now, 0) == nil, name)
	}
}
