package run

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// judges are the checkers of one run.
type judges struct {
	all []*judge
	// starts is always one of them.
	starts *everyNodeStarts
	// unseen are checks that the scenario names and that cannot be judged in this world.
	unseen map[string]bool
	// violated is the first whose expectation failed while the faults went on.
	violated *judge
	now      time.Duration
}

// judge is one checker with what was expected of it.
type judge struct {
	name    string
	checker check.Checker
	// What the checker listens to, nil for what it does not: to ask it each time would cost more than most answers.
	witness   check.OnWitness
	fact      check.OnFact
	delivery  check.OnDelivery
	looker    check.OnPoll
	counts    check.Counts
	always    bool
	constant  bool // always, and the scenario does not say so
	afterHeal bool
	moment    bool  // expected at a moment of the timeline
	failure   error // of always
	at        time.Duration
	unsettled error // the last answer of after-heal
	asked     bool
}

// newJudges makes every checker that the scenario names, and those that count
// something.
func newJudges(s *scenario.Scenario, words scenario.Vocabulary, starts *everyNodeStarts, live bool, checker func(scenario.Check) check.Checker) *judges {
	j := &judges{starts: starts, all: []*judge{newJudge(starts.Name(), starts, true, true)}, unseen: map[string]bool{}}
	names := func(list []scenario.Check, name string) bool {
		return slices.ContainsFunc(list, func(c scenario.Check) bool { return c.Name == name })
	}
	var moments []scenario.Check
	for _, m := range s.Moments() {
		moments = append(moments, m.All...)
	}
	for _, c := range words.Checks {
		if live && !c.Live.Any() {
			j.unseen[c.Name] = true
			continue
		}
		one := newJudge(c.Name, checker(c), names(s.Expect.Always, c.Name), names(s.Expect.AfterHeal, c.Name))
		if slices.Contains(words.Constant, c.Name) && !one.always {
			one.always, one.constant = true, true
		}
		one.moment = names(moments, c.Name)
		if live {
			one.only(c.Live)
		}
		if _, counts := one.checker.(check.Figures); counts || one.always || one.afterHeal || one.moment {
			j.all = append(j.all, one)
		}
	}
	return j
}

func newJudge(name string, c check.Checker, always, afterHeal bool) *judge {
	one := &judge{name: name, checker: c, always: always, afterHeal: afterHeal}
	one.witness, _ = c.(check.OnWitness)
	one.fact, _ = c.(check.OnFact)
	one.delivery, _ = c.(check.OnDelivery)
	one.looker, _ = c.(check.OnPoll)
	one.counts, _ = c.(check.Counts)
	return one
}

// only leaves of a judge what can be observed of real processes.
func (one *judge) only(o scenario.Observed) {
	one.delivery = nil
	if !o.Witnesses {
		one.witness = nil
	}
	if !o.Facts {
		one.fact = nil
	}
	if !o.Polls {
		one.looker = nil
	}
	one.always = one.always && (o.Facts || o.Polls || o.Witnesses)
	one.afterHeal = one.afterHeal && o.Settled
	one.moment = one.moment && o.Settled
}

// hear passes a fact on to all; the error is errViolated if it violates an expectation of always.
func (j *judges) hear(v check.View, f check.Fact) error {
	j.now = f.At
	for _, one := range j.all {
		if one.witness != nil {
			one.counting(check.During)
			if err := one.witness.Witness(v, f); err != nil {
				j.violate(one, fmt.Errorf("%w (%s %s of %s)", err, f.Service, f.Name, f.Node))
			}
		}
		if one.fact != nil {
			one.counting(check.During)
			if err := one.fact.Fact(f); err != nil {
				j.violate(one, fmt.Errorf("%w (%s %s of %s)", err, f.Service, f.Name, f.Node))
			}
		}
	}
	return j.verdict()
}

// deliver passes a delivery on to those that listen to them.
func (j *judges) deliver(d check.Delivery) error {
	for _, one := range j.all {
		if one.delivery == nil {
			continue
		}
		j.now = d.At
		one.counting(check.During)
		if err := one.delivery.Delivered(d); err != nil {
			j.violate(one, err)
		}
	}
	return j.verdict()
}

