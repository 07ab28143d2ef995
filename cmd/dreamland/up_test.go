package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/cmd/dreamland/up"
	taulive "github.com/taucloud/tau/cmd/tau/live"
)

// developer types commands about universes of his own.
type developer struct {
	t    *testing.T
	home string
}

func newDeveloper(t *testing.T) *developer {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	home, err := os.MkdirTemp("", "up-")
	require.NoError(t, err)
	d := &developer{t, home}
	t.Cleanup(func() {
		for _, r := range d.runs() {
			_ = syscall.Kill(r.PID, syscall.SIGKILL)
		}
		require.Eventually(t, func() bool { return os.RemoveAll(home) == nil }, time.Minute, 50*time.Millisecond)
	})
	return d
}

// runs are the universes that say that they run.
func (d *developer) runs() (list []up.Running) {
	files, _ := filepath.Glob(filepath.Join(d.home, "dreamland", "*", "running.json"))
	for _, file := range files {
		var r up.Running
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &r) == nil {
			list = append(list, r)
		}
	}
	return list
}

func (d *developer) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+d.home, "HOME="+d.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	return cmd
}

// says is what a command prints, all of it.
func (d *developer) says(dir, name string, args ...string) (string, error) {
	out, err := d.command(dir, name, args...).CombinedOutput()
	return string(out), err
}

// port is one that nobody has.
func (d *developer) port() string {
	return strconv.Itoa(cmdtest.FreePort(d.t))
}

func (d *developer) must(dir, name string, args ...string) string {
	d.t.Helper()
	out, err := d.says(dir, name, args...)
	require.NoError(d.t, err, "%s %s: %s", name, args, out)
	return out
}

func (d *developer) fails(name string, args ...string) string {
	d.t.Helper()
	out, err := d.says("", name, args...)
	require.Error(d.t, err, "%s %s: %s", name, args, out)
	return out
}

func reads[T any](d *developer, args ...string) (answer T) {
	d.t.Helper()
	var out, complaint bytes.Buffer
	cmd := d.command("", "dreamland", append(args, "--json")...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	require.NoError(d.t, cmd.Run(), "dreamland %s: %s", args, complaint.String())
	require.NoError(d.t, json.Unmarshal(out.Bytes(), &answer), "dreamland %s: %s", args, out.String())
	return answer
}

// few are nodes enough for a push.
var few = []string{"--node", "one=seer,auth,tns,hoarder,patrick", "--node", "two=monkey,substrate,gateway"}

// browses asks for the root of a host, as a browser does that knows that all of localhost is this machine.
func (d *developer) browses(r up.Running, address string) (status int, body string) {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.HTTP+"/", nil)
	require.NoError(d.t, err)
	u, err := url.Parse(address)
	require.NoError(d.t, err)
	req.Host = u.Host
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, string(raw)
}

// serves asks until the root of an address is what it is to be.
func (d *developer) serves(r up.Running, address, part string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		status, body := d.browses(r, address)
		return status == http.StatusOK && strings.Contains(body, part)
	}, 20*time.Second, 50*time.Millisecond, part)
}

