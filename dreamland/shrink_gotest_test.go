package dreamland

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/scenario"
)

// TestShrunkTestsCompileWhereTheyAre: beside the package of the words they are in its external
// test package, and where the function is missing there is none.
func TestShrunkTestsCompileWhereTheyAre(t *testing.T) {
	before := words.all
	defer func() { words.all = before }()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("go.mod", "module example.org/toy\n")
	write("toy.go", "package toy\n\nfunc Words() int { return 1 }\n\nfunc (x T) Vocabulary() int { return 1 }\n\ntype T int\n")
	out := filepath.Join(dir, "toy-min.yaml")
	require.Contains(t, noTest(out), "does not say which package")
	words.all = scenario.Vocabulary{Package: "example.org/toy"}
	require.Contains(t, noTest(out), "package example.org/toy has no function Vocabulary()", "a method is none")
	words.all.Function = "Words"
	require.Empty(t, noTest(out))
	text, err := testText(out, "kept: at 13s")
	require.NoError(t, err)
	require.Contains(t, string(text), "package toy_test\n")
	require.Contains(t, string(text), "words \"example.org/toy\"\n")
	require.Contains(t, string(text), "func TestToyMin(t *testing.T) {\n\tsimtest.Run(t, words.Words(), \"toy-min.yaml\")\n")

	write("cmd/x/main.go", "package main\n\nfunc Words() int { return 1 }\n")
	words.all.Package = "example.org/toy/cmd/x"
	require.Contains(t, noTest(out), "is a program")
	words.all.Package = "example.org/elsewhere"
	require.Empty(t, noTest(out), "of other modules nothing is known")

	write("a/7-x/y_test.go", "package why_test\n")
	require.Equal(t, "why_test", testPackage(filepath.Join(dir, "a/7-x")))
	write("b/7-x/readme", "")
	require.Equal(t, "shrunk7x_test", testPackage(filepath.Join(dir, "b/7-x")))
}
