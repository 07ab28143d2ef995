package outbound

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// List are the hosts that a function may ask. An empty one allows none.
type List []entry

// entry is a host; "" is any. below: names below it, in place of itself. port 0 is 80 and 443.
type entry struct {
	host  string
	below bool
	port  uint16
}

// Parse reads a list: "api.example.com", "*.example.com" (all names below it), "*" (all), an address, each perhaps with ":PORT" ("[2606::1]:8443"), without which
// it is ports 80 and 443.
func Parse(texts []string) (List, error) {
	var l List
	for _, text := range texts {
		e, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("outbound: %q is no host: %w", text, err)
		}
		l = append(l, e)
	}
	return l, nil
}

func parse(text string) (e entry, err error) {
	host, port := split(text)
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return e, fmt.Errorf("the port is 1 to 65535")
		}
		e.port = uint16(n)
	}
	if host == "*" {
		return e, nil
	}
	host, e.below = strings.CutPrefix(host, "*.")
	if e.host, err = Host(host); err != nil {
		return e, err
	}
	if _, err := netip.ParseAddr(e.host); err == nil && e.below {
		return e, fmt.Errorf("there is nothing below an address")
	}
	return e, nil
}

// split takes a port from a host, and brackets from an address.
func split(text string) (host, port string) {
	if inner, rest, is := strings.Cut(strings.TrimPrefix(text, "["), "]"); is && strings.HasPrefix(text, "[") {
		return inner, strings.TrimPrefix(rest, ":")
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 && strings.Count(text, ":") == 1 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// Host is a host in its one form: an address as it is printed, or a name in lower case, without a dot at its end, of letters, digits, - and _,
// with a dot in it. Names in other scripts are written as DNS has them (xn--).
func Host(text string) (string, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return "", refuse("%.64q names an interface", text)
		}
		return a.Unmap().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	const nameLenMax, labelLenMax = 253, 63
	if len(name) > nameLenMax || !strings.Contains(name, ".") {
		return "", refuse("%.64q is not the name of a host on the internet", text)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > labelLenMax || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", refuse("%.64q is not the name of a host on the internet", text)
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", refuse("%.64q is an address in a form that is not taken", text)
	}
	return name, nil
}

// Allows reports whether a host, in its one form, may be asked at a port.
func (l List) Allows(host string, port uint16) bool {
	for _, e := range l {
		if e.names(host) && (e.port == port || e.port == 0 && (port == 80 || port == 443)) {
			return true
		}
	}
	return false
}

// names reports whether a host may be asked at some port.
func (l List) names(host string) bool {
	for _, e := range l {
		if e.names(host) {
			return true
		}
	}
	return false
}

func (e entry) names(host string) bool {
	switch {
	case e.host == "":
		return true
	case e.below:
		return strings.HasSuffix(host, "."+e.host)
	}
	return host == e.host
}
