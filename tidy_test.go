// Package tau_test holds the conventions of the whole tree. Each message names
// the remedy.
package tau_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/taucloud/tau"

// source is one parsed Go file.
type source struct {
	path string // relative to the module
	dir  string
	test bool
	file *ast.File
	fset *token.FileSet
}

func (s source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return s.path + ":" + strconv.Itoa(p.Line)
}

func sources(t *testing.T) []source {
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path, filepath.ToSlash(filepath.Dir(path)), strings.HasSuffix(path, "_test.go"), file, fset})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// mayImport lists, for each room, the rooms of this module that it may import.
// A room ends where a longer entry begins.
var mayImport = []struct {
	room    string
	allowed []string
	why     string
}{
	{"clock", nil, "clock is at the bottom"},
	{"yamltree", nil, "a reader of files knows no words"},
	{"cmdline", []string{"yamltree"}, "what command lines share knows no command"},
	{"wasm", nil, "whoever runs WebAssembly knows no service, no network and no disk of ours"},
	{"sdk", nil, "functions are compiled with it, and with nothing else"},
	{"project", []string{"yamltree"}, "a project knows no service and no world: what is published of it are entries"},
	{"transport/libp2p", []string{"clock", "transport"}, "an adapter knows its port only"},
	{"transport", []string{"clock"}, "transport stands on clock"},
	{"storage", []string{"clock", "transport"}, "storage stands on clock and transport"},
	{"node", []string{"clock", "transport", "storage"}, "node stands on clock, transport and storage"},
	{"services", []string{"clock", "transport", "storage", "node", "services", "project", "wasm"}, "services know nothing of the worlds they run in; checks and actions live in scenarios"},
	{"sim", []string{"clock", "transport", "storage", "node", "sim", "yamltree"}, "sim knows no service: words for services come from a scenario.Vocabulary"},
	{"dreamland", []string{"clock", "transport", "storage", "node", "sim", "cmdline"}, "the command line knows no service: a program hands its words to dreamland.Main"},
	{"simtest", []string{"clock", "transport", "storage", "node", "sim"}, "tests of anybody's services: words come from the caller"},
	{"dreamtest", []string{"clock", "transport", "storage", "node", "sim", "services", "scenarios", "project", "cmd"}, "a test of a project runs it in either world"},
	{"examples", []string{"clock", "transport", "storage", "node", "sim", "dreamland", "simtest"}, "examples show what other modules can do: they know none of our services"},
	{"scenarios", []string{"clock", "transport", "storage", "node", "sim", "services", "fixtures", "docs", "project", "wasm"}, "scenarios are stories about services in the simulated world"},
	{"fixtures", []string{"transport"}, "fixtures are data"},
	{"cmd", []string{"clock", "transport", "storage", "node", "sim", "services", "scenarios", "fixtures", "dreamland", "project", "sdk", "wasm", "yamltree", "cmdline"}, "cmd wires it all"},
}

func under(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func TestImportDirection(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "." {
			continue
		}
		for _, rule := range mayImport {
			if !under(s.dir, rule.room) {
				continue
			}
			for _, imp := range s.file.Imports {
				path, _ := strconv.Unquote(imp.Path.Value)
				room, ours := strings.CutPrefix(path, module+"/")
				if !ours || under(room, rule.room) || s.test && testMayImport(room) {
					continue
				}
				ok := false
				for _, a := range rule.allowed {
					ok = ok || under(room, a)
				}
				require.True(t, ok, "%s imports %s: %s", s.at(imp), room, rule.why)
				require.False(t, !s.test && room == "storage/pebbledisk" && rule.room != "cmd", "%s: services are given a disk, cmd says which", s.at(imp))
				require.False(t, !s.test && room == "transport/libp2p" && rule.room != "cmd" && rule.room != "sim" && rule.room != "transport/libp2p",
					"%s: adapters with foreign goroutines are wired by cmd and by the world", s.at(imp))
			}
			break
		}
	}
}

// TestWordsMeetAtTheirEvidence: what users do and what is demanded of one kind of thing
// is told without another; who looks at everything, and the list of all, know all.
func TestWordsMeetAtTheirEvidence(t *testing.T) {
	shared := []string{"evidence", "replicas", "users", "worldtest"}
	for _, s := range sources(t) {
		own, ok := strings.CutPrefix(s.dir, "scenarios/words/")
		if !ok || own == "audit" || s.test {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			other, ours := strings.CutPrefix(path, module+"/scenarios/words/")
			require.False(t, ours && other != own && !slices.Contains(shared, other),
				"%s imports %s: put what both need into scenarios/words/evidence", s.at(imp), other)
		}
	}
}

