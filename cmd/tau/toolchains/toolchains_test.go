package toolchains

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/wasm/engine"
)

var found = sync.OnceValues(func() (Runner, error) { return sandbox.Find(context.Background()) })

// newSet is one in the sandbox of this machine. Where there is none, or no such toolchain, the test is skipped, but not where CI runs.
func newSet(t *testing.T, kind build.Toolchain) *Set {
	s := New(Config{
		AssemblyScript: os.Getenv("ASSEMBLYSCRIPT"), Cache: t.TempDir(), CacheLen: 64 << 20,
		Find: func(context.Context) (Runner, error) { return found() },
	})
	if _, err := s.Toolchain(t.Context(), build.Step{Toolchain: kind}); err != nil {
		if os.Getenv("CI") != "" && (kind != build.AssemblyScript || os.Getenv("ASSEMBLYSCRIPT") != "") {
			require.NoError(t, err)
		}
		t.Skip(err)
	}
	return s
}

func order(kind build.Toolchain, calls []string, files map[string]string) Order {
	o := Order{Project: "p", Step: build.Step{Toolchain: kind, Folder: "functions/f", Targets: []string{"functions/f"}, Calls: calls, Key: string(kind)}, Line: func(string) {}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		o.Step.Key += "\n" + name + "\n" + files[name]
		o.Files = append(o.Files, build.File{Path: name, Data: []byte(files[name])})
	}
	return o
}

// module builds a step twice, the second time without what was kept, and requires equal modules that can be called.
func module(t *testing.T, s *Set, o Order) Made {
	t.Helper()
	var said []string
	o.Line = func(l string) { said = append(said, l) }
	first, err := s.Build(t.Context(), o)
	require.NoError(t, err, strings.Join(said, "\n"))
	require.NoError(t, build.CheckModule(first.Asset, o.Step.Calls))
	require.False(t, first.Kept)
	again, err := s.Build(t.Context(), o)
	require.NoError(t, err)
	require.True(t, again.Kept)
	require.NoError(t, os.RemoveAll(filepath.Join(s.cfg.Cache, "assets")))
	anew, err := s.Build(t.Context(), o)
	require.NoError(t, err)
	require.False(t, anew.Kept)
	require.Equal(t, first, anew)
	return first
}

const goModule = "module f\n\ngo 1.24\n"

func TestGo(t *testing.T) {
	warmPackages = []string{"unsafe"} // the rest takes long
	s := newSet(t, build.Go)
	made := module(t, s, order(build.Go, []string{"ping"}, map[string]string{"go.mod": goModule, "main.go": "package main\n\n//go:wasmexport ping\nfunc ping(event uint32) uint32 { return event }\n\nfunc main() {}\n"}))
	require.Regexp(t, `^go1\.`, made.Version)
	prepared, err := engine.Prepare(made.Asset)
	require.NoError(t, err)
	require.True(t, prepared.Facts.GoRandom, "the engine does not find Go's random numbers: each request would draw the same")

	_, err = s.Build(t.Context(), order(build.Go, nil, map[string]string{"go.mod": goModule, "bad.go": "package main\n\nfunc main() { undefined() }\n"}))
	require.True(t, sandbox.IsFault(err), err)
	require.ErrorContains(t, err, "functions/f/bad.go:3:15: undefined: undefined", "from the root of the project")
	_, err = s.Build(t.Context(), order(build.Go, []string{"x"}, map[string]string{"go.mod": goModule + "require example.com/gone v1.0.0\n", "x.go": "package main\n\nimport _ \"example.com/gone\"\n\nfunc main() {}\n"}))
	require.True(t, sandbox.IsFault(err), err)
	require.ErrorContains(t, err, "functions/f/x.go:3:8: ")
	require.ErrorContains(t, err, "example.com/gone")
}

// compiler counts how often the library is compiled.
type compiler struct{ runs atomic.Int32 }

func (c *compiler) Backend() string { return "none" }
func (c *compiler) Apart() string   { return "none at all" }

func (c *compiler) Run(context.Context, sandbox.Job) ([]byte, error) {
	c.runs.Add(1)
	time.Sleep(2 * lockEvery)
	return []byte("made"), nil
}

