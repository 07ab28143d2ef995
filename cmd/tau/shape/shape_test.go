package shape

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
	"github.com/taucloud/tau/yamltree"
)

func good() *Shape {
	s := Defaults()
	s.Name, s.Network = "core-1", "cloud.example.com"
	s.CloudKey = transport.NewIdentity([]byte("cloud")).Peer().String()
	s.PrivateKey = base64.StdEncoding.EncodeToString(make([]byte, KeyLen))
	s.Services = []string{"auth", "monkey"}
	s.Listen = []string{"/ip4/0.0.0.0/tcp/4242", "/ip6/::/udp/4242/quic-v1"}
	s.Announce = []string{"/dns4/core-1.example.com/tcp/4242"}
	s.Peers = []string{"/ip4/203.0.113.7/tcp/4242/p2p/" + s.CloudKey}
	return s
}

// TestWhatIsWrittenIsRead: all fields, and none but those that were left out have their defaults.
func TestWhatIsWrittenIsRead(t *testing.T) {
	s := good()
	s.DiskReserve, s.LogLevel = "2GiB", "debug"
	got, err := Read("x.yaml", s.YAML())
	require.NoError(t, err)
	require.Equal(t, s, got)

	var lines []string
	for line := range strings.Lines(string(good().YAML())) {
		if !strings.Contains(line, "disk-reserve") && !strings.Contains(line, "log-level") {
			lines = append(lines, line)
		}
	}
	got, err = Read("x.yaml", []byte(strings.Join(lines, "")))
	require.NoError(t, err)
	require.Equal(t, good(), got)
}

// TestSecretsAreMasked wherever a shape is shown.
func TestSecretsAreMasked(t *testing.T) {
	s := good()
	s.Invitation = ticket(t, "monkey").Text()
	text, err := json.Marshal(s.Masked())
	require.NoError(t, err)
	for _, shown := range []string{string(s.Masked().YAML()), string(text)} {
		require.NotContains(t, shown, s.PrivateKey)
		require.NotContains(t, shown, s.Invitation)
		require.Contains(t, shown, Secret)
		require.Contains(t, shown, s.CloudKey)
	}
	require.NotEqual(t, Secret, s.PrivateKey, "a copy")
}

// TestMistakes are told all at once, each with its place and a remedy.
func TestMistakes(t *testing.T) {
	_, err := Read("x.yaml", []byte(`name: "core 1"
network-fqdn: Cloud
cloud-key: 12D3
privatekey: short
servces: [auth]
services: [auth, monky, auth]
p2p-listen: /ip4/0.0.0.0/tcp/4242
p2p-announce:
  - /ip4/300.0.0.1/tcp/4242
  - /ip4/1.2.3.4/tcp/1/p2p/12D3
  - /ip4/1.2.3.4/tcp/443/wss
peers: [{a: b}, /ip4/1.2.3.4/tcp/1]
disk-reserve: 1MiB
log-level: inf
name: again
invitation:
`))
	var all yamltree.Errors
	require.ErrorAs(t, err, &all)
	var got []string
	for _, e := range all {
		require.NotEmpty(t, e.Hint, e.What)
		got = append(got, strings.Split(e.Error(), "\n")[0])
	}
	require.Equal(t, []string{
		`x.yaml:1:7: name: "core 1" is no name of a node`,
		`x.yaml:2:15: network-fqdn: "Cloud" is no domain name`,
		`x.yaml:3:12: cloud-key: "12D3" is no public key`,
		`x.yaml:4:13: privatekey: this is no private key`,
		`x.yaml:5:1: unknown key "servces"`,
		`x.yaml:6:18: services: there is no service "monky"`,
		`x.yaml:6:25: services: "auth" is there twice`,
		`x.yaml:7:13: p2p-listen: expected a list`,
		`x.yaml:9:5: p2p-announce: "/ip4/300.0.0.1/tcp/4242" is no multiaddr`,
		`x.yaml:10:5: p2p-announce: "/ip4/1.2.3.4/tcp/1/p2p/12D3" names a peer`,
		`x.yaml:11:5: p2p-announce: "/ip4/1.2.3.4/tcp/443/wss" needs a certificate of the web, and a node has none`,
		`x.yaml:12:10: peers: expected a text`,
		`x.yaml:12:17: peers: "/ip4/1.2.3.4/tcp/1" is no member's address`,
		`x.yaml:13:15: disk-reserve: "1MiB" is no size`,
		`x.yaml:14:12: log-level: there is no level "inf"`,
		`x.yaml:15:1: key "name" is given twice`,
		`x.yaml:16:13: invitation has no value`,
	}, got)
	require.ErrorContains(t, err, `did you mean "services"?`)
	require.NotContains(t, err.Error(), "short", "a secret that is wrong may be nearly right")
	require.Contains(t, err.Error(), "x.yaml:6:18: services: there is no service \"monky\"\n    | services: [auth, monky, auth]\n    |                  ^\n")
	for _, text := range []string{"{name: core 1, privatekey: nearly}", "name: core 1\nprivatkey: nearly", "name: core 1\nprivatekey:\n  nearly"} {
		_, err := Read("x.yaml", []byte(text))
		require.ErrorContains(t, err, "no name of a node")
		require.NotContains(t, err.Error(), "nearly", text)
	}
}

