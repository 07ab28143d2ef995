package project

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestIdentifiers: what a project's file may say of its name or id, the cloud takes; what is part of paths, hosts or what a
// terminal shows is harmless.
func TestIdentifiers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, pattern := range []string{namePattern, idRule.pattern} {
			require.NoError(t, CheckIdentifier(rapid.StringMatching(strings.TrimSuffix(pattern, "$")).Filter(regexp.MustCompile(pattern).MatchString).Draw(t, "text")))
		}
	})
	for _, bad := range []string{"", "a/b", "..", "a.b", "a b", "a\n", "\x1b[31m", "ü", strings.Repeat("a", 129)} {
		require.ErrorContains(t, CheckIdentifier(bad), "is no project: expected an id", bad)
	}
}
