package run

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// moments are the expectations at moments of the timeline.
type moments struct {
	// open are those that have begun and neither come true nor failed.
	open []*momentAsked
	// rows are their verdicts, one for each check or figure of an entry.
	rows []*momentRow
}

// momentAsked is one occurrence of an entry.
type momentAsked struct {
	moment *scenario.Moment
	at     time.Duration
	rows   []*momentRow
}

// momentRow is one check or figure of one entry, over all its occurrences.
type momentRow struct {
	name    string
	when    string
	judge   *judge          // of a check
	bound   *scenario.Bound // of a figure
	held    int
	missing int    // occurrences that have not been judged yet
	failure string // the first
}

// plan makes the rows of every occurrence that is to come.
func (m *moments) plan(steps []scenario.Step, j *judges) map[*scenario.Step]*momentAsked {
	asked, byEntry := map[*scenario.Step]*momentAsked{}, map[int][]*momentRow{}
	for i := range steps {
		s := &steps[i]
		if s.Moment == nil {
			continue
		}
		rows := byEntry[s.Entry]
		if rows == nil {
			rows = rowsOf(s, j)
			byEntry[s.Entry] = rows
			m.rows = append(m.rows, rows...)
		}
		for _, row := range rows {
			row.missing++
		}
		asked[s] = &momentAsked{moment: s.Moment, at: s.At, rows: rows}
	}
	return asked
}

func rowsOf(s *scenario.Step, j *judges) (rows []*momentRow) {
	when := "at " + s.At.Round(time.Millisecond).String()
	for _, c := range s.Moment.All {
		if one := j.named(c.Name); one == nil || !one.moment {
			continue
		}
		rows = append(rows, &momentRow{name: c.Name, when: when, judge: j.named(c.Name)})
	}
	for i := range s.Moment.Report {
		b := &s.Moment.Report[i]
		rows = append(rows, &momentRow{name: b.Label(), when: when, bound: b})
	}
	return rows
}

// look judges the open expectations, and reports whether one has failed for good.
func (m *moments) look(v check.View, figures func() map[string]float64) (failed bool) {
	var open []*momentAsked
	for _, a := range m.open {
		wrong := map[*momentRow]string{}
		for _, row := range a.rows {
			if why := row.ask(v, figures); why != "" {
				wrong[row] = why
			}
		}
		if len(wrong) > 0 && v.Now() < a.at+a.moment.Within {
			open = append(open, a)
			continue
		}
		for _, row := range a.rows {
			row.missing--
			if why := wrong[row]; why == "" {
				row.held++
			} else if row.failure == "" {
				row.failure, failed = fmt.Sprintf("at %s: %s", v.Now(), why), true
			}
		}
	}
	m.open = open
	return failed
}

// ask says why the expectation does not hold now, "" if it does.
func (row *momentRow) ask(v check.View, figures func() map[string]float64) string {
	if row.bound != nil {
		if e := figureVerdict(*row.bound, figures()); !e.Held {
			return e.Detail
		}
		return ""
	}
	row.judge.counting(check.AfterHeal)
	if err := row.judge.checker.(check.OnSettled).Settled(v); err != nil {
		return err.Error()
	}
	return ""
}

// verdicts are the rows of the report.
func (m *moments) verdicts(unwatched func(*scenario.Bound) string) (list []report.Expectation) {
	for _, row := range m.rows {
		e := report.Expectation{Name: row.name, When: row.when, Held: row.failure == "" && row.missing == 0, Detail: row.failure}
		switch {
		case row.failure == "" && row.missing > 0:
			e.NotAsked, e.Detail = true, endedBefore
		case row.failure == "" && row.held > 1:
			e.Detail = fmt.Sprintf("held %d times", row.held)
		}
		if row.judge != nil {
			e = row.judge.counted(e, check.AfterHeal)
		} else if e.Held {
			e.Unproven = unwatched(row.bound)
		}
		list = append(list, e)
	}
	return list
}
