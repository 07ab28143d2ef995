package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/live"
)

// smallFileSystem is one of 64 MiB, where this user may mount one.
func smallFileSystem(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("no file system of a limited size: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fillUp writes a file until nothing more fits.
func fillUp(t *testing.T, path string) {
	f, err := os.Create(path)
	require.NoError(t, err)
	block := make([]byte, 64<<10)
	for len(block) > 0 {
		if n, err := f.Write(block); err != nil {
			block = block[:min(n, len(block)/2)]
		}
	}
	require.NoError(t, f.Close())
}

func (o *operator) ends(p *process, limit time.Duration) {
	began := time.Now()
	require.NoError(o.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(o.t, p.cmd.Wait())
	require.Less(o.t, time.Since(began), limit)
}

// TestANodeOnAFullDisk: others have filled its file system while it was away. It starts, serves what it has, refuses what
// is new and takes it again when there is room. Without room to open its disk at all it waits for some, says so, and ends
// when it is told to.
func TestANodeOnAFullDisk(t *testing.T) {
	t.Parallel()
	root := smallFileSystem(t)
	o := &operator{t, root}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one")
	config := filepath.Join(root, "config", "one.yaml")
	raw, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(raw), "256MiB", "16MiB")), 0o600))
	site := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(site, "index.html"), []byte("<h1>hello</h1>"), 0o644))
	one := o.start("one")
	id := strings.TrimSpace(o.must("", "push", site, "--project", "site", "-s", "one"))
	require.NoError(t, one.cmd.Process.Kill())
	_ = one.cmd.Wait()

	full := filepath.Join(root, "full")
	fillUp(t, full)
	one = o.start("one")
	o.ready("one", 0)
	o.within(time.Minute, "what it has is served", func() bool {
		_, ok := o.job("one", id)
		return ok
	})
	large := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(large, "a"), make([]byte, 512<<10), 0o644))
	_, err = o.tau("", "push", large, "--project", "large", "-s", "one")
	require.Error(t, err)
	require.NoError(t, os.Remove(full))
	o.within(time.Minute, "there is room again", func() bool {
		_, err := o.tau("", "push", large, "--project", "large", "-s", "one")
		return err == nil
	})
	o.ends(one, 30*time.Second)

	require.NoError(t, os.Remove(filepath.Join(root, "data", "one", "BALLAST")))
	fillUp(t, full)
	one = o.start("one")
	waiting := func() bool {
		st, _ := ask[live.Status](o, "status", "-s", "one")
		return len(st.NotReady) == 1 && strings.Contains(st.NotReady[0], "make room")
	}
	o.within(time.Minute, "it says what it waits for", waiting)
	o.ends(one, 5*time.Second)
	require.Less(t, strings.Count(one.log.String(), "\n"), 40)
	o.start("one")
	o.within(time.Minute, "it waits once more", waiting)
	require.NoError(t, os.Remove(full))
	o.ready("one", 0)
	_, ok := o.job("one", id)
	require.True(t, ok)
}
