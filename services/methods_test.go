package services_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/transport"
)

var write = flag.Bool("write", false, "write the table of methods instead of comparing it")

const methodsFile = "../docs/methods.md"

const methodsHead = `# Who may call what

All that a node serves, and who may use it: the rules are declared beside the names and enforced by
the engine before anything is decoded (` + "`transport/rule.go`" + `). Made by ` + "`go generate ./services`" + ` from a node that runs
all services; a test compares it. What a caller may do with one object - this job's lock, that version - the
service decides by the authenticated peer: see the Messages of its README.

A node that ` + "`tau start`" + ` runs serves one more, ` + "`admin/ask`" + ` (a call, for members, whatever they may offer): what ` + "`tau --node`" + ` asks by the
certificate of a member - status, peers, jobs, log, functions and versions, at most 16 at once. It changes nothing. Of a node's own it
tells its addresses, services, gauges and the warnings of its log; all else any member can ask the services for.

| name | kind | who |
|---|---|---|
`

// served is what a node with all services serves.
func served(t *testing.T) (list []transport.Served) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		var all []node.Configured
		for _, spec := range slices.Concat(services.Catalogue(services.Ports{Builder: func(node.Env) monkey.Builder { return nil }}), services.Always()) {
			all = append(all, node.Configured{Spec: spec})
		}
		key := transport.NewIdentity([]byte("cloud"))
		c.Key = &key
		list = c.Add("all", all...).Start().Served()
	})
	return list
}

// TestMethodsAreListed: the table names every method that a node serves, with its rule.
// So a rule that is changed is seen in a review.
func TestMethodsAreListed(t *testing.T) {
	var b strings.Builder
	b.WriteString(methodsHead)
	for _, s := range served(t) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, s.Kind, s.Rule)
	}
	if *write {
		require.NoError(t, os.WriteFile(methodsFile, []byte(b.String()), 0o644))
	}
	table, err := os.ReadFile(methodsFile)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(table), "docs/methods.md is out of date: go generate ./services")
}

// forAnyone are the methods that strangers may call, and why.
var forAnyone = map[string]string{
	"auth/admit": "who joins has no certificate yet; it brings an invitation",
	"auth/renew": "who was away for long has one that counts no more; it shows it",
}

// TestRulesNameServices: a rule for nodes that offer what does not exist lets nobody in.
func TestRulesNameServices(t *testing.T) {
	known := map[string]bool{}
	for _, spec := range services.Catalogue(services.Ports{}) {
		known[spec.Name] = true
	}
	list := served(t)
	require.Greater(t, len(list), 40)
	for _, s := range list {
		require.Equal(t, forAnyone[s.Name] != "", transport.Anyone == s.Rule, "%s: what is for strangers is in forAnyone, with the reason", s.Name)
		services, limited := strings.CutPrefix(s.Rule.String(), "members that offer ")
		for _, name := range strings.Split(services, " or ") {
			require.True(t, !limited || known[name], "%s: no service is called %s", s.Name, name)
		}
	}
}