// TestNodesShareWhatIsWarm: of two nodes that need Go's library at once, one compiles it, and both say so at once.
func TestNodesShareWhatIsWarm(t *testing.T) {
	var c compiler
	var nodes sync.WaitGroup
	shared := filepath.Join(t.TempDir(), "warm")
	for range 2 {
		w := &warm{set: New(Config{Cache: t.TempDir(), Warm: shared}), runner: &c, tool: &tool{version: "go1.99"}}
		nodes.Go(func() {
			said := []string{}
			file, err := w.archive(t.Context(), func(l string) { said = append(said, l) })
			assert.NoError(t, err)
			assert.Equal(t, []string{"the library of go1.99 is compiled for WebAssembly, once for this universe: that takes a minute or two"}, said)
			made, err := os.ReadFile(file)
			assert.NoError(t, err)
			assert.Equal(t, "made", string(made))
		})
	}
	nodes.Wait()
	require.EqualValues(t, 1, c.runs.Load())
	unlock, err := lock(t.Context(), filepath.Join(shared, "go.lock"))
	require.NoError(t, err)
	defer unlock()
	waits, stop := context.WithCancel(t.Context())
	stop()
	_, err = lock(waits, filepath.Join(shared, "go.lock"))
	require.ErrorIs(t, err, context.Canceled, "who waits goes when the build ends")
}

func TestC(t *testing.T) {
	s := newSet(t, build.C)
	made := module(t, s, order(build.C, []string{"ping"}, map[string]string{
		"a.c": "#include <stdlib.h>\n#include \"b c.h\"\nint ping(int event) { return helper(event) + atoi(\"1\"); }\n", "sub/it's.c": "int helper(int x) { return x; }\n", "b c.h": "int helper(int);\n",
	}))
	require.Contains(t, made.Version, "clang")
	_, err := s.Build(t.Context(), order(build.C, nil, map[string]string{"a.c": "int ping( {"}))
	require.True(t, sandbox.IsFault(err), err)
	_, err = s.Build(t.Context(), order(build.C, nil, map[string]string{"a.c": "#include \"/etc/passwd\"\n"}))
	require.True(t, sandbox.IsFault(err), err)
	require.ErrorContains(t, err, "error generated")
}

func TestAssemblyScript(t *testing.T) {
	s := newSet(t, build.AssemblyScript)
	made := module(t, s, order(build.AssemblyScript, []string{"ping"}, map[string]string{"package.json": "{}", "assembly/index.ts": "export function ping(event: u32): u32 { assert(event > 0); return event; }\n"}))
	require.Regexp(t, `^asc \d`, made.Version)
	_, err := s.Build(t.Context(), order(build.AssemblyScript, nil, map[string]string{"package.json": "{}", "other.ts": ""}))
	require.ErrorContains(t, err, "expected one of assembly/index.ts")
}

func TestScripts(t *testing.T) {
	s := newSet(t, build.Script)
	o := order(build.Script, nil, map[string]string{"in.txt": "salt", ".taubyte/build.sh": `mkdir -p $OUT/d && cp in.txt "$OUT/d/$NAME.txt" && printf %s "$TOKEN" | tr a-z A-Z >$OUT/t && echo "the token is $TOKEN"`})
	o.Step.Website, o.Step.Scripts, o.Step.Variables = true, []string{".taubyte/build.sh"}, []build.Variable{{Name: "NAME", Value: "it's"}}
	o.Secrets = map[string]string{"TOKEN": "sesame"}
	var said []string
	o.Line = func(l string) { said = append(said, l) }
	made, err := s.Build(t.Context(), o)
	require.NoError(t, err, said)
	require.Contains(t, said, "the token is ***")
	want, err := build.Left(o.Step, []build.File{{Path: "d/it's.txt", Data: []byte("salt")}, {Path: "t", Data: []byte("SESAME")}})
	require.NoError(t, err)
	require.Equal(t, want, made.Asset)
	made, err = s.Build(t.Context(), o)
	require.NoError(t, err)
	require.True(t, made.Kept)
	o.Secrets = map[string]string{"TOKEN": "other"}
	made, err = s.Build(t.Context(), o)
	require.NoError(t, err)
	require.False(t, made.Kept, "a secret is part of what a script makes")
	version, err := s.Toolchain(t.Context(), o.Step)
	require.NoError(t, err)
	require.Empty(t, version)

	for script, want := range map[string]string{
		"exit 3":                            "exit code 3",
		"false; true":                       "exit code 1",
		"true":                              "no files in $OUT",
		"ln -s /etc/passwd $OUT/index.html": "no plain file",
		"mkfifo $OUT/f":                     "no plain file",
		"touch $OUT/a; ln $OUT/a $OUT/b":    "no plain file",
		"kill -9 $PPID":                     "",
		"perl -e 'socket(S,2,1,0) or die' && touch $OUT/a": "exit code",
	} {
		o := order(build.Script, nil, map[string]string{"b.sh": script})
		o.Step.Website, o.Step.Scripts = true, []string{"b.sh"}
		_, err := s.Build(t.Context(), o)
		require.True(t, sandbox.IsFault(err), "%s: %v", script, err)
		require.ErrorContains(t, err, want, script)
	}
}