// TestRoomsAreOnTheMap: each package is in the table of ARCHITECTURE.md, by itself or
// with others that are one kind of thing.
func TestRoomsAreOnTheMap(t *testing.T) {
	kinds := []string{"services", "scenarios/words", "scenarios/mutation", "storage/internal", "."}
	raw, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(raw), "\n| room |")
	table, _, found := strings.Cut(table, "\n\n")
	require.True(t, found, "ARCHITECTURE.md has the table of rooms")
	for _, s := range sources(t) {
		kind := slices.ContainsFunc(kinds, func(kind string) bool { return under(s.dir, kind) })
		require.True(t, kind || strings.Contains(table, "`"+s.dir+"`"), "the table of rooms in ARCHITECTURE.md does not have %s", s.dir)
	}
}

// TestStoresMeetAtTheirContracts: the stores know package storage and what they
// share in storage/internal, not each other. Services name the contracts only; which
// store keeps them is wired by node. What checks read from a disk, in inspect.go, is
// the store's own format.
func TestStoresMeetAtTheirContracts(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			room, _ := strings.CutPrefix(path, module+"/")
			store := under(room, "storage/localkv") || under(room, "storage/replicated") || under(room, "storage/blocks")
			switch {
			case s.dir == "storage":
				require.False(t, store || under(room, "storage/internal"), "%s imports %s: package storage is contracts only", s.at(imp), room)
			case under(s.dir, "storage") && s.dir != "storage/storagetest":
				require.False(t, store, "%s imports %s: stores know package storage and storage/internal, not each other", s.at(imp), room)
			case under(s.dir, "services") && filepath.Base(s.path) != "inspect.go":
				require.False(t, store, "%s imports %s: use the interface in package storage that Env gives", s.at(imp), room)
			}
		}
	}
}

// testMayImport lets tests of a room use the conformance suites of others, and
// node, of whose types nodetest is.
func testMayImport(room string) bool {
	return room == "node" || strings.HasSuffix(room, "test") || strings.HasSuffix(room, "memdisk") || room == "fixtures/guests" || room == "sdk" || room == "transport/libp2p"
}

func TestServicesMeetOnTheWire(t *testing.T) {
	for _, s := range sources(t) {
		parts := strings.Split(s.dir, "/")
		if len(parts) < 2 || parts[0] != "services" {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			room, ours := strings.CutPrefix(path, module+"/services/")
			if !ours {
				continue
			}
			other := strings.Split(room, "/")
			if other[0] == parts[1] {
				continue
			}
			require.True(t, len(other) == 2 && other[1] == other[0]+"api",
				"%s imports services/%s: a service meets another on the wire only; import services/%s/%sapi", s.at(imp), room, other[0], other[0])
		}
	}
}

// banned calls of the standard library in service code, with the replacement.
var banned = map[string]string{
	"time.Now": "Env.Loop.Now, or Elapsed for durations", "time.Since": "Env.Loop.Elapsed", "time.Until": "Env.Loop.Elapsed",
	"time.Sleep": "clock.Sleep", "time.After": "clock.Sleep or Loop.AfterFunc", "time.AfterFunc": "Loop.AfterFunc",
	"time.NewTimer": "Loop.AfterFunc", "time.NewTicker": "clock.Every", "time.Tick": "clock.Every",
	"context.WithTimeout": "clock.WithTimeout", "context.WithDeadline": "clock.WithTimeout", "context.Background": "the ctx that the task was given",
	"os.Exit": "return an error", "os.Getenv": "settings",
}

// bannedImports cannot be used in service code at all.
var bannedImports = map[string]string{
	"sync": "a turn needs no lock; wait with Loop.Park, clock.First or clock.Queue", "sync/atomic": "a turn needs no atomics",
	"crypto/rand": "Env.Rand", "math/rand": "Env.Rand (math/rand/v2)", "os": "settings and storage", "net": "Env.Wire",
}

// bannedHTTP is what net/http would do with goroutines, sockets and clocks of its own. Handlers are served, and requests
// made, by transport/httpstream.
var bannedHTTP = []string{"Client", "DefaultClient", "DefaultServeMux", "DefaultTransport", "Get", "Handle", "HandleFunc", "Head", "ListenAndServe", "Post", "PostForm", "Serve", "Server", "TimeoutHandler", "Transport"}

