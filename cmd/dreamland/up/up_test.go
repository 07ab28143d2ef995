package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmdline"
	claims "github.com/taucloud/tau/project/route"
)

func TestUnheard(t *testing.T) {
	for _, c := range []struct{ told, now, want []string }{
		{nil, []string{"a"}, []string{"a"}},
		{[]string{"a"}, []string{"a", "b"}, []string{"b"}},
		{[]string{"a", "b"}, []string{"b", "c"}, []string{"c"}},
		{[]string{"a", "b"}, []string{"a", "b"}, []string{}},
		{[]string{"a", "b"}, []string{"x"}, []string{"x"}},
		{[]string{"a"}, nil, nil},
	} {
		require.Equal(t, c.want, unheard(c.told, c.now))
	}
}

func TestGroups(t *testing.T) {
	names := []string{"a", "b", "c"}
	groups, err := readGroups("a,b|c", names)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"a", "b"}, {"c"}}, groups)
	for text, want := range map[string]string{"a|d": "there is no node", "a|a": "on two sides", "": "there is no node"} {
		_, err := readGroups(text, names)
		require.ErrorContains(t, err, want, text)
	}
}

// TestFirstPath: a push ends with an address at which a browser sees something.
func TestFirstPath(t *testing.T) {
	claim := func(path, method string) claims.Claim {
		return claims.Claim{Host: "a.tau.localhost", Path: path, Methods: []string{method}, Target: "functions/f"}
	}
	for want, list := range map[string][]claims.Claim{
		"/":      nil,
		"/hello": {claim("/hello/{name}", "GET"), claim("/send", "POST"), claim("/hello", "GET")},
	} {
		require.Equal(t, want, firstPath(list))
	}
	require.Equal(t, "/", firstPath([]claims.Claim{claim("/hello", "GET"), claim("/", "GET")}))
	require.Equal(t, "/", firstPath([]claims.Claim{claim("/hello", "GET"), claim("/*", "GET")}), "a website")
	require.Equal(t, "/", firstPath([]claims.Claim{claim("/{name}", "GET")}))
}

func TestNames(t *testing.T) {
	for name, valid := range map[string]bool{"a": true, "shop-2": true, "": false, "..": false, "a/b": false, "A": false, "a-": false, strings.Repeat("a", 33): false} {
		_, err := placeOf(name)
		require.Equal(t, valid, err == nil, name)
	}
	for _, text := range []string{"one", "one=auth,sea", "../x=auth,seer", "one=auth"} {
		_, err := chosenNodes([]string{text})
		require.Error(t, err, text)
	}
}