// TestCommands: those of tau.yaml, what they say that they make, and the network that they ask for.
func TestCommands(t *testing.T) {
	s := newSet(t, build.Script)
	o := order(build.Script, nil, map[string]string{"in.txt": "salt"})
	o.Step.Website, o.Step.Output, o.Step.Variables = true, "dist/it's", []build.Variable{{Name: "OUT", Value: "/usr"}, {Name: "result", Value: "/x"}}
	o.Step.Commands = []string{"mkdir -p \"dist/it's\"", "cd dist\ncp ../in.txt \"it's/a.txt\" # 'x", "[ $OUT = /usr ]"}
	o.Secrets = map[string]string{"TOKEN": "sesame"}
	made, err := s.Build(t.Context(), o)
	require.NoError(t, err)
	want, err := build.Left(o.Step, []build.File{{Path: "a.txt", Data: []byte("salt")}})
	require.NoError(t, err)
	require.Equal(t, want, made.Asset)

	o.Step.Website, o.Step.Output, o.Step.Key = false, "in.txt", "module"
	made, err = s.Build(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "salt", string(made.Asset))
	for key, c := range map[string]struct {
		change func(*build.Step)
		want   string
	}{
		"a file of a website": {func(s *build.Step) { s.Website = true }, "in.txt is a file, and a website is a folder"},
		"nothing":             {func(s *build.Step) { s.Output = "gone" }, "the steps have left no gone"},
		"no module":           {func(s *build.Step) { s.Output = "dist" }, "no main.wasm"},
		"a step that fails":   {func(s *build.Step) { s.Commands = []string{"false; true"} }, "exit code 1"},
		"network":             {func(s *build.Step) { s.Network = build.NetworkNeeded }, "has not allowed to the project p (build-network)"},
	} {
		wrong := o
		wrong.Step.Key = key
		c.change(&wrong.Step)
		_, err := s.Build(t.Context(), wrong)
		require.True(t, sandbox.IsFault(err), "%s: %v", key, err)
		require.ErrorContains(t, err, c.want, key)
	}
}

// TestTheNetworkOfAStep: who asks for none gets none, whatever is allowed.
func TestTheNetworkOfAStep(t *testing.T) {
	t.Parallel()
	for asked, want := range map[build.Network]bool{build.NetworkIfAllowed: true, build.NetworkNone: false, build.NetworkNeeded: true} {
		reached := !want
		s := New(Config{Cache: t.TempDir(), Networks: []string{"p"}, Find: func(context.Context) (Runner, error) {
			return fake{func(j sandbox.Job) ([]byte, error) { reached = j.Network; return nil, errors.New("seen") }}, nil
		}})
		o := order(build.Script, nil, nil)
		o.Step.Commands, o.Step.Network = []string{"true"}, asked
		_, err := s.Build(t.Context(), o)
		require.ErrorContains(t, err, "seen")
		require.Equal(t, want, reached, "%d", asked)
	}
}

type containers struct{ fake }

func (e containers) Run(ctx context.Context, image string, j sandbox.Job) ([]byte, error) {
	if image != "x/y:1" {
		return nil, errors.New("another image")
	}
	return e.fake.Run(ctx, j)
}