// poll calls the checkers of always.
func (j *judges) poll(v check.View) error {
	j.now = v.Now()
	for _, one := range j.all {
		if one.looker != nil && (one.always || one.afterHeal || one.moment) {
			one.counting(check.During)
			if err := one.looker.Poll(v); err != nil {
				j.violate(one, err)
			}
		}
	}
	return j.verdict()
}

func (j *judges) violate(one *judge, err error) {
	if !one.always || one.failure != nil {
		return
	}
	one.failure, one.at = err, j.now
	if j.violated == nil {
		j.violated = one
	}
}

func (j *judges) verdict() error {
	if j.violated != nil {
		return errViolated
	}
	return nil
}

// settled asks all checkers of after-heal.
func (j *judges) settled(v check.View) bool {
	all := true
	for _, one := range j.all {
		if one.afterHeal {
			one.asked = true
			one.counting(check.AfterHeal)
			one.unsettled = one.checker.(check.OnSettled).Settled(v)
			all = all && one.unsettled == nil
		}
	}
	return all
}

// expectations are the verdicts, in the order of the scenario. failure is how
// the run ended.
func (r *runner) expectations(failure error) []report.Expectation {
	clean := report.Expectation{Name: "no-unexpected-errors", When: "always", Held: true}
	if failure != nil && !errors.Is(failure, errViolated) {
		clean.Held, clean.Detail = false, failure.Error()
	}
	out := []report.Expectation{clean, r.startsVerdict()}
	for _, one := range r.judges.all {
		if one.constant {
			e := one.alwaysVerdict()
			e.Unproven = "" // the scenario does not ask for it
			out = append(out, e)
		}
	}
	if counts := r.actions.counts; len(counts) > 0 && r.healedAt > 0 {
		held, detail := someActionSucceeds(counts)
		out = append(out, report.Expectation{Name: "some-action-succeeds", When: "always", Held: held, Detail: detail})
	}
	out = append(out, r.aimless()...)
	for _, c := range r.scenario.Expect.Always {
		if one := r.judges.named(c.Name); one != nil && one.always {
			out = append(out, one.alwaysVerdict())
		}
	}
	for _, c := range r.scenario.Expect.AfterHeal {
		if one := r.judges.named(c.Name); one != nil && one.afterHeal {
			out = append(out, r.afterHealVerdict(one, r.judges.violated != nil))
		}
	}
	out = append(out, r.moments.verdicts(r.unwatched)...)
	figures := r.figures()
	for _, b := range r.scenario.Expect.Report {
		if r.live && r.unmeasured(b.Figure) {
			continue
		}
		e := figureVerdict(b, figures)
		if value, known := figures[b.Label()]; r.early(failure) && !e.Held && !(known && b.Max != nil && value > *b.Max) {
			e.NotAsked = true // more may have been to come
			e.Detail += ", when the run ended"
		}
		if r.late[b.Label()] {
			e.Held = false
			e.Detail += fmt.Sprintf(" within %s after healing", b.Within)
		}
		if e.Held {
			e.Unproven = r.unwatched(&b)
		}
		out = append(out, e)
	}
	r.explain(out)
	return out
}

// ownMeanings are of what every run expects.
var ownMeanings = map[string]string{
	everyEntryFindsSomebody: "each entry of the timeline concerns somebody, at least once: else it shows nothing",
	"no-unexpected-errors":  "no service logs an error, panics or hangs: that is for what never should happen",
	"every-node-starts":     "every node starts that nothing keeps down, and its services serve soon after everything is healed",
	"some-action-succeeds":  "at least one thing that users ask for is done: a story in which nothing works proves nothing",
}

// explain adds to each expectation what it demands, and says in words of people who it
// is about.
func (r *runner) explain(list []report.Expectation) {
	means := maps.Clone(ownMeanings)
	for _, c := range r.words.Checks {
		means[c.Name] = cmp.Or(c.Means, c.Doc)
	}
	for _, w := range scenario.Words(r.words) {
		if w.Kind == "figure" {
			means[w.Name] = w.Doc
		}
	}
	names := r.peerNames()
	for i := range list {
		name, _, _ := strings.Cut(list[i].Name, "{") // a figure of some nodes
		list[i].Means = means[name]
		list[i].Detail = names.Replace(list[i].Detail)
	}
}

