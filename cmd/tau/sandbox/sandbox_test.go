//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// found is the sandbox of this machine; a test without one is skipped, but not where CI runs, which installs what it needs.
var found = sync.OnceValues(func() (*Sandbox, error) { return Find(context.Background()) })

func sandboxFor(t testing.TB) *Sandbox {
	t.Helper()
	s, err := found()
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
	return s
}

// says runs a script and returns what it made, what it said and what became of it.
func says(t *testing.T, script string, change ...func(*Job)) (result, said string, err error) {
	t.Helper()
	var lines []string
	j := Job{Script: script, Limits: Limits{Within: 30 * time.Second, CPU: 20 * time.Second, Memory: 128 << 20, Disk: 16 << 20, Processes: 64, Output: 64 << 10, Result: 1 << 20, Entries: 10_000}}
	j.Line = func(l string) { lines = append(lines, l) }
	for _, c := range change {
		c(&j)
	}
	raw, err := sandboxFor(t).Run(t.Context(), j)
	return string(raw), strings.Join(lines, "\n"), err
}

func TestARunMakesItsResultOfItsFiles(t *testing.T) {
	t.Parallel()
	files := []File{{"a/in.txt", []byte("salt")}, {"a/deep/er.txt", []byte("pepper")}, {"b.txt", []byte("b")}}
	result, said, err := says(t, `echo "with $NAME in $(pwd)"; cat in.txt deep/er.txt ../b.txt >/tmp/result`, func(j *Job) {
		j.Files, j.Folder, j.Env = files, "a", map[string]string{"NAME": "a name"}
	})
	require.NoError(t, err, said)
	require.Equal(t, "saltpepperb", result)
	require.Equal(t, "with a name in /build/a", said)
}

func TestARunThatFailsIsItsOwnFault(t *testing.T) {
	t.Parallel()
	_, said, err := says(t, "echo about to fail; false; echo never said")
	require.True(t, IsFault(err), err)
	require.ErrorContains(t, err, "exit code 1")
	require.Equal(t, "about to fail", said)
	_, said, err = says(t, "true")
	require.True(t, IsFault(err), err)
	require.Contains(t, said, "left no result")
}

// The log of each build has a word of what keeps it apart; why it is not more, the node's log says once.
func TestWhatKeepsRunsApartIsSaidInAWord(t *testing.T) {
	t.Parallel()
	s := sandboxFor(t)
	require.Contains(t, []string{"bubblewrap", "bubblewrap and a control group"}, s.Backend())
	require.Equal(t, s.groups == nil, strings.Contains(s.Apart(), "(no control group: "))
}

// What a run must not get to: each script says "reached" if it did.
func TestARunReachesNothingOfTheMachine(t *testing.T) {
	t.Parallel()
	sandboxFor(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o644))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan struct{}, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
			accepted <- struct{}{}
		}
	}()
	abstract, err := net.Listen("unix", fmt.Sprintf("@sandbox-test-%d", os.Getpid()))
	require.NoError(t, err)
	defer abstract.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for name, script := range map[string]string{
		"passwords":             "cat /etc/shadow || cat /etc/passwd",
		"a file of the machine": "cat " + secret,
		"root's home":           "ls /root",
		"the real disk":         "ls /var /home /srv /opt /sys /boot",
		"block devices":         "ls /dev/vda /dev/sda /dev/mem",
		"other processes":       fmt.Sprintf("test -d /proc/%d/root && ls /proc/%d/root/", os.Getpid(), os.Getpid()),
		"the machine by proc":   "ls /proc/1/root/root /proc/1/cwd/root",
		"the network":           fmt.Sprintf("perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0) or die; connect(S,sockaddr_in(%s,inet_aton(\"127.0.0.1\"))) or die'", port),
		"a socket at all":       "perl -MSocket -e 'socket(S,PF_INET,SOCK_DGRAM,0) or die'",
		"a unix socket of the machine": fmt.Sprintf("perl -MSocket -e 'socket(S,PF_UNIX,SOCK_STREAM,0) or die; connect(S,pack(\"S a*\",1,\"\\0%s\")) or die'",
			strings.TrimPrefix(abstract.Addr().String(), "@")),
		"programs of the machine":     "echo x >/usr/bin/planted || touch /usr/bin/sh",
		"the root":                    "mkdir /planted",
		"mounting":                    "mount -t tmpfs none /build",
		"namespaces":                  "unshare -r true || unshare -m true || unshare -n true",
		"the clock":                   "date -s 2001-01-01",
		"more than its limits":        "prlimit --nproc=100000 true || prlimit --core=100000 true",
		"devices of its own":          "mknod /tmp/disk b 254 0 && cat /tmp/disk",
		"privileges":                  "chmod 4755 /tmp; su -c true || setpriv --reuid 0 true",
		"the kernel's settings":       "echo 1 >/proc/sys/kernel/panic",
		"the environment of the node": `test -n "$SANDBOX_TEST_SECRET" || tr '\0' '\n' </proc/1/environ | grep SANDBOX_TEST_SECRET`,
		"a debugger":                  "perl -e 'exit(syscall(101,16,1,0,0)==-1)'",
	} {
		_, said, err := says(t, "if ( "+script+" ) 2>&1; then echo reached; fi; exit 3")
		require.ErrorContains(t, err, "exit code 3", name)
		require.NotContains(t, said, "reached", name)
	}
	select {
	case <-accepted:
		t.Error("the listener was reached")
	default:
	}
}

