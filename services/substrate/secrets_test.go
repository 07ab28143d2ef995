package substrate

import (
	"fmt"
	"testing"
	"time"

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

// TestSecretsAreOfSoManyProjects: of more, those that were heard longest ago are forgotten.
func TestSecretsAreOfSoManyProjects(t *testing.T) {
	var s Service
	for i := range secretsProjects + 2 {
		s.keepSecrets(fmt.Sprintf("p%d", i), secretsKnown{at: time.Duration(i)})
	}
	require.Len(t, s.secrets, secretsProjects)
	require.NotContains(t, s.secrets, "p0")
	require.NotContains(t, s.secrets, "p1")
	s.keepSecrets("p2", secretsKnown{at: time.Hour})
	require.Len(t, s.secrets, secretsProjects, "one that is known takes no other's room")
}
