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

// What could never be fetched is not kept: it would fail each build, and ask nobody in vain.
func TestRepositoriesThatCouldNotBeFetched(t *testing.T) {
	const hosts = "# of the forge\n\ngithub.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
	for want, c := range map[string]struct{ url, hosts string }{
		"":                          {"https://github.com/acme/site", ""},
		"expected the address":      {"foo", ""},
		"has a password":            {"https://ada:secret@github.com/acme/site", ""},
		"no host is believed":       {"git@github.com:acme/site.git", " \n"},
		"line 4 of the known hosts": {"git@github.com:acme/site.git", hosts + "github.com AAAA"},
		"line 1 of the known hosts": {"https://github.com/acme/site", "<html>"},
	} {
		err := authapi.CheckRepository(authapi.Repository{Name: "site", Project: "shop", URL: c.url, Forge: "github", Branches: []string{"main"}, KnownHosts: []byte(c.hosts)})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, authapi.CheckRepository(authapi.Repository{Name: "site", Project: "shop", URL: "ssh://git@github.com/acme/site.git", Forge: "github", Branches: []string{"main"}, KnownHosts: []byte(hosts)}))
}