// TestContainers: a step in a container runs where an engine is, and is refused at once where none is.
func TestContainers(t *testing.T) {
	t.Parallel()
	o := order(build.Container, []string{"f"}, map[string]string{".taubyte/build.sh": ""})
	o.Step.Image, o.Step.Where, o.Step.Scripts = "x/y:1", "functions/f/.taubyte/config.yaml:1:22", []string{".taubyte/build.sh"}
	cfg := Config{Cache: t.TempDir(), Find: func(context.Context) (Runner, error) {
		return fake{func(sandbox.Job) ([]byte, error) { return nil, errors.New("it ran outside") }}, nil
	}}
	_, err := New(cfg).Build(t.Context(), o)
	require.True(t, sandbox.IsFault(err), "%v", err)
	require.ErrorContains(t, err, "functions/f/.taubyte/config.yaml:1:22: it names a container image to build in (x/y:1), and no container engine runs on this node")
	cfg.Engine = containers{fake{func(j sandbox.Job) ([]byte, error) {
		require.Contains(t, j.Script, ".taubyte/build.sh")
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "./main.wasm", Size: 1}))
		_, _ = w.Write([]byte("m"))
		return out.Bytes(), w.Close()
	}}}
	made, err := New(cfg).Build(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "m", string(made.Asset))
}

func TestNamesOutsideAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../x", "/etc/x"} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}))
		require.NoError(t, w.Close())
		_, err := made(build.Step{Website: true}, archive.Bytes())
		require.ErrorContains(t, err, "is not in $OUT")
	}
}

// fake is a runner whose jobs say and make what the test says.
type fake struct {
	run func(j sandbox.Job) ([]byte, error)
}

func (f fake) Run(_ context.Context, j sandbox.Job) ([]byte, error) { return f.run(j) }
func (fake) Backend() string                                        { return "fake" }
func (fake) Apart() string                                          { return "fake, and nothing else" }

func TestWhatIsMissingIsNobodysFaultAndHasARemedy(t *testing.T) {
	t.Parallel()
	cfg := Config{Cache: t.TempDir(), Go: "/usr", Node: "/gone", AssemblyScript: "/gone", Find: func(context.Context) (Runner, error) {
		return fake{func(sandbox.Job) ([]byte, error) { return nil, &sandbox.Fault{Text: "not found"} }}, nil
	}}
	s := New(cfg)
	for _, kind := range append(kinds[:4:4], "cobol") {
		_, err := s.Build(t.Context(), order(kind, nil, nil))
		var missing *Missing
		require.ErrorAs(t, err, &missing, kind)
		require.NotEmpty(t, missing.Remedy)
		require.False(t, sandbox.IsFault(err), kind)
	}
	looked := s.Look(t.Context())
	require.Len(t, looked, 5)
	require.NoError(t, looked[0].Err)
	require.Error(t, looked[1].Err)

	cfg.Find = func(context.Context) (Runner, error) { return nil, errors.New("none here") }
	s = New(cfg)
	_, err := s.Build(t.Context(), order(build.Go, nil, nil))
	require.ErrorContains(t, err, "none here")
	require.Len(t, s.Look(t.Context()), 1)
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := &cache{dir: t.TempDir(), max: 3 * (1000 + 32)}
	asset := func(b byte) []byte { return bytes.Repeat([]byte{b}, 1000) }
	old := time.Now().Add(-time.Hour)
	for i, key := range []string{"a", "b", "c"} {
		c.put(key, asset(key[0]))
		at := old.Add(time.Duration(i) * time.Minute)
		require.NoError(t, os.Chtimes(c.file(key), at, at))
	}
	got, ok := c.get("a") // now b is that which nobody has asked for the longest
	require.True(t, ok)
	require.Equal(t, asset('a'), got)
	c.put("d", asset('d'))
	_, ok = c.get("b")
	require.False(t, ok)
	for _, key := range []string{"a", "c", "d"} {
		_, ok := c.get(key)
		require.True(t, ok, key)
	}
	c.put("e", make([]byte, 10_000))
	_, ok = c.get("e")
	require.False(t, ok)
	raw, err := os.ReadFile(c.file("a"))
	require.NoError(t, err)
	raw[100]++
	require.NoError(t, os.WriteFile(c.file("a"), raw, 0o600))
	_, ok = c.get("a")
	require.False(t, ok, "a damaged asset is none")
}
