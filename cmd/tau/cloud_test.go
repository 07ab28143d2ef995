package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
)

// operator types commands of tau about nodes below one root.
type operator struct {
	t    *testing.T
	root string
}

// tau runs a command and returns what it printed.
func (o *operator) tau(stdin string, args ...string) (string, error) {
	cmd := exec.Command("tau", append(args, "--root", o.root)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	if err != nil {
		o.t.Logf("tau %s: %v: %s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String(), err
}

func (o *operator) must(stdin string, args ...string) string {
	out, err := o.tau(stdin, args...)
	require.NoError(o.t, err)
	return out
}

// ask runs a command that reads, for its JSON; false if it fails.
func ask[T any](o *operator, args ...string) (answer T, ok bool) {
	out, err := exec.Command("tau", append(args, "--json", "--root", o.root)...).Output()
	return answer, json.Unmarshal(out, &answer) == nil && err == nil
}

// process is a node that runs.
type process struct {
	cmd *exec.Cmd
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (o *operator) start(shape string) *process {
	p := &process{cmd: exec.Command("tau", "start", "-s", shape, "--root", o.root), log: &lockedBuffer{}}
	p.cmd.Stderr = p.log
	o.run(p, shape)
	return p
}

// again ends a node in order, calls f with its data directory, and starts it.
func (o *operator) again(p *process, name string, f func(data string)) *process {
	require.NoError(o.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(o.t, p.cmd.Wait())
	f(shape.PathsOf(o.root, name).Data)
	return o.start(name)
}

// run starts a process that ends with the test.
func (o *operator) run(p *process, shape string) {
	require.NoError(o.t, p.cmd.Start())
	o.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		if o.t.Failed() {
			o.t.Logf("log of %s:\n%s", shape, p.log)
		}
	})
}

// within waits for a condition.
func (o *operator) within(limit time.Duration, what string, condition func() bool) {
	o.t.Helper()
	defer func(began time.Time) { o.t.Logf("%s: %s", time.Since(began), what) }(time.Now())
	for end := time.Now().Add(limit); !condition(); time.Sleep(50 * time.Millisecond) {
		require.True(o.t, time.Now().Before(end), "not within %s: %s", limit, what)
	}
}

// ready waits until a node is ready and knows so many others.
func (o *operator) ready(shape string, peers int) live.Status {
	var st live.Status
	o.within(time.Minute, shape+" is ready", func() (ok bool) {
		st, ok = ask[live.Status](o, "status", "-s", shape)
		return ok && st.Ready && st.Peers >= peers
	})
	return st
}

func (o *operator) job(shape, id string) (live.Job, bool) {
	list, ok := ask[[]live.Job](o, "jobs", id, "-s", shape)
	if !ok || len(list) != 1 {
		return live.Job{}, false
	}
	return list[0], true
}

// reported reads all facts of a node, for one about a job.
func reported(t *testing.T, root, name, fact, job string) bool {
	client, req := live.NewClient(shape.PathsOf(root, name).Socket), live.FactsRequest{Limit: 50}
	for {
		var page live.FactsResponse
		require.NoError(t, client.Ask(t.Context(), "facts", nil, req, &page))
		for _, f := range page.Facts {
			if f.Fact == fact && slices.Contains(f.Fields, live.FactField{Name: "job", Value: job}) {
				return true
			}
		}
		if req.Run, req.After = page.Run, page.Next; len(page.Facts) == 0 {
			return false
		}
	}
}

// TestACloudOfThree comes out of one tau config generate and two invitations. What it has acknowledged is there
// when the node that took it was killed and is back, and is built; and each node ends in order when it is told to.
func TestACloudOfThree(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "auth,seer,tns,hoarder,patrick", "--p2p-port", "0", "-s", "one", "--name", "one")
	one := o.start("one")
	running := map[string]*process{}
	for shape, services := range map[string]string{"two": "auth,seer,tns,hoarder,patrick", "three": "monkey,hoarder"} {
		ticket := o.must("", "invite", "-s", "one", "--services", services)
		o.must(ticket, "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", shape, "--name", shape)
		running[shape] = o.start(shape)
	}
	o.within(time.Minute, "patrick says that there are no jobs", func() bool { return o.ready("one", 2).Jobs != nil })
	require.ElementsMatch(t, []string{"auth", "seer", "tns", "hoarder", "patrick"}, o.ready("two", 2).Services)
	o.ready("three", 2)
	o.within(time.Minute, "one knows the others", func() bool {
		peers, ok := ask[[]live.Peer](o, "peers", "-s", "one")
		return ok && len(peers) == 2 && peers[0].Name == "three" && peers[1].Name == "two" && peers[0].Alive != nil && *peers[0].Alive
	})

	site := filepath.Join(t.TempDir(), "site")
	page := filepath.Join(site, "websites", "site", "index.html")
	require.NoError(t, os.MkdirAll(filepath.Dir(page), 0o755))
	require.NoError(t, os.WriteFile(page, []byte("<h1>hello</h1>"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(site, "tau.yaml"), []byte("name: site\nwebsites: {site: {paths: [/]}}\n"), 0o644))
	id := strings.TrimSpace(o.must("", "push", site, "--project", "site", "-s", "one"))

	require.True(t, reported(t, o.root, "one", "job-acked", id) || reported(t, o.root, "two", "job-acked", id), "who asks the patrick that took it hears of it as a fact")
	require.NoError(t, one.cmd.Process.Kill())
	_ = one.cmd.Wait()
	one = o.start("one")
	st := o.ready("one", 2)
	require.EqualValues(t, 2, st.Incarnation)
	o.within(time.Minute, "the job is known where it was taken, and has succeeded", func() bool {
		j, ok := o.job("one", id)
		return ok && j.Status == "success" && j.Project == "site"
	})
	o.within(time.Minute, "and to others", func() bool {
		j, ok := o.job("three", id)
		return ok && j.Status == "success"
	})
	_, err := o.tau("", "start", "-s", "one")
	require.Error(t, err, "a second process on one disk")
	_, err = o.tau("", "invite", "-s", "three", "--services", "monkey")
	require.Error(t, err, "three runs no auth")

	asksOthers(o)
	backup := filepath.Join(t.TempDir(), "two")
	running["two"] = o.again(running["two"], "two", func(data string) { require.NoError(t, os.CopyFS(backup, os.DirFS(data))) })
	o.ready("two", 2)
	three := o.ready("three", 2).Peer
	revokedSaysSo(o, running["three"])
	delete(running, "three")
	running["two"] = o.again(running["two"], "two", func(data string) {
		require.NoError(t, os.RemoveAll(data))
		require.NoError(t, os.CopyFS(data, os.DirFS(backup)))
	})
	o.within(time.Minute, "two, restored from a backup of before that, hears that three was revoked", func() bool {
		var resp live.RevokedResponse
		err := live.NewClient(shape.PathsOf(o.root, "two").Socket).Ask(t.Context(), "revoked", nil, live.RevokedRequest{Peer: three}, &resp)
		return err == nil && resp.Revoked
	})
	running["one"] = one
	for shape, p := range running {
		began := time.Now()
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.cmd.Wait(), "%s ends in order", shape)
		require.Less(t, time.Since(began), 30*time.Second)
	}
}

// asksOthers asks members by the certificate of another one, and of a machine whose node does not run.
func asksOthers(o *operator) {
	t, one := o.t, o.ready("one", 2)
	st, ok := ask[live.Status](o, "status", "-s", "three", "--node", "two")
	require.True(t, ok && st.Ready && st.Node == "two")
	jobs, ok := ask[[]live.Job](o, "jobs", "-s", "three", "--node", one.Peer)
	require.True(t, ok && len(jobs) == 1)
	out, err := exec.Command("tau", "peers", "-s", "three", "--node", "nobody", "--root", o.root).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `no member is known by the name "nobody"`)

	ticket := o.must("", "invite", "-s", "one", "--services", "monkey")
	o.must(ticket, "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", "laptop")
	for range 2 { // it gets its certificate, and has it
		peers, ok := ask[[]live.Peer](o, "peers", "-s", "laptop", "--node", one.Addresses[0])
		require.True(t, ok && len(peers) >= 2)
	}
	stranger := filepath.Join(o.root, "stranger")
	other := &operator{t, stranger}
	other.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "other")
	_, ok = ask[live.Status](other, "status", "-s", "other", "--node", one.Addresses[0])
	require.False(t, ok, "a certificate of another key")
}

