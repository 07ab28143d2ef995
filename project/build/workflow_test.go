package build

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
)

func TestScriptsOfAFolder(t *testing.T) {
	files := shop()
	files["websites/site/.taubyte/config.yaml"] = "version: 1.00\nenvironment:\n  image:\n  variables: {MODE: it's}\nworkflow:\n  - build\n  - test\n"
	files["websites/site/.taubyte/build.sh"], files["websites/site/.taubyte/test.sh"] = "cp index.html $OUT", ""
	files["websites/site/taubyte/config.yaml"] = "content of the site"
	steps, err := planOf(t, files)
	require.NoError(t, err)
	s := steps[2]
	require.Equal(t, Script, s.Toolchain)
	require.False(t, s.Module())
	require.Equal(t, []string{".taubyte/build.sh", ".taubyte/test.sh"}, s.Scripts)
	require.Equal(t, []Variable{{"MODE", "it's"}}, s.Variables)
	files["websites/site/.taubyte/build.sh"] += " # changed"
	after, err := planOf(t, files)
	require.NoError(t, err)
	require.NotEqual(t, s.Key, after[2].Key)
	require.Equal(t, steps[0].Key, after[0].Key)
}

func TestWorkflowsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"workflow: [../../x]":                "1:12: \"../../x\" is no name of a script",
		"workflow: [gone]":                   "there is no functions/slow/.taubyte/gone.sh",
		"workflow: {a: b}":                   "expected a list",
		"workflow: []":                       "there is no workflow",
		"- a":                                "expected a mapping",
		"workflows: [build]":                 "unknown key \"workflows\"",
		"environment: {variables: {a-b: c}}": "the name of a variable",
		"environment: {imgae: c}":            "expected variables",
		"workflow: [build":                   "not valid YAML",
	} {
		files := shop()
		files["functions/slow/.taubyte/config.yaml"], files["functions/slow/.taubyte/build.sh"] = text, ""
		_, err := planOf(t, files)
		require.ErrorContains(t, err, want, text)
	}
}

func TestWhatScriptsLeave(t *testing.T) {
	files := []File{{"a/b", []byte("x")}, {"main.wasm", []byte("m")}}
	asset, err := Left(Step{}, files)
	require.NoError(t, err)
	require.Equal(t, "m", string(asset))
	asset, err = Left(Step{Website: true}, files)
	require.NoError(t, err)
	packed, err := pack(files)
	require.NoError(t, err)
	require.Equal(t, packed, asset)
	_, err = Left(Step{}, files[:1])
	require.ErrorContains(t, err, "no main.wasm")
	_, err = Left(Step{Website: true}, nil)
	require.ErrorContains(t, err, "no files")
}

// A step in a container is planned; whether there is an engine is the builder's to know.
func TestAStepInAContainer(t *testing.T) {
	for text, want := range map[string]Step{
		"environment: {image: x/y:1}\nworkflow: [build]": {Image: "x/y:1", Where: "functions/slow/.taubyte/config.yaml:1:22", Scripts: []string{".taubyte/build.sh"}},
		"enviroment:\n  image: z\n":                      {Image: "z", Where: "functions/slow/.taubyte/config.yaml:2:10"},
		"":                                               {Image: ".taubyte/Docker/Dockerfile", Where: "functions/slow/.taubyte/Docker/Dockerfile:1:1"},
	} {
		files := shop()
		files["functions/slow/.taubyte/config.yaml"], files["functions/slow/.taubyte/build.sh"], files["functions/slow/.taubyte/Docker/Dockerfile"] = text, "", "FROM x"
		if text == "" {
			delete(files, "functions/slow/.taubyte/config.yaml")
		}
		steps, err := planOf(t, files)
		require.NoError(t, err)
		got := steps[1]
		require.Equal(t, Container, got.Toolchain)
		require.Equal(t, want, Step{Image: got.Image, Where: got.Where, Scripts: got.Scripts})
	}
}

const said = `name: shop
functions:
  ping: {paths: [/ping], build: {steps: [make, make], environment: {B: "2", A: "1"}, output: out/x.wasm}}
  pong: {paths: [/pong], source: ./functions/ping}
  slow: {paths: [/slow], build: {toolchain: go}}
  kept: {paths: [/kept], source: libraries/kept}
libraries:
  kept: {build: {steps: [make], network: true}}
websites:
  site: {build: {steps: [npm run build], output: dist}}
`

// What tau.yaml says of a build counts before what the files say, and is part of the key.
func TestBuildsOfTauYAML(t *testing.T) {
	files := shop()
	files["tau.yaml"], files["functions/slow/a.c"], files["functions/slow/package.json"], files["libraries/kept/a"] = said, "", "{}", ""
	delete(files, "functions/ping/main.wasm")
	files["functions/ping/Makefile"] = "all:"
	steps, err := planOf(t, files)
	require.NoError(t, err)
	plain := slices.Clone(steps)
	for i := range plain {
		plain[i].Key = ""
	}
	require.Equal(t, []Step{
		{Toolchain: Script, Folder: "functions/ping", Targets: []string{"functions/ping", "functions/pong"}, Calls: []string{"ping", "pong"}, Commands: []string{"make", "make"},
			Variables: []Variable{{"A", "1"}, {"B", "2"}}, Output: "out/x.wasm", Network: NetworkNone},
		{Toolchain: Go, Folder: "functions/slow", Targets: []string{"functions/slow"}, Calls: []string{"slow"}},
		{Toolchain: Script, Folder: "libraries/kept", Targets: []string{"functions/kept"}, Calls: []string{"kept"}, Commands: []string{"make"}, Network: NetworkNeeded},
		{Toolchain: Script, Website: true, Folder: "websites/site", Targets: []string{"websites/site"}, Commands: []string{"npm run build"}, Output: "dist", Network: NetworkNone},
	}, plain)
	for before, after := range map[string]string{"[make, make]": "[make]", `B: "2"`: `B: "3"`, "out/x.wasm": "out/y.wasm", "environment: {B": "network: true, environment: {B"} {
		files["tau.yaml"] = strings.Replace(said, before, after, 1)
		changed, err := planOf(t, files)
		require.NoError(t, err)
		require.NotEqual(t, steps[0].Key, changed[0].Key, after)
		require.Equal(t, steps[2].Key, changed[2].Key)
	}
	files["tau.yaml"], files["websites/site/.taubyte/config.yaml"], files["websites/site/.taubyte/build.sh"] = said, "workflow: [build]", ""
	_, err = planOf(t, files)
	require.ErrorContains(t, err, "websites/site: tau.yaml says with build how websites/site is built, and so does its .taubyte")
	delete(files, "websites/site/.taubyte/config.yaml")
	files["tau.yaml"] = strings.Replace(said, "toolchain: go", "toolchain: prebuilt", 1)
	_, err = planOf(t, files)
	require.ErrorContains(t, err, "there is no main.wasm in functions/slow")
	for _, name := range project.Toolchains {
		require.Contains(t, []Toolchain{Prebuilt, Go, AssemblyScript, JavaScript, C}, Toolchain(name))
	}
}