// TestWithoutASandbox: doctor and up say beforehand that no function is built, and what to do, which is no option that a universe has not.
func TestWithoutASandbox(t *testing.T) {
	t.Parallel()
	d := newDeveloper(t)
	git, err := exec.LookPath("git")
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(git, filepath.Join(bin, "git")))
	says := func(args ...string) string {
		cmd := d.command("", "dreamland", args...)
		cmd.Env = append(cmd.Env, "PATH="+bin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	const remedy = "install it, apt-get install bubblewrap\n"
	out := says("doctor")
	require.Regexp(t, `warning +builds +sandbox: .*`+remedy, out)
	out = says(append([]string{"up", "bare", "--detach"}, few...)...)
	require.Regexp(t, `warning: no function is built here, websites are: there is no bubblewrap .*`+remedy, out)
	require.Equal(t, 1, strings.Count(out, "warning"))
	dir := filepath.Join(d.home, "fun")
	d.must("", "dreamland", "new", "project", dir, "--template", "hello")
	out = d.fails("dreamland", "push", dir)
	require.Contains(t, out, remedy)
	require.NotContains(t, out, "tau start")
	empty := t.TempDir()
	out, err = d.says("", "dreamland", "push", empty, "--project", "nothing")
	require.ErrorContains(t, err, "exit status 2", out)
	require.Contains(t, out, "has no files")
	require.NoError(t, os.WriteFile(filepath.Join(empty, "a.txt"), nil, 0o600))
	require.Contains(t, d.must("", "dreamland", "push", empty, "--project", "nothing"), "there is no tau.yaml here: 1 files are published as they are\n")
	out, err = d.says("", "dreamland", "builds", "nosuch")
	require.ErrorContains(t, err, "exit status 1", out)
	require.Contains(t, out, "there is no project \"nosuch\"")
	out = d.fails("dreamland", "versions", "nosuch")
	require.Equal(t, "dreamland: nothing is published on nosuch/main\n", out, "without the names of what is inside")
	d.knowsNoSuch("bare", "nothing")
	cmd := d.command("", "dreamland", "open")
	cmd.Env = append(cmd.Env, "PATH="+bin)
	raw, err := cmd.CombinedOutput()
	require.ErrorContains(t, err, "exit status 1")
	require.Contains(t, string(raw), "no browser could be started")
	require.Contains(t, string(raw), "open the address above")
	d.must("", "dreamland", "down", "bare")
	require.NotContains(t, says("up", "noone", "--detach", "--node", "one=seer,auth,tns,hoarder,patrick"), "warning", "nobody builds there anyway")
	d.must("", "dreamland", "down", "noone")
}

// javaScript pushes the template in JavaScript, which is bundled and answers, and then what is wrong in it.
func (d *developer) javaScript(r up.Running, port string) {
	d.t.Helper()
	if _, err := exec.LookPath("bwrap"); err != nil && os.Getenv("CI") == "" {
		d.t.Log("no function is built: there is no bubblewrap")
		return
	}
	dir := filepath.Join(d.home, "script")
	d.must("", "dreamland", "new", "project", dir, "--template", "js")
	out := d.must(dir, "git", "push", "dreamland", "main")
	at := "http://script.localhost:" + port + "/"
	require.Contains(d.t, out, " of script, branch main: "+at+" ")
	d.serves(r, at, "Hello, world.")
	log := d.must("", "dreamland", "logs", "--function", "script/hello")
	require.Contains(d.t, log, "greeted world\n", "console.log is seen")
	require.Equal(d.t, "greeted world", reads[taulive.SaidLine](d, "logs", "--function", "hello", "--project", "script").Text)
	require.Contains(d.t, d.fails("dreamland", "logs", "--function", "script/helo"), `did you mean "hello"?`)
	main := filepath.Join(dir, "functions/hello/index.js")
	code, err := os.ReadFile(main)
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile(main, bytes.Replace(code, []byte("export default {"), []byte("export const other = {"), 1), 0o600))
	require.Contains(d.t, d.fails("dreamland", "push", dir), "functions/hello/index.js:1:1: it has no default export: expected export default {")

	put := d.command("", "dreamland", "secret", "put", "script", "TOKEN")
	put.Stdin = strings.NewReader("not-in-git\n")
	raw, err := put.CombinedOutput()
	require.NoError(d.t, err, string(raw))
	require.NotContains(d.t, string(raw), "not-in-git")
	secrets := reads[[]up.Secret](d, "secret", "list", "script")
	require.Len(d.t, secrets, 1, "and none of the forge's")
	require.Equal(d.t, "function TOKEN", secrets[0].For+" "+secrets[0].Name)
	require.Contains(d.t, d.fails("dreamland", "secret", "list", "scrip"), `did you mean "script"?`)
	require.NoError(d.t, os.WriteFile(main, bytes.Replace(code, []byte("console.log("), []byte("throw new Error(env.TOKEN + "), 1), 0o600))
	config := filepath.Join(dir, "tau.yaml")
	text, err := os.ReadFile(config)
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile(config, bytes.Replace(text, []byte("    timeout: 5s\n"), []byte("    timeout: 5s\n    secrets: [TOKEN]\n"), 1), 0o600))
	d.must("", "dreamland", "push", dir)
	require.Eventually(d.t, func() bool {
		status, _ := d.browses(r, at)
		return status == http.StatusInternalServerError
	}, 20*time.Second, 50*time.Millisecond)
	log = d.must("", "dreamland", "logs", "--function", "script/hello")
	require.Contains(d.t, log, "Uncaught Error: ***greeted\n", "it had the secret, which no log shows")
	require.Contains(d.t, log, "at fetch (index.js:", "and its stack")
	out, err = d.says("", "dreamland", "call", "script/hello", "--path", "/")
	require.ErrorContains(d.t, err, "exit status 1")
	require.Contains(d.t, out, "dreamland logs --function script/hello\n")
	d.must("", "dreamland", "secret", "remove", "script", "TOKEN")
	require.Empty(d.t, reads[[]up.Secret](d, "secret", "list", "script"))
}

