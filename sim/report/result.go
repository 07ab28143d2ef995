// Package report is the result of a run: as one JSON object for machines, and as a page for people.
package report

import "time"

// The verdicts.
const (
	Held   = "held"
	Failed = "failed"
)

// Live is the wire of a run of real processes, which has no digest.
const Live = "live"

// Result is the result of one run of a scenario.
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
	// Longest are what took longest, of each figure that is a spread of durations.
	Longest []Longest `json:"longest,omitempty"`
	// Chosen are the nodes that selectors by state have selected, by step.
	Chosen map[string][][]string `json:"chosen,omitempty"`
	// Replay is the command that runs the same again, with a binary of Revision.
	Replay   string `json:"replay"`
	Revision string `json:"revision,omitempty"`
	// Exercised is what happened in the run.
	Exercised Exercised `json:"exercised"`
	// Strict: an expectation that is unproven fails the run.
	Strict bool `json:"strict,omitempty"`
	// Breakdown is set if the world could not go on.
	Breakdown *Breakdown `json:"breakdown,omitempty"`
	// NotObserved is what a run of real processes does not judge, cause or show of what the scenario asks.
	NotObserved []NotObserved `json:"not_observed,omitempty"`
	// Notes are remarks that are no verdict, such as errors of actions.
	Notes []string `json:"notes,omitempty"`
}

// NotObserved is one thing that is not to be had of real processes.
type NotObserved struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Longest is one object that something took long for.
type Longest struct {
	// Of is the name of the figures, without their quantiles.
	Of     string  `json:"of"`
	Unit   string  `json:"unit"`
	Object string  `json:"object"`
	Node   string  `json:"node"`
	Amount float64 `json:"amount"`
	// AtMS is when it came to its end, in virtual time.
	AtMS int64 `json:"at_ms"`
}

// Expectation is the verdict on one expectation.
type Expectation struct {
	Name string `json:"name"`
	// When is "always", "after-heal" or "report".
	When string `json:"when"`
	// NotAsked: the run failed for another reason before this could be judged; Held is false, and
	// that is no failure.
	NotAsked bool `json:"not_asked,omitempty"`
	Held     bool `json:"held"`
	// Detail says what went wrong and when, or what was measured.
	Detail string `json:"detail"`
	// Means is what is demanded, in a sentence.
	Means string `json:"means,omitempty"`
	// Evaluated is the number of judgements behind the verdict, Excused how many were not made, by
	// reason. Both are zero for figures.
	Evaluated int            `json:"evaluated,omitempty"`
	Excused   map[string]int `json:"excused,omitempty"`
	// Unproven says why an expectation that held proves nothing: it was never evaluated, or excused
	// each time. A strict run fails.
	Unproven string `json:"unproven,omitempty"`
}

// Exercised lists what happened in a run: its verdict covers nothing else.
type Exercised struct {
	// Actions by name, in the order in which they first began.
	Actions []Action `json:"actions,omitempty"`
	// Attacks by name, in the order in which they first began.
	Attacks []Attack `json:"attacks,omitempty"`
	// Failpoints that acted, and how often.
	Failpoints map[string]int `json:"failpoints,omitempty"`
	// Passed are failpoints that were reached, whether they acted or not, and how often.
	Passed map[string]int `json:"failpoints_passed,omitempty"`
	// Marks that were hit, and how often (see node/sometimes).
	Marks map[string]int `json:"marks,omitempty"`
	// Moments are what faults hit: "KIND SERVICE MOMENT" and how often. The moment is
	// the last fact of the service on the node that was hit, "quiet" if that was some
	// time ago, "down" if the node did not run.
	Moments map[string]int `json:"moments,omitempty"`
	// WithoutEffect is how many faults hit nothing.
	WithoutEffect int `json:"faults_without_effect"`
}

// Action is the results of the actions of one name.
type Action struct {
	Name       string `json:"name"`
	Done       int    `json:"done"`
	Failed     int    `json:"failed"`
	Unfinished int    `json:"unfinished"`
}

// Attack is how often hostile nodes began an attack, each of them by itself.
type Attack struct {
	Name  string `json:"name"`
	Times int    `json:"times"`
}

// Breakdown is a panic, or a turn that never ended.
type Breakdown struct {
	// Kind is "panic", "stall" or "goroutine".
	Kind string `json:"kind"`
	// Node, Service and Task are whose turn it was, where that is known.
	Node    string `json:"node,omitempty"`
	Service string `json:"service,omitempty"`
	Task    string `json:"task,omitempty"`
	AtMS    int64  `json:"at_ms"`
	What    string `json:"what"`
	// Stack has "function file:line", innermost first, without the standard library.
	Stack []string `json:"stack"`
}

// Fault is one fault as it was drawn.
type Fault struct {
	// AtMS and ForMS are virtual; ForMS is 0 for a fault without a duration or
	// one that lasted until the world was healed.
	AtMS  int64  `json:"at_ms"`
	ForMS int64  `json:"for_ms,omitempty"`
	What  string `json:"what"`
	// WithoutEffect: it hit nothing, such as the crash of a node that was down, a
	// cut of links on which nothing was sent, a failpoint that was never reached.
	WithoutEffect bool `json:"without_effect,omitempty"`
}

// Brief is the result without what takes room and is not needed to count it, group
// it and make it again: of the expectations only those that failed are left.
func (r *Result) Brief() Result {
	brief := *r
	brief.About, brief.Faults, brief.Notes, brief.Expectations = "", []Fault{}, nil, []Expectation{}
	for _, e := range r.Expectations {
		if r.failed(&e) {
			brief.Expectations = append(brief.Expectations, e)
		}
	}
	return brief
}

// Judge sets the verdict from the expectations.
func (r *Result) Judge() {
	r.Verdict = Held
	for i := range r.Expectations {
		if e := &r.Expectations[i]; r.failed(e) || e.NotAsked {
			r.Verdict = Failed
		}
	}
}

func (r *Result) failed(e *Expectation) bool {
	return !e.NotAsked && (!e.Held || r.Strict && e.Unproven != "")
}

// Broken lists what makes the run fail, one line each.
func (r *Result) Broken() (list []string) {
	for _, e := range r.Expectations {
		if !e.Held && !e.NotAsked {
			list = append(list, e.Name+": "+e.Detail)
		}
		if r.Strict && e.Unproven != "" {
			list = append(list, e.Name+": "+e.Unproven)
		}
	}
	if len(list) == 0 && r.Verdict != Held {
		list = append(list, "verdict "+r.Verdict)
	}
	return list
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
