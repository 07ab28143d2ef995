package forge

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/transport"
)

// builder is told of what has moved.
type builder struct {
	mu    sync.Mutex
	moved []Moved
	wait  chan struct{} // builds end when it is closed; nil: at once
	fails int           // so many deliveries
	gone  []string
	// unnamed: the forge takes pushes whose remote names no universe.
	unnamed bool
}

func (b *builder) Deliver(_ context.Context, m Moved) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails--; b.fails >= 0 {
		return "", errors.New("nobody answers")
	}
	b.moved = append(b.moved, m)
	return "job-" + m.Branch, nil
}

func (b *builder) Follow(ctx context.Context, m Moved, job string, say func(string)) {
	say("log of " + job + "\x1b[2J")
	if b.wait != nil {
		select {
		case <-b.wait:
		case <-ctx.Done():
			return
		}
	}
	say("built " + m.Commit)
}

func (b *builder) Gone(_ context.Context, project, branch, was string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, project+" "+branch+" "+was)
}

func (b *builder) got() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.moved {
		list = append(list, m.Project+" "+m.Branch+" "+m.Commit)
	}
	return list
}

// world is a forge that serves, and a repository to push from.
type world struct {
	t     *testing.T
	forge *Forge
	b     *builder
	url   string
	dir   string
}

func newWorld(t *testing.T, dir string) *world {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	b := &builder{unnamed: true}
	f, err := New(Config{Dir: dir, Universe: "u", Unnamed: func() bool { return b.unnamed }, Check: project.CheckIdentifier, Deliver: b, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	s := httptest.NewServer(f)
	t.Cleanup(func() { f.Close(); s.CloseClientConnections(); s.Close() })
	w := &world{t, f, b, s.URL, t.TempDir()}
	w.git("init", "-q", "-b", "main")
	w.commit("one")
	return w
}

// run is git, of an author who is in no other world: equal first commits would be one.
func (w *world) run(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME="+w.dir, "GIT_AUTHOR_EMAIL=a@a", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@a", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.run(args...)
	require.NoError(w.t, err, "git %s: %s", args, out)
	return strings.TrimSpace(out)
}

func (w *world) commit(text string) string {
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "file"), []byte(text), 0o600))
	w.git("add", ".")
	w.git("commit", "-q", "-m", text)
	return w.git("rev-parse", "HEAD")
}

// TestRemotesNameTheirUniverse: a push meant for another universe is refused, and one that does not say for which it is, unless it can only be this one.
func TestRemotesNameTheirUniverse(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.git("push", "-q", w.url+"/u/site.git", "main")
	w.git("push", "-q", w.url+"/u/site", "main:two")
	w.b.unnamed = false
	out, err := w.run("push", w.url+"/default/site.git", "main:three")
	require.Error(t, err)
	require.Contains(t, out, "this is universe u, not default: ")
	require.Contains(t, out, "/u/site.git\n", "and how it is meant")
	out, err = w.run("push", w.url+"/site.git", "main:three")
	require.Error(t, err)
	require.Contains(t, out, "this is universe u, and the remote does not say which it is for")
	_, err = w.run("ls-remote", w.url+"/default/site.git")
	require.Error(t, err)
	require.Contains(t, w.git("ls-remote", w.url+"/site.git"), "refs/heads/two", "what only reads harms nobody")
	require.NotContains(t, w.git("ls-remote", w.url+"/u/site.git"), "three")
}

