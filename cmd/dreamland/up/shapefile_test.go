package up

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
	claims "github.com/taucloud/tau/project/route"
)

// TestNodesOfAFile: what a file of nodes may say, by the reader and by the schema; each mistake has its place.
func TestNodesOfAFile(t *testing.T) {
	raw, err := json.Marshal(nodesSchema())
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("file:///nodes.json", doc))
	schema, err := c.Compile("file:///nodes.json")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "nodes.yaml")
	read := func(text string) ([]shapedNode, error, error) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		list, err := readNodes(file)
		var v any
		if broken := yaml.Unmarshal([]byte(text), &v); broken != nil {
			return list, err, broken
		}
		raw, _ := json.Marshal(v)
		value, _ := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
		return list, err, schema.Validate(value)
	}
	list, err, invalid := read("nodes:\n  - name: core\n    services: [auth, seer]\n  - {name: store, services: [hoarder], copies: 2}\n  - name: every\n    services: all\n")
	require.NoError(t, err)
	require.NoError(t, invalid)
	var names []string
	for _, n := range list {
		names = append(names, n.Name)
	}
	require.Equal(t, []string{"core", "store", "store-2", "every"}, names)
	require.Equal(t, shape.ServiceNames(), list[3].Services)
	for text, want := range map[string]string{
		"":             "begin with nodes:",
		"nodes: one\n": ":1:8: expected a list of nodes",
		"nodes:\n  - name: a\n    services: [auth, seer]\n    copy: 2\n": `:4:5: unknown key "copy"`,
		"nodes:\n  - services: [auth, seer]\n":                           ":2:5: a node has no name",
		"nodes:\n  - name: A\n    services: [auth, seer]\n":              `:2:11: "A" is no name`,
		"nodes:\n  - name: a\n    services: [auth, sear]\n":              ":3:22: there is no service \"sear\"",
		"nodes:\n  - name: a\n    services: [auth, auth, seer]\n":        ":3:22: service \"auth\" is there twice",
		"nodes:\n  - name: a\n    services: auth\n":                      ":3:15: expected a list of services",
		"nodes:\n  - name: a\n    services: all\n    copies: 65\n":       ":4:13: expected a number from 1 to 64",
	} {
		_, err, invalid := read(text)
		require.ErrorContains(t, err, want, text)
		require.Error(t, invalid, text)
	}
	for text, want := range map[string]string{ // which no schema knows
		"nodes:\n  - name: a\n    services: [auth]\n":                                                  "no node runs seer",
		"nodes:\n  - {name: a, services: all, copies: 2}\n  - {name: a-2, services: all}\n":            ":3:12: a node a-2 is there already",
		"nodes:\n  - {name: a, services: all, copies: 40}\n  - {name: b, services: all, copies: 40}\n": "80 nodes, at most 64",
		"nodes:\n  - {name: a, services: all}\n---\nnodes: []\n":                                       "a file is about one universe",
	} {
		_, err, _ := read(text)
		require.ErrorContains(t, err, want, text)
	}
	_, err = readNodes(file + ".none")
	require.ErrorContains(t, err, "no such file")
}

// TestAFileForAUniverseThatIsThere: nodes are added; none is taken away, and none gets other services.
func TestAFileForAUniverseThatIsThere(t *testing.T) {
	node := func(name string, services ...string) shapedNode {
		return shapedNode{plannedNode: plannedNode{Name: name, Services: services}}
	}
	pl := &plan{}
	require.NoError(t, pl.fit("u", []shapedNode{node("a", "auth", "seer"), node("b", "tns")}))
	require.Len(t, pl.Nodes, 2)
	pl.Nodes[0].Port = 1
	require.NoError(t, pl.fit("u", nil), "no file")
	require.NoError(t, pl.fit("u", []shapedNode{node("b", "tns"), node("c", "monkey"), node("a", "seer", "auth")}))
	require.Len(t, pl.Nodes, 3)
	require.Equal(t, 1, pl.Nodes[0].Port, "what was there stays as it was")
	require.ErrorContains(t, pl.fit("u", []shapedNode{node("a", "auth", "seer"), node("b", "tns", "monkey"), node("c", "monkey")}), "node b of universe u runs tns")
	require.ErrorContains(t, pl.fit("u", []shapedNode{node("a", "auth", "seer"), node("b", "tns")}), "universe u has a node c, which is not here")
}

// TestWhereAFunctionIsAsked: by its name, with what was left out filled in, and never another one.
func TestWhereAFunctionIsAsked(t *testing.T) {
	claim := func(path, target string, methods ...string) claims.Claim {
		p, err := claims.Parse(path)
		require.NoError(t, err)
		return claims.Claim{Host: "h", Path: path, Key: p.Key(), Methods: methods, Target: target}
	}
	list := []claims.Claim{
		claim("/hello", "functions/hello", "GET", "POST"), claim("/orders/{id}", "functions/orders", "GET"), claim("/orders/new", "functions/new", "GET", "PUT"),
		claim("/", "websites/site", "GET", "HEAD"), claim("/in", "applications/shop/functions/hello", "POST"),
	}
	for _, c := range []struct {
		in                   Call
		method, path, target string
	}{
		{Call{Function: "hello"}, "GET", "/hello", "functions/hello"},
		{Call{Function: "hello", Body: "x"}, "POST", "/hello", "functions/hello"},
		{Call{Function: "shop/hello"}, "POST", "/in", "applications/shop/functions/hello"},
		{Call{Function: "orders", Path: "/orders/7?full=1"}, "GET", "/orders/7?full=1", "functions/orders"},
		{Call{Function: "new", Method: "put"}, "PUT", "/orders/new", "functions/new"},
	} {
		at, err := c.in.where(list)
		require.NoError(t, err)
		require.Equal(t, []string{c.method, c.path, c.target}, []string{c.in.Method, c.in.Path, at.Target})
	}
	for _, c := range []struct {
		in   Call
		want string
	}{
		{Call{Function: "helo"}, `did you mean "hello"?`},
		{Call{Function: "site"}, "no function \"site\""},
		{Call{Function: "orders"}, "say with which path, as function orders answers GET /orders/{id}"},
		{Call{Function: "orders", Path: "/orders/new"}, "does not answer GET /orders/new"},
		{Call{Function: "hello", Method: "DELETE"}, "does not answer DELETE: it answers GET|POST /hello"},
	} {
		_, err := c.in.where(list)
		require.ErrorContains(t, err, c.want)
	}
}
