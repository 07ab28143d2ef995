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
func (s *sweeper) cover() {
	if !s.flags.json {
		s.coverage.Write(s.out.out, markNames(), pointNames())
	}
	if missing := s.coverage.MissingMarks(markNames()); len(missing) > 0 {
		s.out.failed = true
		if !s.flags.json {
			report.WriteMissing(s.out.out, missing)
		}
	}
}
