package report

import (
	"regexp"
	"strings"
)

// Cause is the reason of a failure, without the parts that differ between runs with the same bug:
// numbers, names with numbers, ids. Runs with equal causes most likely show one bug.
type Cause struct {
	// Name and When are those of the expectation.
	Name, When string
	Text       string
}

var (
	// varying are words that have a digit, or are ids of letters in both cases.
	varying = regexp.MustCompile(`[\w.µ-]*[0-9][\w.µ-]*|\b[A-Za-z]*[a-z][A-Z][A-Za-z]*\b`)
	// repetitions count once.
	lists = regexp.MustCompile(`#([ ,/]+#)+`)
)

// Cause is the cause of the first expectation that failed. A run that held has none.
func (r *Result) Cause() (c Cause, failed bool) {
	for i := range r.Expectations {
		e := &r.Expectations[i]
		if !r.failed(e) {
			continue
		}
		text, _, _ := strings.Cut(e.Detail, "\n")
		if e.Held {
			text = e.Unproven
		}
		switch b := r.Breakdown; {
		case e.When == "report":
			_, text, _ = strings.Cut(text, ", ") // without the measured value
		case b != nil && e.Name == unexpected:
			where := ""
			if len(b.Stack) > 0 {
				where, _, _ = strings.Cut(b.Stack[0], " ")
			}
			text = b.Kind + ": " + b.What + " in " + where
		}
		return Cause{e.Name, e.When, normal(text)}, true
	}
	return Cause{}, r.Verdict != Held
}

// unexpected is the expectation that a run breaks off for reasons of its own.
const unexpected = "no-unexpected-errors"

func normal(text string) string {
	return lists.ReplaceAllString(varying.ReplaceAllString(text, "#"), "#")
}