// A node may have been started with files open that nobody has marked to be closed.
func TestARunInheritsNoDescriptor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o644))
	require.NoError(t, os.Chmod(dir, 0o755))
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0) // without O_CLOEXEC
	require.NoError(t, err)
	defer syscall.Close(fd)
	result, said, err := says(t, `for d in /proc/self/fd/*; do [ -d "$d/" ] && [ -e "$d/secret" ] && echo "reached $d: $(cat "$d/secret")"; done; printf x >"$RESULT"`)
	require.NoError(t, err, said)
	require.Equal(t, "x", result)
	require.Empty(t, said)
}

func TestARunEndsAtItsLimits(t *testing.T) {
	t.Parallel()
	sandboxFor(t)
	for name, c := range map[string]struct {
		script, want string
		change       func(*Job)
	}{
		"time":           {"sleep 60", "longer than", func(j *Job) { j.Limits.Within = time.Second }},
		"stopped itself": {"kill -STOP $$; kill -STOP -1; sleep 60", "longer than", func(j *Job) { j.Limits.Within = time.Second }},
		"processor time": {"while :; do :; done", "processor time", func(j *Job) { j.Limits.CPU = time.Second }},
		"output":         {"yes", "said more than", nil},
		"result":         {"head -c 2000000 /dev/zero >/tmp/result", "made has more than", nil},
		"files":          {"head -c 100000000 /dev/zero >/build/large 2>/dev/null; cp /dev/zero /build/larger", "", nil},
		"memory of one":  {"perl -e '$x = \"x\" x 500_000_000; sleep 30'", "", nil},
		"memory of all":  {"for i in 1 2 3 4; do perl -e '$x = \"x\" x 60_000_000; sleep 30' & done; wait", "memory", nil},
		"files of all":   {"head -c 60000000 /dev/zero >/tmp/a; head -c 60000000 /dev/zero >/build/b; for i in 1 2; do perl -e 'open F, \"/dev/zero\"; sysread F, $x, 50_000_000; sleep 30' & done; wait", "MiB of memory and files", func(j *Job) { j.Limits.Disk = 64 << 20 }},
		"entries":        {"i=0; while [ $i -lt 3000 ]; do mkdir /tmp/$i; i=$((i+1)); done; sleep 30", "files and folders", func(j *Job) { j.Limits.Entries = 1000 }},
		"processes":      {"bomb() { bomb | bomb & }; bomb; sleep 30", "", func(j *Job) { j.Limits.Within = 2 * time.Second; j.Limits.CPU = 2 * time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := says(t, c.script, func(j *Job) {
				if c.change != nil {
					c.change(j)
				}
			})
			require.True(t, IsFault(err), "%v", err)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A result that is no plain file is none, and nobody follows it.
func TestOnlyAPlainFileIsAResult(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"ln -s /etc/passwd /tmp/result", "mkfifo /tmp/result", "mkdir /tmp/result", "ln -s /usr/bin/sh /tmp/result", "ln /usr/bin/sh /tmp/result"} {
		result, _, err := says(t, script)
		require.True(t, IsFault(err), script)
		require.Empty(t, result)
	}
}

// left are the processes of the machine that have a word in their arguments.
func left(t *testing.T, word string) string {
	t.Helper()
	out, _ := exec.Command("pgrep", "-f", word).Output()
	return string(out)
}

func TestNothingOfARunIsLeft(t *testing.T) {
	t.Parallel()
	sandboxFor(t)
	for i, script := range []string{
		"setsid sleep 86400.%d & nohup sleep 86400.%d >/dev/null & echo x >/tmp/result",
		"(setsid sh -c 'trap \"\" TERM INT HUP; sleep 86400.%d; sleep 86400.%d') & sleep 60",
	} {
		n := os.Getpid()*10 + i
		_, _, _ = says(t, fmt.Sprintf(script, n, n), func(j *Job) { j.Limits.Within = time.Second })
		require.Eventually(t, func() bool { return left(t, fmt.Sprintf("86400[.]%d", n)) == "" }, time.Minute, 20*time.Millisecond)
	}
}

// A run is ended at any time, however young it is.
func TestARunThatIsEndedAtOnceLeavesNothing(t *testing.T) {
	t.Parallel()
	s := sandboxFor(t)
	n := os.Getpid()*10 + 7
	for i := range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*5*time.Millisecond, cancel)
		_, err := s.Run(ctx, Job{Script: fmt.Sprintf("sleep 86400.%d", n), Limits: DefaultLimits})
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, IsFault(err))
		cancel()
	}
	require.Eventually(t, func() bool { return left(t, fmt.Sprintf("86400[.]%d", n)) == "" }, time.Minute, 20*time.Millisecond)
}