// peerNames gives peers in a text the names of their nodes.
func (r *runner) peerNames() *strings.Replacer {
	var pairs []string
	if r.world != nil {
		for _, n := range r.world.Nodes() {
			pairs = append(pairs, n.Peer.String(), n.Name)
		}
	}
	return strings.NewReplacer(pairs...)
}

// early reports whether a run ended before everything had been healed, or could
// have settled.
func (r *runner) early(failure error) bool {
	return failure != nil && !errors.Is(failure, errViolated) || r.judges.violated != nil || r.healedAt == 0
}

// named is the judge of a check, nil if it cannot be judged in this world.
func (j *judges) named(name string) *judge {
	i := slices.IndexFunc(j.all, func(one *judge) bool { return one.name == name })
	if i < 0 {
		return nil
	}
	return j.all[i]
}

// startsVerdict is one verdict on both parts of every-node-starts.
func (r *runner) startsVerdict() report.Expectation {
	one := r.judges.named(r.judges.starts.Name())
	during := one.alwaysVerdict()
	if !during.Held || !one.asked || one.unsettled != nil && r.judges.violated != nil {
		return during
	}
	after := r.afterHealVerdict(one, false)
	during.Held, during.Detail = after.Held, ""
	if !after.Held {
		during.Detail = after.Detail
	}
	return during
}

func (one *judge) alwaysVerdict() report.Expectation {
	e := report.Expectation{Name: one.name, When: "always", Held: one.failure == nil}
	if !e.Held {
		e.Detail = fmt.Sprintf("at %s: %v", one.at, one.failure)
	}
	return one.counted(e, check.During)
}

// counting assigns the checker's following judgements to a part of it.
func (one *judge) counting(p check.Part) {
	if one.counts != nil {
		one.counts.Counting(p)
	}
}

// counted adds the judgements behind a verdict.
func (one *judge) counted(e report.Expectation, p check.Part) report.Expectation {
	if one.counts == nil {
		return e
	}
	count := one.counts.Counted(p)
	e.Evaluated, e.Excused = count.Evaluated, count.Excused
	switch {
	case !e.Held || e.Evaluated > 0:
	case len(e.Excused) > 0:
		e.Unproven = "always excused"
	default:
		e.Unproven = "never evaluated"
	}
	return e
}

func (r *runner) afterHealVerdict(one *judge, endedEarly bool) report.Expectation {
	e := report.Expectation{Name: one.name, When: "after-heal"}
	switch {
	case one.asked && one.unsettled != nil && endedEarly:
		e.NotAsked, e.Detail = true, fmt.Sprintf("not yet when the run ended: %v", one.unsettled)
	case one.asked && one.unsettled != nil:
		e.Detail = fmt.Sprintf("not within %s after healing: %v", r.scenario.Expect.Within, one.unsettled)
	case !one.asked:
		e.NotAsked, e.Detail = true, endedBefore
	default:
		e.Held = true
		if r.settledAt > 0 {
			e.Detail = fmt.Sprintf("all held %s after healing", (r.settledAt - r.healedAt).Round(time.Millisecond))
		}
	}
	return one.counted(e, check.AfterHeal)
}

// endedBefore is why an expectation was not asked.
const endedBefore = "the run ended before"

func figureVerdict(b scenario.Bound, figures map[string]float64) report.Expectation {
	e := report.Expectation{Name: b.Label(), When: "report"}
	value, known := figures[b.Label()]
	if !known {
		e.Detail = "has no value in this run, expected " + boundText(b)
		return e
	}
	e.Held = (b.Min == nil || value >= *b.Min) && (b.Max == nil || value <= *b.Max)
	e.Detail = number(value) + ", expected " + boundText(b)
	return e
}

func boundText(b scenario.Bound) string {
	switch {
	case b.Min == nil:
		return "at most " + number(*b.Max)
	case b.Max == nil:
		return "at least " + number(*b.Min)
	case *b.Min == *b.Max:
		return number(*b.Min)
	}
	return number(*b.Min) + " to " + number(*b.Max)
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
