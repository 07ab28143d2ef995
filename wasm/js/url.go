package js

import (
	"regexp"
	"strings"

	"github.com/nlnwa/whatwg-url/url"
)

// parser parses as browsers do.
var parser = url.NewParser()

// authorityMax bounds what names a host in a URL, with its user, in bytes. To encode a name, and an @ in a password, takes the square of its length: a
// minute for one of 64 KiB, in which nothing else of the guest's limits is looked at.
const authorityMax = 1 << 10

var (
	ignored = strings.NewReplacer("\t", "", "\n", "", "\r", "")
	scheme  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)
)

// authority is what names a host in a URL, and perhaps more: never less. The parser is as lenient as browsers are.
func authority(text string) string {
	text = strings.TrimFunc(ignored.Replace(text), func(r rune) bool { return r <= ' ' })
	ends := `/\?#`
	if name := scheme.FindString(text); name != "" {
		text = text[len(name):]
		if !special(strings.ToLower(strings.TrimSuffix(name, ":"))) {
			if ends = "/?#"; !strings.HasPrefix(text, "//") {
				return ""
			}
		}
	} else if len(text) < 2 || strings.Trim(text[:2], `/\`) != "" {
		return "" // it is that of the base
	}
	text = strings.TrimLeft(text, `/\`)
	if at := strings.IndexAny(text, ends); at >= 0 {
		text = text[:at]
	}
	return text
}

func special(scheme string) bool {
	switch scheme {
	case "http", "https", "ws", "wss", "ftp", "file":
		return true
	}
	return false
}

// costOf is what a guest pays for parsing, in bytes that are moved: the squares of the lengths of what names a host and of the path, which is about what
// it takes.
func costOf(texts ...string) (bytes uint64) {
	for _, text := range texts {
		host, path := len(authority(text)), len(text)
		if host > authorityMax || path > urlMax {
			return 0 // it is refused
		}
		if at := strings.IndexAny(text, "?#"); at >= 0 {
			path = at
		}
		bytes += uint64(64*host*host + 2*path*path)
	}
	return bytes
}

// parseURL returns what a URL consists of, in the order of the runtime's urlFields, or nil if it is none.
func parseURL(text, base string, based bool) []string {
	if len(text) > urlMax || len(base) > urlMax || len(authority(text)) > authorityMax || len(authority(base)) > authorityMax {
		return nil
	}
	var u *url.Url
	var err error
	if based {
		u, err = parser.ParseRef(base, text)
	} else {
		u, err = parser.Parse(text)
	}
	if err != nil {
		return nil
	}
	return partsOf(u)
}

// setURL sets one of the fields of a URL.
func setURL(href, field, value string) []string {
	if len(href) > urlMax || len(value) > urlMax || len(authority(href)) > authorityMax {
		return nil
	}
	if field == "href" {
		return parseURL(value, "", false)
	}
	u, err := parser.Parse(href)
	if err != nil {
		return nil
	}
	switch field {
	case "username", "password", "host", "hostname":
		if len(value) > authorityMax {
			return nil
		}
	}
	set := map[string]func(string){
		"protocol": u.SetProtocol, "username": u.SetUsername, "password": u.SetPassword, "host": u.SetHost, "hostname": u.SetHostname,
		"port": u.SetPort, "pathname": u.SetPathname, "search": u.SetSearch, "hash": u.SetHash,
	}[field]
	if set == nil {
		return nil
	}
	set(value)
	return partsOf(u)
}

func partsOf(u *url.Url) []string {
	parts := []string{u.Href(false), "null", u.Protocol(), u.Username(), u.Password(), u.Host(), u.Hostname(), u.Port(), u.Pathname(), u.Search(), u.Hash()}
	switch u.Scheme() {
	case "http", "https", "ws", "wss", "ftp":
		parts[1] = u.Protocol() + "//" + u.Host()
	}
	for n := range parts {
		parts[n] = strings.ReplaceAll(parts[n], "\n", "") // there is none: it parts them
	}
	return parts
}
