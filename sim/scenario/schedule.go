package scenario

import (
	"fmt"
	"reflect"
)

// Schedule is how the world chooses between things that happen at the same instant.
type Schedule struct {
	// Kind is "" (uniform), "pct" or "delay-bounded".
	Kind string
	// Depth is for pct, Delays for delay-bounded, Steps for both.
	Depth, Delays, Steps int
}

// The schedules.
const (
	scheduleUniform = "uniform"
	schedulePCT     = "pct"
	scheduleDelays  = "delay-bounded"
)

var schedules = []string{scheduleUniform, schedulePCT, scheduleDelays}

type pctDoc struct {
	Depth int `yaml:"depth" range:"1..100"`
	Steps int `yaml:"steps" range:"1..1000000000"`
}

type delaysDoc struct {
	Delays int `yaml:"delays" range:"0..1000"`
	Steps  int `yaml:"steps" range:"1..1000000000"`
}

// stepsDefault is about how many choices a scenario of some minutes has.
const stepsDefault = 100_000

// decode reads pct or {pct: {depth: 3, steps: 1000}}.
func (s *Schedule) decode(d *decoder, v *value) {
	kind, params := v, &value{kind: null}
	if v.kind == mapping && len(v.entries) == 1 {
		kind, params = v.entries[0].key, v.entries[0].value
	}
	if kind.kind != scalar {
		d.fail(v, "write schedule: uniform, schedule: {pct: {depth: 3}} or schedule: {delay-bounded: {delays: 5}}", "schedule: expected one strategy, found %s", v)
		return
	}
	pct, delays := pctDoc{3, stepsDefault}, delaysDoc{5, stepsDefault}
	switch kind.text {
	case scheduleUniform:
		if params.kind != null {
			d.fail(params, "write schedule: uniform", "schedule: uniform has no parameters")
		}
	case schedulePCT:
		d.into(params, reflect.ValueOf(&pct).Elem(), "pct")
		*s = Schedule{Kind: schedulePCT, Depth: pct.Depth, Steps: pct.Steps}
	case scheduleDelays:
		d.into(params, reflect.ValueOf(&delays).Elem(), "delay-bounded")
		*s = Schedule{Kind: scheduleDelays, Delays: delays.Delays, Steps: delays.Steps}
	default:
		d.unknown(kind, "schedule", "", schedules)
	}
}

// String is as in a file.
func (s Schedule) String() string {
	switch s.Kind {
	case schedulePCT:
		return fmt.Sprintf("{pct: {depth: %d, steps: %d}}", s.Depth, s.Steps)
	case scheduleDelays:
		return fmt.Sprintf("{delay-bounded: {delays: %d, steps: %d}}", s.Delays, s.Steps)
	}
	return scheduleUniform
}