// TestAPush makes its repository, with its log in its own output; several refs at once are told of one by one; a clone has what was pushed.
func TestAPush(t *testing.T) {
	w := newWorld(t, t.TempDir())
	one := w.git("rev-parse", "HEAD")
	out := w.git("push", w.url+"/site.git", "main")
	require.Contains(t, out, "remote: log of job-main\ufffd[2J", "what others write moves no cursor")
	require.Contains(t, out, "remote: built "+one)
	require.Equal(t, []string{"site main " + one}, w.b.got())

	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "large"), bytes.Repeat([]byte("0123456789abcdef"), 1<<17), 0o600)) // sent in chunks, after a question
	two := w.commit("two")
	w.git("tag", "v1")
	out = w.git("-c", "http.postBuffer=1000", "push", w.url+"/site.git", "main", "main:feature/x", "v1")
	require.Contains(t, out, "remote: main: built "+two)
	require.Contains(t, out, "remote: feature/x: built "+two)
	require.ElementsMatch(t, []string{"site main " + one, "site main " + two, "site feature/x " + two}, w.b.got(), "a tag is not built")
	require.Contains(t, w.git("push", w.url+"/site.git", ":feature/x"), "branch feature/x is gone")
	require.Len(t, w.b.got(), 3)
	require.Eventually(t, func() bool {
		w.b.mu.Lock()
		defer w.b.mu.Unlock()
		return len(w.b.gone) == 1 && w.b.gone[0] == "site feature/x "+two
	}, 10*time.Second, 5*time.Millisecond)

	clone := filepath.Join(t.TempDir(), "clone")
	w.git("clone", "-q", w.url+"/site.git", clone)
	require.FileExists(t, filepath.Join(clone, "large"), "HEAD is main")
	refs, err := w.forge.Refs(t.Context(), "site")
	require.NoError(t, err)
	require.Len(t, refs, 2)
	require.NotContains(t, w.git("ls-remote", w.url+"/site.git"), "delivered")
	_, err = w.run("clone", "-q", w.url+"/nothing.git", clone+"2")
	require.Error(t, err)
	require.Equal(t, []string{"site"}, w.forge.Projects(), "asking makes no repository")
}

// TestABuildIsNotTheClients: who pushes and goes away has pushed, and what nobody could be told of is told again, also by the next forge.
func TestABuildIsNotTheClients(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir)
	w.b.wait, w.b.fails = make(chan struct{}), 1
	cmd := exec.Command("git", "push", w.url+"/site.git", "main")
	cmd.Dir = w.dir
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return w.forge.at(t.Context(), filepath.Join(dir, "site.git"), heads+"main") != "" }, 20*time.Second, 5*time.Millisecond)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return len(w.b.got()) == 1 }, 20*time.Second, 5*time.Millisecond)
	close(w.b.wait)
	w.forge.Close()

	w.git("push", "-q", filepath.Join(dir, "site.git"), "main:later") // nobody is told
	again := newWorld(t, dir)
	again.forge.Resume()
	require.Eventually(t, func() bool { return len(again.b.got()) == 1 }, 20*time.Second, 5*time.Millisecond)
	require.Contains(t, again.b.got()[0], "site later ")
}

