// Package dreamtest tests a project in a whole cloud, in a Go test of its own:
//
//	func TestHello(t *testing.T) {
//		u := dreamtest.Up(t)
//		u.Push("./site")
//		u.Kill("substrate")
//		u.Eventually(func() bool { return u.Get("http://hello.localhost/").Status == 200 })
//	}
//
// The cloud is real: nodes over loopback, with disks, as dreamland up runs them. With go test -sim.seed N it is a simulated one, of the same
// services, in virtual time, in which everything that happens follows from N: a test that fails with a seed fails with it again.
// A simulated cloud builds websites and functions that are WebAssembly already; other functions have a stand-in there.
package dreamtest

import (
	"context"
	"flag"
	"net/url"
	"strings"
	"testing"
	"time"
)

var seed = flag.Uint64("sim.seed", 0, "dreamtest: simulate the cloud, with this seed; 0: a real one on loopback")

// Pushed is what came of a push.
type Pushed struct {
	Commit    string
	Published bool
	Log       []string // of the build
}

// Response is what a gateway answers. Status is 0 where none did, and Err says why.
type Response struct {
	Status  int
	Version string // the commit that has answered, "" if none has
	Body    string // at most BodyLenMax bytes of it
	Err     error
}

// BodyLenMax bounds what is kept of a response, in bytes.
const BodyLenMax = 16 << 20

// Bounds of what tests wait for, in the time of the cloud.
const (
	pushWithin       = 3 * time.Minute
	getWithin        = 20 * time.Second
	eventuallyWithin = time.Minute
	eventuallyEvery  = 100 * time.Millisecond
)

// world is a cloud, in either world. Each method returns when it is done.
type world interface {
	nodes() []string
	push(ctx context.Context, dir, project, branch string) (Pushed, error)
	get(ctx context.Context, project, branch, path string) Response
	kill(node string) error
	start(node string) error
	partition(groups [][]string) error
	heal() error
	wait(d time.Duration) error
	now() time.Duration
	close() error
}

// Universe is a cloud that runs until its test has ended. It is used by the test's own goroutine.
type Universe struct {
	t     testing.TB
	world world
}

// Up starts a cloud: each service on a node of its name, and a second substrate, monkey and hoarder (substrate-2 and so on). It is real, or,
// with go test -sim.seed N, simulated.
func Up(t testing.TB) *Universe {
	t.Helper()
	if *seed != 0 {
		return Simulated(t, *seed)
	}
	return Live(t)
}

// Live starts a real cloud, whatever the flag says.
func Live(t testing.TB) *Universe {
	t.Helper()
	w, err := newLive(t.Context(), t.TempDir())
	return begun(t, w, err)
}

// Simulated starts a simulated cloud, whatever the flag says.
func Simulated(t testing.TB, seed uint64) *Universe {
	t.Helper()
	w, err := newSimulated(t, seed)
	return begun(t, w, err)
}

func begun(t testing.TB, w world, err error) *Universe {
	t.Helper()
	if err != nil {
		t.Fatalf("dreamtest: %v", err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Errorf("dreamtest: %v", err)
		}
	})
	return &Universe{t, w}
}

// Nodes are the names of the nodes.
func (u *Universe) Nodes() []string { return u.world.nodes() }

// Push deploys a folder as branch main of the project of tau.yaml's name, and fails the test if it is not published.
func (u *Universe) Push(dir string) Pushed {
	u.t.Helper()
	return u.PushTo(dir, production)
}

// PushTo is Push to a branch.
func (u *Universe) PushTo(dir, branch string) Pushed {
	u.t.Helper()
	p, err := u.TryPush(dir, branch)
	if err != nil {
		u.t.Fatalf("dreamtest: push %s: %v", dir, err)
	}
	if !p.Published {
		u.t.Fatalf("dreamtest: push %s: it is not published:\n%s", dir, strings.Join(p.Log, "\n"))
	}
	return p
}

// TryPush is PushTo for a test that expects that it may fail.
func (u *Universe) TryPush(dir, branch string) (Pushed, error) {
	project, err := projectOf(dir)
	if err != nil {
		return Pushed{}, err
	}
	ctx, cancel := context.WithTimeout(u.t.Context(), pushWithin)
	defer cancel()
	return u.world.push(ctx, dir, project, branch)
}

// production is the branch that is served at a project's own hosts.
const production = "main"

// Get asks a gateway for http://PROJECT.localhost/PATH, or for http://BRANCH.PROJECT.localhost/PATH of another branch.
func (u *Universe) Get(address string) Response {
	u.t.Helper()
	a, err := url.Parse(address)
	host := ""
	if err == nil {
		host = strings.TrimSuffix(a.Hostname(), ".localhost")
	}
	if err != nil || host == "" || host == a.Hostname() {
		u.t.Fatalf("dreamtest: get %q: expected http://PROJECT.localhost/PATH", address)
	}
	branch, project, other := strings.Cut(host, ".")
	if !other {
		branch, project = production, host
	}
	path := a.EscapedPath()
	if path == "" {
		path = "/"
	}
	if a.RawQuery != "" {
		path += "?" + a.RawQuery
	}
	ctx, cancel := context.WithTimeout(u.t.Context(), getWithin)
	defer cancel()
	return u.world.get(ctx, project, branch, path)
}

// Kill ends a node at once, as kill -9 or a power cut would.
func (u *Universe) Kill(node string) { u.t.Helper(); u.must("kill "+node, u.world.kill(node)) }

// Start starts a node that was killed, with what was on its disk.
func (u *Universe) Start(node string) { u.t.Helper(); u.must("start "+node, u.world.start(node)) }

// Partition lets nodes of different groups not hear of each other, until Heal. Nodes in none are one more group.
func (u *Universe) Partition(groups ...[]string) {
	u.t.Helper()
	u.must("partition", u.world.partition(groups))
}

// Heal ends the partition.
func (u *Universe) Heal() { u.t.Helper(); u.must("heal", u.world.heal()) }

// Digest ends a simulated cloud and is the sum of all that has happened in it: with the same seed and the same calls it is the same. Of a
// real one it is "".
func (u *Universe) Digest() string {
	u.t.Helper()
	s, is := u.world.(*simulated)
	if !is {
		return ""
	}
	u.must("end", s.close())
	return s.out.Digest
}

// Wait lets time pass, the cloud's.
func (u *Universe) Wait(d time.Duration) { u.t.Helper(); u.must("wait", u.world.wait(d)) }

func (u *Universe) must(what string, err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatalf("dreamtest: %s: %v", what, err)
	}
}

// Eventually asks until it is so, for a minute of the cloud's time at most, and fails the test if it never is.
func (u *Universe) Eventually(is func() bool) {
	u.t.Helper()
	for began := u.world.now(); !is(); u.Wait(eventuallyEvery) {
		if u.world.now()-began > eventuallyWithin {
			u.t.Fatalf("dreamtest: it is not so within %s", eventuallyWithin)
		}
	}
}
