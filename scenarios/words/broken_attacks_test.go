package words

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// TestBrokenRules feeds deliveries that must and must not be.
func TestBrokenRules(t *testing.T) {
	member := func(services ...string) check.Standing {
		return check.Standing{Node: "judas", Member: true, Grants: transport.Grants{Services: services}}
	}
	stranger := check.Standing{Node: "mallory"}
	for _, c := range []struct {
		checker string
		from    check.Standing
		name    string
		want    string
	}{
		{"rules-are-kept", member(), "tns/current", ""},
		{"rules-are-kept", member("monkey"), "tns/publish", ""},
		{"rules-are-kept", member("monkey"), "patrick/claim", ""},
		{"rules-are-kept", member("patrick"), "patrick/claim", ""},
		{"rules-are-kept", member(), "counter/of-somebody-else", ""},
		{"rules-are-kept", stranger, "tns/current", "core-1 handles tns/current of mallory, a stranger: it is for members"},
		{"rules-are-kept", stranger, "counter/of-somebody-else", "does not know it"},
		{"rules-are-kept", stranger, "blocks/get", "it is for members"},
		{"rules-are-kept", member("hoarder", "tns"), "patrick/claim", "which may offer hoarder and tns: it is for members that offer monkey or patrick"},
		{"rules-are-kept", member("monkey"), "patrick/kv/main", "it is for members that offer patrick"},
	} {
		err := checkerCalled(t, c.checker).(check.OnDelivery).Delivered(check.Delivery{To: "core-1", From: c.from, Name: c.name})
		if c.want == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
}

// knowing is the agent of a node in fakeWorld.
type knowing bool

func (knowing) Start(context.Context) error   { return nil }
func (knowing) Stop(context.Context) error    { return nil }
func (t knowing) Knows(p transport.Peer) bool { return bool(t) && p == peerCalled("judas") }

// TestBrokenRevocations feeds what is known of a revocation at 10 s, and what comes of who was revoked.
func TestBrokenRevocations(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	view := func(name string, knows bool, services ...string) check.NodeView {
		return check.NodeView{Name: name, Up: true, Services: append(services, "membership"), Service: func(string) node.Service { return knowing(knows) }}
	}
	for _, c := range []struct {
		checker   string
		auth, far bool // know of it
		now       int  // when the world is looked at, and something comes
		name      string
		want      string
	}{
		{"revoked-are-out", true, true, 17, "", ""},
		{"revoked-are-out", true, true, 17, "auth/renew", ""},
		{"revoked-are-out", true, true, 13, "tns/current", "far handles tns/current of judas, which was revoked at 10s"},
		{"revoked-are-out", true, false, 14, "tns/current", ""},
		{"revoked-are-out", true, false, 17, "", "far does not know that judas was revoked at 10s"},
		{"revoked-are-out", false, false, 17, "tns/current", ""},
		{"revoked-are-out", false, true, 39, "", ""},
		{"revoked-are-out", false, true, 42, "", ""}, // far is no auth, and tells nobody
	} {
		checker := checkerCalled(t, c.checker)
		require.NoError(t, checker.(check.OnFact).Fact(check.Fact{
			At: at(10), Node: "client", Name: "member-revoked", Fields: []node.Field{node.F("node", "judas"), node.F("peer", peerCalled("judas"))},
		}))
		nodes := []check.NodeView{view("core-1", c.auth, "auth"), view("far", c.far)}
		var err error
		for now := 11; now <= c.now && err == nil; now++ {
			err = checker.(check.OnPoll).Poll(&fakeWorld{now: at(now), nodes: nodes})
		}
		if c.name != "" {
			require.NoError(t, err)
			err = checker.(check.OnDelivery).Delivered(check.Delivery{At: at(c.now), To: "far", From: check.Standing{Node: "judas", Member: true}, Name: c.name})
		}
		if c.want == "" {
			require.NoError(t, err, "%+v", c)
			continue
		}
		require.ErrorContains(t, err, c.want, "%+v", c)
	}
	// An auth has longer to hear of it from another one, and forgets what it was if its disk is lost.
	checker := checkerCalled(t, "revoked-are-out")
	require.NoError(t, checker.(check.OnFact).Fact(check.Fact{
		At: at(10), Node: "client", Name: "member-revoked", Fields: []node.Field{node.F("node", "judas"), node.F("peer", peerCalled("judas"))},
	}))
	nodes := []check.NodeView{view("core-1", true, "auth"), view("core-2", false, "auth")}
	for now := 11; now <= 41; now++ {
		require.NoError(t, checker.(check.OnPoll).Poll(&fakeWorld{now: at(now), nodes: nodes}))
	}
	require.ErrorContains(t, checker.(check.OnPoll).Poll(&fakeWorld{now: at(42), nodes: nodes}), "core-2 does not know that judas")
	require.NoError(t, checker.(check.OnFact).Fact(check.Fact{At: at(42), Node: "core-2", Service: "node", Name: "started"}))
	require.NoError(t, checker.(check.OnPoll).Poll(&fakeWorld{now: at(43), nodes: nodes}))
}

// Who knew of a revocation still does when it has started anew, unless it has lost its disk, or had just learned it.
func TestRevocationsAreNotForgotten(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	for _, c := range []struct {
		crashedAt, lookedAt int
		lost                string
		forgets             bool
	}{{20, 24, "false", true}, {20, 24, "true", false}, {13, 17, "false", false}, {20, 21, "false", false}} {
		checker := checkerCalled(t, "revoked-are-out")
		hear := func(f check.Fact) { require.NoError(t, checker.(check.OnFact).Fact(f)) }
		hear(check.Fact{At: at(10), Node: "client", Name: "member-revoked", Fields: []node.Field{node.F("node", "judas"), node.F("peer", peerCalled("judas"))}})
		far := check.NodeView{Name: "far", Up: true, Services: []string{"membership"}, Service: func(string) node.Service { return knowing(true) }}
		for now := 11; now < c.crashedAt; now++ {
			require.NoError(t, checker.(check.OnPoll).Poll(&fakeWorld{now: at(now), nodes: []check.NodeView{far}}))
		}
		hear(check.Fact{At: at(c.crashedAt), Node: "far", Service: "node", Name: "crashed", Fields: []node.Field{node.F("disk-lost", c.lost)}})
		far.Since = at(c.crashedAt + 1)
		far.Service = func(string) node.Service { return knowing(false) }
		err := checker.(check.OnPoll).Poll(&fakeWorld{now: at(c.lookedAt), nodes: []check.NodeView{far}})
		require.Equal(t, c.forgets, err != nil, "%+v: %v", c, err)
	}
}

func TestBrokenInvitations(t *testing.T) {
	j1, j2 := jobCalled("b", 1, "e1"), jobCalled("b", 2, "e2")
	pushed := fmt.Sprintf("1 client client push-sent job=%s\n2 core-1 patrick job-accepted job=%[1]s\n3 core-1 patrick job-granted job=%[1]s attempt=2 holder=monkey-1\n", j1)
	by := func(fact, job string, attempt int, holder string) string {
		return fmt.Sprintf("5 core-1 tns %s job=%s attempt=%d holder=%s\n", fact, job, attempt, holder)
	}
	hand := "4 client client fence-sent job=by-hand attempt=1\n4 client client publish-sent job=by-hand\n"
	world := func() *fakeWorld { return &fakeWorld{} }
	judge(t, []broken{
		{"nothing-uninvited", "", world, pushed + by("fenced", j1, 2, "monkey-1") + by("published", j1, 2, "monkey-1") + by("job-released", j1, 2, "monkey-1")},
		{"nothing-uninvited", "", world, hand + by("fenced", "by-hand", 1, "client") + by("published", "by-hand", 1, "client")},
		{"nothing-uninvited", "", world, by("published", "rollback-x", 1, "client")},
		{"nothing-uninvited", "which no user has pushed", world, pushed + "4 core-1 patrick job-accepted job=" + j2 + "\n"},
		{"nothing-uninvited", "fenced of job", world, pushed + by("fenced", j1, 3, "monkey-1")},
		{"nothing-uninvited", "published of job", world, pushed + by("published", j1, 2, "monkey-2")},
		{"nothing-uninvited", "job-released of job", world, pushed + by("job-released", j1, 1, "monkey-1")},
		{"nothing-uninvited", "published of job", world, pushed + by("published", j2, 2, "monkey-1")},
		{"nothing-uninvited", "published of job", world, pushed + by("published", "by-hand", 1, "client") + hand},
	})
}
