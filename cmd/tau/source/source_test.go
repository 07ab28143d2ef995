package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/source/gogit"
	"github.com/taucloud/tau/project/tree"
)

// repository is a bare one on this machine, in which anything can be written.
type repository struct {
	*testing.T
	dir string
	own bool // its fetchers are the git in this program
}

func newRepository(t *testing.T) *repository {
	r := &repository{T: t, dir: filepath.Join(t.TempDir(), "forge")}
	r.git("", "init", "-q", "--bare", "-b", "main", r.dir)
	return r
}

func (r *repository) git(stdin string, args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_DIR="+r.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(r, err, "%v: %s", args, &said)
	return strings.TrimSpace(string(out))
}

// blob writes content, and entry is a line of a tree as Git keeps it.
func (r *repository) blob(content string) string {
	return r.git(content, "hash-object", "-w", "--stdin")
}

func entry(mode, name, id string) string {
	raw, _ := hex.DecodeString(id)
	return mode + " " + name + "\x00" + string(raw)
}

// tree writes entries as they are, whatever Git would say of them.
func (r *repository) tree(entries ...string) string {
	return r.git(strings.Join(entries, ""), "hash-object", "-t", "tree", "--literally", "-w", "--stdin")
}

// commit puts a tree on a branch.
func (r *repository) commit(branch, tree string, parents ...string) string {
	args := []string{"commit-tree", tree, "-m", "x"}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	id := r.git("", args...)
	r.git("", "update-ref", "refs/heads/"+branch, id)
	return id
}

func (r *repository) url() string { return "file://" + r.dir }

func TestMain(m *testing.M) {
	gogit.Main()
	os.Exit(m.Run())
}

// both runs a test with the system's git, and with that of this program.
func both(t *testing.T, test func(t *testing.T, r *repository)) {
	for _, own := range []bool{false, true} {
		t.Run(map[bool]string{false: "the system's", true: "its own"}[own], func(t *testing.T) {
			r := newRepository(t)
			r.own = own
			test(t, r)
		})
	}
}

// fetcher is one with small bounds, whose scratch directory is empty again at the end.
func (r *repository) fetcher() *Git {
	if r.own {
		was := os.Getenv("PATH")
		r.Setenv("PATH", "/nowhere")
		defer r.Setenv("PATH", was)
	}
	g, err := FindGit(r.TempDir())
	require.NoError(r, err)
	require.Equal(r, r.own, g.Own)
	g.Files, g.Within = true, time.Minute
	r.Cleanup(func() {
		left, err := os.ReadDir(g.Scratch)
		require.NoError(r, err)
		require.Empty(r, left)
	})
	return g
}

// fetch gets a commit into a new directory, and lists what is there, with its mode.
func (r *repository) fetch(ctx context.Context, g *Git, req Request) (Got, map[string]string, error) {
	root, err := os.OpenRoot(r.TempDir())
	require.NoError(r, err)
	defer root.Close()
	got, err := g.Fetch(ctx, req, root)
	files := map[string]string{}
	require.NoError(r, filepath.Walk(root.Name(), func(name string, info os.FileInfo, err error) error {
		require.NoError(r, err)
		if !info.IsDir() {
			content, err := os.ReadFile(name)
			require.NoError(r, err)
			rel, _ := filepath.Rel(root.Name(), name)
			files[rel] = info.Mode().String() + " " + string(content)
		}
		return nil
	}))
	return got, files, err
}

func requireKind(t *testing.T, kind Kind, err error) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, e.Error())
}

// small is a tree of a few files; content tells it from others.
func (r *repository) small(content string) string {
	sub := r.tree(entry("100755", "run.sh", r.blob("#!/bin/sh\n")), entry("160000", "vendor", strings.Repeat("1", 40)))
	return r.tree(entry("100644", ".gitignore", r.blob("")), entry("100644", "a.txt", r.blob(content)), entry("40000", "src", sub))
}

func TestTheCommitIsFetched(t *testing.T) { both(t, theCommitIsFetched) }

