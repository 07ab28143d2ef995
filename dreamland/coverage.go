package dreamland

import (
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/sim/report"
)

// markNames and pointNames are all that this program has.
func markNames() (names []string) {
	for _, m := range sometimes.Marks() {
		names = append(names, m.Name())
	}
	return names
}

func pointNames() (names []string) {
	for _, p := range fail.Points() {
		names = append(names, p.Name())
	}
	return names
}

// cover tells what all runs reached together. A mark that none has hit is a failure.
func (s *sweeper) cover() error {
	if s.flags.json {
		if err := writeJSON(s.out.out, coverageJSON{s.coverage.JSON(markNames(), pointNames())}); err != nil {
			return err
		}
	} else {
		s.coverage.Write(s.out.out, markNames(), pointNames())
	}
	missing := s.coverage.MissingMarks(markNames())
	s.out.failed = s.out.failed || len(missing) > 0
	report.WriteMissing(s.verdicts(), missing)
	return nil
}

// coverageJSON is the last object of --json --coverage.
type coverageJSON struct {
	Coverage report.CoverageJSON `json:"coverage"`
}