func TestTurnRulesInServices(t *testing.T) {
	for _, s := range sources(t) {
		if !under(s.dir, "services") || s.test {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			require.NotContains(t, bannedImports, path, "%s: use %s instead", s.at(imp), bannedImports[path])
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				require.Fail(t, "go statement", "%s: use Env.Loop.Go", s.at(n))
			case *ast.SelectStmt:
				require.Fail(t, "select", "%s: use clock.First, clock.Queue or Loop.Park", s.at(n))
			case *ast.ChanType:
				require.Fail(t, "channel", "%s: use clock.Queue", s.at(n))
			case *ast.SelectorExpr:
				checkSelector(t, s, n)
			}
			return true
		})
	}
}

func checkSelector(t *testing.T, s source, n *ast.SelectorExpr) {
	pkg, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	name := pkg.Name + "." + n.Sel.Name
	if remedy, found := banned[name]; found {
		require.Fail(t, "banned call", "%s: %s: use %s", s.at(n), name, remedy)
	}
	if pkg.Name == "http" && slices.Contains(bannedHTTP, n.Sel.Name) {
		require.Fail(t, "banned call", "%s: %s: use transport/httpstream", s.at(n), name)
	}
	if pkg.Name == "rand" && strings.HasPrefix(n.Sel.Name, "New") {
		return
	}
	if pkg.Name == "rand" && n.Sel.Name != "Rand" && n.Sel.Name != "Source" {
		require.Fail(t, "global rand", "%s: %s draws from the global source: use Env.Rand", s.at(n), name)
	}
}

// contextAfterFuncIn are the places of context.AfterFunc: it only notes in one that a context has ended, and hands in the other that of
// a context from outside on to the one within a live loop.
var contextAfterFuncIn = []string{"clock/live.go", "sim/park.go"}

// TestWhatEndsEndsInATurn: context.AfterFunc runs its function on a goroutine of
// its own, which races with the turn that ended the context.
func TestWhatEndsEndsInATurn(t *testing.T) {
	found := map[string]bool{}
	for _, s := range sources(t) {
		if under(s.dir, "transport/libp2p") || under(s.dir, "dreamland") {
			continue // goroutines are what they are about
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "context" || sel.Sel.Name != "AfterFunc" {
				return true
			}
			if slices.Contains(contextAfterFuncIn, s.path) {
				found[s.path] = true
				return true
			}
			require.Fail(t, "context.AfterFunc", "%s: it runs beside all turns: derive the context (context.WithCancel, clock.WithTimeout), or have a task that parks until the context ends do it", s.at(n))
			return true
		})
	}
	for _, path := range contextAfterFuncIn {
		require.True(t, found[path], "%s has no context.AfterFunc any more: drop the exception", path)
	}
}

func TestExportsAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && !plainMethod(d) {
					require.NotNil(t, d.Doc, "%s: document %s", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() {
						require.True(t, d.Doc != nil || ts.Doc != nil, "%s: document %s", s.at(ts), ts.Name.Name)
					}
				}
			}
		}
	}
}

// plainMethod: String, Error and the sort and heap methods speak for themselves.
func plainMethod(d *ast.FuncDecl) bool {
	switch d.Name.Name {
	case "String", "Error", "Is", "Unwrap", "Len", "Less", "Swap", "Push", "Pop", "Name":
		return d.Recv != nil
	}
	return false
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// The tail is what makes a codebase hard to read.
const (
	fileLinesMax = 420
	funcLinesMax = 80
)

func TestNothingIsTooLong(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		lines := s.fset.File(s.file.Pos()).LineCount()
		require.LessOrEqual(t, lines, fileLinesMax, "%s has %d lines: split it by idea", s.path, lines)
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line
				require.LessOrEqual(t, n, funcLinesMax, "%s: %s has %d lines: split it by idea", s.at(f), f.Name.Name, n)
			}
		}
	}
}

func TestServiceReadmesHaveSixSections(t *testing.T) {
	dirs, err := os.ReadDir("services")
	require.NoError(t, err)
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("services", d.Name(), "README.md"))
		require.NoError(t, err)
		at := -1
		for _, section := range []string{"Promise", "Messages", "Keys", "Invariants", "Faults it survives", "Scenarios"} {
			i := strings.Index(string(raw), "\n## "+section+"\n")
			require.Greater(t, i, at, "services/%s/README.md needs the section %q, in the order of the other services", d.Name(), section)
			at = i
		}
	}
}
