package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/dreamland/up"
)

// audit is a universe whose process is killed again and again, while somebody pushes and others look.
type audit struct {
	*developer
	dir, port string
	flags     []string
	run       up.Running

	acknowledged []string // commits, in order, that git push has said are there
	// published is the number of the newest page of which a push has said that it is served: nobody sees an older one from then on.
	published                atomic.Int64
	pages, answered, refused atomic.Int64
	wrong                    chan string
}

// TestLaptopAudit kills a universe, in which somebody pushes all the time and others ask, as often as there is time: DREAMLAND_AUDIT=3m.
// What was acknowledged is there, what was published is served and nothing older, each request is answered whole or has an error, and
// the next dreamland up finds everything in order.
func TestLaptopAudit(t *testing.T) {
	limit, err := time.ParseDuration(os.Getenv("DREAMLAND_AUDIT"))
	if err != nil {
		t.Skip("it takes minutes: make laptop-audit")
	}
	for _, kind := range []string{"in one process", "a process each"} {
		t.Run(kind, func(t *testing.T) {
			a := &audit{developer: newDeveloper(t), wrong: make(chan string, 64)}
			a.dir, a.port = filepath.Join(a.home, "site"), a.developer.port()
			a.flags = []string{"up", "audit", "--detach", "--http-port", a.port, "--admin-port", a.developer.port(), "--git-port", a.developer.port()}
			if kind == "a process each" {
				a.flags = append(a.flags, "--processes")
			}
			a.begin()
			end, kills := time.Now().Add(limit/2), 0
			for time.Now().Before(end) {
				a.round()
				kills++
			}
			t.Logf("%s: %d kills, %d pages pushed, %d acknowledged, %d requests answered, %d not", kind, kills, a.pages.Load(), len(a.acknowledged), a.answered.Load(), a.refused.Load())
			require.Positive(t, len(a.acknowledged))
			require.Positive(t, a.answered.Load())
		})
	}
}

// begin makes the universe, and a project that is served.
func (a *audit) begin() {
	usual := a.flags
	a.flags = append(a.flags, few...)
	a.start()
	a.flags = usual // it keeps its nodes
	a.must("", "dreamland", "new", "project", a.dir, "--template", "website")
	a.must(a.dir, "git", "config", "user.name", "a")
	a.must(a.dir, "git", "config", "user.email", "a@b")
	out, err := a.push(context.Background())
	require.NoError(a.t, err, out)
}

func (a *audit) start() {
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) { // the kernel takes its time to end what was killed
		out, err := a.says("", "dreamland", a.flags...)
		if err == nil {
			break
		}
		require.True(a.t, time.Now().Before(end), out)
	}
	list := a.runs()
	require.Len(a.t, list, 1)
	a.run = list[0]
}

var publishedForm = regexp.MustCompile(`published [0-9a-f]{10} of site, branch main: http`)

// push makes the next page and pushes it.
func (a *audit) push(ctx context.Context) (string, error) {
	page := a.pages.Add(1)
	text := fmt.Sprintf("page %d %s end\n", page, strings.Repeat("x", 64<<10))
	require.NoError(a.t, os.WriteFile(filepath.Join(a.dir, "websites/site/index.html"), []byte(text), 0o600))
	a.must(a.dir, "git", "commit", "-qam", fmt.Sprint("page ", page))
	commit := strings.TrimSpace(a.must(a.dir, "git", "rev-parse", "HEAD"))
	usual := a.command(a.dir, "git", "push", "dreamland", "main")
	cmd := exec.CommandContext(ctx, usual.Path, usual.Args[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = usual.Dir, usual.Env, time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		a.acknowledged = append(a.acknowledged, commit)
	}
	if publishedForm.Match(out) {
		a.published.Store(page)
	}
	return string(out), err
}

var pageForm = regexp.MustCompile(`^page ([0-9]+) x+ end\n$`)

// look asks for the page until ctx ends, and knows what may not be.
func (a *audit) look(ctx context.Context) {
	for ctx.Err() == nil {
		least := a.published.Load()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+a.port+"/", nil)
		if err != nil {
			a.wrong <- err.Error()
			return
		}
		r.Host = "site.localhost"
		began := time.Now()
		status, body, err := ask(r)
		switch found := pageForm.FindStringSubmatch(body); {
		case ctx.Err() != nil:
		case time.Since(began) > 45*time.Second:
			a.wrong <- fmt.Sprintf("a request took %s: %v", time.Since(began), err)
		case err != nil || status != http.StatusOK:
			a.refused.Add(1)
			time.Sleep(5 * time.Millisecond)
		case found == nil:
			a.wrong <- fmt.Sprintf("an answer of %d bytes is no page, and no error: %.80q", len(body), body)
		default:
			if page, _ := strconv.ParseInt(found[1], 10, 64); page < least {
				a.wrong <- fmt.Sprintf("page %d is seen after page %d was published", page, least)
			}
			a.answered.Add(1)
		}
	}
}

func ask(r *http.Request) (status int, body string, err error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// round lets people push and look until the universe is killed, and then looks at what is there.
func (a *audit) round() {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { a.look(ctx) })
	}
	pushing := make(chan struct{})
	go func() {
		defer close(pushing)
		for ctx.Err() == nil {
			if _, err := a.push(ctx); err != nil {
				return
			}
		}
	}()
	time.Sleep(time.Duration(rand.IntN(4000)) * time.Millisecond)
	require.NoError(a.t, syscall.Kill(a.run.PID, syscall.SIGKILL))
	select {
	case <-pushing:
	case <-time.After(time.Minute):
		require.Fail(a.t, "a push to a universe that is gone does not end")
	}
	a.start()
	a.inspect()
	cancel()
	all.Wait()
	select {
	case wrong := <-a.wrong:
		require.Fail(a.t, wrong)
	default:
	}
}

// inspect: each commit that was acknowledged is in the repository, below the branch, and where the branch is, is served in the end.
func (a *audit) inspect() {
	repository := filepath.Join(a.run.Dir, "git", "site.git")
	head := strings.TrimSpace(a.must(repository, "git", "rev-parse", "refs/heads/main"))
	for _, commit := range a.acknowledged[max(0, len(a.acknowledged)-3):] {
		a.must(repository, "git", "merge-base", "--is-ancestor", commit, head)
	}
	a.must(repository, "git", "fsck", "--connectivity-only")
	subject := strings.TrimSpace(a.must(repository, "git", "log", "-1", "--format=%s", head))
	last := ""
	served := func() bool {
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+a.port+"/", nil)
		require.NoError(a.t, err)
		r.Host = "site.localhost"
		status, body, err := ask(r)
		last = fmt.Sprintf("%d %v %.60q", status, err, body)
		return strings.HasPrefix(body, subject+" x")
	}
	for end := time.Now().Add(90 * time.Second); !served(); time.Sleep(100 * time.Millisecond) {
		require.True(a.t, time.Now().Before(end), "%s is at %s, which is not served: %s", head, subject, last)
	}
	a.must(a.dir, "git", "push", "-q", "--force", "dreamland", "main") // where a push broke off, the branch may be behind
	a.acknowledged = append(a.acknowledged, strings.TrimSpace(a.must(a.dir, "git", "rev-parse", "HEAD")))
	require.Less(a.t, len(descriptors(a.run.PID)), 2000)
}

// descriptors are those that a process has.
func descriptors(pid int) []string {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return list
}