// TestDocument: each route is in the document, whose schemas are valid and all there.
func TestDocument(t *testing.T) {
	raw, err := json.Marshal(document())
	require.NoError(t, err)
	var d struct {
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	require.NoError(t, json.Unmarshal(raw, &d))
	for _, rt := range routes() {
		require.Contains(t, d.Paths[rt.path], strings.ToLower(rt.method))
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("file:///api.json", whole))
	for name := range d.Components.Schemas {
		_, err := c.Compile("file:///api.json#/components/schemas/" + name)
		require.NoError(t, err, name)
	}
}

// TestOneAfterTheOther: universes that begin and end, one of their nodes killed, leave no port, no file, no descriptor, no process and no
// goroutine behind. make laptop-audit has ten of them, of the usual nodes.
func TestOneAfterTheOther(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	home, err := os.MkdirTemp("", "up-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(home)) })
	t.Setenv("XDG_STATE_HOME", home)
	p, err := placeOf("again")
	require.NoError(t, err)
	w, universes := wishes{ephemeral: true, nodes: []string{"one=seer,auth,tns,hoarder,patrick", "two=monkey"}}, 3
	if text := os.Getenv("UP_UNIVERSES"); text != "" {
		universes, err = strconv.Atoi(text)
		require.NoError(t, err)
		w.nodes = nil
	}
	goroutines, descriptors := 0, 0
	for i := range universes {
		u, err := open(p, w)
		require.NoError(t, err)
		require.NoError(t, u.ready(t.Context()))
		if i == 0 && w.nodes != nil {
			testFailpoint(t, u)
		}
		require.NoError(t, u.members[1].kill())
		ports := []int{u.plan.Admin, u.plan.Git, u.plan.HTTP}
		for _, n := range u.plan.Nodes {
			ports = append(ports, n.Port, n.Door, n.Hooks)
		}
		require.NoError(t, u.close())
		require.NoDirExists(t, p.dir)
		for _, port := range ports {
			require.True(t, port == 0 || cmdline.Free(port), port)
		}
		if i == 0 {
			time.Sleep(500 * time.Millisecond)
			goroutines, descriptors = runtime.NumGoroutine(), openDescriptors(t) // libraries have theirs from the first on
		}
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+5 && openDescriptors(t) <= descriptors+3 }, 15*time.Second, 50*time.Millisecond,
		"goroutines: %d at first, descriptors: %d", goroutines, descriptors)
	left, err := filepath.Glob(filepath.Join(home, "dreamland", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	children, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err == nil {
		require.Empty(t, strings.TrimSpace(string(children)), "processes")
	}
}

// openDescriptors is how many this process has.
func openDescriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return 0 // no Linux
	}
	require.NoError(t, err)
	return len(list)
}

// TestAPortIsTakenMeanwhile: of the ports that a new universe chose, one is taken before it opens it: it chooses again, and
// keeps that. One that was given, or that it had before, is told of.
func TestAPortIsTakenMeanwhile(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	port := busy.Addr().(*net.TCPAddr).Port
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	p, err := placeOf("a")
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		fresh  bool
		wished int
		again  bool
	}{{"chosen", true, 0, true}, {"given", true, port, false}, {"known", false, 0, false}} {
		u := &Universe{place: p, plan: &plan{Git: port}, fresh: c.fresh, wishes: wishes{git: c.wished}}
		l, err := u.listen(&u.plan.Git, c.wished, "git-port")
		if !c.again {
			require.ErrorContains(t, err, fmt.Sprintf("another process has the port %d of universe a", port), c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.NotEqual(t, port, u.plan.Git)
		require.Equal(t, u.plan.Git, l.Addr().(*net.TCPAddr).Port)
		require.NoError(t, l.Close())
	}
}

// testFailpoint: a node of a universe ends at a failpoint, alone, and lives again without it.
func testFailpoint(t *testing.T, u *Universe) {
	ctx := t.Context()
	_, err := setFailpoint(ctx, u, SetFailpoint{Point: "beacon/before-sent", Do: "crash"})
	require.ErrorContains(t, err, `did you mean "beacon/before-send"?`)
	for _, bad := range []SetFailpoint{{Do: "crash"}, {Point: "beacon/before-send", Do: "melt"}, {Point: "beacon/before-send", Do: "off"}, {Point: "beacon/before-send", Do: "panic"},
		{Point: "beacon/before-send", Do: "hang"}, {Point: "beacon/before-send", Do: "drop", For: "soon"}} {
		_, err := setFailpoint(ctx, u, bad)
		require.Equal(t, 400, statusOf(err), "%v: %v", bad, err)
	}
	for _, in := range []SetFailpoint{{Point: "gateway/before-ask", Do: "error"}, {Point: "beacon/before-send", Do: "drop", Nodes: []string{"three"}}} {
		_, err := setFailpoint(ctx, u, in)
		require.Contains(t, []int{404, 409}, statusOf(err), "of what this universe has not, which is no bad input: %v: %v", in, err)
	}
	set, err := setFailpoint(ctx, u, SetFailpoint{Point: "beacon/before-send", Do: "crash", Nodes: []string{"two"}})
	require.NoError(t, err)
	require.Len(t, set, 1)
	require.Equal(t, "crash", set[0].Rules[0].Do)
	require.Eventually(t, func() bool {
		state, why, _, _ := u.members[1].is()
		return state == stateFailed && strings.Contains(why, "by a failpoint")
	}, 20*time.Second, 10*time.Millisecond)
	state, _, _, _ := u.members[0].is()
	require.Equal(t, stateUp, state, "the other one lives")
	_, err = startNode(ctx, u, nodeIn{"two"})
	require.NoError(t, err)
	list, err := failpoints(ctx, u, nothing{})
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, p := range list {
		require.Empty(t, p.Rules, "what was set has ended with the node")
	}
	_, err = setFailpoint(ctx, u, SetFailpoint{Point: "beacon/before-send", Do: "drop", For: "20ms"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		list, err := clearFailpoints(ctx, u, ClearFailpoints{Point: "tns/before-apply"})
		return err == nil && len(list) == 0
	}, 20*time.Second, 10*time.Millisecond, "its time is over")
	_, err = setFailpoint(ctx, u, SetFailpoint{Point: "beacon/before-send", Do: "drop"})
	require.NoError(t, err)
	list, err = clearFailpoints(ctx, u, ClearFailpoints{})
	require.NoError(t, err)
	require.Empty(t, list)
}