func theCommitIsFetched(t *testing.T, r *repository) {
	first := r.commit("main", r.small("first"))
	r.commit("main", r.small("second"), first)
	got, files, err := r.fetch(t.Context(), r.fetcher(), Request{URL: r.url(), Commit: first, Branch: "main"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{".gitignore": "-rw-r--r-- ", "a.txt": "-rw-r--r-- first", "src/run.sh": "-rwxr-xr-x #!/bin/sh\n"}, files)
	require.Equal(t, Got{3, int64(len("first#!/bin/sh\n")), []string{"src/vendor"}}, got)
}

// TestHead: a branch, or what the repository shows first.
func TestHead(t *testing.T) { both(t, head) }

func head(t *testing.T, r *repository) {
	g := r.fetcher()
	_, err := g.Head(t.Context(), Request{URL: r.url(), Branch: "main"})
	require.ErrorContains(t, err, "has no branch main")
	first := r.commit("main", r.tree(entry("100644", "a", r.blob("1"))))
	second := r.commit("next", r.tree(entry("100644", "a", r.blob("2"))), first)
	r.git("", "tag", "other", second)
	for branch, want := range map[string]string{"main": first, "next": second, "other": first} {
		commit, err := g.Head(t.Context(), Request{URL: r.url(), Branch: branch})
		require.NoError(t, err)
		require.Equal(t, want, commit, branch)
	}
}

func TestACommitThatIsNotThere(t *testing.T) { both(t, aCommitThatIsNotThere) }

func aCommitThatIsNotThere(t *testing.T, r *repository) {
	r.commit("main", r.small("x"))
	for _, branch := range []string{"", "main", "other"} {
		_, files, err := r.fetch(t.Context(), r.fetcher(), Request{URL: r.url(), Commit: strings.Repeat("a", 40), Branch: branch})
		requireKind(t, Missing, err)
		require.Empty(t, files)
	}
	_, _, err := r.fetch(t.Context(), r.fetcher(), Request{URL: r.url() + "-not", Commit: strings.Repeat("a", 40)})
	requireKind(t, Failed, err)
}

// served serves a repository over HTTP, by the old protocol, which gives out no commit by its name.
func served(r *repository) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /shop.git/info/refs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		fmt.Fprint(w, "001e# service=git-upload-pack\n0000")
		cmd := exec.Command("git", "upload-pack", "--stateless-rpc", "--advertise-refs", r.dir)
		cmd.Stdout = w
		_ = cmd.Run()
	})
	mux.HandleFunc("POST /shop.git/git-upload-pack", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(body)
		}
		cmd := exec.Command("git", "upload-pack", "--stateless-rpc", r.dir)
		cmd.Stdin, cmd.Stdout = body, w
		_ = cmd.Run()
	})
	mux.HandleFunc("/private.git/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	s := httptest.NewServer(mux)
	r.Cleanup(s.Close)
	return s
}

func TestAForgeThatGivesOutNoCommitByName(t *testing.T) { both(t, aForgeThatGivesOutNoCommitByName) }

func aForgeThatGivesOutNoCommitByName(t *testing.T, r *repository) {
	first := r.commit("main", r.small("first"))
	r.commit("main", r.small("second"), first)
	s := served(r)
	req := Request{URL: s.URL + "/shop.git", Commit: first}
	_, _, err := r.fetch(t.Context(), r.fetcher(), req)
	requireKind(t, Missing, err)
	req.Branch = "main"
	got, files, err := r.fetch(t.Context(), r.fetcher(), req)
	require.NoError(t, err)
	require.Equal(t, 3, got.Files)
	require.Equal(t, "-rw-r--r-- first", files["a.txt"])
	req.Commit = strings.Repeat("a", 40)
	_, _, err = r.fetch(t.Context(), r.fetcher(), req)
	requireKind(t, Missing, err)
	req.URL = s.URL + "/private.git"
	_, _, err = r.fetch(t.Context(), r.fetcher(), req)
	requireKind(t, Denied, err)
}

