package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestANodeThatHangs is no reason to wait for ever, whatever is asked: each command says that it is this node that does
// not answer. The socket is one on which nobody ever does, as that of a process that is stopped.
func TestANodeThatHangs(t *testing.T) {
	was := within
	within = bounds{200 * time.Millisecond, 200 * time.Millisecond, 200 * time.Millisecond}
	defer func() { within = was }()
	root := t.TempDir()
	tau := func(args ...string) (int, string) {
		var out, complaint bytes.Buffer
		code := run(append(args, "--root", root), strings.NewReader(""), &out, &complaint)
		return code, out.String() + complaint.String()
	}
	code, said := tau("config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0")
	require.Zero(t, code, said)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "run"), 0o700))
	l, err := net.Listen("unix", filepath.Join(root, "run", "main.sock"))
	require.NoError(t, err)
	defer l.Close()

	tree := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "a"), []byte("a"), 0o600))
	peer := "12D3KooWNcmCRQK4y2nZhVfTHwvYQwrmjwpmZ5R2R3EVXKs2rxHg"
	job := "4c64711b5e446552-0000000000000001-9f932fa374fdf3cbbcd6b613"
	for _, args := range [][]string{
		{"status"}, {"status", "--wait", "1s"}, {"peers"}, {"invite", "--services", "monkey"}, {"push", tree, "--project", "p"}, {"jobs"}, {"logs", job},
		{"versions", "p"}, {"functions"}, {"rollback", "p", "c"}, {"leave", "--yes"}, {"revoke", peer, "--yes"}, {"doctor", "--deep"}, {"log-level", "info"},
		{"certify", "--cloud-key", filepath.Join(root, "keys", "cloud.key")},
	} {
		began := time.Now()
		code, said := tau(args...)
		require.Equal(t, exitFailed, code, "%v: %s", args, said)
		require.Contains(t, said, "this node does not answer within 200ms", "%v", args)
		require.Less(t, time.Since(began), 5*time.Second, "%v", args)
	}
	code, said = tau("debug", "bundle", filepath.Join(t.TempDir(), "x.tar.gz"))
	require.Zero(t, code, said)
	code, said = tau("config", "validate")
	require.Zero(t, code, said)
	require.Contains(t, said, "its node runs")
}
