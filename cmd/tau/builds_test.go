package main

import (
	"bytes"
	crand "crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/services/auth/authapi"
)

// forged is an operator whose repositories are bare ones on this disk. Patricks ask them where their branches are.
type forged struct {
	*operator
}

func (f *forged) git(args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	require.NoError(f.t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// push makes a repository of a project with these files, and returns the commit. before, if there is one, does more to the work tree.
func (f *forged) push(project, name, holds string, files map[string]string, before func(work string)) string {
	bare, work := filepath.Join(f.t.TempDir(), name+".git"), f.t.TempDir()
	f.git("init", "-q", "--bare", "-b", "main", bare)
	f.git("init", "-q", "-b", "main", work)
	for file, content := range files {
		require.NoError(f.t, os.MkdirAll(filepath.Dir(filepath.Join(work, file)), 0o755))
		require.NoError(f.t, os.WriteFile(filepath.Join(work, file), []byte(content), 0o644))
	}
	f.git("-C", work, "add", ".")
	if before != nil {
		before(work)
	}
	f.git("-C", work, "commit", "-q", "-m", "one")
	f.git("-C", work, "push", "-q", bare, "main")
	args := []string{"auth", "repository", "add", name, "--project", project, "--url", "file://" + bare, "--forge-name", "acme/" + name, "-s", "one", "--json"}
	if holds != "" {
		args = append(args, "--holds", holds)
	}
	var made authapi.RepositoryResponse
	require.NoError(f.t, json.Unmarshal([]byte(f.must("", args...)), &made))
	return f.git("-C", work, "rev-parse", "HEAD")
}

// outcome waits for the end of a job of a commit, and returns it with its log.
func (f *forged) outcome(commit string) (job live.Job, log string) {
	f.within(12*time.Minute, "the job of "+commit+" has ended", func() bool {
		time.Sleep(time.Second)
		list, _ := ask[[]live.Job](f.operator, "jobs", "-s", "one")
		for _, j := range list {
			if j.Commit == commit && j.Status != "open" && j.Status != "locked" && j.Status != "waiting" && j.Status != "running" {
				job = j
				return true
			}
		}
		return false
	})
	log, _ = f.tau("", "logs", job.Job, "-s", "one")
	return job, log
}

// TestRealBuilds is long and needs the toolchains of this machine: make builds. A project in several repositories on this disk, with a module that was built
// before, Go, C, AssemblyScript, a script and static files; then what others push to hurt the node; and no secret is on disks and in the memory
// of a node that must not have it.
func TestRealBuilds(t *testing.T) {
	if os.Getenv("TAU_BUILDS") == "" {
		t.Skip("make builds")
	}
	f := &forged{operator: &operator{t: t, root: t.TempDir()}}
	f.must("", "config", "generate", "-n", "cloud.example.com", "-s", "one", "--protos", "all", "--p2p-port", "0")
	config := shape.PathsOf(f.root, "one").Config
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	if dir := os.Getenv("ASSEMBLYSCRIPT"); dir != "" {
		text = append(text, "\nassemblyscript: "+dir+"\n"...)
	}
	require.NoError(t, os.WriteFile(config, text, 0o600))
	f.start("one")
	f.ready("one", 0)
	f.must(f.must("", "invite", "-s", "one", "--services", "gateway,substrate"), "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", "two", "--name", "two")
	two := f.start("two")
	f.ready("two", 1)

	drawn := make([]byte, 16)
	_, _ = crand.Read(drawn)
	canary := hex.EncodeToString(drawn) // a constant would be in the program of each node
	f.must("", "auth", "project", "add", "tea", "-s", "one")
	f.must(canary+"\n", "auth", "secret", "put", "build", "tea", "API_KEY", "-s", "one")
	function := func(name string) string {
		return "trigger: {type: https, method: GET, paths: [/" + name + "]}\nsource: .\nexecution: {timeout: 1s, memory: 16MB, call: " + name + "}\n"
	}
	const prebuilt = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x08\x01\x04ping\x00\x00\x0a\x04\x01\x02\x00\x0b"
	f.push("tea", "tea-site", "resource", map[string]string{"index.html": "<p>tea\n"}, nil)
	f.push("tea", "tea-blog", "resource", map[string]string{".taubyte/config.yaml": "workflow: [build]\n", ".taubyte/build.sh": "echo \"the key is $API_KEY\"\nprintf '<p>%s' \"$(wc -c <text.md)\" >$OUT/index.html\n", "text.md": "# tea\n"}, nil)
	code := map[string]string{
		"functions/ping/main.wasm": prebuilt,
		"functions/inc/go.mod":     "module inc\n\ngo 1.24\n", "functions/inc/main.go": "package main\n\n//go:wasmexport inc\nfunc inc(event uint32) uint32 { return event + 1 }\n\nfunc main() {}\n",
	}
	entries := map[string]string{
		"config.yaml": "name: tea\n", "functions/ping.yaml": function("ping"), "functions/inc.yaml": function("inc"),
		"websites/site.yaml": "paths: [/]\nsource: {github: {id: \"7\", fullname: acme/tea-site}}\n", "websites/blog.yaml": "paths: [/blog]\nsource: {github: {id: \"8\", fullname: acme/tea-blog}}\n",
	}
	assets := 4
	doctor, _ := f.tau("", "doctor", "-s", "one")
	for what, files := range map[string]map[string]string{
		"c":              {"functions/dec/dec.c": "int dec(int event) { return event - 1; }\n"},
		"assemblyscript": {"functions/neg/package.json": "{}", "functions/neg/assembly/index.ts": "export function neg(event: i32): i32 { return -event; }\n"},
	} {
		if !strings.Contains(doctor, what+": ") || strings.Contains(doctor, what+": there is no") || strings.Contains(doctor, what+": AssemblyScript's compiler is not configured") {
			t.Logf("NOT BUILT, as this machine lacks the toolchain: %s", what)
			continue
		}
		assets++
		for file, content := range files {
			code[file] = content
			name := strings.Split(file, "/")[1]
			entries["functions/"+name+".yaml"] = function(name)
		}
	}
	f.push("tea", "tea-code", "code", code, nil)
	commit := f.push("tea", "tea-config", "configuration", entries, nil)
	job, log := f.outcome(commit)
	require.Equal(t, "success", job.Status, "%s\n%s", job.Error, log)
	require.Regexp(t, fmt.Sprintf(`building tea-config at %s, \d+ files, %d assets`, commit, assets), log)
	all, _ := ask[[]live.Job](f.operator, "jobs", "--project", "tea", "-s", "one")
	logs := "" // what an earlier job has built is not built again
	for _, j := range all {
		one, _ := f.tau("", "logs", j.Job, "-s", "one")
		logs += one
	}
	require.Contains(t, logs, "bubblewrap", "a log says what kept its build apart")
	require.Contains(t, logs, "the key is ***")
	require.NotContains(t, logs, canary)
	t.Log(logs)

	f.attacks()

	require.NoError(t, filepath.WalkDir(f.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		require.NotContains(t, string(raw), canary, path)
		return err
	}))
	require.False(t, remembers(t, two.cmd.Process.Pid, canary), "the memory of a node that neither builds nor keeps secrets has one")
	require.True(t, remembers(t, two.cmd.Process.Pid, "cloud.example.com"), "the search finds nothing at all")
}

// attacks push what is to hurt the node, each in a project of its own: each ends, as the fault of who has pushed, and the node goes on.
func (f *forged) attacks() {
	script := func(lines string) map[string]string {
		return map[string]string{"tau.yaml": "name: bad\nwebsites: {site: {build: {steps: [\"sh bad.sh\"], output: .}}}\n", "websites/site/bad.sh": lines}
	}
	page := func() map[string]string {
		return map[string]string{"tau.yaml": "name: bad\nwebsites: {site: }\n", "websites/site/index.html": "<p>"}
	}
	all := map[string]struct {
		files  map[string]string
		before func(work string)
		want   string // in the error; "-": it succeeds
	}{
		"fork-bomb":        {script("bomb() { bomb | bomb & }\nbomb\nfor i in 1 2 3; do sh bad.sh & done\nsleep 5\nexit 1\n"), nil, "exit code"},
		"output":           {script("yes\n"), nil, "it said more than"},
		"memory":           {script("perl -e 'my @x; push @x, \"x\" x 10_000_000 while 1'\n"), nil, ""},
		"files":            {script("perl -e 'mkdir $i++ while 1'\n"), nil, "files and folders"},
		"network":          {script("perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0) or exit 7'\n"), nil, "exit code 7"},
		"asks-for-network": {map[string]string{"tau.yaml": "name: bad\nwebsites: {site: {build: {steps: [\"true\"], network: true}}}\n", "websites/site/a": ""}, nil, "build-network"},
		"host":             {script("cat /etc/shadow && exit 0\nexit 9\n"), nil, "exit code 9"},
		"link":             {page(), func(work string) { f.entry(work, "120000", "websites/site/passwd", "/etc/passwd") }, "symbolic link"},
		"submodule": {page(), func(work string) {
			f.git("-C", work, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",websites/site/vendor")
		}, "-"},
		"container": {map[string]string{"tau.yaml": "name: bad\nwebsites: {site: }\n", "websites/site/.taubyte/config.yaml": "environment: {image: x}\nworkflow: [build]\n", "websites/site/.taubyte/build.sh": ""}, nil, "no container engine runs on this node"},
	}
	commits := map[string]string{}
	for name, c := range all { // patricks ask once a minute
		c.files["name.txt"] = name // no two commits are one
		f.must("", "auth", "project", "add", name, "-s", "one")
		commits[name] = f.push(name, name, "", c.files, c.before)
	}
	for name, c := range all {
		job, log := f.outcome(commits[name])
		f.t.Logf("%s: %s: %s", name, job.Status, job.Error)
		if c.want == "-" {
			require.Equal(f.t, "success", job.Status, "%s: %s\n%s", name, job.Error, log)
			continue
		}
		require.Equal(f.t, "failed", job.Status, "%s\n%s", name, log)
		require.Contains(f.t, job.Error, c.want, "%s\n%s", name, log)
		require.Equal(f.t, 1, job.Attempts, "%s is tried again: %s", name, job.Error)
	}
	f.ready("one", 0)
}

// entry adds an entry that no file system has to keep.
func (f *forged) entry(work, mode, name, content string) {
	file := filepath.Join(f.t.TempDir(), "content")
	require.NoError(f.t, os.WriteFile(file, []byte(content), 0o600))
	f.git("-C", work, "update-index", "--add", "--cacheinfo", mode+","+f.git("-C", work, "hash-object", "-w", file)+","+name)
}

// remembers reports whether the memory of a process has a text in it.
func remembers(t *testing.T, pid int, text string) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(dir + "/maps")
	require.NoError(t, err)
	memory, err := os.Open(dir + "/mem")
	require.NoError(t, err)
	defer memory.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var may string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &may); n != 3 || !strings.HasPrefix(may, "rw") {
			continue
		}
		const part = 16 << 20
		for at := from; at < to; at += part - int64(len(text)) {
			raw := make([]byte, min(part, to-at))
			n, err := memory.ReadAt(raw, at)
			if err != nil && err != io.EOF && n == 0 {
				break // a guard, or what is gone
			}
			if bytes.Contains(raw[:n], []byte(text)) {
				return true
			}
		}
	}
	return false
}
