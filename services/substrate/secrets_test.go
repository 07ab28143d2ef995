package substrate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoSecretIsInALog: none of a project's, whether the function names it or not, nor what is left of one of which another one is a part. What is
// shorter than four bytes is no secret to anybody.
func TestNoSecretIsInALog(t *testing.T) {
	s := &Service{secrets: map[string]secretsKnown{
		"p": {values: map[string]string{"A": "pass", "B": "my-password-1", "C": "word-1", "D": "abc"}},
		"q": {values: map[string]string{"E": "other"}},
	}}
	for log, want := range map[string]string{
		"":                            "",
		"my-password-1":               "***",
		"my-password-2":               "my-***word-2",
		"pass my-password-1 word-1\n": "*** *** ***\n",
		"passpass abc other":          "****** abc other",
		"my-my-password-1\nword-1":    "my-***\n***",
	} {
		require.Equal(t, want, s.masked("p", log), log)
	}
	require.Equal(t, "pass", s.masked("nobody", "pass"))
}
