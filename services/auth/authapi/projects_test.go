package authapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/auth/authapi"
)

// TestNamesAtForges follow from addresses, unless they are said.
func TestNamesAtForges(t *testing.T) {
	for url, want := range map[string]string{
		"https://github.com/acme/site.git":           "acme/site",
		"https://github.com/acme/site/":              "acme/site",
		"git@github.com:acme/site.git":               "acme/site",
		"ssh://git@forge.example.com:2222/acme/site": "acme/site",
		"https://gitlab.com/group/sub/site.git":      "group/sub/site",
		"file:///srv/git/site.git":                   "srv/git/site",
	} {
		require.Equal(t, want, authapi.Repository{URL: url}.At(), url)
	}
	require.Equal(t, "42", authapi.Repository{URL: "https://github.com/acme/site", ForgeName: "42"}.At())
}