// showsWhatIsLive: after a rollback the page of a universe does not say that the branch's newest commit answers.
func (d *developer) showsWhatIsLive(r up.Running, live string) {
	d.t.Helper()
	token, err := os.ReadFile(filepath.Join(r.Dir, "token"))
	require.NoError(d.t, err)
	req, err := http.NewRequest(http.MethodGet, r.Admin+"/v1/projects", nil)
	require.NoError(d.t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	var list []up.Project
	require.NoError(d.t, json.NewDecoder(resp.Body).Decode(&list))
	require.Equal(d.t, live, list[0].Branches[0].Live)
	require.NotEqual(d.t, live, list[0].Branches[0].Commit)
}

// knowsNoSuch asks for what the universe, or nobody, has by a name: exit status 1, and 2 for what is wrong whatever there is.
func (d *developer) knowsNoSuch(universe, project string) {
	d.t.Helper()
	for args, status := range map[string]int{
		"status -u nosuch": 1, "down nosuch": 1, "clean nosuch": 1, "builds -u nosuch": 1, "push . -u nosuch": 1, "dev . -u nosuch": 1, "new project site -u nosuch": 1,
		"builds nosuch": 1, "versions nosuch": 1, "rollback nosuch": 1, "rollback " + project: 1, "rollback " + project + " 1111111": 1, "call nosuch/f": 1, "call f": 1, "open nosuch": 1,
		"secret list nosuch": 1, "secret remove nosuch K": 1, "kill nosuch": 1, "start nosuch": 1, "pause nosuch": 1, "partition nosuch": 1,
		"logs --project nosuch": 1, "logs --function nosuch/f": 1, "failpoint set beacon/before-send crash --node nosuch": 1,
		"failpoint set nosuch/x crash": 2, "logs nosuch": 2, "push /nosuch": 2, "kill": 2, "builds a/b": 2, "status more": 2, "down a/b": 2,
	} {
		words := strings.Fields(args)
		if !strings.Contains(args, "-u ") && words[0] != "down" && words[0] != "clean" {
			words = append(words, "-u", universe)
		}
		out, err := d.says(d.t.TempDir(), "dreamland", words...)
		require.ErrorContains(d.t, err, fmt.Sprint("exit status ", status), "%s: %s", args, out)
		require.NotContains(d.t, out, ": invalid: ", "what is inside")
	}
}

// pushesToNobody pushes while the node is down that builds, is told so, and starts it.
func (d *developer) pushesToNobody() {
	d.t.Helper()
	plain := d.t.TempDir()
	require.NoError(d.t, os.WriteFile(filepath.Join(plain, "a.txt"), nil, 0o600))
	cmd := d.command("", "dreamland", "push", plain, "--project", "plain")
	out, err := cmd.StdoutPipe()
	require.NoError(d.t, err)
	require.NoError(d.t, cmd.Start())
	said, told := "", false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if !told && strings.Contains(lines.Text(), "nobody builds: no node that runs monkey is up") {
			told = true
			require.Contains(d.t, d.must("", "dreamland", "start", "two"), "two is up")
		}
	}
	require.NoError(d.t, cmd.Wait(), said)
	require.True(d.t, told, said)
	require.Equal(d.t, 1, strings.Count(said, "nobody builds"), said)
}

