package dreamland

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// shrunkTest is a Go test of a scenario, in an external test package, which may import the
// package beside it. Whatever the package of the words is called, here it is words.
var shrunkTest = template.Must(template.New("test").Parse(`package {{.Package}}

import (
	"testing"

	words "{{.Words}}"
	"github.com/taucloud/tau/simtest"
)

// Test{{.Name}}` + shrunkTestMark + `
//
//	{{.Cause}}
func Test{{.Name}}(t *testing.T) {
	simtest.Run(t, words.{{.Function}}(), {{printf "%q" .File}})
}
`))

var nameParts = regexp.MustCompile(`[^A-Za-z0-9]+`)

// testFile is the file of the test beside a scenario.
func testFile(out string) string {
	dir, name := filepath.Split(strings.TrimSuffix(out, ".yaml"))
	return dir + strings.ReplaceAll(name, "-", "_") + "_test.go"
}

// noTest says why no test is written beside a file, "" if one is: it would not compile.
func noTest(out string) string {
	if words.all.Package == "" {
		return "the program does not say which package has its words (Package of its scenario.Vocabulary)"
	}
	dir, inModule := sourceOf(words.all.Package, filepath.Dir(out))
	if !inModule {
		return ""
	}
	function := cmp.Or(words.all.Function, "Vocabulary")
	for _, f := range goFiles(dir, 0) {
		if f.Name.Name == "main" {
			return "package " + words.all.Package + ", which has the words, is a program, which no test can import"
		}
		for _, d := range f.Decls {
			if fn, is := d.(*ast.FuncDecl); is && fn.Recv == nil && fn.Name.Name == function && fn.Type.Params.NumFields() == 0 {
				return ""
			}
		}
	}
	return fmt.Sprintf("package %s has no function %s() that returns the words; the program says another one's name with Function of its scenario.Vocabulary", words.all.Package, function)
}

// sourceOf is where the source of a package is, if it is in the module around a directory.
func sourceOf(pkg, around string) (dir string, inModule bool) {
	root, err := filepath.Abs(around)
	for err == nil {
		text, missing := os.ReadFile(filepath.Join(root, "go.mod"))
		if missing == nil {
			module := moduleLine.FindSubmatch(text)
			if module == nil {
				return "", false
			}
			rest, inside := strings.CutPrefix(pkg+"/", string(module[1])+"/")
			return filepath.Join(root, filepath.FromSlash(rest)), inside
		}
		if root == filepath.Dir(root) {
			break
		}
		root = filepath.Dir(root)
	}
	return "", false
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// goFiles parses the Go files of a directory that can be parsed, without tests; with
// parser.PackageClauseOnly those of tests, too.
func goFiles(dir string, mode parser.Mode) (list []*ast.File) {
	names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range names {
		if mode == 0 && strings.HasSuffix(name, "_test.go") {
			continue
		}
		if f, err := parser.ParseFile(token.NewFileSet(), name, nil, mode); err == nil {
			list = append(list, f)
		}
	}
	return list
}

// testPackage is the package of tests beside the Go files of a directory, or one after its name.
func testPackage(dir string) string {
	for _, f := range goFiles(dir, parser.PackageClauseOnly) {
		return strings.TrimSuffix(f.Name.Name, "_test") + "_test"
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	name := strings.ToLower(nameParts.ReplaceAllString(filepath.Base(abs), ""))
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "shrunk" + name
	}
	return name + "_test"
}

// writeTest writes a test beside the file and returns its name, "" if it would not compile.
func (t *trial) writeTest() (string, error) {
	if noTest(t.flags.out) != "" {
		return "", nil
	}
	file := testFile(t.flags.out)
	text, err := testText(t.flags.out, strings.Split(t.first.Broken()[0], "\n")[0])
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file, text, 0o644)
}

func testText(out, cause string) ([]byte, error) {
	camel := ""
	for _, part := range nameParts.Split(filepath.Base(strings.TrimSuffix(out, ".yaml")), -1) {
		if part != "" {
			camel += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	var text bytes.Buffer
	err := shrunkTest.Execute(&text, map[string]string{
		"Package": testPackage(filepath.Dir(out)), "Name": camel, "File": filepath.Base(out), "Cause": cause,
		"Words": words.all.Package, "Function": cmp.Or(words.all.Function, "Vocabulary"),
	})
	return text.Bytes(), err
}
