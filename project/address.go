package project

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// addressLenMax bounds the address of a repository, in bytes.
const addressLenMax = 2048

// sshForm is user@host:path, as Git writes it.
var sshForm = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:[^\s-][^\s]*$`)

// addressSchemes are the ways to a repository that are gone.
var addressSchemes = []string{"https", "http", "ssh", "file"}

// CheckAddress says what is wrong with the address of a repository: https://, http://, ssh:// or file://, or user@host:path; and whether it is gone to
// over ssh. It refuses what could mean something else to Git or ssh, which take words that begin with a hyphen for options, and what would be a
// secret in a place where all may read it.
func CheckAddress(address string) (ssh bool, err error) {
	switch {
	case len(address) > addressLenMax:
		return false, fmt.Errorf("the address of the repository is too long: it has at most %d bytes", addressLenMax)
	case sshForm.MatchString(address):
		return true, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Fragment != "" || u.Opaque != "" || strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c == 0x7f || c == 0xfffd }) {
		return false, errors.New("expected the address of a repository: https://HOST/PATH, ssh://USER@HOST/PATH, file:///PATH or USER@HOST:PATH")
	}
	_, secret := u.User.Password()
	known := false
	for _, s := range addressSchemes {
		known = known || u.Scheme == s
	}
	switch {
	case !known:
		return false, fmt.Errorf("repositories are fetched over %s, not %.32q", strings.Join(addressSchemes, ", "), u.Scheme)
	case secret:
		return false, errors.New("the address has a password in it, which would be shown wherever the address is: use a deploy key")
	case u.RawQuery != "" || u.ForceQuery:
		return false, errors.New("the address has a question in it, behind a ?, which no repository is fetched by; a secret would be shown there wherever the address is: use a deploy key")
	case strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User.Username(), "-") || strings.Trim(u.Path, "/") == "":
		return false, errors.New("expected a host and a path in the address of the repository")
	case (u.Scheme == "file") != (u.Hostname() == ""):
		return false, errors.New("file:///PATH has no host, all others have one")
	}
	return u.Scheme == "ssh", nil
}
