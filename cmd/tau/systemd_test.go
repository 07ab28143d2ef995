package main

import (
	"bytes"
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
