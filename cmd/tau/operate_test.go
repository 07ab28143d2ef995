package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/live"
)

func operateDoc(t *testing.T) string {
	raw, err := os.ReadFile("../../docs/operate.md")
	require.NoError(t, err)
	return string(raw)
}

// TestEveryMetricAndWarningIsExplained, and none that there is not.
func TestEveryMetricAndWarningIsExplained(t *testing.T) {
	doc := operateDoc(t)
	var metrics []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(tau_[a-z0-9_]+)`").FindAllStringSubmatch(doc, -1) {
		metrics = append(metrics, m[1])
	}
	for _, m := range live.Metrics {
		require.Contains(t, metrics, m.Name)
		require.Contains(t, doc, m.Doc)
	}
	require.Len(t, metrics, len(live.Metrics))

	warnings := warningsInCode(t)
	_, list, found := strings.Cut(doc, "### Warnings")
	require.True(t, found)
	var explained []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| `).FindAllStringSubmatch(list, -1) {
		if row[1] != "warning" {
			explained = append(explained, row[1])
		}
	}
	slices.Sort(explained)
	require.Equal(t, warnings, explained, "docs/operate.md explains each warning of the code")
}

// warningsInCode are the texts of all that a node logs from Warn on.
func warningsInCode(t *testing.T) (texts []string) {
	for _, dir := range []string{"clock", "cmd/tau", "node", "services", "storage", "transport"} {
		require.NoError(t, filepath.WalkDir("../../"+dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				f, selects := call.Fun.(*ast.SelectorExpr)
				text, literal := call.Args[0].(*ast.BasicLit)
				if selects && literal && (f.Sel.Name == "Warn" || f.Sel.Name == "Error") && text.Kind == token.STRING {
					if plain, err := strconv.Unquote(text.Value); err == nil && !slices.Contains(texts, plain) {
						texts = append(texts, plain)
					}
				}
				return true
			})
			return nil
		}))
	}
	slices.Sort(texts)
	return texts
}

// TestBackUpAndRestore runs what docs/operate.md says, as it stands, on a root of its own.
func TestBackUpAndRestore(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(operateDoc(t), "## Back up and restore")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	require.Len(t, blocks, 2)
	script := `set -e -o pipefail
tau config generate -n cloud.example.com -s one --protos all --p2p-port 0 --root /tb
echo correct horse battery staple > /tb/phrase
tau start -s one --root /tb & NODE=$!
trap 'kill -TERM $NODE; wait $NODE' EXIT
job=$(tau push /tb/config --project p -s one --root /tb)
tau logs -f $job -s one --root /tb
` + blocks[0][1] + `rm -r /tb/config /tb/keys /tb/data
` + blocks[1][1] + `tau jobs $job -s one --root /tb | grep success
`
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(script, "/tb", t.TempDir()))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "all as they were written")
}

// TestRepeatedLinesAreTold, each, when a log is followed.
func TestRepeatedLinesAreTold(t *testing.T) {
	for _, c := range []struct{ told, now, want string }{
		{"", "a b", "a b"}, {"a b", "a b", ""}, {"a b", "a b c", "c"}, {".", ". .", "."}, {"start . .", "start . . .", "."}, {"ok - ok -", "ok - ok - ok -", "ok -"},
		{"a b c", "b c d", "d"}, {"c d", "a b c d e", "e"}, {"a x b", "a y x b c", "c"}, {"a b", "c d", "c d"},
	} {
		require.Equal(t, strings.Fields(c.want), append([]string{}, unheard(strings.Fields(c.told), strings.Fields(c.now))...), "%q %q", c.told, c.now)
	}
}
