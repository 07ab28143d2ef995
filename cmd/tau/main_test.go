package main

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tau": main})
}

// TestScripts: what an operator types, and what comes of it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exit": exitStatus, "mode": fileMode},
	})
}

// exitStatus runs a command that must end with a status: exit 2 tau ...
func exitStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: exit status %s, expected %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// fileMode checks the permissions of a file: mode 600 FILE.
func fileMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strings.TrimPrefix(info.Mode().Perm().String(), "-"); got != args[0] {
		ts.Fatalf("%s: %s, expected %s", args[1], got, args[0])
	}
}

// What others have named cannot move the cursor of who reads it.
func TestTablesArePlain(t *testing.T) {
	var out strings.Builder
	table(&out, []string{"a\x1b[31m", "b\nc"})
	require.Equal(t, "a\uFFFD[31m  b\uFFFDc\n", out.String())
}
