package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// generateFlags are what people say of a new node.
type generateFlags struct {
	where
	network, name, invite string
	metrics, http         string
	services              []string
	ips, bootstrap        []string
	port                  int
	swarmKey, dvKeys      bool
}

func generateCommand() *cobra.Command {
	var g generateFlags
	cmd := &cobra.Command{
		Use: "generate", Aliases: []string{"gen"}, Args: cobra.NoArgs,
		Short: "Write the configuration of a new node: the first one of a cloud, or one that has an invitation",
		Long: `Writes ROOT/config/SHAPE.yaml with comments and a new key of the node. Without --invite it begins a cloud: it makes
the cloud's key, ROOT/keys/cloud.key, and certifies this node. With --invite the node joins at its first start.
Files that exist are never overwritten.`,
		Example: `  tau config generate -n cloud.example.com -s compute --protos all --ip 203.0.113.7
  tau invite -s compute --services monkey | ssh other tau config generate --invite - -s builder --ip 203.0.113.8`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.run(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	g.flags(cmd)
	f.StringVarP(&g.network, "network", "n", "", "the cloud's domain name (--fqdn)")
	f.StringSliceVar(&g.services, "services", nil, `what the node runs, "all" for everything (--protos, --protocols); default: what the invitation allows`)
	f.StringSliceVar(&g.ips, "ip", nil, "addresses at which others reach the node (--announce); without, only this machine does")
	f.IntVar(&g.port, "p2p-port", 4242, "the port, TCP and UDP (--port); 0 takes one that is free now")
	f.StringSliceVar(&g.bootstrap, "bootstrap", nil, "members by which the node finds the others: .../p2p/<peer>")
	f.StringVar(&g.name, "name", "", "the node's name for people; default: the machine's, and the shape")
	f.StringVar(&g.metrics, "metrics-listen", "", "where /metrics, /healthz and /readyz are served, such as 127.0.0.1:9464; default: only on the node's socket")
	f.StringVar(&g.http, "http-listen", "", "where a node that runs gateway takes requests of browsers, such as 127.0.0.1:8080; default: nowhere")
	f.StringVar(&g.invite, "invite", "", "a file with an invitation, - for standard input")
	f.BoolVar(&g.swarmKey, "swarm-key", false, "not needed any more: certificates took its place")
	f.BoolVar(&g.dvKeys, "dv-keys", false, "not needed any more: the cloud's key took their place")
	return cmd
}

func (g *generateFlags) run(stdin io.Reader, stdout, stderr io.Writer) error {
	if g.swarmKey {
		fmt.Fprintln(stderr, "tau: --swarm-key: no such key is made: members prove by certificates that they belong to the cloud")
	}
	if g.dvKeys {
		fmt.Fprintln(stderr, "tau: --dv-keys: no such keys are made: the cloud's key signs what they did")
	}
	s, err := g.shapeOf(stdin)
	if err != nil {
		return err
	}
	paths := shape.PathsOf(g.root, g.shape)
	if _, err := os.Stat(paths.Config); err == nil {
		return fmt.Errorf("%s is there already, and is never overwritten: choose another --shape or --root, or move it away", paths.Config)
	}
	for _, dir := range []string{filepath.Dir(paths.Config), paths.Keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return failure{fmt.Errorf("%w: --root says where else", err)}
		}
	}
	if s.Invitation == "" {
		if err := begin(s, paths); err != nil {
			return err
		}
	}
	content := s.YAML()
	if _, err := shape.Read(paths.Config, content); err != nil {
		return fmt.Errorf("what was asked for is no configuration: %w", err)
	}
	if err := writeNew(paths.Config, content); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "wrote %s: node %s of %s, %s\n", paths.Config, s.Name, s.Network, strings.Join(s.Services, ", "))
	if s.Invitation == "" {
		fmt.Fprintf(stdout, "wrote %s: whoever has it owns the cloud: move it to a safe place, no node needs it\n", paths.CloudKey)
	}
	fmt.Fprintf(stdout, "next: tau start -s %s --root %s\n", g.shape, g.root)
	return nil
}