// What others have put into repositories, to hurt whoever fetches them.
func TestHostileTrees(t *testing.T) {
	r := newRepository(t)
	x, forge := r.blob("x"), served(r)
	link := r.blob("/etc/passwd")
	deep := r.tree(entry("100644", "x", x))
	for range 40 {
		deep = r.tree(entry("40000", "d", deep))
	}
	bomb := r.tree(entry("100644", "x", x))
	for range 6 {
		var lines []string
		for i := range 10 {
			lines = append(lines, entry("40000", string(rune('a'+i)), bomb))
		}
		bomb = r.tree(lines...)
	}
	git := r.tree(entry("40000", "hooks", r.tree(entry("100755", "post-checkout", x))))
	for name, id := range map[string]string{
		"git's directory": r.tree(entry("40000", ".git", git)), "in other cases": r.tree(entry("40000", ".GIT", git)),
		"the parent": r.tree(entry("40000", "..", r.tree(entry("100644", "x", x)))), "a slash": r.tree(entry("100644", "../../x", x)),
		"a backslash": r.tree(entry("100644", `..\..\x`, x)), "absolute": r.tree(entry("100644", "/tmp/x", x)),
		"a link": r.tree(entry("120000", "passwd", link)), "a link and a directory": r.tree(entry("120000", "d", link), entry("40000", "d", r.tree(entry("100644", "x", x)))),
		"twins": r.tree(entry("100644", "README", x), entry("100644", "readme", x)), "the same": r.tree(entry("100644", "a", x), entry("100644", "a", x)),
		"a newline": r.tree(entry("100644", "a\nb", x)), "an escape": r.tree(entry("100644", "a\x1b[2Jb", x)), "latin": r.tree(entry("100644", "caf\xe9", x)),
		"deep": deep, "a bomb": bomb, "long": r.tree(entry("100644", strings.Repeat("a", 20_000), x)),
	} {
		commit := r.commit("main", id)
		for _, r.own = range []bool{false, true} {
			t.Run(map[bool]string{false: name, true: name + ", its own git"}[r.own], func(t *testing.T) {
				req := Request{URL: r.url(), Commit: commit}
				if r.own { // which reads what is on this machine where it is: a pack it gets over a network alone
					req.URL, req.Branch = forge.URL+"/shop.git", "main"
				}
				_, files, err := r.fetch(t.Context(), r.fetcher(), req)
				require.Error(t, err)
				var p *tree.Problem
				if !errors.As(err, &p) {
					requireKind(t, Bad, err) // git's own checks have found it: it is nothing to try again, either
				}
				require.Empty(t, files)
				require.NotContains(t, err.Error(), "\x1b")
			})
		}
	}
}

func TestLargeContents(t *testing.T) { both(t, largeContents) }

func largeContents(t *testing.T, r *repository) {
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	zeros := r.commit("main", r.tree(entry("100644", "zeros", r.blob(strings.Repeat("\x00", 12<<20)))))
	large := r.commit("noise", r.tree(entry("100644", "noise", r.blob(string(noise)))))
	g := r.fetcher()
	g.Budget.FileLen = 10 << 20
	_, files, err := r.fetch(t.Context(), g, Request{URL: r.url(), Commit: zeros})
	require.EqualError(t, err, "zeros: a file of 12582912 bytes, at most 10485760 are allowed")
	require.Empty(t, files)
	got, _, err := r.fetch(t.Context(), g, Request{URL: r.url(), Commit: large})
	require.NoError(t, err)
	require.EqualValues(t, len(noise), got.Bytes)
	if g.Prlimit == "" && !g.Own {
		return
	}
	g.PackLen = 1 << 20
	_, _, err = r.fetch(t.Context(), g, Request{URL: served(r).URL + "/shop.git", Commit: large, Branch: "noise"})
	requireKind(t, TooLarge, err)
}

// A forge that says nothing more: the fetch ends with its context, and so does all that git has started.
func TestAForgeThatHangs(t *testing.T) { both(t, aForgeThatHangs) }

func aForgeThatHangs(t *testing.T, r *repository) {
	asked, done := make(chan struct{}, 8), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked <- struct{}{}
		<-req.Context().Done()
		close(done)
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, _, err := r.fetch(ctx, r.fetcher(), Request{URL: s.URL + "/x.git", Commit: strings.Repeat("a", 40)})
	requireKind(t, Failed, err)
	select {
	case <-done: // git-remote-http, a child of git's, has gone as well
	case <-time.After(time.Minute):
		t.Fatal("the conn is still open")
	}
	g := r.fetcher()
	g.Within = time.Nanosecond
	_, _, err = r.fetch(t.Context(), g, Request{URL: s.URL + "/x.git", Commit: strings.Repeat("a", 40)})
	require.EqualError(t, err, "failed: the fetch took too long")
}

