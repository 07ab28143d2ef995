package cmdline

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadSecret: one newline is taken off; what is too long is never cut to what would be allowed.
func TestReadSecret(t *testing.T) {
	for text, want := range map[string]string{"abc": "abc", "abc\n": "abc", "abc\r\n": "abc", "ab\n\n": "ab\n", "": ""} {
		got, err := ReadSecret(strings.NewReader(text), "", 3)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%q", text)
	}
	for _, text := range []string{"abcd", "abc\r\nd", "abc\n\n", "abc\rd", "abcd\r\n"} {
		got, err := ReadSecret(strings.NewReader(text), "", 3)
		require.NoError(t, err)
		require.Greater(t, len(got), 3, "%q", text)
	}
	_, err := ReadSecret(nil, "/nosuch", 3)
	require.ErrorContains(t, err, "--file: ")
}