// revokedSaysSo revokes three, after what may be typed wrong was refused: it says of itself that it is no member.
func revokedSaysSo(o *operator, p *process) {
	t, three := o.t, o.ready("three", 2)
	complaint := func(peer string) string {
		out, err := exec.Command("tau", "revoke", peer, "--yes", "-s", "one", "--root", o.root).CombinedOutput()
		require.Error(t, err, "%s", out)
		return string(out)
	}
	require.Contains(t, complaint(three.CloudKey), "this is the cloud's own key")
	other := transport.NewIdentity([]byte("nobody")).Peer().String()
	require.Contains(t, complaint(other), "no member is known by this peer: the most like it is 12D3KooW")
	o.must("", "revoke", three.Peer, "-s", "one", "--yes")
	o.within(time.Minute, "three says that it was revoked", func() bool {
		out, err := exec.Command("tau", "status", "-s", "three", "--root", o.root).CombinedOutput()
		return err != nil && strings.Contains(string(out), "membership: revoked") && strings.Contains(string(out), "not ready")
	})
	out, err := exec.Command("tau", "doctor", "-s", "three", "--root", o.root).CombinedOutput()
	require.Error(t, err)
	require.Regexp(t, `bad +membership +others do not take this node for a member: .*revoked`, string(out))
	require.Contains(t, p.log.String(), "this node is no member of its cloud")
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
	revokedStaysOut(o)
}

// revokedStaysOut starts three from a backup of its configuration, without all that it has learned: it hears of its revocation
// again, and no certificate, not even of the cloud's key, brings it back.
func revokedStaysOut(o *operator) {
	t := o.t
	require.NoError(t, os.RemoveAll(shape.PathsOf(o.root, "three").Data))
	p := &process{cmd: exec.Command("tau", "start", "-s", "three", "--root", o.root, "--accept-empty-disk"), log: &lockedBuffer{}}
	p.cmd.Stderr = p.log
	o.run(p, "three")
	o.within(time.Minute, "three hears again that it was revoked", func() bool {
		out, err := exec.Command("tau", "status", "-s", "three", "--root", o.root).CombinedOutput()
		return err != nil && strings.Contains(string(out), "membership: revoked")
	})
	out, err := exec.Command("tau", "certify", "-s", "three", "--cloud-key", shape.PathsOf(o.root, "one").CloudKey, "--root", o.root).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "was revoked, which no certificate undoes")
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}
