package toolchains

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/cmd/tau/toolchains/esbuild"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/js"
)

func TestMain(m *testing.M) {
	esbuild.Main()
	os.Exit(m.Run())
}

const program = `import { greet } from "./lib/greet";
import words from "./words.json";
import left from "leftpad";
import text from "./page.txt";

interface Env { NAME: string }

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (new URL(request.url).pathname === "/throws") greet(null!);
    return new Response([greet(env.NAME), words.length, left("x"), text].join(" "));
  },
};
`

func programFiles() map[string]string {
	return map[string]string{
		"index.ts": program, "lib/greet.ts": "export const greet = (name: string): string => {\n  const n: string = name.trim();\n  return `hello ${n}`;\n};\n", "words.json": "[1, 2]", "page.txt": "page",
		"package.json":                          `{"name": "f", "dependencies": {"leftpad": "1"}}`,
		"node_modules/leftpad/package.json":     `{"name": "leftpad", "module": "esm.js", "main": "main.js"}`,
		"node_modules/leftpad/esm.js":           "export default (s) => ' ' + s",
		"node_modules/leftpad/node_unused.wasm": "x",
	}
}

// TestJavaScript: a program in TypeScript of several files and a package is one bundle, which answers, and whose errors name the sources.
func TestJavaScript(t *testing.T) {
	s := newSet(t, build.JavaScript)
	require.Equal(t, build.JavaScriptMark, js.Mark)
	made := module(t, s, order(build.JavaScript, []string{"fetch"}, programFiles()))
	require.True(t, js.Is(made.Asset))
	require.Equal(t, "esbuild "+esbuild.Version, made.Version)

	e, err := engine.New(engine.Options{Hosts: js.Hosts()})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	interpreter, err := js.Module()
	require.NoError(t, err)
	f, err := e.Load(t.Context(), interpreter, js.Setup(engine.Setup{Env: []string{"NAME= you "}}, made.Asset, "fetch"))
	require.NoError(t, err)
	defer f.Close()
	var said, logged strings.Builder
	ask := func(path string) error {
		x := &js.Exchange{Method: "GET", URL: "http://example.com" + path, Head: func(status int, _ [][2]string) error { require.Equal(t, http.StatusOK, status); return nil },
			Write: func(part []byte) { said.Write(part) }}
		_, _, err := f.Call(context.Background(), &engine.Request{Drive: x.Serve, Value: x, Stderr: &logged})
		return err
	}
	require.NoError(t, ask("/"))
	require.Equal(t, "hello you 2  x page", said.String())
	require.ErrorIs(t, ask("/throws"), js.ErrThrown)
	require.Equal(t, "Uncaught TypeError: cannot read property 'trim' of null\n    at greet (lib/greet.ts:2:21)\n    at fetch (index.ts:10:60)\n", logged.String())
}

// TestJavaScriptThatIsWrong: what cannot be bundled is told with file, line and column, and no file of the machine is read.
func TestJavaScriptThatIsWrong(t *testing.T) {
	s := newSet(t, build.JavaScript)
	require.NoError(t, os.WriteFile("/tmp/js-secret.txt", []byte("secret of the machine"), 0o644))
	defer os.Remove("/tmp/js-secret.txt")
	for name, c := range map[string]struct{ file, text, want string }{
		"syntax":         {"index.js", "export default {\n  fetch(request) { return new Response(; }\n}", `functions/f/index.js:2:40: Unexpected ";"`},
		"nothing":        {"index.js", "export const a = 1;", "functions/f/index.js:1:1: it has no default export: expected export default { fetch(request, env)"},
		"missing":        {"index.js", `import x from "./gone.js"; export default x`, `functions/f/index.js:1:15: Could not resolve "./gone.js"`},
		"package":        {"index.ts", `import x from "gone"; export default x`, `functions/f/index.ts:1:15: Could not resolve "gone"`},
		"node":           {"index.ts", `import fs from "node:fs"; export default fs`, `functions/f/index.ts:1:16: Could not resolve "node:fs"`},
		"of the machine": {"index.js", `import x from "/tmp/js-secret.txt"; export default x`, `functions/f/index.js:1:15:`},
		"password":       {"index.js", `import x from "/etc/passwd"; export default x`, `functions/f/index.js:1:15:`},
		"no entry":       {"other.ts", "", "nothing says where the program begins"},
	} {
		var said []string
		o := order(build.JavaScript, []string{"fetch"}, map[string]string{c.file: c.text})
		o.Line = func(l string) { said = append(said, l) }
		_, err := s.Build(t.Context(), o)
		require.True(t, sandbox.IsFault(err), "%s: %v", name, err)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error()+strings.Join(said, ""), "secret of the machine")
		require.NotContains(t, err.Error()+strings.Join(said, ""), "root:")
	}
}

// TestNoFileOfTheMachineIsBundled: without a sandbox, esbuild itself reads nothing outside of the folder, and follows no link to there.
func TestNoFileOfTheMachineIsBundled(t *testing.T) {
	s := New(Config{Cache: t.TempDir(), CacheLen: 1 << 20, Find: func(context.Context) (Runner, error) { return sandbox.Bare{Dir: t.TempDir()}, nil }})
	secret := t.TempDir() + "/secret.txt"
	require.NoError(t, os.WriteFile(secret, []byte("secret of the machine"), 0o644))
	_, err := s.Build(t.Context(), order(build.JavaScript, nil, map[string]string{"index.js": "import x from " + `"` + secret + `"` + "; export default x"}))
	require.ErrorContains(t, err, "secret.txt is not in the function's folder")
}
