// Package shape is the configuration of one node: a YAML file ROOT/config/SHAPE.yaml, of which the fields are
// declared once, in this file, for reading, writing, showing and the JSON Schema alike.
package shape

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/transport"
)

// Shape is what a node is told when it is set up.
type Shape struct {
	// Name is the node's, for people; Network the cloud's domain name.
	Name, Network string
	// CloudKey is the key that this node believes who is a member.
	CloudKey string
	// PrivateKey is 32 bytes in base64, of which the node's key is made. It is a secret.
	PrivateKey string
	Services   []string
	// Listen and Announce are multiaddrs; Announce may be empty: then it is Listen.
	Listen, Announce []string
	// Peers are members by which the node finds the others: multiaddrs that end in /p2p/<peer>.
	Peers []string
	// Invitation is by what the node joins at its first start, "" if it has a certificate. It is a secret.
	Invitation  string
	DiskReserve string
	LogLevel    string
	// MetricsListen is where /metrics, /healthz and /readyz are served, "" for nowhere but the socket.
	MetricsListen string
	// PatrickListen is where webhooks and the API of jobs are served, "" for nowhere.
	PatrickListen string
	// PatrickURL is where people reach that from outside, "" if it is not known: statuses of commits lead there.
	PatrickURL string
	// GoRoot, GoModules, WASI, Node and AssemblyScript are where the toolchains of builds are, "" to look for them; see package toolchains.
	GoRoot, GoModules, WASI, Node, AssemblyScript string
	// BuildCache bounds what of builds is kept.
	BuildCache string
	// BuildNetwork are the projects whose build scripts may reach the network.
	BuildNetwork []string
	// HTTPListen is where a gateway takes requests from outside of the cloud, "" for nowhere.
	HTTPListen string
}

// Defaults returns a shape of default settings.
func Defaults() *Shape { return &Shape{DiskReserve: "256MiB", LogLevel: "info", BuildCache: "512MiB"} }

// field is one key of the file: of text, or of a list of texts.
type field struct {
	key, doc string
	secret   bool
	required bool
	text     func(s *Shape) *string
	list     func(s *Shape) *[]string
	// check says what is wrong with one text, and what would be right.
	check func(text string) (what, hint string)
	enum  func() []string
}

