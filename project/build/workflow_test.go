package build

import (
	"testing"

	"github.com/stretchr/testify/require"
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
		"environment: {image: x}\nworkflow: [build]": "config.yaml:1:22: it names a container image",
		"workflow: [../../x]":                        "1:12: \"../../x\" is no name of a script",
		"workflow: [gone]":                           "there is no functions/slow/.taubyte/gone.sh",
		"workflow: {a: b}":                           "expected a list",
		"workflow: []":                               "there is no workflow",
		"- a":                                        "expected a mapping",
		"workflows: [build]":                         "unknown key \"workflows\"",
		"environment: {variables: {a-b: c}}":         "the name of a variable",
		"environment: {imgae: c}":                    "expected variables",
		"workflow: [build":                           "not valid YAML",
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
