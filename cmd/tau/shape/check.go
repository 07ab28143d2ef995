package shape

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/multiformats/go-multiaddr"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
	"github.com/taucloud/tau/yamltree"
)

// KeyLen is the length of the secret of which a key is made, in bytes.
const KeyLen = 32

// ServiceNames are those of the catalogue, in the order in which a node starts them.
func ServiceNames() (names []string) {
	for _, s := range services.Catalogue(services.Ports{}) {
		names = append(names, s.Name)
	}
	return names
}

// Specs are those of the services of a shape, in catalogue order.
func (s *Shape) Specs(ports services.Ports) (list []node.Spec) {
	for _, spec := range services.Catalogue(ports) {
		if slices.Contains(s.Services, spec.Name) {
			list = append(list, spec)
		}
	}
	return list
}

var (
	name   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)
	domain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

func checkName(text string) (what, hint string) {
	if !name.MatchString(text) {
		return fmt.Sprintf("%q is no name of a node", text), "1 to 63 letters, digits, dots, dashes and underscores"
	}
	return "", ""
}

func checkDomain(text string) (what, hint string) {
	if len(text) > 253 || !domain.MatchString(text) {
		return fmt.Sprintf("%q is no domain name", text), "such as cloud.example.com, in lower case"
	}
	return "", ""
}

func checkPeer(text string) (what, hint string) {
	if _, err := transport.ParsePeer(text); err != nil {
		return fmt.Sprintf("%q is no public key", text), "it begins with 12D3KooW; tau status shows that of a cloud"
	}
	return "", ""
}

func checkKey(text string) (what, hint string) {
	if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) != KeyLen {
		return "this is no private key", "32 bytes in base64, as tau config generate writes them"
	}
	return "", ""
}

func mustDecodeKey(text string) []byte {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != KeyLen {
		panic("shape: a private key that was not checked")
	}
	return raw
}

func checkService(text string) (what, hint string) {
	if !slices.Contains(ServiceNames(), text) {
		return fmt.Sprintf("there is no service %q", text), yamltree.Suggest(text, ServiceNames())
	}
	return "", ""
}

func checkAddress(text string) (what, hint string) {
	const good = "such as /ip4/203.0.113.7/tcp/4242, /ip4/0.0.0.0/udp/4242/quic-v1 or /ip4/0.0.0.0/tcp/8080/ws"
	if strings.Contains(text, "/p2p/") {
		return fmt.Sprintf("%q names a peer", text), "leave /p2p/... out: " + good
	}
	if _, err := multiaddr.NewMultiaddr(text); err != nil {
		return fmt.Sprintf("%q is no multiaddr", text), good
	}
	if strings.HasSuffix(text, "/wss") || strings.Contains(text, "/tls/") {
		return fmt.Sprintf("%q needs a certificate of the web, and a node has none", text), "/ws: what is said over it is secured by the nodes' own keys"
	}
	return "", ""
}

func checkContact(text string) (what, hint string) {
	if _, err := ParseContact(text); err != nil {
		return fmt.Sprintf("%q is no member's address", text), "such as /ip4/203.0.113.7/tcp/4242/p2p/12D3KooW...; tau status shows that of a node"
	}
	return "", ""
}

// ParseContact reads a multiaddr that ends in /p2p/<peer>.
func ParseContact(text string) (node.Contact, error) {
	address, id, found := strings.Cut(text, "/p2p/")
	if _, err := multiaddr.NewMultiaddr(address); err != nil || !found {
		return node.Contact{}, fmt.Errorf("%q is no multiaddr that ends in /p2p/<peer>", text)
	}
	peer, err := transport.ParsePeer(id)
	return node.Contact{Peer: peer, Addresses: []string{address}}, err
}

func checkInvitation(text string) (what, hint string) {
	if _, err := membership.ParseTicket(text); err != nil {
		return "this is no invitation", "tau invite prints one on a node that runs auth"
	}
	return "", ""
}

func checkSize(text string) (what, hint string) {
	if _, err := ParseSize(text); err != nil {
		return fmt.Sprintf("%q is no size", text), "such as 256MiB or 2GiB, at least 16MiB"
	}
	return "", ""
}

// ParseSize reads a number of bytes: 64MiB, 2GiB.
func ParseSize(text string) (uint64, error) {
	for suffix, factor := range map[string]uint64{"MiB": 1 << 20, "GiB": 1 << 30} {
		if digits, found := strings.CutSuffix(text, suffix); found {
			n, err := strconv.ParseUint(digits, 10, 32)
			if err == nil && n*factor < 16<<20 {
				err = fmt.Errorf("less than 16MiB")
			}
			return n * factor, err
		}
	}
	return 0, fmt.Errorf("%q has no unit", text)
}

func checkPath(text string) (what, hint string) {
	if !filepath.IsAbs(text) || filepath.Clean(text) != text || strings.ContainsAny(text, ":\x00\n") {
		return fmt.Sprintf("%q is no absolute path", text), "such as /usr/local/go"
	}
	return "", ""
}

func checkProject(text string) (what, hint string) {
	if err := patrickapi.CheckProject(text); err != nil {
		return fmt.Sprintf("%q is no name of a project", text), "as tau push --project has it"
	}
	return "", ""
}

func checkHostPort(text string) (what, hint string) {
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return fmt.Sprintf("%q is no address and port", text), "such as 127.0.0.1:9464"
	}
	if a.Port() == 0 {
		return "port 0 is none that anybody finds", "such as 127.0.0.1:9464"
	}
	return "", ""
}

// checkURL is of addresses of others' browsers, below which paths go.
func checkURL(text string) (what, hint string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Sprintf("%q is no address of a site", text), "such as https://ci.example.com"
	}
	return "", ""
}

func levelNames() []string { return []string{"debug", "info", "warn", "error"} }

func checkLevel(text string) (what, hint string) {
	if !slices.Contains(levelNames(), text) {
		return fmt.Sprintf("there is no level %q", text), yamltree.Suggest(text, levelNames())
	}
	return "", ""
}

// Level is that of the log.
func (s *Shape) Level() (level slog.Level) {
	_ = level.UnmarshalText([]byte(s.LogLevel))
	return level
}
