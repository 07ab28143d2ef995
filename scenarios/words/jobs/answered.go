package jobs

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// onDisk demands of whatever else patricks answer that others rely on - a grant, a
// report, a cancellation, a rebuild - that it is on disks when the answer arrives,
// as whoever got it says and not as the patrick does: on one in any case, and on a
// second one if the patricks could talk to each other and were not slow.
type onDisk struct {
	evidence.Calm
	// asked is when what is answered was asked for, or decided, first; gone are the
	// jobs that were forgotten.
	asked map[answeredWhat]time.Duration
	gone  map[string]bool
	// copies is on how many patricks things are to be.
	copies int
}

// answeredWhat names an answer: of a grant or a report also the attempt.
type answeredWhat struct {
	kind, job string
	attempt   uint64
}

// promptly is what an answer takes at most that must have waited for a second disk:
// patrick waits 2 s for one.
const promptly = 1500 * time.Millisecond

func newOnDisk() onDisk {
	return onDisk{Calm: evidence.NewCalm("patrick"), asked: map[answeredWhat]time.Duration{}, gone: map[string]bool{}}
}

// begins are the facts from which on a patrick may write what is answered later,
// answersOf those of whoever got the answer.
var begins = map[string]string{"job-granted": "grant", "job-released": "report", "cancel-sent": "cancellation", "rebuild-sent": "rebuild"}

var answersOf = map[string]string{"lock-taken": "grant", "outcome-reported": "report", "cancel-acknowledged": "cancellation", "rebuild-acknowledged": "rebuild"}

func whatOf(kind string, f check.Fact) answeredWhat {
	w := answeredWhat{kind: kind, job: f.Text("job")}
	if kind == "grant" || kind == "report" {
		w.attempt = uint64(f.Int("attempt"))
	}
	return w
}

// fact learns.
func (a *onDisk) fact(f check.Fact) {
	a.Calm.Learn(f)
	if kind, ok := begins[f.Name]; ok {
		what := whatOf(kind, f)
		if _, known := a.asked[what]; !known {
			a.asked[what] = f.At
		}
	}
	if f.Name == "job-forgotten" {
		a.gone[f.Text("job")] = true
	}
}

// look is to be called with each poll.
func (a *onDisk) look(v check.View) {
	a.Calm.Look(v)
	patricks := 0
	for _, n := range v.Nodes() {
		if set, ok := n.Configured("patrick").(*patrick.Settings); ok {
			patricks++
			a.copies = max(a.copies, set.Copies)
		}
	}
	a.copies = min(a.copies, patricks)
}

// due is on how many disks an answer must be now, 0 if it is none, and since when it
// may have been there.
func (a *onDisk) due(f check.Fact) (what answeredWhat, disks int, since time.Duration) {
	kind, ok := answersOf[f.Name]
	if !ok || a.gone[f.Text("job")] {
		return what, 0, 0
	}
	what = whatOf(kind, f)
	asked, known := a.asked[what]
	delete(a.asked, what)
	switch {
	case !known: // it is answered once more
		return what, 1, f.At - patrickapi.PushTimeout
	case f.At-asked < promptly && a.Lasts(asked):
		return what, max(1, a.copies), asked
	}
	return what, 1, asked
}

// judge demands that an answer is on disks. lost says whether the disk of a node has
// lost something since a moment.
func (a *onDisk) judge(v check.View, f check.Fact, lost func(node string, since time.Duration) bool) (judged bool, err error) {
	what, want, since := a.due(f)
	if want == 0 {
		return false, nil
	}
	var on spread
	excused := 0
	for _, n := range v.Nodes() {
		if !slices.Contains(n.Services, "patrick") {
			continue
		}
		on.add(n.Name, what.isOn(n, f))
		if lost(n.Name, since) {
			excused++
		}
	}
	if on.have+excused < want {
		return true, fmt.Errorf("%s has got %s as an answer, which is on %d disks and should be on %d", f.Node, what, on.have, want)
	}
	return true, nil
}

// isOn reports whether a patrick that started from a disk would know what was
// answered.
func (what answeredWhat) isOn(n check.NodeView, f check.Fact) bool {
	j := patrick.OnDisk(n.Disk, what.job)
	switch what.kind {
	case "grant":
		holder, _ := f.Get("holder").(transport.Peer)
		return patrick.GrantOnDisk(n.Disk, what.job, fencing.Token{Attempt: what.attempt, Holder: holder})
	case "report":
		return patrick.ReportOnDisk(n.Disk, what.job, what.attempt)
	case "cancellation":
		return j.Status.Final() || j.Cancelling || j.Rebuilds > int(f.Int("rebuild"))
	}
	return j.Rebuilds >= int(f.Int("rebuilds"))
}

func (what answeredWhat) String() string {
	if what.attempt > 0 {
		return fmt.Sprintf("the %s of attempt %d of job %s", what.kind, what.attempt, what.job)
	}
	return fmt.Sprintf("the %s of job %s", what.kind, what.job)
}
