package tau_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzed says, of each package in which bytes become something, which fuzz targets reach that: what others may have written or
// sent. An entry without any has the reason.
var fuzzed = map[string]struct {
	targets []string // DIR.NAME, or NAME for one of the package itself
	why     string
}{
	"node":                        {why: "its own disk; FuzzAdmit and FuzzOpen have the statements that are kept there"},
	"project":                     {targets: []string{"FuzzParse", "FuzzRepository", "FuzzCompile", "FuzzDecodeRoutes"}},
	"project/build":               {targets: []string{"FuzzCheckModule", "FuzzBundle"}},
	"services/substrate":          {why: "its own disk"},
	"services/auth":               {targets: []string{"FuzzRequests", "FuzzEntries"}},
	"services/hoarder":            {targets: []string{"FuzzRequests", "FuzzEntries", "FuzzRecords"}},
	"services/patrick":            {targets: []string{"FuzzRequests", "FuzzEntries"}},
	"services/patrick/patrickapi": {targets: []string{"FuzzDecodeTree"}},
	"services/patrick/webhook":    {targets: []string{"FuzzRead"}},
	"services/seer":               {targets: []string{"FuzzRequests", "FuzzDecodeBeacon"}},
	"services/tns":                {targets: []string{"FuzzRequests", "FuzzEntries"}},
	"services/tns/tnsapi":         {targets: []string{"transport.FuzzDecode"}},
	"storage/blocks":              {targets: []string{"FuzzNode", "FuzzResponse"}},
	"storage/replicated":          {targets: []string{"FuzzDelta", "FuzzFold", "FuzzVector", "FuzzHeads"}},
	"transport":                   {targets: []string{"FuzzDecode", "FuzzDecodeFrame", "FuzzEngine", "FuzzHello"}},
	"transport/addressbook":       {targets: []string{"FuzzOpen"}},
	"transport/credentials":       {targets: []string{"FuzzAdmit"}},
	"transport/httpstream":        {targets: []string{"FuzzServer", "FuzzClient"}},
	"transport/libp2p":            {targets: []string{"FuzzReadFrame", "FuzzAddresses"}},
	"transport/membership":        {targets: []string{"FuzzStatements", "FuzzPresented", "FuzzTicket"}},
}

// testOnly are packages for tests.
var testOnly = []string{"transport/transporttest", "transport/goldentest", "node/nodetest", "storage/storagetest"}

// TestFormatsAreFuzzed: each package of what a node runs in which bytes are decoded is in the list above, with fuzz targets that
// there are (`make fuzz` runs all). A service that serves others has arbitrary requests sent, and one that replicates
// arbitrary entries.
func TestFormatsAreFuzzed(t *testing.T) {
	targets, decoding := map[string]bool{}, map[string]string{}
	serves, replicates := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			for _, d := range s.file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fuzz") {
					targets[s.dir+"."+f.Name.Name] = true
				}
			}
			continue
		}
		if !slices.ContainsFunc([]string{"node", "project", "services", "storage", "transport"}, func(room string) bool { return under(s.dir, room) }) || slices.Contains(testOnly, s.dir) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch callee := nameOf(call.Fun); {
			case decodes(s, callee):
				decoding[s.dir] = s.at(n)
			case callee == "env.OpenReplicated":
				replicates[s.dir] = true
			case strings.HasSuffix(callee, ".Serve") && strings.Count(s.dir, "/") == 1 && under(s.dir, "services"):
				serves[s.dir] = true
			}
			return true
		})
	}
	for dir, at := range decoding {
		require.Contains(t, fuzzed, dir, "%s decodes: name the fuzz targets that reach it in fuzz_test.go", at)
	}
	for dir, has := range fuzzed {
		require.True(t, len(has.targets) > 0 != (has.why != ""), "%s: fuzz targets, or why there are none", dir)
		for _, name := range has.targets {
			if !strings.Contains(name, ".") {
				name = dir + "." + name
			}
			require.True(t, targets[name], "fuzz_test.go: there is no %s", name)
		}
	}
	require.NotEmpty(t, replicates)
	for dir := range replicates {
		require.True(t, targets[dir+".FuzzEntries"], "%s replicates: let nodetest.FuzzEntries write what a bad replica may", dir)
	}
	for dir := range serves {
		_, service, _ := strings.Cut(dir, "/")
		whole := "services.Fuzz" + strings.ToUpper(service[:1]) + service[1:] // with the others that it needs
		require.True(t, targets[dir+".FuzzRequests"] || targets[whole], "%s serves others: let nodetest.FuzzService send what they may", dir)
	}
}

// nameOf is what is called, by its last two names.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		switch x := e.X.(type) {
		case *ast.Ident:
			return x.Name + "." + e.Sel.Name
		case *ast.SelectorExpr:
			return x.Sel.Name + "." + e.Sel.Name
		}
		return "." + e.Sel.Name
	case *ast.IndexExpr:
		return nameOf(e.X)
	}
	return ""
}

func decodes(s source, callee string) bool {
	name := callee[strings.LastIndexByte(callee, '.')+1:]
	switch {
	case s.dir == "transport" && callee == "Decode", callee == "transport.Decode", callee == "json.NewDecoder", callee == "http.ReadRequest", callee == "http.ReadResponse":
		return true
	}
	return strings.HasPrefix(name, "Unmarshal")
}
