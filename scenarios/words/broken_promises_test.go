package words

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
)

// broken is a small world in which a promise is kept, want "", or broken, as want says.
type broken struct {
	checker, want string
	world         func() *fakeWorld
	facts         string
}

// settled is a world that has healed.
func settled(nodes ...check.NodeView) func() *fakeWorld {
	return func() *fakeWorld { return &fakeWorld{nodes: nodes, settles: true} }
}

// after is a world that nothing is demanded of yet.
func after(nodes ...check.NodeView) func() *fakeWorld {
	return func() *fakeWorld { return &fakeWorld{nodes: nodes} }
}

func judge(t *testing.T, list []broken) {
	good := map[string]bool{}
	for i, c := range list {
		err := feedIn(t, c.world(), checkerCalled(t, c.checker), c.facts)
		if c.want == "" {
			assert.NoError(t, err, "%d %s\n%s", i, c.checker, c.facts)
			good[c.checker] = true
			continue
		}
		assert.ErrorContains(t, err, c.want, "%d %s\n%s", i, c.checker, c.facts)
	}
	for _, c := range list {
		assert.True(t, good[c.checker], "%s: a history that is right is missing", c.checker)
	}
}

// quiet lets so many seconds pass.
func quiet(seconds int) string { return fmt.Sprintf("%d client client nothing\n", seconds) }

func TestBrokenPromisesAboutMembers(t *testing.T) {
	cloud := func(dies bool, live ...string) func() *fakeWorld {
		return func() *fakeWorld {
			w := &fakeWorld{settles: true}
			w.nodes = []check.NodeView{
				runs("core-1", map[string]node.Service{"seer": &fakeSeer{w: w, live: live}, seer.BeaconName: fake{}}),
				runs("core-2", map[string]node.Service{seer.BeaconName: fake{}}),
			}
			if dies {
				w.nodes[1] = down(w.nodes[1], 0)
			}
			return w
		}
	}
	told := func(member string) string {
		return "1 core-1 node started incarnation=1\n1 core-2 node started incarnation=3\n" + quiet(60) +
			"60 client client members-told how=lookup by=core-1 took=1000 members=" + member + "\n"
	}
	member := func(of, name string, more string) string { return peerCalled(of).String() + "|" + name + "|" + more }
	believing := func(known bool, stamps []uint64, offering []string, present ...string) func() *fakeWorld {
		return func() *fakeWorld {
			w := cloud(false, present...)()
			w.nodes[0].Services, w.nodes[1].Services = []string{"seer"}, []string{}
			at := w.nodes[0].Service
			w.nodes[0].Service = func(of string) node.Service {
				if of == seer.DiscoveryName {
					return &fakeDiscovery{w: w, known: known, stamps: stamps, offering: offering}
				}
				return at(of)
			}
			return w
		}
	}
	core1, once := []string{"core-1"}, []uint64{1}
	bare := func() *fakeWorld { w := cloud(false, "core-1", "core-2")(); w.settles = false; return w }
	judge(t, []broken{
		{"dead-node-leaves", "", cloud(true, "core-1"), quiet(60)},
		{"dead-node-leaves", "still names it", cloud(true, "core-1", "core-2"), quiet(60)},
		{"live-node-present", "", cloud(false, "core-1", "core-2"), quiet(60)},
		{"live-node-present", "has not named it", cloud(false, "core-1"), quiet(60)},
		{"seers-agree", "", cloud(false, "core-1", "core-2"), quiet(1)},
		{"seers-agree", "core-2 is missing", cloud(false, "core-1"), quiet(1)},
		{"members-are-known", "", believing(true, []uint64{1, 2, 3}, core1, "core-1", "core-2"), quiet(60)},
		{"members-are-known", "does not know who offers seer", believing(false, once, core1, "core-1", "core-2"), quiet(60)},
		{"members-are-known", "core-1 does not know that core-1 offers seer", believing(true, once, nil, "core-1", "core-2"), quiet(60)},
		{"members-are-known", "which has left, offers seer", believing(true, once, []string{"core-1", "core-9"}, "core-1", "core-2"), quiet(60)},
		{"members-are-known", "seer does not know that core-2", believing(true, once, core1, "core-1"), quiet(60)},
		{"members-are-known", "which has left, offers anything", believing(true, once, core1, "core-1", "core-2", "core-9"), quiet(60)},
		{"members-are-known", "of core-2 after", believing(true, []uint64{1, 3, 2}, core1, "core-1", "core-2"), quiet(60)},
		{"clouds-never-mix", "", believing(true, once, core1, "core-1", "core-2"), quiet(2)},
		{"clouds-never-mix", "takes core-9 for a member", believing(true, once, core1, "core-1", "core-9"), quiet(2)},
		{"members-are-told", "", bare, strings.Replace(told(member("core-2", "core-2", "3||1000000|-1|0")), "how=lookup", "partial=true how=lookup", 1)},
		{"members-are-told", "core-1 is missing among 1", bare, told(member("core-2", "core-2", "3||1000000|-1|0"))},
		{"members-are-told", "is called core-9", bare, told(member("core-2", "core-9", "3||1000000|-1|0"))},
		{"members-are-told", "is no node", bare, told(member("core-9", "core-9", "3||1000000|-1|0"))},
		{"members-are-told", "is said to offer [tns]", bare, told(member("core-2", "core-2", "3|tns|1000000|-1|0"))},
		{"members-are-told", "in incarnation 4", bare, told(member("core-2", "core-2", "4||1000000|-1|0"))},
		{"members-are-told", "in incarnation 2, and is in 3", bare, told(member("core-2", "core-2", "2||1000000|-1|0"))},
		{"members-are-told", "was heard 1m0s ago", bare, told(member("core-2", "core-2", "3||60000000000|-1|0"))},
		{"members-are-told", "bytes of", bare, told(member("core-2", "core-2", "3||1000000|77|0"))},
		{"members-are-told", "has been down for", bare, strings.Replace(told(member("core-2", "core-2", "3||1000000|-1|0")), "60 client client nothing", "10 core-2 node crashed disk-lost=false\n60 client client nothing", 1)},
		{"members-are-told", "refused to say who lives", bare, strings.Replace(told("x"), "members=x", "error=refused", 1)},
	})
}

// fakeAgent is the agent of a node that shows a certificate.
type fakeAgent struct {
	fake
	until  int64
	turned int
}

func (f fakeAgent) Until() int64 { return f.until }
func (f fakeAgent) Turned() int  { return f.turned }

func TestBrokenPromisesAboutCertificates(t *testing.T) {
	showing := func(until int64, turned int, settles bool) func() *fakeWorld {
		return func() *fakeWorld {
			return &fakeWorld{settles: settles, nodes: []check.NodeView{
				runs("core-1", map[string]node.Service{"auth": fake{}, node.MembershipService: fakeAgent{until: 9, turned: 1}}),
				runs("core-2", map[string]node.Service{node.MembershipService: fakeAgent{until: until, turned: turned}}),
			}}
		}
	}
	bare := showing(9, 1, false)
	made := "1 core-1 auth invited invitation=i uses=1\n2 client client invitation-made invitation=i name=w uses=1 expires=60000000000\n"
	comes := func(at int, who, auth string) string {
		return fmt.Sprintf("%d %s auth admitted subject=%s name=%s invitation=i\n", at, auth, who, who)
	}
	replaced := "1 client client key-replaced copies=2\n"
	judge(t, []broken{
		{"invitations-are-kept", "", bare, made + comes(3, "a", "core-1") + comes(4, "a", "core-1")},
		{"invitations-are-kept", "is number 2 by an invitation for 1", bare, made + comes(3, "a", "core-1") + comes(4, "b", "core-1")},
		{"invitations-are-kept", "that ended at 1m2s", bare, made + comes(64, "a", "core-1")},
		{"invitations-are-kept", "by an invitation that core-1 honour", bare, made + comes(3, "a", "core-2")},
		{"invitations-are-kept", "nobody was given", bare, comes(3, "a", "core-1")},
		{"certificates-are-renewed", "", showing(9, 1, true), replaced + quiet(60)},
		{"certificates-are-renewed", "and has reached an auth for", showing(0, 1, false), quiet(60)},
		{"certificates-are-renewed", "core-2 shows a certificate that does not count", showing(0, 1, true), replaced + quiet(2)},
		{"certificates-are-renewed", "core-2 knows of 0 replacements of the cloud key, of 1", showing(9, 0, true), replaced + quiet(2)},
	})
	shown := func(what string, minutes int) check.Fact {
		until := time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC).Unix()
		return check.Fact{Node: "core-2", Name: what, Fields: []node.Field{node.F("until", until)}}
	}
	first, again := shown("certificate-shown", 10), shown("certificate-shown", 60)
	turned := check.Fact{Node: "client", Name: "key-replaced", At: time.Minute, Fields: []node.Field{node.F("overlap", time.Minute)}}
	for _, b := range []struct {
		want  string
		at    time.Duration
		facts []check.Fact
	}{
		{"", 10 * time.Minute, []check.Fact{first}},
		{"whose certificate has ended at 10m0s", 16 * time.Minute, []check.Fact{first}},
		{"", 16 * time.Minute, []check.Fact{first, again}},
		{"whose certificate has ended at 2m0s", 10 * time.Minute, []check.Fact{first, turned}},
		{"whose certificate has ended at 2m0s", 10 * time.Minute, []check.Fact{first, turned, again}},
		{"", 10 * time.Minute, []check.Fact{first, turned, shown("certificate-renewed", 60)}},
	} {
		c, at, want := checkerCalled(t, "expired-are-out"), b.at, b.want
		for _, f := range b.facts {
			require.NoError(t, c.(check.OnWitness).Witness(bare(), f))
		}
		err := c.(check.OnDelivery).Delivered(check.Delivery{At: at, To: "core-1", From: check.Standing{Node: "core-2"}, Name: "patrick/event"})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.NoError(t, c.(check.OnDelivery).Delivered(check.Delivery{At: at, To: "core-1", From: check.Standing{Node: "core-2"}, Name: "auth/renew"}))
	}
}

// branch makes versions of one branch, newest first.
func branch(jobs ...string) (list []tnsapi.Version) {
	for i, job := range jobs {
		list = append(list, tnsapi.Version{Project: "p", Branch: "b", Commit: "c-" + job, Job: job, Order: uint64(len(jobs) - i), Artifact: "a-" + job})
	}
	return list
}

func TestBrokenPromisesAboutVersionsAndReplicas(t *testing.T) {
	filled := &fakeReplica{heads: "h", entries: []storage.Entry{{Key: "/a/b", Value: []byte("1")}}}
	other := &fakeReplica{heads: "h", entries: []storage.Entry{{Key: "/a/b", Value: []byte("2")}}}
	later := &fakeReplica{heads: "i"}
	pair := func(a, b *fakeTNS) []check.NodeView {
		return []check.NodeView{runs("core-1", map[string]node.Service{"tns": a}), runs("core-2", map[string]node.Service{"tns": b})}
	}
	one := func(s *fakeTNS, held ...string) []check.NodeView {
		s.replica = filled
		return []check.NodeView{runs("core-1", map[string]node.Service{"tns": s, "hoarder": &fakeHoarder{held: held, replica: filled}})}
	}
	opened := func(entries int) string {
		return quiet(5) + "5 core-2 tns replica-state state=empty entries=0\n" + fmt.Sprintf("6 core-2 tns replica-state state=ready entries=%d\n", entries)
	}
	durable := "5 core-1 tns publish-durable project=p branch=b job=one order=1 rollback=0 copies=2\n"
	published := func(attempt int) string {
		return fmt.Sprintf("5 core-1 tns published job=one attempt=%d holder=monkey-1\n", attempt)
	}
	sent := "1 client client project-sent project=p branch=b commit=c1 assets=a1\n1 client client push-sent job=bad fail=permanent\n"
	told := func(commits, assets, wrong string) string {
		return "3 client client project-told project=p branch=b commit=c1 order=1 error= commits=" + commits + " assets=" + assets + " wrong=" + wrong + "\n4 client client audit-swept\n"
	}
	part := func(repository, branch, mark string) string {
		return "1 client client part-sent project=p repository=" + repository + " branch=" + branch + " mark=" + mark + "\n"
	}
	parts := part("r", "b", "m1") + part("r", "b", "m2") + part("s", "b", "n1")
	elsewhere := part("r", "x", "x1")
	attempts := func(n int) string {
		return strings.Repeat("2 core-1 patrick job-released job=bad success=false\n", n) + "3 core-1 patrick job-finished job=bad status=failed\n"
	}
	judge(t, []broken{
		{"projects-are-of-one-commit", "", settled(one(&fakeTNS{})...), sent + attempts(1) + told("c1", "a1", "")},
		{"projects-are-of-one-commit", `are of "c0,c1"`, after(one(&fakeTNS{})...), sent + told("c0,c1", "a1", "")},
		{"projects-are-of-one-commit", "its assets are not what the commit comes to", after(one(&fakeTNS{})...), sent + told("c1", "a0", "")},
		{"projects-are-of-one-commit", "no whole: torn", after(one(&fakeTNS{})...), sent + told("c1", "a1", "torn")},
		{"projects-are-of-one-commit", "was tried 2 times", after(one(&fakeTNS{})...), sent + attempts(2)},
		{"projects-are-of-one-commit", "nobody could read a project", settled(one(&fakeTNS{})...), sent},
		{"projects-are-of-their-heads", "", settled(one(&fakeTNS{})...), parts + told("m2,n1", "", "")},
		{"projects-are-of-their-heads", "nobody has pushed m9", after(one(&fakeTNS{})...), parts + told("m9,n1", "", "")},
		{"projects-are-of-their-heads", "m1 and m2 are both of r", after(one(&fakeTNS{})...), parts + told("m1,m2", "", "")},
		{"projects-are-of-their-heads", "x1 is of branch x of r", after(one(&fakeTNS{})...), parts + elsewhere + told("x1", "", "")},
		{"projects-are-of-their-heads", "no whole: torn", after(one(&fakeTNS{})...), parts + told("m2,n1", "", "torn")},
		{"projects-are-of-their-heads", `is of "m1 n1", without m2, which r has`, settled(one(&fakeTNS{})...), parts + told("m1,n1", "", "")},
		{"projects-are-of-their-heads", "without n1, which s has", settled(one(&fakeTNS{})...), parts + told("m2", "", "")},
		{"projects-are-of-their-heads", "nobody could read a project", settled(one(&fakeTNS{})...), parts},
		{"caught-up-before-serving", "", after(pair(&fakeTNS{replica: filled}, &fakeTNS{replica: filled})...), opened(1)},
		{"caught-up-before-serving", "serves and has nothing", after(pair(&fakeTNS{replica: filled}, &fakeTNS{replica: later})...), opened(0)},
		{"whole-versions-only", "", after(one(&fakeTNS{versions: branch("one")})...), quiet(2)},
		{"whole-versions-only", "lacks an entry", after(one(&fakeTNS{torn: []string{"one lacks an entry"}})...), quiet(2)},
		{"whole-versions-only", "sees a part of p/b", after(one(&fakeTNS{})...), "2 core-1 tns version-torn project=p branch=b commit=c\n"},
		{"no-stale-publish", "", after(one(&fakeTNS{})...), published(1) + published(2) + published(2)},
		{"no-stale-publish", "it knew of", after(one(&fakeTNS{})...), published(2) + published(1)},
		{"no-stale-publish", "it knew of", after(one(&fakeTNS{})...), strings.Replace(published(2), "published", "fenced", 1) + published(1)},
		{"no-stale-publish", "it knew of", after(one(&fakeTNS{})...), published(2) + strings.Replace(published(2), "published", "publish-durable", 1) + "6 core-1 tns replica-opened incarnation=2\n" + published(1)},
		{"replicas-converged", "", settled(pair(&fakeTNS{replica: filled}, &fakeTNS{replica: filled})...), quiet(1)},
		{"replicas-converged", "different heads", settled(pair(&fakeTNS{replica: filled}, &fakeTNS{replica: later})...), quiet(1)},
		{"replicas-converged", "equal heads and different contents", settled(pair(&fakeTNS{replica: filled}, &fakeTNS{replica: other})...), quiet(1)},
		{"replicas-converged", "name different current commits", settled(pair(&fakeTNS{replica: filled, versions: branch("two", "one")}, &fakeTNS{replica: filled, versions: branch("one")})...), quiet(1)},
		{"live-artifacts-kept", "", settled(one(&fakeTNS{versions: branch("two", "one")}, "a-two")...), quiet(1)},
		{"live-artifacts-kept", "no hoarder has it", settled(one(&fakeTNS{versions: branch("two", "one")}, "a-one")...), quiet(1)},
		{"history-kept", "", settled(one(&fakeTNS{versions: branch("two", "one")})...), durable},
		{"history-kept", "", settled(one(&fakeTNS{versions: branch("four", "three", "two")})...), durable},
		{"history-kept", "was durable and is missing", settled(one(&fakeTNS{versions: branch("two")})...), durable},
		{"newest-success-is-live", "", settled(one(&fakeTNS{versions: branch("job")})...), quiet(1)},
		{"versions-are-true", "", after(one(&fakeTNS{})...), quiet(1)},
	})
}

func TestBrokenPromisesAboutJobs(t *testing.T) {
	j1 := jobCalled("b", 1, "e1")
	job := func(status patrickapi.Status) *fakePatrick {
		return &fakePatrick{jobs: map[string]patrickapi.Job{j1: {ID: j1, Status: status, Artifact: "a"}}}
	}
	pair := func(a, b *fakePatrick) []check.NodeView {
		return []check.NodeView{runs("core-1", map[string]node.Service{"patrick": a}), runs("core-2", map[string]node.Service{"patrick": b})}
	}
	holders := func(since time.Duration, names ...string) []check.NodeView {
		list := pair(job(patrickapi.Locked), job(patrickapi.Locked))
		for _, name := range names {
			held := monkey.Held{Job: j1, Token: fencing.Token{Attempt: 1, Holder: peerCalled(name)}, Renewed: since}
			list = append(list, runs(name, map[string]node.Service{"monkey": &fakeMonkey{holding: []monkey.Held{held}}}))
		}
		return list
	}
	success, failed, open := patrickapi.Success, patrickapi.Failed, patrickapi.Open
	acked := fmt.Sprintf("5 client client push-sent job=%[1]s\n6 core-1 patrick job-accepted job=%[1]s\n6 core-1 patrick job-acked job=%[1]s copies=2\n7 client client push-acknowledged job=%[1]s\n", j1)
	on := func(at int, of, service, fact, more string) string {
		return fmt.Sprintf("%d %s %s %s job=%s %s\n", at, of, service, fact, j1, more)
	}
	granted := func(at int, of, to string, attempt int) string {
		return on(at, of, "patrick", "job-granted", fmt.Sprintf("attempt=%d holder=%s", attempt, to))
	}
	fenced := "1 core-1 tns replica-opened incarnation=1\n" + on(2, "core-1", "tns", "fenced", "attempt=1 holder=monkey-1")
	forgotten := acked + on(8, "core-1", "patrick", "job-finished", "status=success artifact=a") + on(9, "core-1", "patrick", "job-forgotten", "")
	unknown := &fakePatrick{}
	// goesBack has a job that is a success until 10 s and open from then on.
	goesBack := func() *fakeWorld {
		p := job(success)
		w := &fakeWorld{nodes: pair(p, p)}
		p.changes = func() {
			if w.now > 10*time.Second {
				p.jobs[j1] = patrickapi.Job{ID: j1, Status: open}
			}
		}
		return w
	}
	published := on(8, "monkey-1", "monkey", "published", "artifact=a attempt=1 holder=monkey-1")
	judge(t, []broken{
		{"every-job-final", "", settled(pair(job(success), job(success))...), acked},
		{"every-job-final", "is open on core-2", settled(pair(job(success), job(open))...), acked},
		{"every-job-final", "is success on core-1 and failed on core-2", settled(pair(job(success), job(failed))...), acked},
		{"every-job-final", "", settled(pair(unknown, unknown)...), forgotten},
		{"every-job-final", "was forgotten and is success on core-2", settled(pair(unknown, job(success))...), forgotten},
		{"no-lost-jobs", "", after(pair(job(open), unknown)...), acked},
		{"no-lost-jobs", "is given up for lost", after(pair(job(open), job(open))...), acked + on(8, "core-1", "patrick", "tree-lost", "") + quiet(30)},
		{"no-lost-jobs", "no patrick knows it", after(pair(unknown, unknown)...), acked + quiet(30)},

		{"one-effective-outcome-per-job", "", settled(pair(job(success), job(success))...), acked + published + on(9, "core-1", "patrick", "job-finished", "status=success artifact=a")},
		{"one-effective-outcome-per-job", "has two artifacts", settled(pair(job(success), job(success))...), acked + published + on(9, "core-1", "patrick", "job-finished", "status=success artifact=z")},
		{"one-effective-outcome-per-job", "was published and is failed on core-2", settled(pair(job(success), job(failed))...), acked + published},
		{"one-effective-outcome-per-job", "", after(pair(job(open), job(open))...), fenced + on(3, "monkey-1", "monkey", "build-started", "attempt=1 holder=monkey-1")},
		{"one-effective-outcome-per-job", "which no tns has heard of", after(pair(job(open), job(open))...), fenced + on(3, "monkey-1", "monkey", "build-started", "attempt=2 holder=monkey-1")},
		{"one-effective-outcome-per-job", "after attempt 2", after(pair(job(open), job(open))...), on(2, "core-1", "tns", "fenced", "attempt=2 holder=monkey-1") + on(3, "core-1", "tns", "published", "attempt=1 holder=monkey-1")},
		{"one-effective-outcome-per-job", "was success on core-1 and is now open", goesBack, acked + quiet(60)},

		{"one-holder-per-job", "", after(holders(time.Second, "monkey-1")...), granted(5, "core-1", "monkey-1", 1) + on(20, "core-1", "patrick", "job-expired", "attempt=1 holder=monkey-1 reason=lost") + granted(21, "core-1", "monkey-2", 2)},
		{"one-holder-per-job", "which it granted, has not ended", after(holders(time.Second, "monkey-1")...), granted(5, "core-1", "monkey-1", 1) + granted(6, "core-1", "monkey-2", 2)},
		{"one-holder-per-job", "after its last renewal", after(holders(time.Minute, "monkey-1")...), quiet(3)},
		{"one-holder-per-job", "both hold job", after(holders(time.Second, "monkey-1", "monkey-2")...), quiet(60)},
		{"one-holder-per-job", "within the lease", after(holders(time.Second, "monkey-1")...), granted(5, "core-1", "monkey-1", 1) + "9 core-1 patrick job-expired job=" + j1 + " attempt=1 holder=monkey-1 reason=not_renewed\n"},

		{"slots-are-kept", "", after(holders(time.Second, "monkey-1")...), quiet(3)},
		{"slots-are-kept", "has 1 slots and holds 2 jobs", func() *fakeWorld {
			list := holders(time.Second, "monkey-1")
			m := list[2].Service("monkey").(*fakeMonkey)
			m.holding = append(m.holding, m.holding[0])
			return &fakeWorld{nodes: list}
		}, quiet(3)},
	})
	require.NotEmpty(t, j1)
}

// TestEveryCheckIsShownToFail: a check that was never seen to fail proves nothing.
func TestEveryCheckIsShownToFail(t *testing.T) {
	var text []byte
	for _, file := range []string{"checkers_test.go", "broken_promises_test.go", "broken_items_test.go", "broken_attacks_test.go", "broken_forges_test.go", "broken_websites_test.go"} {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		text = append(text, raw...)
	}
	for _, c := range Vocabulary().Checks {
		shown := strings.Contains(string(text), `{"`+c.Name+`", `) || strings.Contains(string(text), `checkerCalled(t, "`+c.Name+`")`)
		require.True(t, shown, "no table has a world in which %s fails", c.Name)
	}
}
