package jobs

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// answers compares what patricks and monkeys tell a user who asks all the time
// with what users did and with what became of it.
type answers struct {
	check.Tally
	*jobModel
	jobPromises
	evidence.Surroundings
	evidence.Calm
	// waiting are the jobs that nobody was given yet, since when.
	waiting map[string]time.Duration
	// held is what one patrick knows of one job: more and more of its end.
	held map[[2]string]*evidence.MaxRegister
	// sweeping collects what the sweep that goes on was told, swept is the last
	// one that is complete.
	sweeping, swept map[string]patrickapi.Status
	// sweepingLogs and sweptLogs say whose logs were had whole, of those asked for.
	sweepingLogs, sweptLogs map[string]bool
	noLog                   map[string]bool // successes that have none
	// broken is why the sweep that goes on is incomplete, why that of the last.
	broken, why string
}

func newAnswers() *answers {
	return &answers{jobModel: newJobModel(), jobPromises: newJobPromises(), Calm: evidence.NewCalm("patrick"), waiting: map[string]time.Duration{}, Surroundings: evidence.NewSurroundings(), held: map[[2]string]*evidence.MaxRegister{}, sweeping: map[string]patrickapi.Status{}, sweepingLogs: map[string]bool{}, noLog: map[string]bool{}}
}

func (*answers) Name() string { return "answers-are-true" }

// Fact implements check.OnFact.
func (c *answers) Fact(f check.Fact) error {
	c.jobPromises.fact(f)
	c.jobModel.fact(f)
	c.Surroundings.Learn(f)
	c.Calm.Learn(f)
	c.waits(f)
	if c.Forgets(f) {
		maps.DeleteFunc(c.held, func(k [2]string, _ *evidence.MaxRegister) bool { return k[0] == f.Node })
	}
	switch f.Name {
	case "job-accepted":
		c.wrote(f, patrickapi.Open)
	case "job-finished":
		c.wrote(f, statusNamed(f.Text("status")))
	case "job-told":
		return c.job(f)
	case "logs-told":
		return c.failure(f)
	case "log-read":
		return c.log(f)
	case "list-told":
		return c.list(f)
	case "open-told":
		return c.open(f)
	case "monkey-told":
		return c.monkey(f)
	case "audit-job":
		return c.failure(f)
	case "audit-swept":
		c.sweepEnds()
	}
	return nil
}

// rank is a job's state as far as it only grows: each rebuild begins anew, and a
// success stays.
func rank(s patrickapi.Status, rebuilds int64) evidence.Height {
	switch s {
	case patrickapi.Success:
		return evidence.Height{Major: math.MaxUint64}
	case patrickapi.Locked:
		s = patrickapi.Open
	}
	return evidence.Height{Major: uint64(rebuilds), Minor: uint64(s)}
}

func (c *answers) register(node, job string) *evidence.MaxRegister {
	key := [2]string{node, job}
	r := c.held[key]
	if r == nil {
		r = new(evidence.MaxRegister)
		c.held[key] = r
	}
	return r
}

func (c *answers) wrote(f check.Fact, s patrickapi.Status) {
	c.register(f.Node, f.Text("job")).Done(f.At, rank(s, f.Int("rebuilds")))
}

// job judges what a patrick tells of a job.
func (c *answers) job(f check.Fact) error {
	job, t, by := f.Text("job"), toldOf(f), c.AnsweredBy(f)
	status := statusCalled(t.status)
	if f.Int("sweep") != evidence.NoSweep {
		c.sweeping[job] = status // also if all patricks' disks have rotted: what is lasting is known again by then
	}
	if c.Rotted[by] {
		c.Excused("the disk of the patrick has rotted")
		return nil
	}
	c.Evaluated()
	if status != patrickapi.Unknown {
		if text := c.contradiction(job, t); text != "" {
			return fmt.Errorf("%s says that job %s is %s: %s", by, job, t.status, text)
		}
	}
	if status == patrickapi.Success && t.log == "" {
		if err := c.logless(f, job); err != nil {
			return err
		}
	}
	if status == patrickapi.Unknown && c.jobs[job] != nil && c.jobs[job].forgotten {
		c.Excused("it has ended and was forgotten")
		return nil
	}
	r := c.register(by, job)
	is := rank(status, int64(t.rebuilds))
	r.Begin(0, is) // whether anybody decided so was asked above
	if err := r.Read(f.At-time.Duration(f.Int("took")), f.At, is); err != nil {
		return fmt.Errorf("%s says that job %s is %s, after it knew better: %w", by, job, t.status, err)
	}
	return nil
}

