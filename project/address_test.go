package project

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://forge.example.com/ada/shop.git": "", "http://127.0.0.1:3000/a": "", "ssh://git@forge.example.com:2222/a": "ssh", "file:///srv/a.git": "", "git@forge.example.com:a/b.git": "ssh",
		"https://ada@forge.example.com/a": "",
		"":                                "expected the address", "foo": "expected the address", "/srv/a.git": "expected the address", "../a": "expected the address", "--upload-pack=touch /tmp/x": "expected the address", "-x": "expected the address",
		"ext::sh -c touch% /tmp/x": "expected the address", "fd::17": "expected the address", "https://forge.example.com/a\nb": "expected the address", "https://forge.example.com/a#b": "expected the address", "git@forge.example.com:a b": "expected the address",
		"-x@forge.example.com:a": "expected the address", "git@-x:a": "expected the address", "git@forge.example.com:-x": "expected the address", "forge.example.com/a": "expected the address", "https:/forge.example.com/a": "has no host",
		"git://forge.example.com/a": `over https, http, ssh, file, not "git"`, "https://ada:secret@forge.example.com/a": "has a password", "ssh://git:x@h/a": "has a password", "https://forge.example.com/a?token=secret": "behind a ?",
		"https://forge.example.com": "a host and a path", "https://forge.example.com//": "a host and a path", "ssh://-oProxyCommand=x/a": "a host and a path", "ssh://-x@forge.example.com/a": "a host and a path",
		"https:///a": "has no host", "https://:80/a": "has no host", "file://host/a": "has no host", "https://forge.example.com/" + strings.Repeat("a", 2048): "too long",
	} {
		ssh, err := CheckAddress(address)
		if want == "" || want == "ssh" {
			require.NoError(t, err, address)
			require.Equal(t, want == "ssh", ssh, address)
			continue
		}
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), "secret@")
	}
}
