package outbound

import "net/netip"

// closed are ranges of the internet's addresses at which nobody outside answers, or somebody who trusts whoever is near: RFC 6890, and what clouds
// tell their machines of themselves.
var closed = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",                        // Azure's own
	"2001::/23",                               // Teredo, ORCHID and others of the IETF's
	"2001:db8::/32", "3fff::/20", "2002::/16", // documentation, 6to4
)

// open is where public addresses of IPv6 are.
var open = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

// Public is an error for an address that is not one of the public internet: private, loopback, link-local, multicast, reserved, an address of a
// cloud's metadata, and all in whose bits another one is hidden.
func Public(a netip.Addr) error {
	if a.Zone() != "" || !a.IsValid() {
		return refuse("%s is not a public address", a)
	}
	a = a.Unmap()
	if a.Is6() && !open.Contains(a) {
		return refuse("%s is not a public address", a)
	}
	for _, p := range closed {
		if p.Contains(a) {
			return refuse("%s is not a public address", a)
		}
	}
	return nil
}
