package project

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cronPart is one of the five parts of a moment.
type cronPart struct {
	name     string
	min, max int
	words    []string // of numbers from min on
}

var cronParts = []cronPart{
	{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of the month", 1, 31, nil},
	{"month", 1, 12, strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
	{"day of the week", 0, 7, strings.Fields("SUN MON TUE WED THU FRI SAT")},
}

var cronNames = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}

// checkCron says what is wrong with moments as cron has them: five parts, of each *, numbers, ranges, lists and steps;
// or one of cronNames. Times are UTC.
func checkCron(text string) error {
	if strings.HasPrefix(text, "@") {
		if !slices.Contains(cronNames, text) {
			return fmt.Errorf("known are %s", strings.Join(cronNames, ", "))
		}
		return nil
	}
	parts := strings.Fields(text)
	if len(parts) != len(cronParts) {
		return errors.New(`a moment has five parts, minute, hour, day of the month, month and day of the week: "0 3 * * *"`)
	}
	for i, part := range parts {
		for _, item := range strings.Split(part, ",") {
			if err := cronParts[i].check(item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *cronPart) check(item string) error {
	span, step, stepped := strings.Cut(item, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || n > p.max) {
		return fmt.Errorf("%s: the step %q is not within 1 and %d", p.name, step, p.max)
	}
	if span == "*" {
		return nil
	}
	from, to, ranged := strings.Cut(span, "-")
	a, ok := p.number(from)
	if !ok {
		return fmt.Errorf("%s: %q is not within %d and %d", p.name, from, p.min, p.max)
	}
	if !ranged {
		return nil
	}
	b, ok := p.number(to)
	if !ok || b < a {
		return fmt.Errorf("%s: %q is no range within %d and %d", p.name, span, p.min, p.max)
	}
	return nil
}

func (p *cronPart) number(text string) (int, bool) {
	if i := slices.Index(p.words, strings.ToUpper(text)); i >= 0 {
		return p.min + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && len(text) <= 2 && n >= p.min && n <= p.max
}