// TestAttacks: what is not a push of Git is refused, and leaves nothing behind.
func TestAttacks(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir)
	pkt := func(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
	zero, one := strings.Repeat("0", 40), strings.Repeat("1", 40)
	post := func(path, kind, host, encoding string, body io.Reader) int {
		req, err := http.NewRequest(http.MethodPost, w.url+path, body)
		require.NoError(t, err)
		req.Header.Set("Content-Type", kind)
		if host != "" {
			req.Host = host
		}
		if encoding != "" {
			req.Header.Set("Content-Encoding", encoding)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	const push, receive = "application/x-git-receive-pack-request", "/site.git/git-receive-pack"
	for name, body := range map[string]string{
		"garbage": "garbage", "a length that is too short": "0003", "a packet that ends early": "00ff1", "no refs": pkt("hello") + flushPkt,
		"a ref that is none":       pkt(zero+" "+one+" HEAD") + flushPkt,
		"a ref of the forge's own": pkt(zero+" "+one+" "+delivered+"heads/main") + flushPkt,
		"too many refs":            strings.Repeat(pkt(zero+" "+one+" refs/heads/x"), RefsPerPushMax+1) + flushPkt,
		"refs without an end":      strings.Repeat(pkt("shallow "+one), commandsLenMax/40),
	} {
		require.Equal(t, http.StatusBadRequest, post(receive, push, "", "", strings.NewReader(body)), name)
	}
	require.Equal(t, http.StatusBadRequest, post(receive, push, "", "gzip", strings.NewReader("no gzip")))
	require.Equal(t, http.StatusUnsupportedMediaType, post(receive, push, "", "br", strings.NewReader("")))
	require.Equal(t, http.StatusUnsupportedMediaType, post(receive, "text/plain", "", "", strings.NewReader("")), "what a form of a web page could send")
	require.Equal(t, http.StatusForbidden, post(receive, push, "evil.example.com", "", strings.NewReader("")), "a name of elsewhere that leads here")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.CopyN(z, ones{}, 64<<20)
	require.NoError(t, z.Close())
	require.Equal(t, http.StatusBadRequest, post(receive, push, "", "gzip", &packed))
	for _, path := range []string{"/../x.git", "/%2e%2e/x", "/a%2f..%2fb.git", "/..%2f..%2fetc.git", "/.empty.git", "/a.b.git", "/" + strings.Repeat("a", 200) + ".git"} {
		require.Equal(t, http.StatusNotFound, post(path+"/git-receive-pack", push, "", "", strings.NewReader(flushPkt)), path)
	}
	require.Empty(t, w.forge.Projects())
	require.Empty(t, w.b.got())

	// A pack that is none: git says so, and nothing moves.
	require.Equal(t, http.StatusOK, post(receive, push, "", "", strings.NewReader(pkt(zero+" "+one+" refs/heads/main\x00report-status side-band-64k")+flushPkt+"PACKgarbage")))
	require.Empty(t, w.b.got())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the repository, and the one that stands for those that are not made: %v", entries)
}

type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}

// TestManyPushes at once to one branch: exactly one wins.
func TestManyPushes(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.git("push", "-q", w.url+"/site.git", "main")
	var commits []string
	for i := range 6 {
		w.git("checkout", "-q", "-b", fmt.Sprint("b", i), "main")
		commits = append(commits, w.commit(fmt.Sprint("b", i)))
	}
	results := make(chan error)
	for i := range commits {
		go func() {
			cmd := exec.Command("git", "push", "-q", w.url+"/site.git", fmt.Sprint("b", i, ":main"))
			cmd.Dir = w.dir
			results <- cmd.Run()
		}()
	}
	won := 0
	for range commits {
		if <-results == nil {
			won++
		}
	}
	require.Equal(t, 1, won)
	require.Len(t, w.b.got(), 2)
	w.git("--git-dir="+filepath.Join(w.forge.cfg.Dir, "site.git"), "fsck", "--strict")
}

// TestAWrongNameIsSaidPlainly: who pushes reads what is wrong with it, not which service says so.
func TestAWrongNameIsSaidPlainly(t *testing.T) {
	f, err := New(Config{Dir: t.TempDir(), Check: func(string) error { return transport.New(transport.Invalid, "patrick/name", "a name like that") }, Deliver: &builder{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	defer f.Close()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://localhost/x.git/info/refs?service=git-receive-pack", nil)
	f.ServeHTTP(w, r)
	require.Equal(t, "a name like that\n", w.Body.String())
}

// TestWhatIsNoBranch: a tag is kept; notes are refused by git's own report, and what was pushed with them is taken; who lacks what is
// there is told to fetch first, and a project that fits to no other is refused. Each ends at once.
func TestWhatIsNoBranch(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.forge.cfg.Fits = func(name string, others []string) error {
		if len(others) > 0 {
			return errors.New(name + " is too much")
		}
		return nil
	}
	w.git("notes", "add", "-m", "a note")
	w.git("tag", "v1")
	require.Contains(t, w.git("push", w.url+"/site.git", "main", "v1"), "tag v1 is kept; nothing is built of tags")
	out, err := w.run("push", w.url+"/site.git", "refs/notes/commits", "main:next")
	require.Error(t, err)
	require.Contains(t, out, "! [remote rejected] refs/notes/commits -> refs/notes/commits")
	require.Contains(t, out, "remote: refs/notes/commits is not taken: branches and tags are")
	require.Contains(t, out, "[new branch]      main -> next")
	require.Len(t, w.b.got(), 2)
	require.NotContains(t, w.git("ls-remote", w.url+"/site.git"), "notes")
	require.Contains(t, w.git("push", w.url+"/site.git", ":v1"), "tag v1 is gone")

	for _, name := range []string{"caf\xe9", "a\u202eb"} { // Git's own names have no bounds but bytes: nothing could keep the first, nobody read the second
		out, err = w.run("push", w.url+"/site.git", "main:refs/heads/"+name, "main:third")
		require.Error(t, err)
		require.Regexp(t, `remote: "refs/heads/.*" may not be pushed: branches and tags may, by names in UTF-8 that can be seen`, out)
		require.Contains(t, out, "! [remote rejected] main -> third (not taken)")
		require.NotContains(t, out, "RPC failed")
	}
	require.NotContains(t, w.git("ls-remote", w.url+"/site.git"), "third", "nothing of such a push is taken")

	other := newWorld(t, t.TempDir())
	out, err = other.run("push", w.url+"/site.git", "main")
	require.Error(t, err)
	require.Contains(t, out, "[rejected]        main -> main (fetch first)")
	out, err = w.run("push", w.url+"/sites.git", "main")
	require.Error(t, err)
	require.Contains(t, out, "remote: sites is too much")
	require.Equal(t, []string{"site"}, w.forge.Projects())
}