// TestWhatIsNoConfiguration at all.
func TestWhatIsNoConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "x.yaml:1:1: the file is empty",
		"a: [":                         "x.yaml:1:",
		"- a":                          "expected a mapping of keys",
		"name: a\n---\nname: b":        "a second document begins",
		"name: &a b":                   "anchors (&name) are not supported",
		"name: core-1":                 "network-fqdn is missing",
		strings.Repeat("#", 100<<10):   "expected at most 65536",
		strings.Repeat("{a: ", 10_000): "x.yaml:1:",
	} {
		_, err := Read("x.yaml", []byte(text))
		require.ErrorContains(t, err, want)
		var all yamltree.Errors
		require.True(t, errors.As(err, &all))
	}
}

func ticket(t *testing.T, services ...string) membership.Ticket {
	cloud, secret := transport.NewIdentity([]byte("cloud")), []byte("secret")
	i, err := membership.Invite(cloud, membership.Invitation{
		Cloud: "cloud.example.com", Key: transport.NewIdentity(secret).Peer(), Services: services, Uses: 1, AdmittedBy: cloud.Peer(),
	})
	require.NoError(t, err)
	return membership.Ticket{Invitation: i, Secret: secret, CloudKey: cloud.Peer()}
}

// TestInvitationsMustFit what the rest of the file says.
func TestInvitationsMustFit(t *testing.T) {
	s := good()
	s.Invitation = ticket(t, "auth", "monkey").Text()
	_, err := Read("x.yaml", s.YAML())
	require.NoError(t, err)
	for want, change := range map[string]func(*Shape){
		"it does not allow tns":            func(s *Shape) { s.Services = []string{"tns"} },
		"it is for cloud.example.com, not": func(s *Shape) { s.Network = "other.example.com" },
		"with another key":                 func(s *Shape) { s.CloudKey = transport.NewIdentity([]byte("x")).Peer().String() },
	} {
		bad := *s
		change(&bad)
		_, err := Read("x.yaml", bad.YAML())
		require.ErrorContains(t, err, want)
	}
}

// TestTheSchemaIsOfTheFile: what is written is valid by it, and what is refused for its keys is not.
func TestTheSchemaIsOfTheFile(t *testing.T) {
	raw, err := json.Marshal(Schema())
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("shape.json", doc))
	schema, err := c.Compile("shape.json")
	require.NoError(t, err)
	valid := func(change func(m map[string]any)) error {
		text, err := json.Marshal(good())
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(text, &m))
		change(m)
		return schema.Validate(m)
	}
	require.NoError(t, valid(func(map[string]any) {}))
	require.Error(t, valid(func(m map[string]any) { m["servces"] = "x" }))
	require.Error(t, valid(func(m map[string]any) { m["services"] = []any{"monky"} }))
	require.Error(t, valid(func(m map[string]any) { delete(m, "name") }))
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]uint64{"16MiB": 16 << 20, "2GiB": 2 << 30, "15MiB": 0, "1": 0, "MiB": 0, "-1GiB": 0, "9999999999GiB": 0, "": 0} {
		n, err := ParseSize(text)
		require.Equal(t, want == 0, err != nil, text)
		if want > 0 {
			require.Equal(t, want, n)
		}
	}
}

// TestAKeyThatCountsForNothing is told: nobody listens where people look for it.
func TestAKeyThatCountsForNothing(t *testing.T) {
	s := Defaults()
	s.HTTPListen, s.Services = "127.0.0.1:8080", []string{"seer"}
	require.Contains(t, s.Unused(), "this node runs no gateway")
	s.Services = append(s.Services, "gateway")
	require.Empty(t, s.Unused())
}