// logless judges a success without a log: its monkey could not store one, or died
// before it told of it.
func (c *answers) logless(f check.Fact, job string) error {
	holder, _ := f.Get("holder").(transport.Peer)
	c.noLog[job] = true
	switch {
	case c.jobs[job].adopted:
		c.Excused("the monkey died before it told of the log")
	case c.WasBad[c.Names[holder]]:
		c.Excused("the monkey's disk was troubled")
	default:
		return fmt.Errorf("%s says that job %s is success, built by %s, and has no log", c.AnsweredBy(f), job, c.Names[holder])
	}
	return nil
}

// log judges what a patrick tells of a log: once it knows of a success it has the
// whole log or says that it has none.
func (c *answers) log(f check.Fact) error {
	job, by := f.Text("job"), c.AnsweredBy(f)
	j := c.jobs[job]
	if j == nil || len(j.pushes) == 0 {
		return nil
	}
	full := f.Text("full") == "true"
	if f.Int("sweep") != evidence.NoSweep {
		c.sweepingLogs[job] = full
	}
	if f.Text("answered") != "true" {
		return nil
	}
	c.Evaluated()
	first, last := f.Text("first"), f.Text("last")
	switch succeeded := c.register(by, job).Floor(f.At-time.Duration(f.Int("took"))).Major == math.MaxUint64; {
	case !full && succeeded && !c.Rotted[by]:
		return fmt.Errorf("%s knows that job %s succeeded, and gives a part of its log without saying that the rest is missing", by, job)
	case !full && !strings.Contains(first, j.pushes[0].Commit) && !strings.Contains(first, "%") && !strings.Contains(first, "failed"):
		return fmt.Errorf("%s gives %q for a line of the log of job %s", by, first, job)
	case !full:
		return nil
	case !strings.Contains(first, j.pushes[0].Commit) && !strings.Contains(first, "failed:"):
		return fmt.Errorf("%s says that the log of job %s begins with %q, which is not about commit %s", by, job, first, j.pushes[0].Commit)
	case succeeded && j.failures == 0 && !strings.Contains(last, "100%"):
		return fmt.Errorf("%s says that the whole log of job %s, which succeeded, ends with %q", by, job, last)
	}
	return nil
}

// logs demands that logs of successes that were asked for after healing were had.
func (c *answers) logs() error {
	for _, id := range slices.Sorted(maps.Keys(c.sweptLogs)) {
		j := c.jobs[id]
		switch {
		case c.swept[id] != patrickapi.Success:
			continue // what was lost with its monkey has left no log
		case c.Void(id) || j.forgotten || c.noLog[id]:
			c.Excused("there is no log any more")
			continue
		}
		c.Evaluated()
		if !c.sweptLogs[id] {
			return fmt.Errorf("job %s succeeded, and its log cannot be had", id)
		}
	}
	return nil
}

// list judges a page, beside its jobs.
func (c *answers) list(f check.Fact) error {
	sweep := f.Int("sweep") != evidence.NoSweep
	if f.Text("error") != "" {
		if sweep {
			c.broken = "a page of the list of jobs is an error: " + f.Text("error")
		}
		if f.Text("after") != "" && f.Text("error") == transport.NotFound.String() {
			return nil // the job that the page was to begin after was forgotten meanwhile
		}
		return c.failure(f)
	}
	c.Evaluated()
	if wrong := f.Text("wrong"); wrong != "" {
		return fmt.Errorf("the list of jobs that %s gives is wrong: %s", c.AnsweredBy(f), wrong)
	}
	return nil
}

// open judges what a patrick says can be claimed.
func (c *answers) open(f check.Fact) error {
	if f.Text("error") != "" {
		return c.failure(f)
	}
	ids := strings.Fields(f.Text("ids"))
	if len(ids) > int(f.Int("limit")) {
		return fmt.Errorf("%s offers %d jobs, asked for %d", c.AnsweredBy(f), len(ids), f.Int("limit"))
	}
	begin := f.At - time.Duration(f.Int("took"))
	if err := c.overlooked(f, ids, begin); err != nil {
		return err
	}
	for _, id := range ids {
		c.Evaluated()
		j := c.jobs[id]
		if j == nil || len(j.pushes) == 0 {
			return fmt.Errorf("%s offers job %s, which nobody pushed", c.AnsweredBy(f), id)
		}
		if c.register(c.AnsweredBy(f), id).Floor(begin).Major == math.MaxUint64 {
			return fmt.Errorf("%s offers job %s, of whose success it has told before", c.AnsweredBy(f), id)
		}
	}
	return nil
}