func TestSecretsAreInNoArgument(t *testing.T) {
	t.Parallel()
	result, said, err := says(t, `grep -l -a t0psecret /proc/[0-9]*/cmdline || true; printf %s "$TOKEN" | wc -c >/tmp/result`, func(j *Job) {
		j.Env = map[string]string{"TOKEN": "t0psec" + "ret"}
		j.Script = strings.ReplaceAll(j.Script, "t0psecret", "t0psec[r]et")
	})
	require.NoError(t, err, said)
	require.Equal(t, "9", strings.TrimSpace(result))
	require.Empty(t, said)
}

func TestPathsOutsideOfTheBuildAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../up", "/etc/x", "a/../../b", "."} {
		var sink strings.Builder
		require.Error(t, archive(&sink, []File{{path, nil}}), path)
	}
}

func TestLinesAreCutAndPlain(t *testing.T) {
	t.Parallel()
	var got []string
	over := 0
	l := &lines{room: 20_000, line: func(s string) { got = append(got, s) }, over: func() { over++ }}
	for _, part := range []string{"one\ntw", "o\r\n", "\x1b[31mred\x07\u202e\xff\n\n", strings.Repeat("x", lineMax+1) + "\n", "last"} {
		_, err := l.Write([]byte(part))
		require.NoError(t, err)
	}
	l.end()
	require.Equal(t, []string{"one", "two", "[31mred", "", strings.Repeat("x", lineMax), "x", "last"}, got)
	_, _ = l.Write(make([]byte, 30_000))
	_, _ = l.Write(make([]byte, 30_000))
	require.Equal(t, 1, over)
}

func TestTheFilterIsWellFormed(t *testing.T) {
	t.Parallel()
	program, ok := filter(true)
	if !ok {
		t.Skip("no filter for this machine")
	}
	require.Zero(t, len(program)%8)
	require.Less(t, len(program), 4096, "it must fit into a pipe")
}

func TestFaultsAreTold(t *testing.T) {
	t.Parallel()
	require.True(t, IsFault(fmt.Errorf("more: %w", fault("x"))))
	require.False(t, IsFault(errors.New("x")))
}

func BenchmarkRun(b *testing.B) {
	s := sandboxFor(b)
	for b.Loop() {
		if _, err := s.Run(b.Context(), Job{Script: "echo >/tmp/result", Limits: DefaultLimits}); err != nil {
			b.Fatal(err)
		}
	}
}
