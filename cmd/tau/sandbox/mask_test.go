package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreMaskedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	secrets := []string{"abcabd", "abcabdef", "key one\nkey two\n", "x"}
	text := "abcabcabd abcabdef abcab abcabdabcabdef key one\nkey two\nkey twx x abcabde"
	want := "abc*** *** abcab ****** ***\nkey twx x ***e"
	for n := 1; n <= len(text); n++ {
		var out bytes.Buffer
		m := &masker{to: &out, secrets: secretsOf(secrets)}
		for rest := text; rest != ""; {
			part := rest[:min(n, len(rest))]
			rest = rest[len(part):]
			_, err := m.Write([]byte(part))
			require.NoError(t, err)
		}
		m.end()
		require.Equal(t, want, out.String(), n)
	}
	var out bytes.Buffer
	m := &masker{to: &out, secrets: secretsOf(secrets)}
	_, _ = m.Write([]byte("nothing secret\n"))
	require.Equal(t, "nothing secret\n", out.String(), "what is no secret is not held back")
}

// Programs write secrets otherwise than they are, and what a line does not show may stand in the middle of one.
func TestSecretsAreMaskedHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	const secret = `s3same/open "now"`
	for _, text := range []string{
		secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret + "\n")), base64.StdEncoding.EncodeToString([]byte(secret + " more")), base64.StdEncoding.EncodeToString([]byte("ada:" + secret)), base64.StdEncoding.EncodeToString([]byte("at:" + secret + "!")), base64.StdEncoding.EncodeToString([]byte("a:" + secret)),
		hex.EncodeToString([]byte(secret)), url.QueryEscape(secret), url.PathEscape(secret), `s3same/open \"now\"`, "s3same\x00/open \u200b\"now\"", "s3same/\x1bopen \"now\"",
	} {
		var said []string
		l := &lines{room: 1000, line: masking(func(s string) { said = append(said, s) }, []string{secret}), over: func() {}}
		m := &masker{to: l, secrets: secretsOf([]string{secret})}
		_, _ = m.Write([]byte("it is " + text + "."))
		m.end()
		l.end()
		require.Len(t, said, 1)
		require.Regexp(t, `^it is .{0,6}\*\*\*.{0,10}\.$`, said[0], text)
	}
	require.Nil(t, written("short"), "half of all words would be black")
}

func TestABareRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := Bare{Dir: dir}
	base := dir + "/base.tar"
	f, err := os.Create(base)
	require.NoError(t, err)
	require.NoError(t, archive(f, []File{{"base/x", []byte("from below, ")}}))
	require.NoError(t, f.Close())
	var said []string
	j := Job{
		Script: `cat "$BUILD/base/x" in.txt "$M/more" >"$RESULT"; echo "$TOKEN"`, Folder: "a", Files: []File{{"a/in.txt", []byte("in ")}}, Base: base, Limits: DefaultLimits,
		Env: map[string]string{"TOKEN": "sesame"}, Secrets: []string{"sesame"}, Mounts: []Mount{{From: dir, To: "/opt/x", Env: "M"}}, Line: func(l string) { said = append(said, l) },
	}
	require.NoError(t, os.WriteFile(dir+"/more", []byte("and more"), 0o600))
	result, err := b.Run(t.Context(), j)
	require.NoError(t, err, said)
	require.Equal(t, "from below, in and more", string(result))
	require.Equal(t, []string{"***"}, said)
	for script, want := range map[string]string{
		"exit 3": "exit code 3", "true": "no result", `ln -s /etc/passwd "$RESULT"`: "no result", `head -c 2000000 /dev/zero >"$RESULT"`: "more than", "yes": "said more",
		fmt.Sprintf("sleep 86399.%d & sleep 60", os.Getpid()): "longer than",
	} {
		j := Job{Script: script, Limits: DefaultLimits}
		j.Limits.Result, j.Limits.Output, j.Limits.Within = 1<<20, 1<<16, 2*time.Second
		_, err := b.Run(t.Context(), j)
		require.True(t, IsFault(err), "%s: %v", script, err)
		require.ErrorContains(t, err, want, script)
	}
	out, _ := exec.Command("pgrep", "-f", fmt.Sprintf("86399[.]%d", os.Getpid())).Output()
	require.Empty(t, strings.TrimSpace(string(out)))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "the runs leave nothing")
}

// A run with a network has sockets of it, and none of this machine.
func TestARunWithANetwork(t *testing.T) {
	t.Parallel()
	sandboxFor(t)
	for script, works := range map[string]bool{
		"perl -e 'socket(S,2,1,0) or die'": true, "perl -e 'socket(S,1,1,0) or die'": false, "perl -e 'socket(S,16,3,0) or die'": false,
	} {
		for _, network := range []bool{true, false} {
			_, said, err := says(t, script+` && echo fine >"$RESULT"`, func(j *Job) { j.Network = network })
			if network {
				require.Equal(t, works, err == nil, "%s: %v %s", script, err, said)
			} else if works {
				require.Error(t, err)
			}
		}
	}
}

func TestABaseLiesBelowTheFiles(t *testing.T) {
	t.Parallel()
	sandboxFor(t)
	base := t.TempDir() + "/base.tar" // which nobody but the node may read
	f, err := os.OpenFile(base, os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	require.NoError(t, archive(f, []File{{"cache/x", []byte("base")}}))
	require.NoError(t, f.Close())
	result, said, err := says(t, `cat "$BUILD/cache/x" y >"$RESULT"; echo changed >"$BUILD/cache/x"`, func(j *Job) { j.Base, j.Files = base, []File{{"y", []byte(" and files")}} })
	require.NoError(t, err, said)
	require.Equal(t, "base and files", result)
}
