package scenario

import (
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// entryStart finds when an entry begins.
func (b *builder) entryStart(e *Entry, v *value, when *whenDoc) {
	switch {
	case when.At != nil && when.After != nil:
		b.fail(v.place("after"), "keep one of them", "both at and after")
	case when.At != nil:
		e.At = *when.At
	case when.After != nil:
		e.after = when.After
		e.At = *when.After
		if last := b.scenario.Timeline; len(last) > 0 {
			at := last[len(last)-1].At
			e.At = fault.Range{Min: at.Min + when.After.Min, Max: at.Max + when.After.Max}
		}
	case v.get("at") == nil && v.get("after") == nil:
		b.fail(v, "add at: 10s, or after: 10s to count from the entry before", "an entry of the timeline without a time")
	}
}

// checkVerbTimes reports keys beside a verb that it does not take.
func (b *builder) checkVerbTimes(e *Entry, v *value) {
	given := func(key string) bool { return v.get(key) != nil }
	if given("number") && e.action == nil && e.known() {
		b.fail(v.place("number"), "remove number", "%s has no number: only actions have", e.Verb)
	}
	if given("label") && !nameForm.MatchString(e.Label) {
		b.fail(v.place("label"), "write lower-case words joined by -, such as cut-off", "label: %s is not a name", quote(e.Label))
	} else if given("label") && e.known() && (e.verb == nil || e.verb.lasts == never) {
		b.fail(v.place("label"), "remove label", "%s takes no label: it does not last", e.Verb)
	}
	switch {
	case !given("for") || !e.known():
	case e.verb == nil:
		b.fail(v.place("for"), "remove for", "%s takes no duration", e.Verb)
	case e.verb.lasts == never:
		b.fail(v.place("for"), "remove for", "%s takes no duration: it is over at once", e.Verb)
	case e.restartsItself():
		b.fail(v.place("for"), "keep one of them", "both for and restart-after")
	}
}

// known reports whether the entry has a verb that there is.
func (e *Entry) known() bool { return e.verb != nil || e.action != nil || e.Verb == momentVerb }

// checkTimes reports times of an entry that contradict each other, or that lie after the end of
// the scenario: what would happen then would not happen.
func (b *builder) checkTimes(e *Entry, v *value) {
	given := func(key string) bool { return v.get(key) != nil }
	end := b.scenario.Duration
	if end == 0 {
		return // it is wrong itself
	}
	switch {
	case given("every") && e.Every.Min < time.Millisecond:
		b.fail(v.place("every"), "write every: 5s", "every: expected at least 1ms")
		return
	case e.Times > 1 && !e.repeats():
		b.fail(v.place("times"), "add every: 5s", "times without every")
		return
	case given("until") && !e.repeats():
		b.fail(v.place("until"), "add every: 5s; for says how long a fault lasts", "until without every")
		return
	}
	if given("for") && e.For.Min <= 0 {
		b.fail(v.place("for"), "write for: 30s", "for: expected more than zero")
	}
	switch start := v.place("at"); {
	case e.At.Max > end:
		b.fail(narrowest(start, v.get("after")), "make it earlier, or lengthen duration", "%s happens at %s, after the end of the scenario (%s)", e.name(), e.At.Max, end)
	case e.Until > end:
		b.fail(v.place("until"), "lengthen duration", "until: %s is after the end of the scenario (%s)", e.Until, end)
	case given("until") && e.Until <= e.At.Max:
		b.fail(v.place("until"), "make until later", "until: %s is not after the first time, at %s", e.Until, e.At.Max)
	case given("until") && e.Times > 1 && e.At.Min+time.Duration(e.Times-1)*e.Every.Min >= e.Until:
		b.fail(v.place("times"), "keep one of times and until", "times: there is no time for %d before until (%s)", e.Times, e.Until)
	case e.Times > 1 && e.last(end) > end:
		b.fail(v.place("times"), "make it less often, or lengthen duration",
			"the last of %d times is at %s, after the end of the scenario (%s)", e.Times, e.last(end), end)
	case e.last(end)+e.Jitter.Max > end:
		b.fail(v.place("jitter"), "end it earlier, with until or times, or lengthen duration",
			"jitter: it may put %s after the end of the scenario (%s)", e.name(), end)
	}
}

// checkSpan reports a plan of faults that is not over before the end, and one of which
// none happens in the time that it has.
func (b *builder) checkSpan(e *Entry) {
	end := b.scenario.Duration
	if e.verb == nil || end == 0 || b.scenario.roster.unknown() {
		return
	}
	if e.verb.span != nil {
		if last := e.last(end) + e.Jitter.Max + e.verb.span(e.params, b.scenario.roster); last > end {
			b.fail(e.source, "begin earlier, or lengthen duration", "%s may go on until %s, after the end of the scenario (%s)", e.Verb, last, end)
		}
	}
	if e.verb.earliest != nil {
		if first, time := e.verb.earliest(e.params), e.length(end); first >= time {
			b.fail(e.source, "give it more time, or shorten up or every", "%s: its first fault comes after %s at the soonest, and it has %s", e.Verb, first, time)
		}
	}
}

// name is the verb, as messages call it.
func (e *Entry) name() string {
	if e.Verb == "" {
		return "it"
	}
	return e.Verb
}

func (e *Entry) restartsItself() bool {
	p, ok := e.params.(*crashParams)
	return ok && p.RestartAfter.Max > 0
}

// last is when the last occurrence may begin, jitter apart: of a fixed number, or before until.
func (e *Entry) last(end time.Duration) time.Duration {
	byTimes := e.At.Max + time.Duration(max(e.Times, 1)-1)*e.Every.Max
	if !e.repeats() {
		return e.At.Max
	}
	if e.Until > 0 {
		end = e.Until
	}
	if e.Times > 0 && (e.Until == 0 || byTimes < end) {
		return byTimes
	}
	return end - 1
}

func (e *Entry) repeats() bool { return e.Every != (fault.Range{}) }

// count bounds how often the entry happens, plans unfolded.
func (e *Entry) count(duration time.Duration, r *roster) int {
	n := max(e.Times, 1)
	if e.Every.Min > 0 && e.Times == 0 {
		n = int(min(1+(duration-e.At.Min)/e.Every.Min, StepsMax+1))
	}
	if e.verb != nil && e.verb.steps != nil {
		n *= min(e.verb.steps(e.params, e.length(duration), r), StepsMax+1)
	}
	return min(n, StepsMax+1)
}

// length is the longest that a fault of the entry goes on.
func (e *Entry) length(duration time.Duration) time.Duration {
	if e.For.Max > 0 {
		return min(e.For.Max, duration)
	}
	return max(duration-e.At.Min, 0)
}