// ssh is asked to believe no host that is not named, to use no other key, and its refusals are told apart. Another
// ssh stands in for the real one.
func TestOverSSH(t *testing.T) {
	r := newRepository(t)
	bin := t.TempDir()
	told := filepath.Join(bin, "told")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + told + "\ncat \"$4\" >> " + told + "\necho 'Host key verification failed.' >&2\nexit 255\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o700))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("SSH_AUTH_SOCK", "/nowhere")
	g := r.fetcher()
	g.Scratch = filepath.Join(g.Scratch, "it's here; $HOME")
	require.NoError(t, os.Mkdir(g.Scratch, 0o700))
	for _, url := range []string{"git@forge.example.com:ada/shop.git", "ssh://git@forge.example.com/ada/shop.git"} {
		_, _, err := r.fetch(t.Context(), g, Request{URL: url, Commit: strings.Repeat("a", 40), Key: []byte("CANARY"), KnownHosts: []byte("forge.example.com ssh-ed25519 AAAA")})
		requireKind(t, Denied, err)
		require.NotContains(t, err.Error(), "CANARY")
		said, err := os.ReadFile(told)
		require.NoError(t, err)
		for _, want := range []string{"StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "CANARY", "git@forge.example.com", "git-upload-pack"} {
			require.Contains(t, string(said), want)
		}
	}
}

func TestRequests(t *testing.T) {
	commit := strings.Repeat("a", 40)
	key := Request{Commit: commit, Key: []byte("k"), KnownHosts: []byte("h")}
	for url, good := range map[string]bool{
		"https://forge.example.com/ada/shop.git": true, "http://127.0.0.1:3000/a": true, "ssh://git@forge.example.com:2222/a": true, "file:///srv/a.git": true, "git@forge.example.com:a/b.git": true,
		"https://ada@forge.example.com/a": true,
		"":                                false, "shop": false, "/srv/a.git": false, "../a": false, "--upload-pack=touch /tmp/x": false, "-x": false, "ext::sh -c touch% /tmp/x": false, "git://forge.example.com/a": false,
		"https://ada:secret@forge.example.com/a": false, "https://forge.example.com": false, "https:///a": false, "file://host/a": false, "ssh://-oProxyCommand=x/a": false,
		"ssh://-x@forge.example.com/a": false, "-x@forge.example.com:a": false, "git@-x:a": false, "git@forge.example.com:-x": false, "git@forge.example.com:a b": false,
		"https://forge.example.com/a\nb": false, "https://forge.example.com/a#b": false, "fd::17": false, "https://forge.example.com/" + strings.Repeat("a", 2048): false,
	} {
		r := key
		r.URL = url
		require.Equal(t, good, r.check() == nil, url)
	}
	for _, c := range []struct {
		change func(r *Request)
		good   bool
	}{
		{func(r *Request) {}, true},
		{func(r *Request) { r.Commit = strings.Repeat("a", 64) }, true},
		{func(r *Request) { r.Commit = commit[1:] }, false},
		{func(r *Request) { r.Commit = "HEAD" }, false},
		{func(r *Request) { r.Commit = strings.ToUpper(commit) }, false},
		{func(r *Request) { r.Commit = "--" + commit[2:] }, false},
		{func(r *Request) { r.Branch = "feature/a" }, true},
		{func(r *Request) { r.Branch = "-x" }, false},
		{func(r *Request) { r.Branch = "a b" }, false},
		{func(r *Request) { r.Branch = "a..b" }, false},
		{func(r *Request) { r.Branch = "a:refs/heads/b" }, false},
		{func(r *Request) { r.Key = nil }, false},
		{func(r *Request) { r.KnownHosts = nil }, false},
	} {
		r := key
		r.URL = "git@forge.example.com:a"
		c.change(&r)
		require.Equal(t, c.good, r.check() == nil, "%+v", r)
	}
	r := newRepository(t)
	g := r.fetcher()
	g.Files = false
	_, _, err := r.fetch(t.Context(), g, Request{URL: r.url(), Commit: commit})
	requireKind(t, Bad, err)
}

func TestOnlyTheBeginningIsKept(t *testing.T) {
	t.Parallel()
	var b beginning
	_, err := io.Copy(&b, io.LimitReader(neverEnding{}, 10*outputMax))
	require.NoError(t, err)
	require.Len(t, b.String(), outputMax)
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }
