package words

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// fakeWorld is a cloud that is whole: two cores and a monkey, with empty disks.
type fakeWorld struct {
	now time.Duration
	cut bool
	// nodes are others, instead of these. settles asks a checker after the last fact
	// what must hold after healing.
	nodes   []check.NodeView
	settles bool
	each    func() // before each poll
}

func peerCalled(name string) transport.Peer { return transport.NewIdentity([]byte(name)).Peer() }

// Belongs: only those that are there.
func (w *fakeWorld) Belongs(p transport.Peer) bool {
	return slices.ContainsFunc(w.Nodes(), func(n check.NodeView) bool { return n.Peer == p })
}

func (w *fakeWorld) Now() time.Duration         { return w.now }
func (w *fakeWorld) Connected(_, _ string) bool { return !w.cut }
func (w *fakeWorld) Nodes() (list []check.NodeView) {
	if w.nodes != nil {
		return w.nodes
	}
	for _, name := range []string{"core-1", "core-2", "monkey-1"} {
		services := []string{"patrick", "tns", "hoarder"}
		if strings.HasPrefix(name, "monkey") {
			services = []string{"monkey"}
		}
		list = append(list, check.NodeView{
			Name: name, Peer: peerCalled(name), Services: services, Up: true, ShouldBeUp: true, Disk: memdisk.New(),
			Service: func(string) node.Service { return nil },
			Configured: func(service string) any {
				switch service {
				case "monkey":
					return &monkey.Settings{Slots: 1}
				case "patrick":
					return patrick.DefaultSettings()
				case "tns":
					return &tns.Settings{KeepVersions: 20}
				}
				return nil
			},
		})
	}
	return list
}

func checkerCalled(t *testing.T, name string) check.Checker {
	all := Vocabulary().Checks
	i := slices.IndexFunc(all, func(c scenario.Check) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return all[i].New()
}

// feed feeds a checker facts, one a line: "SECONDS NODE SERVICE NAME k=v ...", and
// polls it each second. It returns the first violation.
func feed(t *testing.T, c check.Checker, lines string) error {
	return feedIn(t, &fakeWorld{settles: strings.Contains(lines, "audit-swept")}, c, lines)
}

// feedIn does it in a world of its own.
func feedIn(t *testing.T, w *fakeWorld, c check.Checker, lines string) error {
	poll := func(until time.Duration) error {
		for w.now+time.Second <= until {
			w.now += time.Second
			if w.each != nil {
				w.each()
			}
			if looker, ok := c.(check.OnPoll); ok {
				if err := looker.Poll(w); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		f, err := factOf(strings.Fields(line))
		require.NoError(t, err, line)
		if err := poll(f.At); err != nil {
			return err
		}
		if witness, ok := c.(check.OnWitness); ok {
			if err := witness.Witness(w, f); err != nil {
				return err
			}
		}
		if listener, ok := c.(check.OnFact); ok {
			if err := listener.Fact(f); err != nil {
				return err
			}
		}
	}
	if err := poll(w.now + 10*time.Second); err != nil {
		return err
	}
	if settled, ok := c.(check.OnSettled); ok && w.settles {
		return settled.Settled(w)
	}
	return nil
}

func factOf(words []string) (f check.Fact, err error) {
	var seconds float64
	if _, err = fmt.Sscan(words[0], &seconds); err != nil {
		return f, err
	}
	f = check.Fact{At: time.Duration(seconds * float64(time.Second)), Node: words[1], Service: words[2], Name: words[3]}
	for _, w := range words[4:] {
		k, v, _ := strings.Cut(w, "=")
		var n int64
		switch _, notNumber := fmt.Sscanf(v, "%d", &n); {
		case k == "by" || k == "holder":
			f.Fields = append(f.Fields, node.F(k, peerCalled(v)))
		case slices.Contains([]string{"reason", "error", "holders", "owners"}, k): // which may have several words
			f.Fields = append(f.Fields, node.F(k, strings.ReplaceAll(v, "_", " ")))
		case notNumber == nil && fmt.Sprint(n) == v:
			f.Fields = append(f.Fields, node.F(k, n))
		default:
			f.Fields = append(f.Fields, node.F(k, v))
		}
	}
	return f, nil
}

// jobCalled is a good job id of branch, with an order.
func jobCalled(branch string, order int, id string) string {
	return patrickapi.JobID("r", branch, "c", patrickapi.Event{ID: id, Order: uint64(order)})
}

// TestCheckersFail feeds each checker a history that is right, and the same with
// one thing wrong: a check that cannot fail proves nothing.
func TestCheckersFail(t *testing.T) {
	j1, j2 := jobCalled("b", 1, "e1"), jobCalled("b", 2, "e2")
	push := func(at float64, job string, order int, more string) string {
		return fmt.Sprintf("%g client client push-sent job=%s project=p repository=r branch=b commit=c event=e%d order=%d source=s artifact=a entries=d %s\n", at, job, order, order, more)
	}
	ack := func(at float64, job string, order int, more string) string {
		return fmt.Sprintf("%g client client push-acknowledged job=%s project=p branch=b commit=c event=e%d tries=1 duplicate=false %s\n", at, job, order, more)
	}
	accepted := func(at float64, job string, order int) string {
		return fmt.Sprintf("%g core-1 patrick job-accepted job=%s project=p branch=b commit=c event=e%d order=%d\n%g core-1 patrick job-acked job=%s copies=2\n", at, job, order, order, at, job)
	}
	granted := func(at float64, job string) string {
		return fmt.Sprintf("%g core-1 patrick job-granted job=%s attempt=1 holder=monkey-1\n", at, job)
	}
	finished := func(at float64, job, status string) string {
		return fmt.Sprintf("%g core-1 patrick job-finished job=%s status=%s rebuilds=0\n", at, job, status)
	}
	tell := func(at float64, job, status, more string) string {
		return fmt.Sprintf("%g client client job-told by=core-1 took=1000 job=%s id=%s status=%s project=p repository=r branch=b commit=c source=s event=e1 order=1 attempts=1 attempt=1 holder=monkey-1 sweep=-1 %s\n", at, job, job, status, more)
	}
	begun := push(30, j1, 1, "") + accepted(31, j1, 1) + ack(32, j1, 1, "") + granted(33, j1)
	done := begun + finished(40, j1, "success")
	publish := func(at float64, node, job string, order int, commit string) string {
		return fmt.Sprintf("%g %s tns published project=p branch=b commit=%s job=%s order=%d rollback=0 attempt=1 holder=monkey-1\n", at, node, commit, job, order)
	}
	current := func(at float64, job string, order int, more string) string {
		return fmt.Sprintf("%g client client current-told by=core-1 took=1000 project=p branch=b commit=c job=%s order=%d rollback=0 attempt=1 holder=monkey-1 artifact=a %s\n", at, job, order, more)
	}
	live := push(30, j1, 1, "") + push(31, j2, 2, "") + publish(40, "core-1", j1, 1, "c") + publish(41, "core-1", j2, 2, "c")
	for _, c := range []struct {
		checker string
		good    string
		bad     map[string]string // by a part of the violation
	}{
		{"answers-are-true", done + tell(45, j1, "success", "artifact=a log=l"), map[string]string{
			"nobody pushed it":                   begun + tell(45, j2, "open", ""),
			"no patrick decided that":            begun + tell(45, j1, "success", "artifact=a log=l"),
			"the artifact of what was pushed is": done + tell(45, j1, "success", "artifact=x log=l"),
			"after it knew better":               done + tell(45, j1, "open", ""),
			"has no log":                         done + tell(45, j1, "success", "artifact=a"),
			"nobody cancelled it":                begun + finished(40, j1, "cancelled") + tell(45, j1, "cancelled", ""),
			"it does not say why":                begun + finished(40, j1, "failed") + tell(45, j1, "failed", ""),
			"no attempt failed":                  begun + finished(40, j1, "failed") + tell(45, j1, "failed", "reason=x"),
			"attempts of the":                    done + tell(45, j1, "success", "artifact=a log=l attempts=1") + strings.Replace(tell(46, j1, "success", "artifact=a log=l"), "attempts=1", "attempts=2", 1),
			"was not granted":                    done + strings.Replace(tell(45, j1, "success", "artifact=a log=l"), "attempt=1 ", "attempt=7 ", 1),
			"which nobody pushed":                begun + "45 client client open-told by=core-1 took=1 limit=5 ids=x\n",
			"of whose success it has told":       done + "45 client client open-told by=core-1 took=1 limit=5 ids=" + j1 + "\n",
			"does not offer job":                 push(30, j1, 1, "") + accepted(31, j1, 1) + ack(32, j1, 1, "") + "45 client client open-told by=core-1 took=1 limit=5 ids=\n",
			"the list of jobs that":              begun + "45 client client list-told by=core-1 took=1 sweep=-1 wrong=x\n",
			"takes a question for invalid":       begun + "45 client client list-told by=core-1 took=1 sweep=-1 error=invalid\n",
			"internal error":                     begun + "45 client client audit-job by=core-1 took=1 error=internal\n",
			"says that it does 2 jobs":           begun + "45 client client monkey-told by=monkey-1 took=1 slots=1 work=2\n",
			"gives a part of its log":            done + "45 client client log-read by=core-1 took=1 sweep=-1 answered=true full=false first=c last=x job=" + j1 + "\n",
			"ends with":                          done + "45 client client log-read by=core-1 took=1 sweep=-1 answered=true full=true first=c last=x job=" + j1 + "\n",
		}},
		{"versions-are-true", live + current(45, j2, 2, ""), map[string]string{
			"after 2.0 was there":         live + current(45, j1, 1, ""),
			"nobody published order":      live + current(45, j2, 7, ""),
			"comes to artifact a, not x":  live + strings.Replace(current(45, j2, 2, ""), "artifact=a", "artifact=x", 1),
			"commit c was published, not": live + strings.Replace(current(45, j2, 2, ""), "commit=c", "commit=z", 1),
			"is told of order 1.0 after":  live + strings.ReplaceAll(current(45, j2, 2, "")+current(46, j1, 1, ""), "current-told", "watch-told"),
			"was told of order 1.0 last":  live + strings.ReplaceAll(current(41.5, j1, 1, ""), "current-told", "watch-told") + "60 client client nothing\n",
			"not what was pushed":         live + strings.Replace(current(45, j2, 2, "count=1 read=1 entries=x"), "current-told", "entries-read", 1),
			"1 entries of 2":              live + strings.Replace(current(45, j2, 2, "count=2 read=1 entries=d"), "current-told", "entries-read", 1),
			"is said to be on 2 disks":    live + "42 core-1 tns publish-durable project=p branch=b commit=c job=" + j2 + " order=2 rollback=0 attempt=1 holder=monkey-1 copies=2\n",
			"a rollback to commit":        live + strings.Replace(current(45, j2, 2, "asked=d"), "current-told", "rollback-acknowledged", 1),
			"names commit \"c\" of p/b":   live + strings.Replace(current(45, j1, 1, "asked=c"), "current-told", "rollback-acknowledged", 1),
			"the history that":            live + "45 client client history-told by=core-1 took=1 project=p branch=b wrong=x\n",
		}},
		{"newest-success-is-live", push(30, j1, 1, "took=1") + ack(31, j1, 1, "") + push(40, j2, 2, "took=1"), map[string]string{
			"after that of commit": push(30, j2, 2, "took=1") + ack(31, j2, 2, "") + push(40, j1, 1, "took=1"),
		}},
		{"dedupe", push(30, j1, 1, "") + accepted(31, j1, 1) + ack(32, j1, 1, ""), map[string]string{
			"is two jobs":                push(30, j1, 1, "") + strings.Replace(ack(32, j2, 1, ""), "tries=1 duplicate=false", "tries=2 duplicate=true", 1),
			"are one job":                push(30, j1, 1, "") + push(31, j1, 2, ""),
			"which it knew":              accepted(31, j1, 1) + accepted(32, j1, 1),
			"taken for a duplicate":      strings.Replace(ack(32, j1, 1, ""), "duplicate=false", "duplicate=true", 1),
			"acknowledged as new 2 time": push(30, j1, 1, "") + accepted(31, j1, 1) + ack(32, j1, 1, "") + ack(33, j1, 1, ""),
		}},
		{"no-lost-jobs", "", map[string]string{
			"which no patrick has made durable": push(30, j1, 1, "") + ack(32, j1, 1, ""),
			"nobody has said that it ended":     push(30, j1, 1, "") + "31 core-1 patrick job-forgotten job=" + j1 + "\n",
		}},
		{"ack-is-durable", "", map[string]string{
			"it is on 0 disks":                push(30, j1, 1, "") + accepted(31, j1, 1),
			"which no patrick has made durab": push(30, j1, 1, "") + ack(32, j1, 1, ""),
		}},
		{"cancelled-is-not-published", begun + "35 client client cancel-acknowledged status=cancelled job=" + j1 + "\n" + finished(36, j1, "cancelled"), map[string]string{
			"be published": begun + "35 client client cancel-acknowledged status=cancelled job=" + j1 + "\n" + publish(45, "core-1", j1, 1, "c"),
			"grants":       push(30, j1, 1, "") + ack(32, j1, 1, "") + "35 client client cancel-acknowledged status=cancelled job=" + j1 + "\n" + granted(40, j1),
			"a newer push": push(30, j1, 1, "") + accepted(31, j1, 1) + ack(32, j1, 1, "") + push(33, j2, 2, "newest-wins=true") + ack(34, j2, 2, "") + granted(40, j1),
		}},
		{"slots-are-kept", "2 monkey-1 monkey build-started job=a\n3 monkey-1 monkey build-ended job=a\n4 monkey-1 monkey build-started job=b", map[string]string{
			"has 1 slots and builds 2": "2 monkey-1 monkey build-started job=a\n4 monkey-1 monkey build-started job=b",
		}},
		{"incarnations-rise", "1 core-1 node started incarnation=1\n2 core-1 node crashed disk-lost=true\n3 core-1 node started incarnation=1", map[string]string{
			"as incarnation 1 after 1": "1 core-1 node started incarnation=1\n3 core-1 node started incarnation=1",
		}},
		{"artifacts-are-kept", "", map[string]string{
			"no hoarder was asked": "5 monkey-1 monkey published job=a artifact=bafkreifmrg7ywm7ave37hhkztsfpslpimgaxdghc2jit4mojm7vpqtb36e",
			"there are 0":          "5 monkey-1 monkey artifact-kept job=a copies=1 artifact=bafkreifmrg7ywm7ave37hhkztsfpslpimgaxdghc2jit4mojm7vpqtb36e",
		}},
	} {
		if c.good != "" {
			require.NoError(t, feed(t, checkerCalled(t, c.checker), c.good), c.checker)
		}
		for want, history := range c.bad {
			assert.ErrorContains(t, feed(t, checkerCalled(t, c.checker), history), want, "%s:\n%s", c.checker, history)
		}
	}
}

// TestAcksExcuse: a disk that loses a job between its record and the acknowledgement
// counts for one copy, and no other disk does.
func TestAcksExcuse(t *testing.T) {
	job := jobCalled("b", 1, "e1")
	accepted := "31 core-1 patrick job-accepted job=" + job + "\n"
	acked := "33 core-1 patrick job-acked job=" + job + " copies=2\n"
	rot := func(at int, node string) string { return fmt.Sprintf("%d %s node disk-rotted values=1\n", at, node) }
	for what, c := range map[string]struct {
		history string
		excused bool
	}{
		"both rot meanwhile":       {accepted + rot(32, "core-1") + rot(32, "core-2") + acked, true},
		"both are lost meanwhile":  {accepted + "32 core-1 node crashed disk-lost=true\n32 core-2 node crashed disk-lost=true\n" + acked, true},
		"one rots":                 {accepted + rot(32, "core-1") + acked, false},
		"one rotted before":        {rot(30, "core-2") + accepted + rot(32, "core-1") + acked, false},
		"one crashes, with a disk": {accepted + rot(32, "core-1") + "32 core-2 node crashed disk-lost=false\n" + acked, false},
		"one is no patrick":        {accepted + rot(32, "core-1") + rot(32, "monkey-1") + acked, false},
		"nobody had it":            {rot(32, "core-1") + rot(32, "core-2") + acked, false},
	} {
		checker := checkerCalled(t, "ack-is-durable")
		if err := feed(t, checker, c.history); c.excused {
			require.NoError(t, err, what)
			require.Contains(t, checker.(check.Counts).Counted(check.During).Excused, "a disk has lost what it had while the acknowledgement was being made, or since an earlier one")
		} else {
			require.ErrorContains(t, err, "it is on 0 disks", what)
		}
	}
}

func (w *fakeWorld) Node(name string) (check.NodeView, bool) {
	for _, n := range w.Nodes() {
		if n.Name == name {
			return n, true
		}
	}
	return check.NodeView{}, false
}
