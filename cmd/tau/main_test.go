package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "4") // tests of processes wait more than they work
	testscript.Main(m, map[string]func(){"tau": main})
}

// TestScripts: what an operator types, and what comes of it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Condition:     condition,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exit": cmdtest.ExitStatus, "mode": fileMode, "push": pushSite, "commitOf": commitOf, "keyOf": keyOf, "noSecrets": noSecrets},
	})
}

// condition says whether this machine can build what is pushed; where CI runs it must.
func condition(name string) (bool, error) {
	if name != "builds" {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	_, sandbox := exec.LookPath("bwrap")
	_, linker := exec.LookPath("wasm-ld")
	return os.Getenv("CI") != "" || errors.Join(sandbox, linker) == nil, nil
}

// pushSite pushes a directory as the project site, and notes the job for the lines that follow.
func pushSite(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("tau", "push", args[0], "--project", "site", "--root", "tb"))
	ts.Setenv("JOB", strings.TrimSpace(ts.ReadFile("stdout")))
}

// commitOf notes the commit of a version of those that were printed last.
func commitOf(ts *testscript.TestScript, _ bool, args []string) {
	var list []live.Version
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	at, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Setenv("COMMIT", list[at].Commit)
}

// keyOf notes the key of a rotation that was printed last.
func keyOf(ts *testscript.TestScript, _ bool, _ []string) {
	var done rotated
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &done))
	ts.Setenv("KEY", done.Key)
}

// noSecrets looks for the secrets of a node in an archive.
func noSecrets(ts *testscript.TestScript, _ bool, args []string) {
	s, err := shape.Load(ts.MkAbs(filepath.Join(args[1], "config", "main.yaml")))
	ts.Check(err)
	secret, err := base64.StdEncoding.DecodeString(s.PrivateKey)
	ts.Check(err)
	canaries := [][]byte{[]byte(s.PrivateKey), secret, []byte(hex.EncodeToString(secret)), []byte("tau-cloud-key-")}
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	zip, err := gzip.NewReader(f)
	ts.Check(err)
	names := ""
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		ts.Check(err)
		content, err := io.ReadAll(archive)
		ts.Check(err)
		names += h.Name + " "
		for _, canary := range canaries {
			if bytes.Contains(content, canary) {
				ts.Fatalf("%s has a secret", h.Name)
			}
		}
	}
	for _, want := range []string{"config.yaml ", "status.json ", "metrics.txt ", "goroutines.txt ", "heap.pprof ", "facts.json ", "doctor.json "} {
		if !strings.Contains(names, want) {
			ts.Fatalf("no %s in %s", want, names)
		}
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

// A log that is followed is told line by line, once, wherever what is known of it begins.
func TestFollowingALog(t *testing.T) {
	abc := []string{"a", "b", "c"}
	for _, c := range []struct{ told, now, want []string }{
		{nil, abc, abc},
		{abc, abc, []string{}},
		{[]string{"a"}, abc, []string{"b", "c"}},
		{abc, []string{"c", "d"}, []string{"d"}},
		{[]string{"b", "c"}, append(abc, "d"), []string{"d"}},
		{abc, []string{"x", "y"}, []string{"x", "y"}},
		{[]string{"a", "a"}, []string{"a", "a", "a"}, []string{"a"}},
	} {
		require.Equal(t, c.want, unheard(c.told, c.now), "%v %v", c.told, c.now)
	}
}
