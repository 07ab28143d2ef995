package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/sim/report"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dreamland": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error { // to build with what is built already
			cache, err := os.UserCacheDir()
			env.Setenv("GOCACHE", cmp.Or(os.Getenv("GOCACHE"), filepath.Join(cache, "go-build")))
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":      cmdtest.ExitStatus,
			"runs":      runs,
			"equal":     equal,
			"waitlines": waitLines,
		},
	})
}

// runs checks that stdout is one JSON object per run, with a verdict each:
// runs held held failed.
func runs(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	if len(lines) != len(args) {
		ts.Fatalf("%d lines for %d runs", len(lines), len(args))
	}
	for i, line := range lines {
		var r report.Result
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil {
			ts.Fatalf("%v in %s", err, line)
		}
		if r.Verdict != args[i] || len(r.Digest) != 64 || r.Events == 0 || r.VirtualMS == 0 || len(r.Expectations) == 0 ||
			r.Figures["nodes"] == 0 || r.Faults == nil || !strings.HasPrefix(r.Replay, "dreamland sim ") {
			ts.Fatalf("run %d: %s", i, line)
		}
	}
}

// waitLines waits until a file has so many lines: waitlines FILE 3.
func waitLines(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if raw, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Count(string(raw), "\n") >= want {
			return
		}
	}
	ts.Fatalf("%s: fewer than %d lines after a minute", args[0], want)
}

// equal compares the digests of two files of JSON results.
func equal(ts *testscript.TestScript, neg bool, args []string) {
	var digests []string
	for _, file := range args {
		var r report.Result
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &r))
		digests = append(digests, r.Digest)
	}
	if (digests[0] == digests[1]) == neg {
		ts.Fatalf("digests %v", digests)
	}
}
