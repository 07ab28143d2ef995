package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnit: a node that has left stays away, and a root directory is one word, whatever is in its name.
func TestUnit(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, exitDone, run([]string{"config", "systemd", "--root", "/srv/a b/100%\"x"}, strings.NewReader(""), &out, &out), out.String())
	require.Contains(t, out.String(), "\nRestartPreventExitStatus=3\n")
	require.Contains(t, out.String(), "\nSuccessExitStatus=3\n")
	require.Contains(t, out.String(), ` --root "/srv/a b/100%%\"x"`+"\n")
	require.Contains(t, out.String(), `ReadWritePaths="/srv/a b/100%%\"x"`+"\n")
	require.Equal(t, "/tb", unitWord("/tb"))
}

// TestSystemdTakesTheUnit, where there is systemd to ask: without a word, also one that is older than 253, which knows no
// Type=notify-reload and takes a unit with that for one that says nothing.
func TestSystemdTakesTheUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	var out, said bytes.Buffer
	root := t.TempDir()
	require.Equal(t, exitDone, run([]string{"config", "systemd", "--root", root, "--user", "root"}, strings.NewReader(""), &out, &said), said.String())
	unit := filepath.Join(root, "tau-under-test.service")
	require.NoError(t, os.WriteFile(unit, out.Bytes(), 0o600))
	verdict, _ := exec.Command(analyze, "verify", unit).CombinedOutput() // what is wrong with other units is not ours
	require.NotContains(t, string(verdict), "tau-under-test")
}

// TestTheUnitOfWhatTheNodeDoes: what would keep a sandbox from being made, or code from running, is not in the unit of a node that does that.
func TestTheUnitOfWhatTheNodeDoes(t *testing.T) {
	for _, line := range append(slices.Clone(compiles), builds...) {
		require.Contains(t, unit, "\n"+line+"\n")
	}
	for name, c := range map[string]struct{ has, lacks []string }{
		"auth":      {append(slices.Clone(compiles), builds...), []string{"Delegate=yes"}},
		"substrate": {builds, append([]string{"Delegate=yes"}, compiles...)},
		"monkey":    {[]string{"Delegate=yes", "NoNewPrivileges=true"}, append(slices.Clone(compiles), builds...)},
	} {
		text := unitFor([]string{name}, unit)
		for _, line := range c.has {
			require.Contains(t, text, "\n"+line+"\n", name)
		}
		for _, line := range c.lacks {
			require.NotContains(t, text, "\n"+line+"\n", name)
		}
	}
}
