package js

import (
	"strings"

	"github.com/nlnwa/whatwg-url/url"
)

// parser parses as browsers do.
var parser = url.NewParser()

// parseURL returns what a URL consists of, in the order of the runtime's urlFields, or nil if it is none.
func parseURL(text, base string, based bool) []string {
	if len(text) > urlMax || len(base) > urlMax {
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
	if len(href) > urlMax || len(value) > urlMax {
		return nil
	}
	if field == "href" {
		return parseURL(value, "", false)
	}
	u, err := parser.Parse(href)
	if err != nil {
		return nil
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
