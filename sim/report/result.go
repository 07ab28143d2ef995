// Package report is what came of a run: as one JSON object for machines, and as
// a page for people.
package report

import "time"

// The verdicts.
const (
	Held   = "held"
	Failed = "failed"
)

// Result is what came of one run of a scenario.
type Result struct {
	Scenario string `json:"scenario"`
	About    string `json:"about,omitempty"`
	Seed     uint64 `json:"seed"`
	Wire     string `json:"wire"`
	Verdict  string `json:"verdict"`
	// Digest is the SHA-256 of the trace: equal for equal seeds.
	Digest    string `json:"digest"`
	Events    uint64 `json:"events"`
	VirtualMS int64  `json:"virtual_ms"`
	// WallMS is real time, the one part that differs between equal runs.
	WallMS       int64         `json:"wall_ms"`
	Expectations []Expectation `json:"expectations"`
	// Figures are counts and measures by name.
	Figures map[string]float64 `json:"figures"`
	// Faults in the order in which they began.
	Faults []Fault `json:"faults"`
	// Replay is the command that runs the same again.
	Replay string `json:"replay"`
	// Notes are remarks that are no verdict, such as errors of actions.
	Notes []string `json:"notes,omitempty"`
}

// Expectation is the verdict on one expectation.
type Expectation struct {
	Name string `json:"name"`
	// When is "always", "after-heal" or "report".
	When string `json:"when"`
	Held bool   `json:"held"`
	// Detail says what went wrong and when, or what was measured.
	Detail string `json:"detail"`
	// Evaluated is how many judgements the verdict rests on, Excused how many were
	// not made, by reason. Both are zero for figures.
	Evaluated int            `json:"evaluated,omitempty"`
	Excused   map[string]int `json:"excused,omitempty"`
	// Unproven says why an expectation that held is worth nothing: it was never
	// evaluated, or excused each time. A strict run fails.
	Unproven string `json:"unproven,omitempty"`
}

// Fault is one fault as it was drawn.
type Fault struct {
	// AtMS and ForMS are virtual; ForMS is 0 for a fault without a duration or
	// one that lasted until the world was healed.
	AtMS  int64  `json:"at_ms"`
	ForMS int64  `json:"for_ms,omitempty"`
	What  string `json:"what"`
}

// Judge sets the verdict from the expectations.
func (r *Result) Judge() {
	r.Verdict = Held
	for _, e := range r.Expectations {
		if !e.Held {
			r.Verdict = Failed
		}
	}
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