// shapeOf is the configuration that the flags describe, but for the key of a new cloud.
func (g *generateFlags) shapeOf(stdin io.Reader) (*shape.Shape, error) {
	s := shape.Defaults()
	s.Name, s.Network, s.Peers, s.PrivateKey = g.name, g.network, g.bootstrap, newSecret()
	s.MetricsListen, s.HTTPListen = g.metrics, g.http
	if s.Name == "" {
		host, _ := os.Hostname()
		short, _, _ := strings.Cut(host, ".")
		s.Name = strings.Trim(short+"-"+g.shape, "-")
	}
	allowed := shape.ServiceNames()
	if g.invite != "" {
		var err error
		if allowed, err = g.invited(s, stdin); err != nil {
			return nil, err
		}
	}
	switch {
	case s.Network == "":
		return nil, errors.New("--network: expected the cloud's domain name, such as -n cloud.example.com; or --invite")
	case len(g.services) == 0 && g.invite != "":
		s.Services = allowed
	case len(g.services) == 0:
		return nil, errors.New(`--services: expected what the node runs: "all", or some of ` + strings.Join(allowed, ","))
	default:
		var err error
		if s.Services, err = chosen(g.services, allowed); err != nil {
			return nil, err
		}
	}
	if g.invite == "" && !slices.Contains(s.Services, "auth") {
		return nil, errors.New("--services: the first node of a cloud runs auth, which lets others in; if this is not the first, use --invite")
	}
	return s, g.addresses(s)
}

// invited reads the invitation, and takes over what it says of the cloud.
func (g *generateFlags) invited(s *shape.Shape, stdin io.Reader) (allowed []string, err error) {
	var raw []byte
	if g.invite == "-" {
		raw, err = io.ReadAll(io.LimitReader(stdin, 64<<10))
	} else {
		raw, err = os.ReadFile(g.invite)
	}
	if err != nil {
		return nil, fmt.Errorf("--invite: %w", err)
	}
	ticket, err := membership.ParseTicket(string(raw))
	if err != nil {
		return nil, fmt.Errorf("--invite: %w", err)
	}
	i, err := membership.OpenInvitation(ticket.Invitation)
	if err != nil {
		return nil, fmt.Errorf("--invite: %w", err)
	}
	if s.Network != "" && s.Network != i.Cloud {
		return nil, fmt.Errorf("--network: the invitation is for %s, not for %s", i.Cloud, s.Network)
	}
	s.Network, s.CloudKey, s.Invitation = i.Cloud, ticket.CloudKey.String(), ticket.Text()
	for _, c := range ticket.Contacts() {
		for _, a := range c.Addresses {
			s.Peers = append(s.Peers, a+"/p2p/"+c.Peer.String())
		}
	}
	return i.Services, nil
}

// addresses are where the node listens, and where others reach it.
func (g *generateFlags) addresses(s *shape.Shape) error {
	port, err := g.portOf()
	if err != nil {
		return err
	}
	at := func(ip netip.Addr) []string {
		version := "ip4"
		if ip.Is6() && !ip.Is4In6() {
			version = "ip6"
		}
		return []string{fmt.Sprintf("/%s/%s/tcp/%d", version, ip, port), fmt.Sprintf("/%s/%s/udp/%d/quic-v1", version, ip, port)}
	}
	listen := map[bool]netip.Addr{}
	for _, text := range g.ips {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("--ip %s: expected an address such as 203.0.113.7", text)
		}
		ip = ip.Unmap()
		s.Announce = append(s.Announce, at(ip)...)
		switch {
		case ip.IsLoopback() && !listen[ip.Is6()].IsValid():
			listen[ip.Is6()] = ip // nobody else reaches it there
		case ip.IsLoopback():
		case ip.Is6():
			listen[true] = netip.IPv6Unspecified()
		default:
			listen[false] = netip.IPv4Unspecified()
		}
	}
	if len(listen) == 0 {
		s.Listen = at(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		return nil
	}
	for _, six := range []bool{false, true} {
		if ip, wanted := listen[six]; wanted {
			s.Listen = append(s.Listen, at(ip)...)
		}
	}
	return nil
}

// portOf is the port, or one that nobody has now.
func (g *generateFlags) portOf() (int, error) {
	if g.port < 0 || g.port > 65535 {
		return 0, fmt.Errorf("--p2p-port %d: expected a port, 1 to 65535, or 0 for any", g.port)
	}
	if g.port != 0 {
		return g.port, nil
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, failure{err}
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func newSecret() string {
	raw := make([]byte, shape.KeyLen)
	_, _ = rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

// begin makes the key of a new cloud, and certifies its first node, which may certify others.
func begin(s *shape.Shape, paths shape.Paths) error {
	secret := newSecret()
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return failure{err}
	}
	cloud := transport.NewIdentity(raw)
	s.CloudKey = cloud.Peer().String()
	if _, err := shape.Read(paths.Config, s.YAML()); err != nil { // before there is a key
		return fmt.Errorf("what was asked for is no configuration: %w", err)
	}
	signed, err := issue(cloud, s.Network, s.Identity().Peer(), s.Name, s.Services)
	if err != nil {
		return err
	}
	if err := writeNew(paths.CloudKey, cloudKeyText(secret, nil)); err != nil {
		return fmt.Errorf("%w (it is the key of a cloud that was begun here: to add a node to that, use tau invite and --invite)", err)
	}
	return writeNew(paths.Certificate, transport.Encode(membership.Presented{Certificate: signed}))
}
