package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// failingFileSystem is one of ext4 in a file, of which every block that was not written before fails, or which meets an error and is
// read-only from then on, when it is told to. repaired is what an operator does then: fsck, and mount it anew.
type failingFileSystem struct {
	t                *testing.T
	image, dir, rest string
}

func newFailingFileSystem(t *testing.T) *failingFileSystem {
	below := t.TempDir()
	if err := syscall.Mount("tmpfs", below, "tmpfs", 0, "size=96m"); err != nil {
		t.Skipf("no file system of a limited size: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(below, syscall.MNT_DETACH) })
	f := &failingFileSystem{t, filepath.Join(below, "image"), t.TempDir(), filepath.Join(below, "rest")}
	require.NoError(t, os.WriteFile(f.image, nil, 0o600))
	require.NoError(t, os.Truncate(f.image, 512<<20))
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0", f.image).CombinedOutput(); err != nil {
		t.Skipf("no file system in a file: %v: %s", err, out)
	}
	if out, err := f.mount(); err != nil {
		t.Skipf("no file system in a file: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", f.dir).Run() })
	return f
}

func (f *failingFileSystem) mount() ([]byte, error) {
	return exec.Command("mount", "-o", "loop,errors=remount-ro", f.image, f.dir).CombinedOutput()
}

// turnsReadOnly has the kernel meet an error.
func (f *failingFileSystem) turnsReadOnly() {
	device, err := exec.Command("losetup", "--noheadings", "--output", "NAME", "--associated", f.image).Output()
	require.NoError(f.t, err)
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(device))), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("1"), 0o200); err != nil {
		f.t.Skipf("the kernel does not make errors: %v", err)
	}
}

// fails has nothing below it take what is new.
func (f *failingFileSystem) fails() { fillUp(f.t, f.rest) }

func (f *failingFileSystem) repaired() {
	_ = os.Remove(f.rest)
	out, err := exec.Command("umount", f.dir).CombinedOutput()
	require.NoError(f.t, err, string(out))
	out, err = exec.Command("fsck.ext4", "-f", "-y", f.image).CombinedOutput()
	if err != nil && err.(*exec.ExitError).ExitCode() > 1 {
		require.Fail(f.t, "fsck", string(out))
	}
	out, err = f.mount()
	require.NoError(f.t, err, string(out))
}

// TestANodeOnAFailingDisk: a node whose file system turns read-only, or fails to write, says so and ends, as in a power cut. It does not start
// on it, and the doctor knows why. When it is repaired, the node starts and has all that it had acknowledged.
func TestANodeOnAFailingDisk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breaks func(f *failingFileSystem)
		says   string
	}{
		"read-only":    {(*failingFileSystem).turnsReadOnly, "read-only file system"},
		"input/output": {(*failingFileSystem).fails, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newFailingFileSystem(t)
			o := &operator{t, filepath.Join(fs.dir, "tb")}
			require.NoError(t, os.Mkdir(o.root, 0o700))
			o.must("", "config", "generate", "-n", "cloud.example.com", "-s", "one", "--protos", "auth,seer,tns,hoarder,patrick", "--p2p-port", "0")
			config := filepath.Join(o.root, "config", "one.yaml")
			raw, err := os.ReadFile(config)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(raw), "256MiB", "16MiB")), 0o600))
			one := o.start("one")
			o.ready("one", 0)
			site := t.TempDir()
			push := func(size int) (string, error) {
				require.NoError(t, os.WriteFile(filepath.Join(site, "index.html"), []byte(strings.Repeat("<h1>hello</h1>", size)), 0o644))
				out, err := o.tau("", "push", site, "--project", "site", "-s", "one")
				return strings.TrimSpace(out), err
			}
			acked := map[string]bool{}
			first, err := push(1)
			require.NoError(t, err)
			acked[first] = true

			c.breaks(fs)
			ended := make(chan error, 1)
			go func() { ended <- one.cmd.Wait() }()
			for n, over := 1, false; !over; n++ {
				select {
				case err := <-ended:
					require.ErrorContains(t, err, "exit status 1")
					over = true
				default:
					require.Less(t, n, 200, one.log.String())
					if id, err := push(n * 1000); err == nil {
						acked[id] = true
					}
				}
			}
			require.Contains(t, one.log.String(), "the disk has failed: nothing is written any more")
			require.Contains(t, one.log.String(), c.says)
			require.Contains(t, one.log.String(), "dmesg")
			if c.says != "" {
				complaint, err := exec.Command("tau", "start", "-s", "one", "--root", o.root).CombinedOutput()
				require.ErrorContains(t, err, "exit status 1")
				require.Contains(t, string(complaint), c.says)
				require.Contains(t, string(complaint), "mount it for writing")
				out, _ := o.tau("", "doctor", "-s", "one")
				require.Contains(t, out, "is read-only")
			}

			fs.repaired()
			one = o.start("one")
			o.ready("one", 0)
			for id := range acked {
				o.within(time.Minute, "what was acknowledged is there", func() bool {
					_, ok := o.job("one", id)
					return ok
				})
			}
			out, _ := o.tau("", "doctor", "-s", "one", "--deep")
			require.NotContains(t, out, "damaged")
			o.ends(one, 30*time.Second)
		})
	}
}
