package build

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
)

// moduleOf is the smallest module that exports functions.
func moduleOf(names ...string) []byte {
	section := []byte{byte(len(names))}
	for i, name := range names {
		section = append(section, byte(len(name)))
		section = append(section, name...)
		section = append(section, 0, byte(i))
	}
	return append([]byte("\x00asm\x01\x00\x00\x00\x07"+string(rune(len(section)))), section...)
}

func treeOf(t *testing.T, files map[string]string) fs.FS {
	var list []File
	for name, data := range files {
		list = append(list, File{name, []byte(data)})
	}
	fsys, err := FS(list)
	require.NoError(t, err)
	return fsys
}

func planOf(t *testing.T, files map[string]string) ([]Step, error) {
	fsys := treeOf(t, files)
	loaded, err := project.Load(fsys)
	require.NoError(t, err)
	return Plan(loaded.Project, fsys, nil)
}

func shop() map[string]string {
	return map[string]string{
		"tau.yaml":                 "name: shop\nfunctions:\n  ping: {paths: [/ping]}\n  pong: {paths: [/pong], source: ./functions/ping}\n  slow: {paths: [/slow]}\nwebsites:\n  site: {paths: [/]}\n",
		"functions/ping/main.wasm": string(moduleOf("ping", "pong")),
		"functions/slow/go.mod":    "module slow\n",
		"functions/slow/main.go":   "package main\n",
		"websites/site/index.html": "<p>hello",
		"websites/site/a/b.css":    "p {}",
	}
}

func TestPlan(t *testing.T) {
	steps, err := planOf(t, shop())
	require.NoError(t, err)
	for i := range steps {
		require.Len(t, steps[i].Key, 64)
		steps[i].Key = ""
	}
	require.Equal(t, []Step{
		{Toolchain: Prebuilt, Folder: "functions/ping", Targets: []string{"functions/ping", "functions/pong"}, Calls: []string{"ping", "pong"}},
		{Toolchain: Go, Folder: "functions/slow", Targets: []string{"functions/slow"}, Calls: []string{"slow"}},
		{Toolchain: Static, Website: true, Folder: "websites/site", Targets: []string{"websites/site"}},
	}, steps)
}

// TestPlanOfScripts: what looks like JavaScript is that, unless its package.json names another compiler.
func TestPlanOfScripts(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Toolchain
		entry string
	}{
		"one file":         {map[string]string{"index.js": ""}, JavaScript, "index.js"},
		"TypeScript first": {map[string]string{"index.js": "", "index.ts": ""}, JavaScript, "index.ts"},
		"in src":           {map[string]string{"src/worker.mjs": "", "package.json": "{}"}, JavaScript, "src/worker.mjs"},
		"as described":     {map[string]string{"index.js": "", "lib/a.ts": "", "package.json": `{"main": "./lib/a.ts"}`}, JavaScript, "lib/a.ts"},
		"described wrong":  {map[string]string{"index.js": "", "package.json": `{"main": "../../a.js"`}, JavaScript, "index.js"},
		"not there":        {map[string]string{"index.js": "", "package.json": `{"module": "gone.js", "main": "../index.js"}`}, JavaScript, "index.js"},
		"AssemblyScript":   {map[string]string{"index.ts": "", "package.json": `{"devDependencies": {"assemblyscript": "1"}}`}, AssemblyScript, "index.ts"},
		"its options":      {map[string]string{"index.ts": "", "package.json": "{}", "asconfig.json": "{}"}, AssemblyScript, "index.ts"},
		"no entry":         {map[string]string{"package.json": "{}"}, AssemblyScript, ""},
		"Go":               {map[string]string{"index.js": "", "go.mod": ""}, Go, "index.js"},
		"built already":    {map[string]string{"index.js": "", "main.wasm": ""}, Prebuilt, "index.js"},
	} {
		files := map[string]string{"tau.yaml": "name: shop\nfunctions:\n  f: {paths: [/]}\n"}
		for file, data := range c.files {
			files["functions/f/"+file] = data
		}
		steps, err := planOf(t, files)
		require.NoError(t, err, name)
		require.Len(t, steps, 1)
		require.Equal(t, c.want, steps[0].Toolchain, name)
		has := func(file string) bool { _, is := c.files[file]; return is }
		require.Equal(t, c.entry, JavaScriptEntry(has, func(file string) []byte { return []byte(c.files[file]) }), name)
	}
	require.NoError(t, CheckModule([]byte(JavaScriptMark), []string{"f"}))
	require.Error(t, CheckModule([]byte("//tau"), nil))
}

// A key changes with what goes into its step, and with nothing else.
func TestKeys(t *testing.T) {
	before, err := planOf(t, shop())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change  func(files map[string]string)
		changed []bool
	}{
		"nothing":        {func(map[string]string) {}, []bool{false, false, false}},
		"another folder": {func(f map[string]string) { f["websites/site/index.html"] = "<p>bye" }, []bool{false, false, true}},
		"a new file":     {func(f map[string]string) { f["functions/slow/a.go"] = "" }, []bool{false, true, false}},
		"moved bytes":    {func(f map[string]string) { delete(f, "websites/site/a/b.css"); f["websites/site/a/b.cssp"] = " {}" }, []bool{false, false, true}},
		"a toolchain":    {func(f map[string]string) { f["functions/slow/main.wasm"] = "x" }, []bool{false, true, false}},
	} {
		files := shop()
		c.change(files)
		after, err := planOf(t, files)
		require.NoError(t, err)
		for i := range before {
			require.Equal(t, c.changed[i], before[i].Key != after[i].Key, "%s: %s", name, before[i].Folder)
		}
	}
}