// TestAPushIsPublishedAndOutlivesKill9: up, a project, git push, whose output has the build's log and how it ended; the universe's process is
// killed, and what was pushed is there when it runs again, also what nobody was told of.
func TestAPushIsPublishedAndOutlivesKill9(t *testing.T) {
	t.Parallel()
	d := newDeveloper(t)
	// Ports of its own, as it is ended and begun again: universes of other tests may take the usual ones meanwhile.
	for flag, what := range map[string]string{"99999": "expected a port, 1 to 65535", "-1": "expected a port, 1 to 65535"} {
		out, err := d.says("", "dreamland", "up", "a", "--detach", "--http-port", flag)
		require.ErrorContains(t, err, "exit status 2")
		require.Contains(t, out, what)
		require.NoDirExists(t, filepath.Join(d.home, "dreamland", "a"), "nothing was made")
	}
	own := []string{"up", "a", "--detach", "--http-port", d.port(), "--admin-port", d.port(), "--git-port", d.port()}
	r := reads[up.Running](d, append(own, few...)...)
	require.Equal(t, "a", r.Name)
	require.Equal(t, []string{"one", "two"}, r.Nodes)
	info, err := os.Stat(r.Token)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	out, err := d.says("", "dreamland", "up", "a")
	require.Error(t, err)
	require.Contains(t, out, "universe a runs already")
	resp, err := http.Post(r.Admin+"/v1/down", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "nobody ends it without the token")

	dir := filepath.Join(d.home, "site")
	d.must("", "dreamland", "new", "project", dir, "--template", "website")
	out = d.must(dir, "git", "push", "dreamland", "main")
	require.Regexp(t, `remote: building [0-9a-f]{10} of site, branch main`, out)
	require.Contains(t, out, "remote: websites/site: static of websites/site")
	commit := strings.TrimSpace(d.must(dir, "git", "rev-parse", "HEAD"))
	require.Contains(t, out, "remote: published "+commit[:10]+" of site, branch main")
	_, port, _ := strings.Cut(r.HTTP, "localhost:")
	at := "http://site.localhost:" + port + "/"
	require.Contains(t, out, " of site, branch main: "+at+" ", "the push ends with the URL")
	page, err := os.ReadFile(filepath.Join(dir, "websites/site/index.html"))
	require.NoError(t, err)
	status, body := d.browses(r, at)
	require.Equal(t, http.StatusOK, status, "it answers at once")
	require.Equal(t, string(page), body)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "websites/site/index.html"), []byte("two"), 0o600))
	out = d.must("", "dreamland", "push", dir)
	require.Contains(t, out, "branch main: "+at+"\n")
	_, body = d.browses(r, at)
	require.Equal(t, "two", body)
	status, body = d.browses(r, "http://nobody.localhost:"+port)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "there is no project nobody")
	require.Equal(t, commit, strings.Fields(d.must(dir, "git", "ls-remote", "dreamland", "refs/heads/main"))[0], "a snapshot moves no branch")
	preview := "http://feature-one.site.localhost:" + port + "/"
	require.Contains(t, d.must("", "dreamland", "push", dir, "--branch", "feature/one"), "branch feature/one: "+preview+"\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "websites/site/index.html"), []byte("a feature"), 0o600))
	d.must(dir, "git", "checkout", "-q", "-b", "feature/one")
	d.must(dir, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "A feature")
	require.Contains(t, d.must(dir, "git", "push", "dreamland", "feature/one"), "branch feature/one: "+preview+" ")
	_, body = d.browses(r, preview)
	require.Equal(t, "a feature", body, "a branch has a preview of its own")
	_, body = d.browses(r, at)
	require.Equal(t, "two", body, "and production stays as it was")
	require.Contains(t, d.must(dir, "git", "push", "dreamland", ":feature/one"), "branch feature/one is gone")
	require.Eventually(t, func() bool {
		status, _ := d.browses(r, preview)
		return status == http.StatusNotFound
	}, 20*time.Second, 50*time.Millisecond, "and with it its preview")
	jobs := reads[[]taulive.Job](d, "builds", "site")
	require.Len(t, jobs, 5, "a delivery is one job: %v", jobs)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tau.yaml"), []byte("name: ["), 0o600))
	out, err = d.says("", "dreamland", "push", dir)
	require.Error(t, err, "a build that fails")
	require.Contains(t, out, "failed: ")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tau.yaml"), []byte("name: site\none: 1\ntwo: 2\n"), 0o600))
	out, err = d.says("", "dreamland", "push", dir)
	require.Error(t, err)
	require.Regexp(t, `(?m)^failed: tau.yaml:2:1: .*\n    \| one: 1\n`, out, "an error keeps its lines")
	require.Equal(t, 1, strings.Count(out, "tau.yaml:3:1: "), "and is told once: %s", out)
	require.Equal(t, 1, strings.Count(d.fails("dreamland", "logs"), "tau.yaml:3:1: "), "here, too")
	require.NotContains(t, d.must("", "dreamland", "builds"), "tau.yaml:3:1: ", "a table has its first line")
	require.Contains(t, reads[[]taulive.Job](d, "builds")[0].Error, "\ntau.yaml:3:1: ")
	require.Len(t, reads[[]taulive.Version](d, "versions", "site"), 2)
	require.Equal(t, commit, reads[taulive.Version](d, "rollback", "site", commit[:8]).Commit)
	d.serves(r, at, string(page))
	d.showsWhatIsLive(r, commit)

	d.javaScript(r, port)

	require.NoError(t, syscall.Kill(r.PID, syscall.SIGKILL))
	repository := filepath.Join(r.Dir, "git", "site.git")
	d.must(repository, "git", "update-ref", "refs/heads/other", commit) // moved, and then the process was killed
	require.Eventually(t, func() bool {                                 // the kernel takes its time to end a large process
		_, err := d.says("", "dreamland", "up", "a", "--detach")
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	r = d.runs()[0]
	d.serves(r, at, string(page))
	list := reads[[]taulive.Version](d, "versions", "site")
	require.Len(t, list, 3)
	require.Equal(t, commit, list[0].Commit)
	require.Eventually(t, func() bool {
		out, err := d.says("", "dreamland", "versions", "site", "--branch", "other")
		return err == nil && strings.Contains(out, commit)
	}, 30*time.Second, 200*time.Millisecond)

	require.Contains(t, d.must("", "dreamland", "kill", "two"), "two is down")
	s := reads[up.Status](d, "status")
	require.False(t, s.Ready)
	require.Equal(t, "down", s.Members[1].State)
	d.pushesToNobody()
	require.Len(t, reads[up.Partition](d, "partition", "one|two").Groups, 2)
	require.Empty(t, reads[up.Partition](d, "heal").Groups)
	d.must("", "dreamland", "doctor")
	d.must("", "dreamland", "down", "a")
	forgeAt, named := strings.CutSuffix(r.Git, "/a")
	require.True(t, named, r.Git)
	for _, address := range []string{r.Admin, forgeAt, r.HTTP} {
		l, err := net.Listen("tcp", strings.TrimPrefix(address, "http://"))
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}

	busy, err := net.Listen("tcp", strings.TrimPrefix(forgeAt, "http://"))
	require.NoError(t, err)
	defer busy.Close()
	out, err = d.says("", "dreamland", "up", "a", "--detach")
	require.Error(t, err)
	require.Contains(t, out, fmt.Sprintf("another process has the port %d", busy.Addr().(*net.TCPAddr).Port))
	require.NoError(t, os.WriteFile(filepath.Join(r.Dir, "universe.json"), []byte("{"), 0o600))
	out, err = d.says("", "dreamland", "up", "a", "--detach")
	require.Error(t, err)
	require.Contains(t, out, "is damaged")
	d.must("", "dreamland", "clean", "a")
	require.NoDirExists(t, r.Dir)
}