// waitsLong is how old a job must be that every patrick offers, if it was never
// granted and the cloud is whole.
const waitsLong = 5 * time.Second

// overlooked demands that what has been waiting is offered.
func (c *answers) overlooked(f check.Fact, ids []string, begin time.Duration) error {
	if len(ids) >= int(f.Int("limit")) {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(c.waiting)) {
		at := c.waiting[id]
		if at+waitsLong > begin || slices.Contains(ids, id) {
			continue
		}
		if !c.Lasts(at) {
			c.Excused("the cloud was not whole")
			continue
		}
		c.Evaluated()
		return fmt.Errorf("%s does not offer job %s, which has been waiting for %v", c.AnsweredBy(f), id, begin-at)
	}
	return nil
}

// waits follows the jobs that wait for their first attempt.
func (c *answers) waits(f check.Fact) {
	job := f.Text("job")
	switch f.Name {
	case "push-acknowledged":
		if j := c.jobs[job]; j != nil && len(j.grants) == 0 && j.decidedAt == 0 && !j.cancelled && f.Text("duplicate") != "true" {
			c.waiting[job] = f.At
		}
		for id := range c.waiting {
			if j := c.jobs[id]; len(j.pushes) > 0 && c.supersedable(id, j.pushes[0]) {
				delete(c.waiting, id)
			}
		}
	case "job-granted", "job-finished", "cancel-sent", "job-rebuilt":
		delete(c.waiting, job)
	}
}

// monkey judges what a monkey tells of itself.
func (c *answers) monkey(f check.Fact) error {
	if f.Text("error") != "" {
		return c.failure(f)
	}
	c.Evaluated()
	slots := c.Slots[c.AnsweredBy(f)]
	if f.Int("slots") != int64(slots) || f.Int("work") > int64(slots) {
		return fmt.Errorf("%s says that it does %d jobs in %d slots, it has %d", c.AnsweredBy(f), f.Int("work"), f.Int("slots"), slots)
	}
	return nil
}

// failure judges an answer that is an error: it may be late, lost or refused, but
// a question that makes sense is not invalid, and a sound node has no fault.
func (c *answers) failure(f check.Fact) error {
	by, kind := c.AnsweredBy(f), f.Text("error")
	switch {
	case kind == transport.Invalid.String():
		return fmt.Errorf("%s takes a question for invalid", by)
	case kind == transport.Internal.String() && !c.BadDisk[by] && !c.Rotted[by]:
		return fmt.Errorf("%s answers with an internal error", by)
	}
	return nil
}

func (c *answers) sweepEnds() {
	c.why = c.broken
	if c.broken == "" {
		c.swept, c.sweptLogs = c.sweeping, c.sweepingLogs
	}
	c.sweeping, c.sweepingLogs, c.broken = map[string]patrickapi.Status{}, map[string]bool{}, ""
}

// whyNot says why no list of all jobs has come to its end.
func (c *answers) whyNot() string {
	return cmp.Or(c.why, c.broken, fmt.Sprintf("no audit has come to the end of the list; the one that goes on was told of %d jobs so far", len(c.sweeping)))
}

// Poll implements check.OnPoll.
func (c *answers) Poll(v check.View) error {
	c.jobPromises.Look(v)
	c.Surroundings.Look(v)
	c.Calm.Look(v)
	return nil
}

// Settled demands that a user who asks for all jobs is told of the end of each.
func (c *answers) Settled(v check.View) error {
	if err := check.Missing(v, "patrick"); err != nil {
		return err
	}
	if c.swept == nil {
		return fmt.Errorf("nobody could list all jobs after healing: %s", c.whyNot())
	}
	for _, id := range c.order {
		j := c.jobs[id]
		if !j.acked {
			continue
		}
		if c.Void(id) {
			c.Excused("as many disks were lost as were promised to be survived")
			continue
		}
		status, listed := c.swept[id]
		if !listed && j.forgotten {
			c.Excused("it has ended and was forgotten")
			continue
		}
		c.Evaluated()
		if !status.Final() {
			return fmt.Errorf("whoever asks for all jobs is told that job %s is %s", id, status)
		}
	}
	return c.logs()
}