func TestWhatCannotBeBuilt(t *testing.T) {
	for name, c := range map[string]struct{ file, content, text string }{
		"nothing": {"functions/slow/README", "", "functions/slow: nothing in functions/slow says how it is built"},
	} {
		files := shop()
		delete(files, "functions/slow/go.mod")
		files[c.file] = c.content
		_, err := planOf(t, files)
		require.ErrorContains(t, err, c.text, name)
	}
}

func TestCheckModule(t *testing.T) {
	good := moduleOf("ping", "pong")
	require.NoError(t, CheckModule(good, []string{"ping"}))
	require.EqualError(t, CheckModule(good, []string{"pang"}), `the module exports no function "pang", which is what is called: it exports "ping", "pong"`)
	require.ErrorContains(t, CheckModule(moduleOf(), []string{"a"}), "it exports none")
	for n := range good {
		if n != 8 { // a module without sections is one
			require.Error(t, CheckModule(good[:n], nil), n)
		}
	}
	require.Error(t, CheckModule([]byte("\x00asm\x0d\x00\x01\x00"), nil), "a component")
	require.Error(t, CheckModule(append(good, 1, 0xff, 0xff, 0xff, 0xff, 0x1f), nil), "a length beyond 32 bits")
}

func FuzzCheckModule(f *testing.F) {
	f.Add(moduleOf("ping"))
	f.Fuzz(func(_ *testing.T, module []byte) { _ = CheckModule(module, []string{"ping"}) })
}

func TestMake(t *testing.T) {
	fsys := treeOf(t, shop())
	steps, err := planOf(t, shop())
	require.NoError(t, err)
	module, ok, err := Make(steps[0], fsys)
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, moduleOf("ping", "pong"), module)
	_, ok, _ = Make(steps[1], fsys)
	require.False(t, ok, "Go is a program")
	first, ok, err := Make(steps[2], fsys)
	require.True(t, ok)
	require.NoError(t, err)
	again, _, _ := Make(steps[2], fsys)
	require.Equal(t, first, again)
	r, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	require.NoError(t, err)
	require.Len(t, r.File, 2)
	in, err := r.Open("a/b.css")
	require.NoError(t, err)
	content, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, "p {}", string(content))
}

func TestBundle(t *testing.T) {
	b := NewBundle()
	require.NoError(t, b.Add(Step{Key: "k", Toolchain: Go, Targets: []string{"functions/a", "functions/b"}}, "go1", []byte("one")))
	require.NoError(t, b.Add(Step{Key: "l", Toolchain: Static, Targets: []string{"websites/c"}}, "", []byte("twos")))
	require.NoError(t, b.Add(Step{Key: "m", Toolchain: Go, Targets: []string{"functions/d"}}, "go1", []byte("one")))
	require.Equal(t, "onetwos", string(b.Content()))
	require.Len(t, b.Entries(), 4)
	for target, want := range map[string]string{"functions/a": "one", "functions/b": "one", "websites/c": "twos", "functions/d": "one"} {
		a, err := DecodeAsset([]byte(b.Entries()[AssetsPrefix+target]))
		require.NoError(t, err)
		asset, ok := Cut(b.Content(), a)
		require.True(t, ok)
		require.Equal(t, want, string(asset))
		for _, bad := range []Asset{{Offset: -1, Size: 1}, {Offset: 5, Size: 3}, {Offset: 1 << 62, Size: 1 << 62}, {Size: -1}, {Offset: a.Offset, Size: a.Size}} {
			_, ok := Cut(b.Content(), bad)
			require.False(t, ok)
		}
	}
	require.Error(t, b.Add(Step{Targets: []string{"x"}}, "", make([]byte, BundleLenMax)))
}

// FuzzBundle: whatever the entries of a version say of a bundle, and whatever that is, what is cut out of it is the asset that was put in, or
// nothing is.
func FuzzBundle(f *testing.F) {
	b := NewBundle()
	require.NoError(f, b.Add(Step{Key: "k", Toolchain: Go, Targets: []string{"functions/a"}}, "go1", []byte("one")))
	f.Add([]byte(b.Entries()[AssetsPrefix+"functions/a"]), b.Content())
	f.Add(Encode(Provenance{}), []byte{})
	f.Fuzz(func(t *testing.T, entry, bundle []byte) {
		_, _ = DecodeProvenance(entry)
		a, err := DecodeAsset(entry)
		if err != nil {
			return
		}
		asset, ok := Cut(bundle, a)
		sum := sha256.Sum256(asset)
		require.True(t, !ok || int64(len(asset)) == a.Size && hex.EncodeToString(sum[:]) == a.Hash)
	})
}