var fields = []field{
	{key: "name", doc: "The node's name, for people: in logs, in tau status and in its certificate.", required: true,
		text: func(s *Shape) *string { return &s.Name }, check: checkName},
	{key: "network-fqdn", doc: "The cloud's domain name.", required: true,
		text: func(s *Shape) *string { return &s.Network }, check: checkDomain},
	{key: "cloud-key", doc: "The public key of the cloud: what it has signed proves who is a member.", required: true,
		text: func(s *Shape) *string { return &s.CloudKey }, check: checkPeer},
	{key: "privatekey", doc: "This node's own key. Whoever has it can be this node: keep the file to yourself.", required: true, secret: true,
		text: func(s *Shape) *string { return &s.PrivateKey }, check: checkKey},
	{key: "services", doc: "What this node runs. Its certificate must allow it.", required: true,
		list: func(s *Shape) *[]string { return &s.Services }, check: checkService, enum: ServiceNames},
	{key: "p2p-listen", doc: "Where it listens, over TCP, QUIC and, for networks that let only HTTP out, WebSocket (/ip4/203.0.113.7/tcp/8080/ws). 127.0.0.1: only this machine reaches it.", required: true,
		list: func(s *Shape) *[]string { return &s.Listen }, check: checkAddress},
	{key: "p2p-announce", doc: "Where others reach it. Left out: where it listens.",
		list: func(s *Shape) *[]string { return &s.Announce }, check: checkAddress},
	{key: "peers", doc: "Members by which it finds the others; it is enough that one of them can be reached.",
		list: func(s *Shape) *[]string { return &s.Peers }, check: checkContact},
	{key: "invitation", doc: "By this it joins the cloud at its first start. Once it has a certificate it is of no use.", secret: true,
		text: func(s *Shape) *string { return &s.Invitation }, check: checkInvitation},
	{key: "disk-reserve", doc: "So much of the file system stays free: below that, what is new is refused.",
		text: func(s *Shape) *string { return &s.DiskReserve }, check: checkSize},
	{key: "metrics-listen", doc: "Where /metrics, /healthz and /readyz are served, such as 127.0.0.1:9464. Nobody proves anything there: stay on loopback. Left out: only on the node's socket.",
		text: func(s *Shape) *string { return &s.MetricsListen }, check: checkHostPort},
	{key: "patrick-listen", doc: "Where the node's patrick takes webhooks and serves the API of jobs, such as 127.0.0.1:9480, in plain HTTP: outside of this machine by a proxy with TLS only. Left out: nowhere.",
		text: func(s *Shape) *string { return &s.PatrickListen }, check: checkHostPort},
	{key: "patrick-url", doc: "Where people reach that from outside, such as https://ci.example.com: the status of a commit at its forge leads to a page of its job there. Left out: it leads nowhere.",
		text: func(s *Shape) *string { return &s.PatrickURL }, check: checkURL},
	{key: "go-root", doc: "Where Go is, for builds of functions in Go: /usr/local/go. Left out: where the program go is.",
		text: func(s *Shape) *string { return &s.GoRoot }, check: checkPath},
	{key: "go-modules", doc: "A GOMODCACHE, whose modules builds may take. Left out: they take what is in vendor.",
		text: func(s *Shape) *string { return &s.GoModules }, check: checkPath},
	{key: "wasi-sdk", doc: "Where a wasi-sdk is, for builds of functions in C. Left out: clang, lld and wasi-libc of the system.",
		text: func(s *Shape) *string { return &s.WASI }, check: checkPath},
	{key: "node", doc: "The program node, for builds of functions in AssemblyScript. Left out: where it is found.",
		text: func(s *Shape) *string { return &s.Node }, check: checkPath},
	{key: "assemblyscript", doc: "The directory node_modules in which assemblyscript is installed, with what it needs.",
		text: func(s *Shape) *string { return &s.AssemblyScript }, check: checkPath},
	{key: "build-cache", doc: "So much of what was built is kept, so that it is not built again.",
		text: func(s *Shape) *string { return &s.BuildCache }, check: checkSize},
	{key: "build-network", doc: "Projects whose build scripts may reach the network, and with it what listens on this machine. Left out: none.",
		list: func(s *Shape) *[]string { return &s.BuildNetwork }, check: checkProject},
	{key: "http-listen", doc: "Where a node that runs gateway takes requests of browsers, over HTTP without TLS, such as 127.0.0.1:8080. Left out: nowhere; other members reach its gateway.",
		text: func(s *Shape) *string { return &s.HTTPListen }, check: checkHostPort},
	{key: "log-level", doc: "debug, info, warn or error.",
		text: func(s *Shape) *string { return &s.LogLevel }, check: checkLevel, enum: levelNames},
}

// values are the texts of a field.
func (f *field) values(s *Shape) []string {
	if f.list != nil {
		return *f.list(s)
	}
	if text := *f.text(s); text != "" {
		return []string{text}
	}
	return nil
}

// Differ are the keys in which two shapes differ, but for those that a running node takes over.
func Differ(a, b *Shape) (keys []string) {
	for _, f := range fields {
		if f.key != "log-level" && f.key != "disk-reserve" && !slices.Equal(f.values(a), f.values(b)) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// Unused says which key counts for nothing, as the node does not run what it is for; "" if each counts.
func (s *Shape) Unused() string {
	if s.HTTPListen != "" && !slices.Contains(s.Services, gatewayapi.Service) {
		return "http-listen: this node runs no gateway, so nobody listens there"
	}
	return ""
}

// Identity is the node's key pair.
func (s *Shape) Identity() transport.Identity {
	return transport.NewIdentity(mustDecodeKey(s.PrivateKey))
}

// Paths are where a node of one shape has what below a root directory.
type Paths struct {
	Config, Keys, Certificate, CloudKey, Vault, Disk, Data, Builds, Run, Socket string
}

// PathsOf are those of a shape.
func PathsOf(root, shape string) Paths {
	keys, run := filepath.Join(root, "keys"), filepath.Join(root, "run")
	return Paths{
		Config: filepath.Join(root, "config", shape+".yaml"), Keys: keys, Certificate: filepath.Join(keys, shape+".cert"), CloudKey: filepath.Join(keys, "cloud.key"),
		Vault: filepath.Join(keys, shape+".vault"),
		Disk:  filepath.Join(keys, shape+".disk"),
		Data:  filepath.Join(root, "data", shape), Builds: filepath.Join(root, "builds", shape), Run: run, Socket: filepath.Join(run, shape+".sock"),
	}
}

// Flags are those by which a command is about this node, for remedies that can be typed as they stand.
func (p Paths) Flags() string {
	return "-s " + strings.TrimSuffix(filepath.Base(p.Config), ".yaml") + " --root " + filepath.Dir(p.Run)
}
