// Package esbuild bundles JavaScript and TypeScript, by esbuild, in this program itself started as a child: a bundler reads what others have
// pushed, so it runs in a sandbox like any compiler.
package esbuild

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/taucloud/tau/wasm/js"
)

// Word is the first argument of a program that is to be this bundler. After it come the entry, the file to write, and what is called.
const Word = "bundle-with-esbuild"

// Version is esbuild's, and with a dash that of how it is asked.
const Version = "0.28.2-1"

var able bool

// Able reports whether this program is a bundler when it is started with [Word].
func Able() bool { return able }

// Main is for the first lines of a program: it ends the process if that was started to be this bundler.
func Main() {
	if len(os.Args) < 4 || os.Args[1] != Word {
		able = true
		return
	}
	if !run(os.Args[2], os.Args[3], os.Args[4:], os.Stdout) {
		os.Exit(1)
	}
	os.Exit(0)
}

// run bundles what begins with an entry, in the working directory, and says on lines that begin with file:line:col what is wrong with it.
func run(entry, into string, calls []string, says io.Writer) bool {
	root, err := os.Getwd()
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		fmt.Fprintln(says, err)
		return false
	}
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{entry}, AbsWorkingDir: root, Outfile: "bundle.js", Bundle: true, Metafile: true, LogLevel: api.LogLevelSilent,
		Format: api.FormatESModule, Platform: api.PlatformNeutral, Target: api.ES2023, MainFields: []string{"module", "main"},
		Conditions: []string{"workerd", "worker", "module"}, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsEndOfFile,
		Define: map[string]string{"process.env.NODE_ENV": `"production"`}, Loader: map[string]api.Loader{".txt": api.LoaderText, ".html": api.LoaderText, ".sql": api.LoaderText},
		Sourcemap: api.SourceMapInline, SourcesContent: api.SourcesContentExclude, Banner: map[string]string{"js": strings.TrimSuffix(js.Mark, "\n")},
		Plugins: []api.Plugin{within(root)},
	})
	for _, m := range result.Warnings {
		fmt.Fprintln(says, "warning:", told(m))
	}
	if len(result.Errors) > 0 {
		for _, m := range result.Errors {
			fmt.Fprintln(says, told(m))
		}
		return false
	}
	bundle := result.OutputFiles[0].Contents
	switch exports := exportsOf(result.Metafile); {
	case len(bundle) > js.CodeMax:
		fmt.Fprintf(says, "%s:1:1: the bundle has %d bytes, at most %d are allowed\n", entry, len(bundle), js.CodeMax)
		return false
	case !slices.Contains(exports, "default") && slices.ContainsFunc(calls, func(call string) bool { return !slices.Contains(exports, call) }):
		fmt.Fprintf(says, "%s:1:1: it has no default export: expected export default { fetch(request, env) { return new Response(\"hello\"); } }\n", entry)
		return false
	}
	if err := os.WriteFile(into, bundle, 0o600); err != nil {
		fmt.Fprintln(says, err)
		return false
	}
	return true
}

// told is a message of esbuild on one line, with its first note.
func told(m api.Message) string {
	text := m.Text
	if l := m.Location; l != nil {
		text = fmt.Sprintf("%s:%d:%d: %s", l.File, l.Line, l.Column+1, m.Text)
	}
	if len(m.Notes) > 0 {
		text += " (" + m.Notes[0].Text + ")"
	}
	return strings.Join(strings.Fields(text), " ")
}

// exportsOf are the names that a bundle exports.
func exportsOf(metafile string) (names []string) {
	var m struct {
		Outputs map[string]struct {
			EntryPoint string   `json:"entryPoint"`
			Exports    []string `json:"exports"`
		} `json:"outputs"`
	}
	_ = json.Unmarshal([]byte(metafile), &m) // it is esbuild's own
	for _, o := range m.Outputs {
		if o.EntryPoint != "" {
			names = append(names, o.Exports...)
		}
	}
	return names
}

// within refuses files that are not below a folder: esbuild reads whatever is imported, and prints lines of it.
func within(root string) api.Plugin {
	return api.Plugin{Name: "within", Setup: func(b api.PluginBuild) {
		b.OnLoad(api.OnLoadOptions{Filter: ".*"}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			if a.Namespace != "file" {
				return api.OnLoadResult{}, nil
			}
			real, err := filepath.EvalSymlinks(a.Path)
			if err != nil || real != root && !strings.HasPrefix(real, root+string(filepath.Separator)) {
				return api.OnLoadResult{}, fmt.Errorf("%s is not in the function's folder", filepath.Base(a.Path))
			}
			return api.OnLoadResult{}, nil
		})
	}}
}
